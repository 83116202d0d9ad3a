"""Connected components of ink, found once and handed on, because finding them is what cutting costs most."""

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Name = TypeVar("Name", np.uint16, np.int32)


@dataclass(frozen=True, slots=True)
class Components:
    """Connected strokes of ink, neighbours over corners included.

    Attributes:
        labels: uint16 or int32 (H, W), 0 = paper, i + 1 = component i.
        boxes: int32 (N, 4) x, y, width, height in pixels of the raster.
        areas: int32 (N,) pixels of ink.
        centers: float64 (N, 2) x, y of the centre of mass.
    """

    labels: NDArray[np.uint16] | NDArray[np.int32]
    boxes: NDArray[np.int32]
    areas: NDArray[np.int32]
    centers: NDArray[np.float64]

    def __len__(self) -> int:
        """The number of components."""
        return len(self.areas)

    @property
    def ink(self) -> NDArray[np.bool_]:
        """bool (H, W), where there is ink."""
        return self.labels > 0

    def only(self, keep: NDArray[np.bool_]) -> tuple["Components", int, int]:
        """The components for which ``keep``, bool (N,), holds, on the tight raster around them.

        Returns:
            The components, in the same order, and x and y of the new raster's corner in the old one. Without
            any component the new raster is of size 0.
        """
        boxes = self.boxes[keep]
        if not len(boxes):
            nothing = np.zeros((0, 0), self.labels.dtype)
            return Components(nothing, boxes, self.areas[keep], self.centers[keep]), 0, 0
        left, top = (int(edge) for edge in boxes[:, :2].min(axis=0))
        right, bottom = (int(edge) for edge in (boxes[:, :2] + boxes[:, 2:]).max(axis=0))
        if len(boxes) == len(self) and (bottom - top, right - left) == self.labels.shape:
            return self, 0, 0
        labels = self.labels[top:bottom, left:right]
        if len(boxes) < len(self):
            names = np.zeros(len(keep) + 1, labels.dtype)
            names[1:][keep] = np.arange(1, len(boxes) + 1)
            labels = _looked_up(labels, names)
        shifted = boxes - np.array([left, top, 0, 0], np.int32)
        return Components(labels, shifted, self.areas[keep], self.centers[keep] - (left, top)), left, top

    def these(self, which: NDArray[np.intp]) -> "Components":
        """Some components by their place, int (M,); the raster stays, and with it the ink of the others."""
        return Components(self.labels, self.boxes[which], self.areas[which], self.centers[which])

    def renamed(self, names: NDArray[Name]) -> NDArray[Name]:
        """The raster, (H, W), with names (N + 1,) instead of labels; the first one is that of the paper."""
        return _looked_up(self.labels, names)

    def largest(self, count: int, among: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
        """bool (N,), true for the ``count`` components with the most ink, or all if there are fewer.

        With ``among``, bool (N,), none but those count.
        """
        keep = np.ones(len(self), bool) if among is None else among.copy()
        if np.count_nonzero(keep) > count:
            candidates = np.flatnonzero(keep)
            keep[candidates[np.argsort(-self.areas[candidates], kind="stable")[count:]]] = False
        return keep


def _looked_up(labels: NDArray[np.uint16] | NDArray[np.int32], names: NDArray[Name]) -> NDArray[Name]:
    """The name, of names (N + 1,), of each label of a raster, 0..N: a raster of these."""
    if labels.dtype != np.uint16 or not labels.size:
        return names[labels]
    # OpenCV looks short labels up in a third of the time that numpy takes, in a table of all there may be;
    # what stands in it for labels that the raster has not is never read.
    table = np.empty(np.iinfo(np.uint16).max + 1, names.dtype)
    table[: len(names)] = names
    return np.asarray(cv2.LUT(labels, table))


def find_components(ink: NDArray[np.bool_] | NDArray[np.uint8]) -> Components:
    """Finds the connected components of ``ink``, bool or uint8 (H, W), not zero = ink."""
    mask = ink.view(np.uint8) if ink.dtype == np.bool_ else ink
    if not mask.size:  # OpenCV would crash
        nothing = np.zeros((0, 4), np.int32)
        return Components(np.zeros(mask.shape, np.uint16), nothing, nothing[:, 0], np.zeros((0, 2)))
    try:
        _, labels, stats, centers = cv2.connectedComponentsWithStatsWithAlgorithm(
            mask, 8, cv2.CV_16U, cv2.CCL_SPAGHETTI
        )
    except cv2.error:
        # Short labels take half the time but hold 65,535 components; only noise has more.
        _, labels, stats, centers = cv2.connectedComponentsWithStatsWithAlgorithm(
            mask, 8, cv2.CV_32S, cv2.CCL_SPAGHETTI
        )
    return Components(labels, stats[1:, :4], stats[1:, 4], centers[1:])
