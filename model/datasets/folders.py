"""A folder of pictures with one folder a class, and a folder of our own ``.npz`` sets."""

import hashlib
import io
import logging
import re
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from model.alphabets import CHARACTERS, NOT_A_CHARACTER, class_index
from model.datasets.building import CropBuilder, Normalize
from model.datasets.crops import DatasetError, LabelledCrops
from model.datasets.npz import load_npz

LOG = logging.getLogger(__name__)

PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".webp", ".pgm"}
NOT_A_CHARACTER_FOLDER = "not_a_character"
# Below this distance between paper and ink, in grey levels, there is nothing written.
LEAST_CONTRAST = 24
SPLIT_FOLDERS = ("train", "test")
_HEX = re.compile(r"[0-9a-fA-F]{2}")
_HELD_BACK = re.compile(r"_(test|val)(?=\d|_|$)")
_PART = re.compile(r"_(train|test|val)(?=\d|_|$).*")


def load_folder(folder: Path, split: str, normalize: Normalize) -> LabelledCrops:
    """Labelled pictures, one folder a class; writers unknown.

    A class folder is named by the character (``A``, ``a``, ``7``), by its two-digit hexadecimal code as in
    SD19 (``41``, ``61``, ``37``; needed where a file system does not tell ``A`` from ``a``), or
    ``not_a_character``. One sign is always the character, two are always the code. Pictures lie in it at any
    depth, in any size, dark on light or light on dark. Where ``train`` and ``test`` folders hold the class
    folders, they are the splits; otherwise there is one undivided set.

    What cannot be read, shows nothing, or has the very bytes of another picture of its class is left out and
    named in the log: of two copies one could be trained on and the other measured.

    Args:
        folder: the folder.
        split: ``all``; ``train`` (an undivided set counts as this); ``test``.
        normalize: ink to 28x28.

    Raises:
        DatasetError: no such folder, a class folder that names no class, no readable picture, or
            ``test`` of an undivided set.
    """
    roots = split_folders(folder, split)
    builder = CropBuilder(f"folder:{folder}", normalize)
    seen: dict[tuple[int, bytes], Path] = {}
    for root in roots:
        for class_folder in sorted(child for child in root.iterdir() if _is_visible_folder(child)):
            label = folder_class(class_folder)
            for path in sorted(class_folder.rglob("*")):
                if path.suffix.lower() in PICTURES and path.is_file():
                    _add(builder, path, label, seen)
    if not len(builder):
        raise DatasetError(
            f"{folder}: no readable picture in any folder of a class; expected {folder}/A/name.png"
        )
    return builder.build()


def split_folders(folder: Path, split: str) -> list[Path]:
    """Where the class folders of a split lie.

    Raises:
        DatasetError: no such folder, or ``test`` of an undivided set.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder")
    divided = [folder / name for name in SPLIT_FOLDERS if (folder / name).is_dir()]
    if not divided:
        if split == "test":
            raise DatasetError(
                f"{folder}: undivided, without a test split; ask for 'all', or make {folder}/test"
            )
        return [folder]
    chosen = [path for path in divided if split in ("all", path.name)]
    if not chosen:
        raise DatasetError(f"{folder / split}: no such folder")
    return chosen


def folder_class(folder: Path) -> int:
    """The class that a folder's name stands for.

    Raises:
        DatasetError: it stands for none.
    """
    name = folder.name
    character = chr(int(name, 16)) if _HEX.fullmatch(name) else name
    if character in CHARACTERS and len(character) == 1:
        return class_index(character)
    if name == NOT_A_CHARACTER_FOLDER:
        return NOT_A_CHARACTER
    raise DatasetError(
        f"{folder}: names no class; use one character of 0-9 A-Z a-z, its hexadecimal code (30..7a) "
        f"or {NOT_A_CHARACTER_FOLDER}"
    )


def picture_ink(data: bytes, where: str) -> NDArray[np.uint8]:
    """Decodes a picture of one character and finds its ink, whichever of the two is darker.

    What the border is mostly made of is taken for paper. The levels are stretched so that typical paper is 0
    and typical ink 255; what is nearer to paper than a quarter of the way is cleared.

    Returns:
        uint8 (H, W), ink up to 255 on 0; all zero where there is no contrast.

    Raises:
        DatasetError: not a readable picture.
    """
    try:
        with Image.open(io.BytesIO(data)) as picture:
            gray = _gray(ImageOps.exif_transpose(picture))
    except UnidentifiedImageError:
        reason = "it begins like no picture" if data else "it is empty"
        raise DatasetError(f"{where}: not a readable picture ({reason})") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DatasetError(f"{where}: not a readable picture ({error})") from error
    _, dark = cv2.threshold(gray, 0, 1, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    border = np.concatenate([dark[0], dark[-1], dark[:, 0], dark[:, -1]])
    written = dark == 0 if border.mean() > 0.5 else dark == 1
    if not written.any() or written.all():
        return np.zeros(gray.shape, np.uint8)
    paper, ink = float(np.median(gray[~written])), float(np.median(gray[written]))
    if abs(ink - paper) < LEAST_CONTRAST:
        return np.zeros(gray.shape, np.uint8)
    level = (gray.astype(np.float32) - paper) / (ink - paper)
    return np.where(level < 0.25, 0, np.clip(level, 0, 1) * 255).astype(np.uint8)


def _gray(picture: Image.Image) -> NDArray[np.uint8]:
    """Grey levels, uint8 (H, W); of more than eight bits from the darkest to the lightest that occur."""
    if picture.mode.startswith("I") or picture.mode == "F":  # Pillow would cut off all above 255
        levels = np.asarray(picture).astype(np.float64)
        low, high = np.nanmin(levels), np.nanmax(levels)
        return np.nan_to_num((levels - low) * 255 / max(high - low, 1e-9)).clip(0, 255).astype(np.uint8)
    if not picture.has_transparency_data:
        return np.asarray(picture.convert("L"))
    rgba = picture.convert("RGBA")
    grounds = [Image.alpha_composite(Image.new("RGBA", rgba.size, name), rgba) for name in ("white", "black")]
    on_white, on_black = (np.asarray(ground.convert("L")) for ground in grounds)
    return on_white if np.ptp(on_white) >= LEAST_CONTRAST else on_black  # white ink on nothing


def load_npz_folder(folder: Path, split: str, normalize: Normalize | None) -> LabelledCrops:
    """All ``.npz`` sets of a folder (or one file), joined; files of strokes are passed over.

    Args:
        folder: the folder or file.
        split: ``all``; ``train`` without, ``test`` only the files named ``*_test*`` or ``*_val*``.
        normalize: ink to 28x28, for sets that hold originals.

    Raises:
        DatasetError: nothing of the kind there, or a file is not such a set.
    """
    paths = [folder] if folder.is_file() else sorted(folder.glob("*.npz"))
    if folder.is_file() and split == "train":
        split = "all"
    wanted = {"all": (True, False), "train": (False,), "test": (True,)}[split]
    paths = [path for path in paths if bool(_HELD_BACK.search(path.stem)) in wanted]
    paths = [path for path in paths if not path.stem.endswith("_strokes")]
    if not paths:
        raise DatasetError(f"{folder}: no .npz set for the split {split!r}")
    families: dict[str, list[LabelledCrops]] = defaultdict(list)
    for path in paths:
        families[_PART.sub("", path.stem)].append(load_npz(path, normalize))
    # The parts of one set number their writers alike; different sets do not.
    parts = [LabelledCrops.concatenate(parts, shared_writers=True) for parts in families.values()]
    return LabelledCrops.concatenate(parts)


def _add(builder: CropBuilder, path: Path, label: int, seen: dict[tuple[int, bytes], Path]) -> None:
    try:
        data = path.read_bytes()
        ink = picture_ink(data, str(path))
        if label != NOT_A_CHARACTER and not ink.any():
            raise DatasetError(f"{path}: shows nothing that differs from its border")
        first = seen.setdefault((label, hashlib.sha256(data).digest()), path)
        if first is not path:
            raise DatasetError(f"{path}: is a copy of {first}")
        builder.add(ink, label)
    except (OSError, DatasetError) as error:
        LOG.warning("left out: %s", error)


def _is_visible_folder(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith((".", "_"))
