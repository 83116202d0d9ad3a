"""Takes the lines printed inside a field out of it, and finds the strokes that may be its writing."""

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.cell_lines import CellLines, remove_cell_lines
from segmentation.components import Components, find_components
from segmentation.own_ink import Strokes
from segmentation.print_inside import remove_print
from segmentation.registration import FRAME_INSET
from segmentation.ruled_lines import may_be_ruled, remove_ruled_lines
from segmentation.rules import Frame, erase_curves
from segmentation.templates import Box, FieldSpec
from segmentation.upright_ink import CUT_DPI


@dataclass(frozen=True, slots=True)
class FieldRaster:
    """A field cut out upright.

    Attributes:
        ink: bool (H, W).
        area: the field's box in pixels of the raster.
        cell_lines: x of the lines between its cells, in pixels of the raster.
        to_page: float64 (2, 3), raster pixels to page pixels.
        radius: of the corners of the box, in pixels of the raster.
        ignored: where the form has print inside the field, in pixels of the raster.
    """

    ink: NDArray[np.bool_]
    area: Box
    cell_lines: list[float]
    to_page: NDArray[np.float64]
    radius: float = 0.0
    ignored: tuple[Box, ...] = ()

    @property
    def frame(self) -> Frame:
        """Where the form has the frame."""
        inset, area = FRAME_INSET * CUT_DPI, self.area
        sides = area.x + inset, area.y + inset, area.right - inset, area.bottom - inset
        return Frame(*sides, 2 * inset, radius=max(0.0, self.radius - inset))


@dataclass(frozen=True, slots=True)
class CleanedField:
    """A field without its printed rules.

    Attributes:
        strokes: its ink, and what is around it.
        corner: x and y of the pixel of its raster where that begins.
        cell_edges: float64 (n + 1,) as in ``FieldInk``.
    """

    strokes: Strokes
    corner: tuple[int, int]
    cell_edges: NDArray[np.float64]


def clean_field(spec: FieldSpec, raster: FieldRaster, frame: Frame | None) -> CleanedField:
    """Takes lines between cells, print and ruled lines out, and finds the strokes near a field.

    Args:
        spec: the field.
        raster: the field cut out, its printed frame already removed.
        frame: that frame; None for a field without.
    """
    area = raster.area if frame is None else _inside(frame)
    cells = _without_cell_lines(spec, raster, area, frame) if spec.cell_lines else _Cells(raster.ink)
    remove_print(cells.ink, raster.ignored)
    near, levels = _Near.of(cells.ink, area), list[float]()
    if spec.layout in ("line", "paragraph") and may_be_ruled(near.parts, near.area):
        ink, levels = remove_ruled_lines(cells.ink, area, spec.layout == "line", spec.charset == "digits")
        near = _Near.of(ink, area) if levels else near
    lines = cells.lines
    strokes = Strokes(
        near.parts,
        near.area,
        spec.layout,
        None if frame is None else frame.moved(-near.left, -near.top),
        None if lines is None else replace(lines, middles=lines.middles - near.left),
        [level - near.top for level in levels],
    )
    return CleanedField(strokes, (near.left, near.top), cells.edges)


def _inside(frame: Frame) -> Box:
    """The writing area inside a frame.

    A field no wider than its own frame has no inside; a pixel stands for it: others divide by its size.
    """
    half = frame.width / 2
    width = max(1.0, frame.right - frame.left - frame.width)
    height = max(1.0, frame.bottom - frame.top - frame.width)
    return Box(frame.left + half, frame.top + half, width, height)


@dataclass(frozen=True, slots=True)
class _Cells:
    """A field without the lines between its cells: its ink, these lines if it has any, its ``cell_edges``."""

    ink: NDArray[np.bool_]
    lines: CellLines | None = None
    edges: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))


def _without_cell_lines(spec: FieldSpec, raster: FieldRaster, area: Box, frame: Frame | None) -> _Cells:
    """Takes the lines between cells out; a comb without a frame ends with its writing area."""
    sides = frame or Frame(area.x, area.y, area.right, area.bottom, 0.0)
    ink, lines = remove_cell_lines(raster.ink, sides, raster.cell_lines)
    between = lines.middles.reshape(len(spec.cell_lines), -1).mean(axis=1)  # of both lines of a gap
    if spec.gap and sides.radius:
        _erase_curves_of_cells(ink, sides, lines.middles)
    return _Cells(ink, lines, np.concatenate([[sides.left], between, [sides.right]]) - area.x)


def _erase_curves_of_cells(ink: NDArray[np.bool_], frame: Frame, lines: NDArray[np.float64]) -> None:
    """Clears the round corners of cells that stand apart, given the x of both lines of each gap."""
    for left, right in np.array([frame.left, *lines, frame.right]).reshape(-1, 2):
        erase_curves(ink, replace(frame, left=float(left), right=float(right)))


@dataclass(frozen=True, slots=True)
class _Near:
    """The part of a raster that may hold a field's own ink.

    Attributes:
        left, top: its corner, in pixels of the raster.
        parts: the connected ink in it.
        area: the writing area, in pixels of the part.
    """

    left: int
    top: int
    parts: Components
    area: Box

    @classmethod
    def of(cls, ink: NDArray[np.bool_], area: Box) -> "_Near":
        """That of a raster, bool (H, W), given its writing area."""
        left, top, near = _near_ink(ink, area)
        inside = Box(area.x - left, area.y - top, area.width, area.height)
        return cls(left, top, find_components(near), inside)


def _near_ink(ink: NDArray[np.bool_], area: Box) -> tuple[int, int, NDArray[np.bool_]]:
    """The part of a raster that may hold the field's own ink, and x and y of its corner.

    Beyond an empty row above or below the writing area nothing is the field's: it neither hangs together with
    ink inside, nor goes on with the row of writing beside it.
    """
    first, last = (min(max(round(edge), 0), len(ink)) for edge in (area.y, area.bottom))
    above = np.flatnonzero(~np.logical_or.reduce(ink[:first], axis=1))
    below = np.flatnonzero(~np.logical_or.reduce(ink[last:], axis=1))
    top = int(above[-1]) + 1 if len(above) else 0
    bottom = last + int(below[0]) if len(below) else len(ink)
    if top >= bottom:
        return 0, top, ink[top:top, :0]
    left, inner_top, width, height = cv2.boundingRect(ink[top:bottom].view(np.uint8))
    top += inner_top
    return left, top, ink[top : top + height, left : left + width]
