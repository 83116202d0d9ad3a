"""Composes rows of writing from single characters, so that the segmenter can be run where the truth is known.

Every pixel remembers which character drew it. That says of each candidate glyph whether it is a whole
character, or what a wrong cut makes: a piece, or parts of several.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation.components import find_components
from segmentation.glyphs import LINE_LIMITS, RowPlace, make_candidates
from segmentation.looks import InkRow, look_at_bodies
from segmentation.page import GlyphLine
from segmentation.pen import crop_ink
from segmentation.pieces import cut_pieces
from segmentation.rules import Frame, remove_frame
from segmentation.templates import Box

WRONG_CUT = -1
UNCERTAIN = -2
# Of a character's ink in a candidate, and of a candidate's ink in one character, to be that character:
WHOLE = 0.93
PARTLY = 0.85  # what comes this near to a whole character is neither that character nor clearly wrong
# Where the segmenter offers no whole character, the best it offers counts in training if it has so much of
# the character's ink, and so much of its ink is the character's:
LEAST_SHARE = 0.7
LEAST_PURITY = 0.8
_IDENTITY = np.array([[1, 0, 0], [0, 1, 0]], np.float64)


@dataclass(frozen=True, slots=True)
class LineHabits:
    """How a hand sets characters in a row; lengths in heights of a capital letter.

    Attributes:
        gap: mean of the space between neighbours; negative ones touch or overlap.
        gap_spread: its standard deviation.
        drift: standard deviation of the level of each character.
        size_spread: standard deviation of the logarithm of each character's size.
        rule: width in pixels of a printed frame drawn along the row and taken out again; 0 for none.
        rule_level: where its lower side runs, from the top of the capitals; 1 is the base line.
        upper_level: where its upper side runs, likewise; None for well above.
        ends: how far its left and its right side stand beyond the ends of the writing, below 0 where it is
            written over; None for well beyond.
        digits: whether nothing but digits is written, as whoever takes the frame out is told.
    """

    gap: float = 0.2
    gap_spread: float = 0.12
    drift: float = 0.04
    size_spread: float = 0.06
    rule: int = 0
    rule_level: float = 1.1
    upper_level: float | None = None
    ends: tuple[float | None, float | None] = (None, None)
    digits: bool = False


@dataclass(frozen=True, slots=True)
class ComposedLine:
    """A row of writing with its truth.

    Attributes:
        ink: bool (H, W), after a printed frame, if any, was taken out.
        owner: int16 (H, W), 1 + index of the character that drew a pixel, 0 = none.
        area: the writing area in pixels.
    """

    ink: NDArray[np.bool_]
    owner: NDArray[np.int16]
    area: Box

    def candidates(self) -> tuple[GlyphLine, NDArray[np.int16]]:
        """Runs the segmenter.

        Returns:
            The lattice, and int16 (N,) for each candidate the index of the character it is, ``WRONG_CUT`` or
            ``UNCERTAIN``.
        """
        line, owned = self._cut()
        return line, owned.verdict()

    def lessons(self) -> tuple[GlyphLine, NDArray[np.int16]]:
        """Runs the segmenter and says what a classifier is to learn of its candidates.

        As ``candidates``, but where none is the whole of a character, as in writing that touches, the best
        one counts as that character: on a page it is the only right choice there is.

        Returns:
            As ``candidates``.
        """
        line, owned = self._cut()
        return line, owned.lessons()

    def look(self, charset: str, least: int, most: int) -> GlyphLine:
        """The first look at the row, as on a page, in a field of so many characters of a charset."""
        parts, place = find_components(self.ink), RowPlace(self.area, _IDENTITY)
        return look_at_bodies([InkRow(parts, place, LINE_LIMITS, charset, least, most)])[0]

    def verdict(self, line: GlyphLine, labels: NDArray[np.integer]) -> NDArray[np.int16]:
        """What the candidates of a row are, as in ``candidates``, after one or two looks at it.

        Args:
            line: the lattice.
            labels: int (H, W), 0 = paper, p + 1 = piece p.
        """
        return self._owned(line, labels).verdict()

    def _cut(self) -> tuple[GlyphLine, "_Owned"]:
        pieces = cut_pieces(find_components(self.ink), self.area.height)
        line = make_candidates(pieces, self.area, _IDENTITY)
        return line, self._owned(line, pieces.labels)

    def _owned(self, line: GlyphLine, labels: NDArray[np.integer]) -> "_Owned":
        if not len(line.starts):
            return _Owned(np.zeros(0, np.intp), np.zeros(0), np.zeros(0))
        characters = int(self.owner.max()) + 1
        inked = labels > 0
        flat = (labels[inked].astype(np.intp) - 1) * characters + self.owner[inked]
        drawn = np.bincount(flat, minlength=line.piece_count * characters).reshape(-1, characters)
        total = np.bincount(self.owner.ravel(), minlength=characters)
        sums = np.concatenate([np.zeros((1, characters), np.intp), np.cumsum(drawn, axis=0)])
        covered = sums[line.stops] - sums[line.starts]
        best = covered[:, 1:].argmax(axis=1) + 1
        of_best = covered[np.arange(len(best)), best]
        purity = of_best / np.maximum(covered.sum(axis=1), 1)
        # A removed rule took some of the character's ink with it; that is not the candidate's fault.
        present = np.bincount(self.owner[self.ink], minlength=characters)
        share = of_best / np.maximum(np.where(present > 0.6 * total, present, total)[best], 1)
        return _Owned(best - 1, purity, share)


@dataclass(frozen=True, slots=True)
class _Owned:
    """Whose ink the candidates have.

    Attributes:
        character: int (N,), the index of the one that most of it is of.
        purity: float (N,) in [0, 1], the part of the candidate's ink that is of it.
        share: float (N,) in [0, 1], the part of that character's ink that is in the candidate.
    """

    character: NDArray[np.intp]
    purity: NDArray[np.float64]
    share: NDArray[np.float64]

    def verdict(self) -> NDArray[np.int16]:
        """See ``ComposedLine.candidates``."""
        whole = np.minimum(self.purity, self.share)
        verdict = np.where(whole >= WHOLE, self.character, np.where(whole >= PARTLY, UNCERTAIN, WRONG_CUT))
        return verdict.astype(np.int16)

    def lessons(self) -> NDArray[np.int16]:
        """See ``ComposedLine.lessons``; what comes near to the best of a character is uncertain then."""
        verdict = self.verdict()
        whole = np.minimum(self.purity, self.share)
        near = (self.share >= LEAST_SHARE) & (self.purity >= LEAST_PURITY)
        for character in np.setdiff1d(self.character[near], verdict):
            rows = np.flatnonzero(near & (self.character == character))
            verdict[rows] = UNCERTAIN
            verdict[rows[whole[rows].argmax()]] = character
        return verdict


def compose_line(
    inks: Sequence[NDArray[np.uint8]],
    extents: Sequence[tuple[float, float]],
    capital: float,
    habits: LineHabits,
    rng: np.random.Generator,
) -> ComposedLine:
    """Sets characters in a row.

    Args:
        inks: uint8 (h, w) of each character, ink > 0, already of the right size.
        extents: top and bottom of each character, in capital heights: (0, 1) for capitals and digits,
            (0.4, 1.4) for a ``g``.
        capital: height of a capital in pixels.
        habits: spacing, drift and printed rule.
        rng: source of chance.
    """
    bodies = [crop_ink(ink) > 0 for ink in inks]
    margin = round(0.8 * capital)
    height = round(2.2 * capital) + 2 * margin
    width = sum(body.shape[1] + round((abs(habits.gap) + 4 * habits.gap_spread) * capital) for body in bodies)
    owner = np.zeros((height, width + 4 * margin), np.int16)
    x = 2 * margin
    for index, (body, (top, _)) in enumerate(zip(bodies, extents, strict=True)):
        level = margin + round((top + rng.normal(0, habits.drift)) * capital)
        level = min(max(level, 0), height - body.shape[0])
        view = owner[level : level + body.shape[0], x : x + body.shape[1]]
        free = (view == 0) & body[: view.shape[0], : view.shape[1]]
        view[free] = index + 1
        step = rng.normal(habits.gap, habits.gap_spread)
        x += max(2, body.shape[1] + round(max(step, -0.3) * capital))
    ink = owner > 0
    lower = margin + habits.rule_level * capital
    if habits.upper_level is None:
        upper = lower - max(1.35, habits.rule_level + 0.35) * capital
    else:
        upper = margin + habits.upper_level * capital
    written = np.flatnonzero(ink.any(axis=0))
    sides: list[int | None] = [None, None]
    if len(written):
        left, right = (None if end is None else round(end * capital) for end in habits.ends)
        sides[0] = None if left is None else int(written[0]) - left
        sides[1] = None if right is None else int(written[-1]) + 1 + right
    if habits.rule:
        ink = _draw_and_remove_frame(ink, habits, (upper, lower), sides, margin, rng)
    used = np.flatnonzero(ink.any(axis=0))
    first = margin if sides[0] is None else sides[0]
    last = sides[1] if sides[1] is not None else used[-1] + margin if len(used) else ink.shape[1]
    return ComposedLine(ink, owner, Box(first, upper, max(1.0, last - first), lower - upper))


def _draw_and_remove_frame(
    ink: NDArray[np.bool_],
    habits: LineHabits,
    levels: tuple[float, float],
    sides: Sequence[int | None],
    margin: int,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Prints a ragged frame around the row and takes it out again as on a page.

    ``levels`` are the rows of its upper and lower side, ``sides`` the columns of its left and right one, None
    for well beyond the writing.
    """
    width, (upper, lower) = habits.rule, levels
    printed = ink.copy()
    far = margin // 2, ink.shape[1] - margin // 2
    left, right = (default if side is None else side for side, default in zip(sides, far, strict=True))
    half = width / 2
    for level in (upper, lower):
        rows = np.round(level + rng.normal(0, 0.35, right - left)).astype(np.intp)
        for step in range(-int(half), width - int(half)):
            inside = np.clip(rows + step, 0, ink.shape[0] - 1)
            printed[inside, np.arange(left, right)] = True
    first, last = max(0, round(upper)), min(ink.shape[0], round(lower))
    for side, column in zip(sides, (left, right - 1), strict=True):
        if side is None:
            printed[first:last, max(0, column - int(half)) : column + width - int(half)] = True
        else:
            columns = np.round(column + rng.normal(0, 0.35, last - first)).astype(np.intp)
            for step in range(-int(half), width - int(half)):
                inside = np.clip(columns + step, 0, ink.shape[1] - 1)
                printed[np.arange(first, last), inside] = True
    frame = Frame(float(left), upper, float(right - 1), lower, float(width))
    cleaned, _ = remove_frame(printed, frame, habits.digits)
    # The frame's own remains outside the row are not what is looked for here.
    if sides[0] is None:
        cleaned[:, : left + width] = False
    if sides[1] is None:
        cleaned[:, right - width :] = False
    return cleaned
