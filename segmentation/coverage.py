"""Fields that a scan does not show whole: the page ends in them, or something lies over them.

A corner that is folded or torn off, a label, a page fed askew: what was written there is not empty, it is not
to be seen. The printed frame tells: on a page whose frames are seen, one that is not lies under something, or
was looked for in the wrong place. And so does ink of no field: a blot, a bar that blackens a name.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from segmentation.fields import FieldInk
from segmentation.registration import Registration
from segmentation.templates import FieldSpec

MARGIN = 0.02  # inches of a box, the printed frame among them, that may be beyond the page
USUAL = 0.7  # median inked share of the frames of a page on which each of them should be seen
LESS = 0.2  # by which a frame is seen less than that, if something lies over it
BLACKENED = 0.15  # of a writing area under ink that is not the field's own, if that lies over it


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
    blackened = np.array([ink.blotted >= BLACKENED for ink, _ in places], bool)
    covered = _covered(specs, [ink for ink, _ in places])
    return _beyond(specs, matrices, shape, dpi) | covered | blackened


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
    if usual < USUAL:  # the print is paler than the threshold of ink, and tells nothing
        return np.zeros(len(specs), bool)
    return framed & ((shares < usual - LESS) | (gaps > 0))
