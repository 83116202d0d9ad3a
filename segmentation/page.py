"""The result of segmentation: a page as fields of candidate glyphs, ready to be classified.

Coordinates named *page* are pixels of the scan as decoded, origin top left. A *piece* is a run of ink between
two neighbouring cuts; a *candidate* is a run of 1..k neighbouring pieces that may be one character. The
candidates of a line form a lattice: every way to cover its pieces from left to right is a possible reading.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from segmentation.registration import Registration

if TYPE_CHECKING:
    from segmentation.looks import UncutRow

GLYPH_SIZE = 28
MARKED, EMPTY, STRUCK_OUT = "marked", "empty", "struck_out"


@dataclass(frozen=True, slots=True)
class GlyphLine:
    """The lattice of one row of writing.

    Attributes:
        starts, stops: int16 (N,). Candidate i covers pieces ``starts[i] <= p < stops[i]``.
        crops: uint8 (N, 28, 28), ink = 255 on 0, normalised as ``normalize_glyph`` does.
        boxes: float32 (N, 4) x, y, width, height of each candidate's ink in page pixels.
        bounds: float32 (N, 4) left, top, right, bottom of each candidate's ink in the field's own frame, in
            units of the height of the field's writing area: top 0 is its upper edge, bottom 1 its lower one.
            What a crop has lost: size, and position against the line.
        piece_bounds: float32 (P, 4) the same for each single piece, left to right.
        piece_ink: float32 (P,) ink area of each piece in units of (height of the writing area) squared.
        whole: bool (N,) whether a candidate is a body of ink, all of it and nothing else: a connected stroke
            with what stands over or under it. Empty where bodies were not looked for.
        cells: int16 (P,) the cell of a comb, from 0, in which each piece stands; empty for any other layout.
        charset: what may stand in it; empty where that was not said.
        uncut: the row that was looked at but not cut yet, for ``looks.look_again``; None if there is no more
            to see.
    """

    starts: NDArray[np.int16]
    stops: NDArray[np.int16]
    crops: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    bounds: NDArray[np.float32]
    piece_bounds: NDArray[np.float32]
    piece_ink: NDArray[np.float32]
    whole: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    cells: NDArray[np.int16] = field(default_factory=lambda: np.zeros(0, np.int16))
    charset: str = ""
    uncut: "UncutRow | None" = None

    @property
    def piece_count(self) -> int:
        """How many pieces the line's ink was cut into."""
        return len(self.piece_ink)


@dataclass(frozen=True, slots=True)
class Mark:
    """What stands in a tick box: ``MARKED``, ``EMPTY`` or ``STRUCK_OUT``, and its probability, 0..1."""

    state: str
    confidence: float


@dataclass(frozen=True, slots=True)
class SegmentedField:
    """A field found on a page.

    Attributes:
        name: as in the template.
        box: float32 (4,) x, y, width, height of the upright rectangle around the field, in page pixels.
        lines: rows of writing from top to bottom; exactly one for a ``line`` field with ink; none if blank.
        ink_ratio: share of the writing area covered by ink after the printed rules went, 0..1.
        largest: the longer side of the largest stroke, in heights of the writing area; 0 without ink.
        mark: what stands in a tick box; None for any other layout.
        doubtful: whether the scan may not show what was written there, be there something in ``lines`` or
            not: it is so pale that it may be no writing, the page ends there, or something lies over it.
    """

    name: str
    box: NDArray[np.float32]
    lines: tuple[GlyphLine, ...]
    ink_ratio: float
    largest: float = 0.0
    mark: Mark | None = None
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class SegmentedPage:
    """All fields of a page in the order of ``template``, the name of its form, and where the form lay."""

    width: int
    height: int
    registration: Registration
    fields: tuple[SegmentedField, ...]
    seconds: dict[str, float]
    template: str = ""

    def crops(self) -> NDArray[np.uint8]:
        """All candidates of the page, uint8 (N, 28, 28), in order of fields, lines, candidates."""
        parts = [line.crops for found in self.fields for line in found.lines]
        return np.concatenate(parts) if parts else np.zeros((0, GLYPH_SIZE, GLYPH_SIZE), np.uint8)
