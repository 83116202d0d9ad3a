"""The data behind the shipped model: sources, what is held out of them, and how an epoch is mixed.

Wires the ink of ``segmentation`` (pen, fragments, normalisation) into the data sets of ``model``, which may
not know each other.
"""

import string
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from jobs.spoilt_characters import rolled_back, stroke_lost
from model.alphabets import CHARACTERS, NOT_A_CHARACTER, class_index
from model.augmentation import Augmenter
from model.classifier import load_classifier
from model.datasets import LabelledCrops, Strokes, load_npz, load_strokes
from model.datasets.npz import label_indices, read_arrays
from segmentation import fragments, pen
from segmentation.normalization import normalize_glyph

Ink = NDArray[np.uint8]

HELD_OUT_WRITERS = 40
HELD_OUT_SEED = 20
HELD_OUT_SHARE = 1 / 3
_X_HEIGHT = set("acemnorsuvwxz")  # letters that stand half as high as the others

SOURCES = [
    {"name": "mnist_train60k", "what": "MNIST, training part", "licence": "none stated with the copy"},
    {
        "name": "unipen_62, unipen_62_strokes",
        "what": "UNIPEN train_r01_v07 1a/1b/1c without 40 held-out writers; strokes rendered as scans",
        "licence": "CC BY 4.0; cite Guyon et al., ICPR 1994",
    },
    {"name": "sd19_cleaned", "what": "NIST SD19 characters, two thirds", "licence": "US Government data"},
    {"name": "sd19_digits_train", "what": "NIST SD19 digits", "licence": "US Government data"},
    {"name": "az_handwritten_sample", "what": "A-Z, derived from NIST", "licence": "none stated"},
    {"name": "chars74k_englishhnd", "what": "Chars74K, tablet drawings", "licence": "not stated"},
    {"name": "omniglot_latin", "what": "Omniglot, Latin", "licence": "MIT"},
]

NOTES = [
    "sd19_digits_val holds other characters than sd19_digits_train, but of the same writers, and MNIST is "
    "drawn from the same forms: its figure flatters. 11 % of the digits of sd19_cleaned are in MNIST.",
    "sd19_cleaned has no 0 and no d. UNIPEN has a few per cent wrong labels and cursive hands; characters "
    "that have lost a stroke are not measured.",
    "All scores are of single crops, the kind of character known: i without its dot and l are one shape.",
    "choice_v03 is a new hand: European, partly cursive and noisy; nothing like it was trained on.",
]


@dataclass(frozen=True)
class EpochShape:
    """How many crops of each kind an epoch has; ``share`` scales all of them."""

    share: float = 1.0
    mnist: int = 45_000
    unipen_rendered: int = 96_000
    unipen_given: int = 32_000
    sd19_letters: int = 24_000
    sd19_digits: int = 16_000
    capitals: int = 12_000
    drawings: int = 6_000
    not_characters: int = 50_000
    harvested_characters: int = 48_000

    def count(self, kind: str) -> int:
        """How many of one kind, after scaling."""
        return round(getattr(self, kind) * self.share)


@dataclass(frozen=True)
class Recipe:
    """Everything needed to make the epochs again.

    Attributes:
        data: folder with ``characters/*.npz``.
        seed: of all chance in the epochs; what is held out does not depend on it.
        shape: how an epoch is mixed.
        judge: an earlier exported model; fragments that it takes for a character are left out, since half a
            ``w`` is a ``v``.
        harvested: each an ``.npz`` of crops (``images``, ``labels``) that the segmenter cut, right and wrong
            ones, as ``jobs.harvest`` makes it; their wrong cuts replace two thirds of the fragments made
            here.
    """

    data: Path
    seed: int = 1
    shape: EpochShape = EpochShape()
    judge: Path | None = None
    harvested: tuple[Path, ...] = ()

    def open(self) -> "RecipeEpochs":
        """Loads the sources."""
        return RecipeEpochs(self)


def held_out_unipen_writers(writers: NDArray[np.int32]) -> NDArray[np.int32]:
    """The 40 writers of UNIPEN that no model of ours is trained on."""
    known = np.unique(writers)
    return np.sort(np.random.default_rng(HELD_OUT_SEED).permutation(known)[:HELD_OUT_WRITERS])


def held_out_rows(labels: NDArray[np.int16]) -> NDArray[np.bool_]:
    """A third of each class of a set whose writers are unknown: bool (N,)."""
    rng = np.random.default_rng(HELD_OUT_SEED)
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        held[rows[: round(len(rows) * HELD_OUT_SHARE)]] = True
    return held


def held_out_letters(folder: Path) -> NDArray[np.bool_]:
    """The part of ``sd19_cleaned.npz`` that is held out: bool (N,).

    The set has some pictures twice; one that is also trained on is not held out, though its row is.
    """
    images, labels = originals(folder / "sd19_cleaned.npz", "raw128_packed", 128)
    held = held_out_rows(labels)
    trained = {image.tobytes() for image in images[~held]}
    return held & np.array([image.tobytes() not in trained for image in images])


def held_out_sets(data: Path, spoilt: bool = False) -> dict[str, LabelledCrops]:
    """The sets that scores are stated on, by name; see the model card.

    Args:
        data: folder with ``characters/*.npz``.
        spoilt: keep characters of UNIPEN that have lost a stroke; see ``jobs.spoilt_characters``.

    Raises:
        DatasetError: a file is missing.
    """
    folder = data / "characters"
    unipen = load_npz(folder / "unipen_62.npz")
    held_out = np.isin(unipen.writers, held_out_unipen_writers(unipen.writers))
    if not spoilt:
        held_out &= ~stroke_lost(load_strokes(folder / "unipen_62_strokes.npz"))
    cleaned = load_npz(folder / "sd19_cleaned.npz")
    return {
        "mnist_test10k": load_npz(folder / "mnist_test10k.npz"),
        "sd19_digits_val": load_npz(folder / "sd19_digits_val.npz", normalize_glyph),
        "unipen_held_out_writers": unipen.select(held_out),
        "sd19_cleaned_held_out": cleaned.select(held_out_letters(folder)),
        "choice_v03": load_npz(folder / "choice_v03.npz"),
    }


class RecipeEpochs:
    """Makes epochs: ``make(k)`` gives fresh crops, the same for the same recipe and k."""

    def __init__(self, recipe: Recipe) -> None:
        """Loads the sources; see ``held_out_sets`` for what it raises."""
        folder = recipe.data / "characters"
        self._recipe = recipe
        self._mnist = load_npz(folder / "mnist_train60k.npz")
        unipen, strokes = load_npz(folder / "unipen_62.npz"), load_strokes(folder / "unipen_62_strokes.npz")
        train = ~np.isin(unipen.writers, held_out_unipen_writers(unipen.writers)) & ~stroke_lost(strokes)
        self._unipen, self._strokes = unipen.select(train), strokes.select(train)
        self._capitals = load_npz(folder / "az_handwritten_sample.npz")
        self._drawings = LabelledCrops.concatenate(
            [load_npz(folder / f"{name}.npz") for name in ("chars74k_englishhnd", "omniglot_latin")]
        )
        self._letters = originals(folder / "sd19_cleaned.npz", "raw128_packed", 128)
        held = held_out_rows(self._letters[1])
        self._letters = self._letters[0][~held], self._letters[1][~held]
        torn, labels = originals(folder / "sd19_digits_train.npz", "images64_packed", 64)
        self._digits = rolled_back(torn), labels
        pools = [_harvested(path) for path in recipe.harvested]
        self._harvested = LabelledCrops.concatenate(pools) if pools else None
        self._judge = load_classifier(recipe.judge) if recipe.judge else None

    def make(self, epoch: int) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
        """One epoch, shuffled: images uint8 (N, 28, 28) and labels int16 (N,)."""
        rng = np.random.default_rng([self._recipe.seed, epoch])
        augmenter = Augmenter(rng, normalize_glyph)
        count = self._recipe.shape.count
        parts = [
            _bitmaps(self._mnist, count("mnist"), augmenter, rng, bent=0.4),
            _bitmaps(self._unipen, count("unipen_given"), augmenter, rng, bent=0.2),
            _bitmaps(self._capitals, count("capitals"), augmenter, rng, bent=0.5),
            _bitmaps(self._drawings, count("drawings"), augmenter, rng, bent=0.5),
            self._scans(self._letters, count("sd19_letters"), augmenter, rng, lambda ink, label: ink),
            self._scans(
                self._digits,
                count("sd19_digits"),
                augmenter,
                rng,
                lambda ink, label: unsquare(ink, label, rng),
            ),
            StrokeWriter(self._strokes, rng).characters(count("unipen_rendered")),
            self._not_characters(count("not_characters"), rng),
        ]
        if self._harvested is not None:
            cut = self._harvested
            right = cut.select(cut.labels != NOT_A_CHARACTER)
            parts.append(_bitmaps(right, count("harvested_characters"), augmenter, rng, bent=0.2))
        images = np.concatenate([part[0] for part in parts])
        labels = np.concatenate([part[1] for part in parts])
        order = rng.permutation(len(labels))
        return images[order], labels[order]

    def _scans(
        self,
        source: tuple[NDArray[np.uint8], NDArray[np.int16]],
        count: int,
        augmenter: Augmenter,
        rng: np.random.Generator,
        prepare: Callable[[Ink, int], Ink],
    ) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
        inks, labels = source
        rows = _draw(labels, count, rng)
        images = np.empty((count, 28, 28), np.uint8)
        for i, row in enumerate(rows):
            images[i] = augmenter.bend(prepare(inks[row], int(labels[row])))
        return images, labels[rows]

    def _not_characters(
        self, count: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
        wrong = np.zeros((0, 28, 28), np.uint8)
        if self._harvested is not None:
            cut = self._harvested
            wrong_cuts = cut.select(cut.labels == NOT_A_CHARACTER)
            augmenter = Augmenter(rng, normalize_glyph)
            wrong = _bitmaps(wrong_cuts, count * 2 // 3, augmenter, rng, bent=0.2)[0]
        made = StrokeWriter(self._strokes, rng).fragments(count - len(wrong))
        if self._judge is not None:
            log_probs = self._judge.classify(made)[:, :NOT_A_CHARACTER]
            made = made[log_probs.max(axis=1) < np.log(0.6)]
        images = np.concatenate([wrong, made])
        return images, np.full(len(images), NOT_A_CHARACTER, np.int16)


class StrokeWriter:
    """Writes with the strokes of others: characters, and what wrong cuts make of them."""

    def __init__(self, strokes: Strokes, rng: np.random.Generator) -> None:
        """Sorts the characters by writer and kind, so that neighbours are of one hand and one kind."""
        self._strokes = strokes
        self._rng = rng
        kinds = np.array([_kind(character) for character in CHARACTERS])
        self._group = strokes.writers.astype(np.int64) * 3 + kinds[strokes.labels]
        self._by_group = np.argsort(self._group, kind="stable")
        self._sorted = self._group[self._by_group]

    def characters(self, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
        """Single characters as scans, some crossed by a rule or with a bit of a neighbour."""
        rng = self._rng
        rows = _draw(self._strokes.labels, count, rng)
        images = np.empty((count, 28, 28), np.uint8)
        for i, row in enumerate(rows):
            hand = pen.random_pen(rng)
            ink = self._draw(row, hand)
            chance = rng.random()
            if chance < 0.12:
                ink = pen.cross_with_line(ink, hand, rng)
            elif chance < 0.2:
                ink = pen.add_neighbour(ink, self._draw(self.neighbour(row), hand), rng)
            images[i] = normalize_glyph(ink)
        return images, self._strokes.labels[rows]

    def fragments(self, count: int) -> NDArray[np.uint8]:
        """Not characters: uint8 (n, 28, 28), n <= count."""
        made = (self._fragment() for _ in range(count))
        images = [normalize_glyph(ink) for ink in made if ink is not None and ink.any()]
        return np.array(images, np.uint8).reshape(-1, 28, 28)

    def _fragment(self) -> Ink | None:
        rng, hand = self._rng, pen.random_pen(self._rng)
        row = int(rng.integers(len(self._strokes)))
        kind = rng.choice(6, p=[0.42, 0.08, 0.22, 0.18, 0.06, 0.04])
        if kind == 4:
            return fragments.line_remains(hand, rng)
        if kind == 5:
            return fragments.specks(hand, rng)
        ink = self._draw(row, hand, sized=True)
        if kind == 2:
            return fragments.half(ink, rng)
        others = [self._draw(self.neighbour(row), hand, sized=True) for _ in range(2 if kind == 1 else 1)]
        if kind == 3:
            return fragments.straddle(ink, others[0], hand, rng)
        return fragments.merge([ink, *others], hand, rng)

    def _draw(self, row: int, hand: pen.Pen, sized: bool = False) -> Ink:
        size = 255.0
        if sized and CHARACTERS[self._strokes.labels[row]] in _X_HEIGHT:
            size = 255.0 / 0.62
        lines = [line / np.float32(size) for line in self._strokes.polylines(row)]
        return pen.draw_strokes(lines, hand, self._rng)

    def neighbour(self, row: int) -> int:
        """A random character of the same hand and kind (digit, capital, small letter) as ``row``."""
        low, high = np.searchsorted(self._sorted, [self._group[row], self._group[row] + 1])
        return int(self._by_group[self._rng.integers(low, high)])


def _harvested(path: Path) -> LabelledCrops:
    """The pool that ``jobs.harvest`` wrote."""
    arrays = read_arrays(path)
    labels = arrays["labels"].astype(np.int16)
    return LabelledCrops("harvested", arrays["images"], labels, np.full(len(labels), -1, np.int32))


def _bitmaps(
    source: LabelledCrops, count: int, augmenter: Augmenter, rng: np.random.Generator, bent: float
) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """Crops without a larger picture behind them: nudged, or (a share ``bent``) bent and normalised anew."""
    rows = (
        rng.permutation(len(source))[:count] if count <= len(source) else rng.integers(0, len(source), count)
    )
    images = np.empty((len(rows), 28, 28), np.uint8)
    for i, row in enumerate(rows):
        bend = augmenter.bend if rng.random() < bent else augmenter.nudge
        images[i] = bend(source.images[row])
    return images, source.labels[rows]


def _draw(labels: NDArray[np.int16], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows to use, classes evened half-way: weight of a class is the root of its size."""
    sizes = np.bincount(labels, minlength=NOT_A_CHARACTER)
    weights = 1 / np.sqrt(sizes[labels])
    return rng.choice(len(labels), count, p=weights / weights.sum())


def originals(path: Path, field: str, side: int) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """Pictures larger than 28x28, ink 255 on 0."""
    arrays = read_arrays(path)
    bits = np.unpackbits(arrays[field], axis=1).reshape(-1, side, side)
    ink = bits if side == 128 else 1 - bits
    return ink * np.uint8(255), label_indices(arrays["labels"].astype(str))


def unsquare(ink: Ink, label: int, rng: np.random.Generator) -> Ink:
    """Gives digits stretched to a square a width they may have had; leaves four in ten as they are."""
    if rng.random() < 0.4:
        return ink
    aspect = rng.uniform(0.12, 0.5) if label == class_index("1") else np.exp(rng.normal(-0.38, 0.22))
    return cv2.resize(ink, (max(6, round(64 * min(aspect, 1.1))), 64), interpolation=cv2.INTER_AREA)


def _kind(character: str) -> int:
    return (character in string.ascii_uppercase) + 2 * (character in string.ascii_lowercase)
