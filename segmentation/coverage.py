"""Fields that a scan does not show whole: the page ends in them, or something lies over them.

A corner that is folded or torn off, a label, a page fed askew: what was written there is not empty, it is not
to be seen. The printed frame tells: on a page whose frames are seen, one that is not lies under something, or
was looked for in the wrong place. And so does ink of no field, or that is solid: a blot, a bar that blackens
a name.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from segmentation.fields import USUAL_HEIGHT, FieldInk
from segmentation.registration import Registration
from segmentation.templates import FieldSpec

MARGIN = 0.02  # inches of a box, the printed frame among them, that may be beyond the page
USUAL = 0.7  # median inked share of the frames of a page on which each of them should be seen
LESS = 0.2  # by which a frame is seen less than that, if something lies over it
BLACKENED = 0.15  # squares of a writing area's height of ink that is not the field's own, if it lies over it
PATCH = 0.2  # of that height in both directions, at least, of a component that is blackened ...
SOLID = 0.8  # ... and the share of its box that is ink


def not_whole(
    specs: Sequence[FieldSpec],
    places: Sequence[tuple[FieldInk, Registration]],
    shape: tuple[int, int],
    dpi: float,
) -> NDArray[np.bool_]:
    """Which of N fields are, or may be, partly or wholly hidden.

    Args:
        specs: the fields.
        places: the ink of each, and where it lies.
        shape: height and width of the page in pixels.
        dpi: resolution of the template.

    Returns:
        bool (N,).
    """
    matrices = np.array([place.matrix for _, place in places]).reshape(-1, 2, 3)
    inks = [ink for ink, _ in places]
    return _beyond(specs, matrices, shape, dpi) | _covered(specs, inks) | _blackened(specs, inks)


def _beyond(
    specs: Sequence[FieldSpec], matrices: NDArray[np.float64], shape: tuple[int, int], dpi: float
) -> NDArray[np.bool_]:
    """Whether a box reaches beyond the page, bool (N,); ``matrices``: float64 (N, 2, 3), template to page."""
    boxes = np.array([(spec.box.x, spec.box.y, spec.box.width, spec.box.height) for spec in specs])
    near, size = boxes.reshape(-1, 2, 2).swapaxes(0, 1)
    margin = np.minimum(MARGIN * dpi, size / 4)
    # Across the two axes: the middle of a box on the page, and how far its corners are from there.
    middle = np.einsum("nij,nj->ni", matrices[:, :, :2], near + size / 2) + matrices[:, :, 2]
    reach = np.einsum("nij,nj->ni", np.abs(matrices[:, :, :2]), size / 2 - margin)
    low, high = middle - reach, middle + reach
    return np.asarray(((low < -0.5) | (high > np.array(shape[::-1]) - 0.5)).any(axis=1))


def _covered(specs: Sequence[FieldSpec], inks: Sequence[FieldInk]) -> NDArray[np.bool_]:
    """Whether a frame, or a stretch of it, is missing, bool (N,)."""
    framed = np.array([spec.framed for spec in specs], bool)
    shares = np.array([ink.frame_seen for ink in inks], np.float64)
    gaps = np.array([ink.frame_gap for ink in inks], np.float64)
    usual = float(np.median(shares[framed])) if framed.any() else 0.0
    if usual < USUAL:
        # The print is paler than the threshold of ink and tells nothing; and so may be all that is written.
        nothing = framed.any() and not any(len(ink.parts) for ink in inks)
        return np.full(len(specs), nothing)
    return framed & ((shares < usual - LESS) | (gaps > 0))


def _blackened(specs: Sequence[FieldSpec], inks: Sequence[FieldInk]) -> NDArray[np.bool_]:
    """Whether ink that is no stroke lies in a field, bool (N,); what fills a tick box is a mark."""
    blackened = np.array([ink.blotted >= BLACKENED for ink in inks], bool)
    if not inks:
        return blackened
    boxes = np.concatenate([ink.parts.boxes for ink in inks])
    areas = np.concatenate([ink.parts.areas for ink in inks])
    field_of = np.repeat(np.arange(len(inks)), [len(ink.parts) for ink in inks])
    heights = np.array([min(ink.area.height, USUAL_HEIGHT) for ink in inks])
    solid = areas >= SOLID * boxes[:, 2] * boxes[:, 3]
    solid &= boxes[:, 2:].min(axis=1, initial=np.iinfo(np.int32).max) >= PATCH * heights[field_of]
    text = np.array([spec.layout != "mark" for spec in specs], bool)
    return blackened | (text & (np.bincount(field_of[solid], minlength=len(inks)) > 0))
