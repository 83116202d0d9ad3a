"""Our own ``.npz`` character sets: ``images`` (N, 28, 28) or packed originals, and ``labels`` (N,)."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.alphabets import CHARACTERS, class_index
from model.datasets.building import Normalize, normalize_all
from model.datasets.crops import SIZE, DatasetError, LabelledCrops, unknown_writers

# 20x16 bitmaps stretched to their frame: a bar became a block that nobody could name.
UNREADABLE = {"binaryalphadigs": "1I"}
WRITER_FIELDS = ("writer_index", "drawer", "sample_index")


def load_npz(path: Path | str, normalize: Normalize | None = None) -> LabelledCrops:
    """Loads one set.

    Rows flagged ``degenerate`` and classes that a set is known to have spoilt are left out. Where the file
    has packed originals (``raw128_packed``: 1 = ink; ``images64_packed``: 1 = paper, stretched to a square),
    they are preferred if ``normalize`` is given.

    Args:
        path: the ``.npz`` file; its stem becomes the name.
        normalize: ink to 28x28; needed only where the file has no ``images``.

    Raises:
        DatasetError: the file is absent or not such a set, or needs ``normalize``.
    """
    path = Path(path)
    arrays = read_arrays(path)
    if "labels" not in arrays:
        raise DatasetError(f"{path}: no array 'labels'; expected images (N, 28, 28) and labels (N,)")
    texts = arrays["labels"].astype(str)
    keep = np.isin(texts, list(CHARACTERS)) & ~np.isin(texts, list(UNREADABLE.get(path.stem, "")))
    if "degenerate" in arrays:
        keep &= ~arrays["degenerate"]
    return LabelledCrops(
        path.stem, _images(path, arrays, keep, normalize), label_indices(texts[keep]), _writers(arrays)[keep]
    )


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of an ``.npz`` file, without ever unpickling.

    Raises:
        DatasetError: the file is absent or not readable.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such file") from None
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{path}: not a readable .npz file ({error})") from error


def label_indices(texts: NDArray[np.str_]) -> NDArray[np.int16]:
    """Characters, str (N,), to class indices, int16 (N,).

    Raises:
        KeyError: a text is not a known character.
    """
    distinct, inverse = np.unique(texts, return_inverse=True)
    return np.array([class_index(str(text)) for text in distinct], np.int16)[inverse]


def _images(
    path: Path, arrays: dict[str, NDArray[Any]], keep: NDArray[np.bool_], normalize: Normalize | None
) -> NDArray[np.uint8]:
    for field, side, ink_bit in (("raw128_packed", 128, 1), ("images64_packed", 64, 0)):
        if field in arrays and normalize is not None:
            return normalize_all((_unpack(row, side, ink_bit) for row in arrays[field][keep]), normalize)
    if "images" not in arrays:
        packed = "images64_packed" in arrays or "raw128_packed" in arrays
        remedy = "it has only packed originals: pass normalize" if packed else "expected images (N, 28, 28)"
        raise DatasetError(f"{path}: no array 'images'; {remedy}")
    images = arrays["images"]
    if images.dtype != np.uint8 or images.shape[1:] != (SIZE, SIZE):
        raise DatasetError(f"{path}: images must be uint8 (N, 28, 28), not {images.dtype} {images.shape}")
    return np.ascontiguousarray(images[keep])


def _unpack(row: NDArray[np.uint8], side: int, ink_bit: int) -> NDArray[np.uint8]:
    bits = np.unpackbits(row).reshape(side, side)
    return np.where(bits == ink_bit, 255, 0).astype(np.uint8)


def _writers(arrays: dict[str, NDArray[Any]]) -> NDArray[np.int32]:
    if "writer_template_field_position" in arrays:
        return arrays["writer_template_field_position"][:, 0].astype(np.int32)
    for field in WRITER_FIELDS:
        if field in arrays:
            return arrays[field].astype(np.int32)
    return unknown_writers(len(arrays["labels"]))
