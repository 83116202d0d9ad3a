"""NIST Special Database 19: hand-printed forms and characters of 3,600 people.

Source: Grother, "NIST Special Database 19: Handprinted Forms and Characters Database" (1995; second edition
2016). NIST asks that partition hsf_4 be used for reporting only: it is ``test`` here, the rest ``train``.

Second edition: PNG files of 128x128, dark on light, in ``by_class/<hex>/{train_<hex>,hsf_N}/`` (no writers)
or ``by_write/hsf_N/f<writer>_<template>/<kind>/`` (no classes: those are looked up by the file's MD5 in
NIST's ``by_class_md5.log``). First edition: stacks ``.mis`` with classes ``.cls`` in the same hierarchies.
"""

import hashlib
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from model.alphabets import CHARACTERS, class_index
from model.datasets.building import CropBuilder, Normalize
from model.datasets.crops import AbsentError, DatasetError, LabelledCrops
from model.datasets.ihead import parse_classes, read_stack
from model.datasets.trees import FileTree, find_file, find_trees

LOG = logging.getLogger(__name__)

BY_CLASS_ARCHIVES = ("by_class.zip",)
BY_WRITE_ARCHIVES = ("by_write.zip",)
CLASS_LOG = "by_class_md5.log"

_BY_CLASS = re.compile(r"(?:^|/)([3-7][0-9a-f])/(hsf_\d|train_[0-9a-f]{2})(?:/[^/]+\.png|\.mis)$")
_BY_WRITE = re.compile(r"(?:^|/)(hsf_\d)/f(\d{4})_\d{2}/(?:[^/]+/)?[^/]+\.(?:png|mis)$")
_LOG_CLASS = re.compile(r"/([3-7][0-9a-f])/(?:hsf_\d|train_[0-9a-f]{2})/")
_MD5 = re.compile(r"\b[0-9a-f]{32}\b")


def load_by_class(folder: Path, split: str, normalize: Normalize) -> LabelledCrops:
    """Characters sorted by class; writers unknown.

    ``train`` is the partitions ``train_<hex>`` where a class has one (they repeat the hsf partitions other
    than hsf_4), else those hsf partitions; ``test`` is hsf_4.

    Args:
        folder: holds ``by_class.zip``, or the hierarchy unpacked, or is one of these.
        split: ``train`` or ``test``.
        normalize: ink to 28x28.

    Raises:
        DatasetError: nothing of the kind is there.
    """
    for tree in find_trees(folder, BY_CLASS_ARCHIVES):
        found = [(name, match) for name in tree.names() if (match := _BY_CLASS.search(name))]
        if found:
            break
    else:
        raise AbsentError(f"neither {BY_CLASS_ARCHIVES[0]} nor by_class/<hex>/hsf_N is below {folder}")
    builder = CropBuilder(f"sd19-by-class-{split}", normalize)
    with_train = {match[1] for _, match in found if match[2].startswith("train")}
    for name, match in found:
        code, partition = match[1], match[2]
        if partition in _partitions(split, code in with_train, code):
            _add_file(builder, tree, name, _label(code), writer=None)
    return _built(builder, tree)


def load_by_write(folder: Path, split: str, normalize: Normalize) -> LabelledCrops:
    """Characters sorted by writer: the edition to prefer, because it can be split by hands.

    A picture whose MD5 is in no class, or in two (a bare bar may be 1, l or I), is left out.

    Args:
        folder: holds ``by_write.zip`` and ``by_class_md5.log``, or the hierarchy unpacked.
        split: ``train`` (without hsf_4) or ``test`` (hsf_4).
        normalize: ink to 28x28.

    Raises:
        DatasetError: the pictures or, for the second edition, the log are not there.
    """
    for tree in find_trees(folder, BY_WRITE_ARCHIVES):
        found = [(name, match) for name in tree.names() if (match := _BY_WRITE.search(name))]
        if found:
            break
    else:
        raise AbsentError(f"neither {BY_WRITE_ARCHIVES[0]} nor by_write/hsf_N/fWWWW_TT is below {folder}")
    builder = CropBuilder(f"sd19-by-write-{split}", normalize)
    stacks_only = all(name.endswith(".mis") for name, _ in found)
    classes = {} if stacks_only else _read_class_log(folder)
    for name, match in found:
        if (match[1] == "hsf_4") == (split == "test"):
            _add_file(builder, tree, name, None, writer=match[2], classes=classes)
    return _built(builder, tree)


def read_class_log(lines: Sequence[str]) -> dict[bytes, int]:
    """NIST's list of the MD5 of every by_class picture: digest (16 bytes) -> class index.

    A digest that stands under two classes is left out.
    """
    classes: dict[bytes, int] = {}
    for line in lines:
        digest, code = _MD5.search(line), _LOG_CLASS.search(line)
        label = _label(code[1]) if digest and code else None
        if digest is None or label is None:
            continue
        key = bytes.fromhex(digest[0])
        classes[key] = label if classes.get(key, label) == label else -1
    return {key: label for key, label in classes.items() if label >= 0}


def _read_class_log(folder: Path) -> dict[bytes, int]:
    folder = folder if folder.is_dir() else folder.parent
    for candidate in (folder / CLASS_LOG, folder.parent / CLASS_LOG):
        if candidate.is_file():
            return read_class_log(candidate.read_text("ascii", errors="replace").splitlines())
    found = find_file(find_trees(folder, ()), [CLASS_LOG])
    if found is None:
        raise AbsentError(f"{CLASS_LOG}, which names the classes of by_write, is not below {folder}")
    return read_class_log(found[0].read(found[1]).decode("ascii", errors="replace").splitlines())


def _partitions(split: str, has_train: bool, code: str) -> set[str]:
    if split == "test":
        return {"hsf_4"}
    return {f"train_{code}"} if has_train else {f"hsf_{number}" for number in range(10) if number != 4}


def _label(code: str) -> int | None:
    character = chr(int(code, 16))
    return class_index(character) if character in CHARACTERS else None


def _add_file(
    builder: CropBuilder,
    tree: FileTree,
    name: str,
    label: int | None,
    writer: str | None,
    classes: dict[bytes, int] | None = None,
) -> None:
    """Adds a picture or a stack; what cannot be read costs only itself, and is logged."""
    try:
        for ink, known in _characters(tree, name, label, classes or {}):
            if known is not None:
                builder.add(ink, known, writer)
    except DatasetError as error:
        LOG.warning("left out: %s", error)


def _characters(
    tree: FileTree, name: str, label: int | None, classes: dict[bytes, int]
) -> Iterator[tuple[NDArray[np.uint8], int | None]]:
    data, where = tree.read(name), tree.describe(name)
    if name.endswith(".mis"):
        beside = str(PurePosixPath(name).with_suffix(".cls"))
        texts = parse_classes(tree.read(beside).decode("ascii", errors="replace"), tree.describe(beside))
        stack = list(read_stack(data, where))
        if len(stack) != len(texts):
            raise DatasetError(f"{where}: {len(stack)} characters, {len(texts)} classes beside it")
        for ink, text in zip(stack, texts, strict=True):
            yield ink, class_index(text) if text in CHARACTERS else None
        return
    if label is None:
        label = classes.get(hashlib.md5(data, usedforsecurity=False).digest())
    if label is not None:
        yield _ink(data, where), label


def _ink(data: bytes, where: str) -> NDArray[np.uint8]:
    gray = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if data else None
    if gray is None:
        raise DatasetError(f"{where}: not a readable picture")
    return np.asarray(255 - gray, np.uint8)


def _built(builder: CropBuilder, tree: FileTree) -> LabelledCrops:
    if not len(builder):
        raise DatasetError(f"{tree.path}: no labelled character for {builder.name}")
    return builder.build()
