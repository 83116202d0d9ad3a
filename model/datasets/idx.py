"""MNIST and EMNIST, which share the idx format.

Sources: LeCun, Cortes, Burges, "The MNIST database of handwritten digits"; Cohen, Afshar, Tapson, van Schaik,
"EMNIST: an extension of MNIST to handwritten letters" (arXiv:1702.05373).
"""

import gzip
import string
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.alphabets import class_index
from model.datasets.building import Normalize, normalize_all
from model.datasets.crops import SIZE, AbsentError, DatasetError, LabelledCrops, unknown_writers
from model.datasets.trees import FileTree, find_file, find_trees

# The 47 classes merge the 15 letters whose two cases look alike; the capital stands for both.
MERGED_47 = string.digits + string.ascii_uppercase + "abdefghnqrt"
EMNIST_CHARACTERS: dict[str, str] = {
    "mnist": string.digits,
    "digits": string.digits,
    "letters": string.ascii_uppercase,  # both cases of each letter; the capital stands for them
    "balanced": MERGED_47,
    "bymerge": MERGED_47,
    "byclass": string.digits + string.ascii_uppercase + string.ascii_lowercase,
}
"""What the labels of each EMNIST split mean, in order. ``letters`` counts from 1, the others from 0."""

EMNIST_ARCHIVES = ("gzip.zip", "emnist.zip", "emnist-gzip.zip")
FAINT = 32
MNIST_STEMS = {"train": "train", "test": "t10k"}


def parse_idx(data: bytes, where: str) -> NDArray[np.uint8]:
    """An idx file of unsigned bytes, gzipped or not, as an array of the shape it states.

    Raises:
        DatasetError: not such a file, or shorter than it says.
    """
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise DatasetError(f"{where}: damaged gzip ({error}); delete and fetch it again") from error
    if len(data) < 8 or data[:3] != b"\0\0\x08" or not 1 <= data[3] <= 3 or len(data) < 4 + 4 * data[3]:
        raise DatasetError(f"{where}: not an idx file of unsigned bytes")
    dimensions = data[3]
    shape = struct.unpack_from(f">{dimensions}I", data, 4)
    body = np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions)
    if len(body) != np.prod(shape, dtype=np.int64):
        raise DatasetError(f"{where}: {len(body)} values where its header promises {shape}")
    return body.reshape(shape)


def load_mnist(folder: Path, split: str) -> LabelledCrops:
    """MNIST's ``train`` (60,000) or ``test`` (10,000) digits, as they are; writers unknown.

    Args:
        folder: holds ``train-images-idx3-ubyte.gz`` and its kin, unpacked or not, at any depth.
        split: ``train`` or ``test``.

    Raises:
        DatasetError: a file is absent or damaged.
    """
    trees = find_trees(folder, ())
    images, labels = (_read(trees, folder, MNIST_STEMS[split], kind) for kind in ("images", "labels"))
    return _crops(f"mnist-{split}", images, labels, string.digits, first=0)


def load_emnist(folder: Path, variant: str, split: str, normalize: Normalize | None) -> LabelledCrops:
    """One split of EMNIST, upright; writers unknown.

    EMNIST stores its pictures transposed, which is undone. It scales ink to 24 pixels in the middle of the
    bounding box; ``normalize`` brings it to this project's placement, None leaves it.

    Args:
        folder: holds ``gzip.zip``, or its files unpacked or not, at any depth.
        variant: a key of ``EMNIST_CHARACTERS``.
        split: ``train`` or ``test``.
        normalize: ink to 28x28, or None.

    Raises:
        DatasetError: a file is absent or damaged.
    """
    trees = find_trees(folder, EMNIST_ARCHIVES)
    stem = f"emnist-{variant}-{split}"
    images, labels = (_read(trees, folder, stem, kind) for kind in ("images", "labels"))
    if images.shape[1:] == (SIZE, SIZE):
        images = np.ascontiguousarray(images.transpose(0, 2, 1))
    if normalize is not None and images.ndim == 3:
        # Their blur leaves a grey haze around the ink, which would count as ink when the box is drawn.
        images = normalize_all((np.where(image < FAINT, 0, image) for image in images), normalize)
    return _crops(stem, images, labels, EMNIST_CHARACTERS[variant], first=1 if variant == "letters" else 0)


def _read(trees: Sequence[FileTree], folder: Path, stem: str, kind: str) -> NDArray[np.uint8]:
    ending = "idx3-ubyte" if kind == "images" else "idx1-ubyte"
    candidates = [f"{stem}-{kind}{mark}{ending}{gz}" for mark in "-." for gz in (".gz", "")]
    found = find_file(trees, candidates)
    if found is None:
        raise AbsentError(f"{candidates[0]} is not below {folder}")
    tree, name = found
    return parse_idx(tree.read(name), tree.describe(name))


def _crops(
    name: str, images: NDArray[np.uint8], labels: NDArray[np.uint8], characters: str, first: int
) -> LabelledCrops:
    if images.shape != (len(labels), SIZE, SIZE) or labels.ndim != 1:
        raise DatasetError(f"{name}: images {images.shape} and labels {labels.shape} do not belong together")
    codes = labels.astype(np.int64) - first
    if len(codes) and not (codes.min() >= 0 and codes.max() < len(characters)):
        raise DatasetError(f"{name}: a label lies outside {first}..{first + len(characters) - 1}")
    meaning = np.array([class_index(character) for character in characters], np.int16)
    return LabelledCrops(name, images, meaning[codes], unknown_writers(len(codes)))
