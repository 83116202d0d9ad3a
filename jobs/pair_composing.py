"""Bodies of ink with their truth, for the reader of pairs: two digits, or anything else.

Rows of digits are composed tightly, cut as on a page, and each body of ink is labelled by who drew its
pixels. So single digits, broken ones, threes and pieces come as the segmenter really gives them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobs.composing import DIGITS, LineComposer
from model.classifier import Classifier
from model.pairs import OTHER, surely_one
from segmentation.components import find_components
from segmentation.composition import ComposedLine, LineHabits
from segmentation.normalization import SIZE, normalize_glyph
from segmentation.pairs import body_mask, find_bodies, pair_crops, pair_windows
from segmentation.pieces import Pieces, cut_pieces

Ink = NDArray[np.uint8]

UNCERTAIN = -1
# Of a digit's ink in a body, to be in it, and to be surely not whole in it.
WHOLE, BROKEN = 0.88, 0.75
# Of a body's ink, that others drew: so little is none of them, so much is surely one.
CLEAN, FOREIGN = 0.05, 0.1
MOSTLY = 0.7  # of a digit's ink, that must be left by a removed rule
MOST_OTHERS = 2  # windows of a row that are kept, that are no pair
# Of what the classifier surely takes for one digit so much is kept, as the reader is not asked for it.
SURE, KEPT_SURE = 0.98, 0.15

_SOURCES = ("unipen", "sd19", "mnist", "cleaned")
_SOURCE_SHARES = (0.34, 0.32, 0.3, 0.04)
_LENGTHS, _LENGTH_SHARES = (1, 2, 3, 4), (0.05, 0.5, 0.28, 0.17)


@dataclass(frozen=True, eq=False)
class LabelledWindows:
    """What the reader of pairs would be asked for in one row.

    Attributes:
        pieces: of the row.
        windows: int32 (W, 2), runs of pieces.
        labels: int16 (W,), 0..99 for two digits, ``OTHER``, or ``UNCERTAIN``.
    """

    pieces: Pieces
    windows: NDArray[np.int32]
    labels: NDArray[np.int16]

    def select(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> "LabelledWindows":
        """Some of them."""
        return LabelledWindows(self.pieces, self.windows[chosen], self.labels[chosen])

    def single_crops(self) -> Ink:
        """The windows as the classifier of single characters gets them: uint8 (W, 28, 28)."""
        crops = [normalize_glyph(body_mask(self.pieces, *window)) for window in self.windows.tolist()]
        return np.array(crops, np.uint8).reshape(-1, SIZE, SIZE)


def tight_habits(rng: np.random.Generator) -> LineHabits:
    """From nearly touching to overlapping by a third; half of the rows with a printed frame taken out."""
    return LineHabits(
        gap=float(rng.uniform(-0.26, 0.03)),
        gap_spread=float(rng.uniform(0.02, 0.07)),
        rule=int(rng.integers(3, 8)) if rng.random() < 0.5 else 0,
        rule_level=float(rng.uniform(0.94, 1.4)),
    )


def compose_tightly(composer: LineComposer, rng: np.random.Generator) -> tuple[ComposedLine, list[int]]:
    """A row of one to four digits of one hand, and the digits."""
    source = str(rng.choice(_SOURCES, p=_SOURCE_SHARES))
    length = int(rng.choice(_LENGTHS, p=_LENGTH_SHARES))
    return composer.compose_string(source, DIGITS, length, tight_habits(rng), rng)


def compose_apart(composer: LineComposer, rng: np.random.Generator) -> tuple[ComposedLine, list[int]]:
    """A row of ten digits of one hand that stand apart as a rule, and the digits."""
    source = str(rng.choice(_SOURCES, p=_SOURCE_SHARES))
    habits = LineHabits(
        gap=float(rng.uniform(0.05, 0.5)),
        gap_spread=float(rng.uniform(0.05, 0.1)),
        rule=int(rng.integers(3, 8)) if rng.random() < 0.5 else 0,
        rule_level=float(rng.uniform(0.94, 1.4)),
    )
    return composer.compose_string(source, DIGITS, 10, habits, rng)


def label_windows(row: ComposedLine, digits: list[int]) -> LabelledWindows:
    """Cuts a row of digits and labels all windows that may be two of them."""
    parts = find_components(row.ink)
    pieces = cut_pieces(parts, row.area.height)
    windows = pair_windows(pieces, find_bodies(pieces, parts))
    characters = int(row.owner.max()) + 1
    inked = pieces.labels > 0
    flat = (pieces.labels[inked].astype(np.intp) - 1) * characters + row.owner[inked]
    drawn = np.bincount(flat, minlength=len(pieces.areas) * characters).reshape(-1, characters)
    # A removed rule took some of a digit's ink along; what is left is that digit, if it is not too little.
    total = np.bincount(row.owner.ravel(), minlength=characters)
    present = np.bincount(row.owner[row.ink], minlength=characters)
    total = np.where(present > MOSTLY * total, present, total)
    labels = [_label(drawn[start:stop].sum(axis=0), total, digits) for start, stop in windows.tolist()]
    return LabelledWindows(pieces, windows, np.array(labels, np.int16))


def some_windows(found: LabelledWindows, rng: np.random.Generator) -> LabelledWindows:
    """Of each pair one window, and a few of the others: long bodies have dozens of them, all much alike."""
    order = rng.permutation(len(found.labels))
    labels = found.labels[order]
    # A digit may stand twice in a row; that such a pair then counts once does no harm.
    _, first = np.unique(labels, return_index=True)
    pairs = first[(labels[first] >= 0) & (labels[first] < OTHER)]
    others = np.flatnonzero(labels == OTHER)[:MOST_OTHERS]
    return found.select(order[np.concatenate([pairs, others])])


def _label(drawn: NDArray[np.intp], total: NDArray[np.intp], digits: list[int]) -> int:
    """The label of a body, from the pixels of each character in it and in all (column 0: of none)."""
    share = drawn[1:] / np.maximum(total[1:], 1)
    inside = np.flatnonzero(share >= WHOLE)
    ink = max(int(drawn.sum()), 1)
    foreign = (ink - int(drawn[1:][inside].sum())) / ink
    if len(inside) == 2 and foreign <= CLEAN:
        first, second = inside.tolist()
        return 10 * digits[first] + digits[second]
    partly = np.flatnonzero(share >= BROKEN)
    if len(partly) == 2 and foreign <= FOREIGN:
        return UNCERTAIN
    return OTHER


def harvest_pairs(
    composer: LineComposer, classifier: Classifier, rows: int, apart: bool, rng: np.random.Generator
) -> tuple[Ink, NDArray[np.int16]]:
    """Crops and labels of windows of rows of touching digits; of what surely is a single digit only a few.

    Args:
        composer: of the rows.
        classifier: of single characters.
        rows: how many.
        apart: the digits stand apart: this gives those single digits that are not surely one.
        rng: source of chance.

    Returns:
        uint8 (N, 28, 44), and int16 (N,): 0..99 for two digits, or ``OTHER``.
    """
    if apart:
        many = [label_windows(*compose_apart(composer, rng)) for _ in range(rows)]
        many = [found.select(found.labels != UNCERTAIN) for found in many]
    else:
        many = [some_windows(label_windows(*compose_tightly(composer, rng)), rng) for _ in range(rows)]
    labels = np.concatenate([found.labels for found in many])
    sure = surely_one(classifier.classify(np.concatenate([found.single_crops() for found in many])), SURE)
    kept = KEPT_SURE / 3 if apart else KEPT_SURE
    keep = (labels != OTHER) | ~sure | (rng.random(len(labels)) < kept)
    crops = np.concatenate([pair_crops(found.pieces, found.windows) for found in many])
    return crops[keep], labels[keep]
