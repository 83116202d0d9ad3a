"""Digits that were crossed out: somebody has drawn over them, and what they read like is not meant.

A 3 under a cross mostly reads 8, and the classifier, which learned from digits that were meant, is sure of
it. Its answers for all classes together are still others than for a true 8, and so are the ink, the size and
the place beside the other digits of the row. A small network weighs these for each digit that was read. It
changes no reading: a field in which a digit seems crossed out is doubted.

Its weights come from ``python -m jobs.train_struck_out``. A single line through a 0 or a 7 may be
how somebody writes it, and was not learned as crossing out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from model.alphabets import CLASS_COUNT, only_digits
from model.lattice import Lattice, Reading

WEIGHTS = "struck_out.npz"
FEATURES = CLASS_COUNT + 7 + 10
_LEAST_LOG_PROB = -12.0
_MOST = 3.0  # beyond which sizes say no more

Features = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class StruckOutNetwork:
    """A network of three layers, the first two rectified.

    Attributes:
        weights: float32, (FEATURES, A), (A, B) and (B, 1).
        biases: float32, (A,), (B,) and (1,).
        threshold: score above which a digit counts as crossed out.
        classifier: SHA-256 of the classifier whose answers it learned from, and whose alone it understands.
    """

    weights: tuple[Features, ...]
    biases: tuple[Features, ...]
    threshold: float
    classifier: str = ""

    @classmethod
    def of_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Self:
        """What ``arrays`` holds."""
        layers = range(len(arrays) // 2 - 1)
        return cls(
            tuple(arrays[f"weights_{layer}"] for layer in layers),
            tuple(arrays[f"biases_{layer}"] for layer in layers),
            float(arrays["threshold"]),
            str(arrays["classifier"]),
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What it is, by name, to be stored."""
        named: dict[str, NDArray[Any]] = {
            "threshold": np.array(self.threshold, np.float32),
            "classifier": np.array(self.classifier),
        }
        for layer, (weights, biases) in enumerate(zip(self.weights, self.biases, strict=True)):
            named |= {f"weights_{layer}": weights, f"biases_{layer}": biases}
        return named

    def scores(self, features: Features) -> Features:
        """Logarithms of the odds that digits are crossed out, float32 (N,), of features (N, FEATURES)."""
        values = features
        for weights, biases in zip(self.weights[:-1], self.biases[:-1], strict=True):
            values = np.maximum(values @ weights + biases, 0)
        scores: Features = (values @ self.weights[-1] + self.biases[-1])[:, 0]
        return scores


@cache
def shipped() -> StruckOutNetwork:
    """The network of this package."""
    place = resources.files("model") / "weights" / WEIGHTS
    with place.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        return StruckOutNetwork.of_arrays(dict(stored))


def struck_out(
    network: StruckOutNetwork,
    lattices: Sequence[Lattice],
    readings: Sequence[Reading],
    charsets: Sequence[str],
) -> list[bool]:
    """Whether a digit of each row seems crossed out; never of charsets with other characters than digits.

    Args:
        network: what tells.
        lattices: the rows.
        readings: what was read of each.
        charsets: of its field.
    """
    asked = [
        number
        for number, (reading, charset) in enumerate(zip(readings, charsets, strict=True))
        if reading.characters and only_digits(charset)
    ]
    found = [False] * len(readings)
    if not asked:
        return found
    rows = [readings[number] for number in asked]
    scores = network.scores(digit_features([lattices[number] for number in asked], rows))
    first = np.cumsum([0, *(len(row.characters) for row in rows[:-1])])
    for number, score in zip(asked, np.maximum.reduceat(scores, first).tolist(), strict=True):
        found[number] = score > network.threshold
    return found


def digit_features(lattices: Sequence[Lattice], readings: Sequence[Reading]) -> Features:
    """What tells crossed-out digits: float32 (N, FEATURES), a row for each digit of all readings.

    The answers of the classifier; height, width, ink, and top and bottom, in part beside the usual ones of
    the other digits of its row; the digit that was read.

    Args:
        lattices: rows of digits.
        readings: of each, at least one digit.
    """
    answers, shapes, labels = [], list[tuple[float, ...]](), list[int]()
    for lattice, reading in zip(lattices, readings, strict=True):
        chosen = [character.candidate for character in reading.characters]
        answers.append(lattice.log_probs[chosen])
        shapes += _shapes(lattice, chosen)
        labels += [int(character.label) for character in reading.characters]
    told = np.maximum(np.concatenate(answers), _LEAST_LOG_PROB) / 4 + 1
    shape = np.array(shapes, np.float64)
    shape[:, :5] = np.log(shape[:, :5])
    read = np.eye(10)[labels]
    return np.concatenate([told, np.clip(shape, -_MOST, _MOST), read], axis=1, dtype=np.float32)


def _shapes(lattice: Lattice, chosen: list[int]) -> list[tuple[float, ...]]:
    """Five ratios and two places of each of some candidates of a row."""
    pieces = lattice.piece_ink.tolist()
    bounds = lattice.bounds[chosen].tolist()
    ends = zip(lattice.starts[chosen].tolist(), lattice.stops[chosen].tolist(), strict=True)
    inks = [max(sum(pieces[start:stop]), 1e-6) for start, stop in ends]
    tops, bottoms = [box[1] for box in bounds], [box[3] for box in bounds]
    heights = [max(box[3] - box[1], 1e-3) for box in bounds]
    widths = [max(box[2] - box[0], 1e-3) for box in bounds]
    thick = [ink / math.hypot(h, w) for ink, h, w in zip(inks, heights, widths, strict=True)]
    own = zip(heights, widths, inks, thick, tops, bottoms, strict=True)
    usual = zip(*map(_of_others, (heights, thick, tops, bottoms)), strict=True)
    return [
        (h / uh, w / h, ink / (h * w), t / ut, t, (top - utop) / uh, (bottom - ubottom) / uh)
        for (h, w, ink, t, top, bottom), (uh, ut, utop, ubottom) in zip(own, usual, strict=True)
    ]


def _of_others(values: list[float]) -> list[float]:
    """The median of the others for each value; of a single one itself."""
    if len(values) == 1:
        return values
    ordered = sorted(values)
    half, odd = divmod(len(values) - 1, 2)
    medians = []
    for value in values:
        place = ordered.index(value)
        upper = ordered[half + (half >= place)]
        medians.append(upper if odd else (upper + ordered[half - 1 + (half - 1 >= place)]) / 2)
    return medians
