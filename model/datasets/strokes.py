"""Pen strokes of single characters (UNIPEN, from tablets), to be rendered with other pens and papers.

Source of the data: Guyon, Schomaker, Plamondon, Liberman, Janet, "UNIPEN project of on-line data exchange and
recognizer benchmarks", ICPR 1994.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.alphabets import CHARACTERS
from model.datasets.crops import DatasetError
from model.datasets.npz import label_indices, read_arrays


@dataclass(frozen=True, eq=False)
class Strokes:
    """N characters as polylines.

    Attributes:
        name: the data set.
        points: uint8 (P, 2), x right and y down, each character's longest side = 255, origin top left.
        stroke_offsets: int64 (S + 1,), stroke s is ``points[stroke_offsets[s]:stroke_offsets[s + 1]]``.
        offsets: int64 (N + 1,), character i has the strokes ``offsets[i]`` to ``offsets[i + 1]``.
        labels: int16 (N,), class indices of ``model.alphabets``.
        writers: int32 (N,), the numbers of the crops rendered from the same strokes.
    """

    name: str
    points: NDArray[np.uint8]
    stroke_offsets: NDArray[np.int64]
    offsets: NDArray[np.int64]
    labels: NDArray[np.int16]
    writers: NDArray[np.int32]

    def __len__(self) -> int:
        """The number of characters, N."""
        return len(self.labels)

    def polylines(self, index: int) -> list[NDArray[np.float32]]:
        """The strokes of one character in writing order: float32 (k, 2) each, k >= 1, 0..255, y down."""
        strokes = range(self.offsets[index], self.offsets[index + 1])
        cut = self.stroke_offsets
        return [self.points[cut[stroke] : cut[stroke + 1]].astype(np.float32) for stroke in strokes]

    def select(self, mask_or_index: NDArray[np.bool_] | NDArray[np.integer]) -> "Strokes":
        """The characters of a boolean mask (N,) or of integer indices (M,), in that order."""
        chosen = np.arange(len(self))[mask_or_index]
        strokes = _ranges(self.offsets[chosen], self.offsets[chosen + 1])
        points = _ranges(self.stroke_offsets[strokes], self.stroke_offsets[strokes + 1])
        return Strokes(
            self.name,
            self.points[points],
            _offsets(np.diff(self.stroke_offsets)[strokes]),
            _offsets(np.diff(self.offsets)[chosen]),
            self.labels[chosen],
            self.writers[chosen],
        )


def load_strokes(path: Path | str) -> Strokes:
    """Loads strokes (``points``, ``stroke_len``, ``n_strokes``, ``labels``, ``writer_index``).

    Characters flagged ``degenerate`` are left out; the flag stands in the file of the rendered pictures
    (``unipen_62.npz`` beside ``unipen_62_strokes.npz``, same order), so that row i here is row i of
    ``load_npz`` there.

    Raises:
        DatasetError: a file is absent, unreadable, or the two do not belong together.
    """
    path = Path(path)
    arrays = read_arrays(path)
    absent = {"points", "stroke_len", "n_strokes", "labels", "writer_index"} - arrays.keys()
    if absent:
        raise DatasetError(f"{path}: no array {sorted(absent)[0]!r}; not a file of strokes")
    texts = arrays["labels"].astype(str)
    keep = np.isin(texts, list(CHARACTERS)) & ~_degenerate(path, arrays, len(texts))
    texts[~keep] = CHARACTERS[0]
    strokes = Strokes(
        path.stem,
        arrays["points"],
        _offsets(arrays["stroke_len"]),
        _offsets(arrays["n_strokes"]),
        label_indices(texts),
        arrays["writer_index"].astype(np.int32),
    )
    if strokes.stroke_offsets[-1] != len(strokes.points) or strokes.offsets[-1] != len(arrays["stroke_len"]):
        raise DatasetError(f"{path}: the lengths of its strokes do not add up to its points")
    return strokes.select(keep)


def _degenerate(path: Path, arrays: dict[str, NDArray], count: int) -> NDArray[np.bool_]:
    if "degenerate" in arrays:
        return arrays["degenerate"]
    pictures = path.with_name(path.name.replace("_strokes", ""))
    if pictures == path or not pictures.exists():
        raise DatasetError(f"{path}: its flag 'degenerate' stands in {pictures}; put that file beside it")
    with np.load(pictures, allow_pickle=False) as archive:
        flags = archive["degenerate"] if "degenerate" in archive.files else np.zeros(0, bool)
    if flags.shape != (count,):
        raise DatasetError(f"{pictures}: {len(flags)} flags 'degenerate', {path} has {count} characters")
    return flags


def _offsets(lengths: NDArray[np.integer]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def _ranges(starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """All of ``range(start, end)`` one after the other, int64."""
    lengths = ends - starts
    first = np.repeat(starts - _offsets(lengths)[:-1], lengths)
    return first + np.arange(int(lengths.sum()))
