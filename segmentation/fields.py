"""Cuts one field out of a page, upright and at the template's resolution, with only the ink that belongs to it."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.registration import FRAME_INSET, Registration
from segmentation.rules import Frame, remove_frame
from segmentation.templates import Box, FieldSpec, FormTemplate

OVERHANG = 0.5  # how far beyond its box writing is looked for, above and below, in box heights
OUTREACH = 1.5  # the same to the left and right
MAX_OVERHANG = 60.0  # pixels at 300 dpi, so that a tall box does not look over half the page
MAX_OUTREACH = 150.0
OWN_SHARE = 0.3  # of a component's ink in the writing area that makes it the field's own
SPECK = 10  # pixels of ink at 300 dpi below which a component is dust


@dataclass(frozen=True, slots=True)
class FieldInk:
    """The writing of one field.

    Attributes:
        ink: bool (H, W), the field's own ink without print; upright, in template pixels.
        area: the writing area inside the frame, in raster pixels.
        to_page: float64 (2, 3), raster pixels to page pixels.
    """

    ink: NDArray[np.bool_]
    area: Box
    to_page: NDArray[np.float64]

    def tightened(self) -> "FieldInk":
        """The same without empty margins, so that no later step walks over paper."""
        rows = np.flatnonzero(self.ink.any(axis=1))
        if len(rows) == 0:
            return self
        columns = np.flatnonzero(self.ink[rows[0] : rows[-1] + 1].any(axis=0))
        left, top = int(columns[0]), int(rows[0])
        shift = np.array([[1, 0, left], [0, 1, top], [0, 0, 1]], np.float64)
        return FieldInk(
            self.ink[top : rows[-1] + 1, left : columns[-1] + 1],
            Box(self.area.x - left, self.area.y - top, self.area.width, self.area.height),
            self.to_page @ shift,
        )


def surroundings(template: FormTemplate) -> dict[str, Box]:
    """For each field the region in which its writing may be found: its box and what is free around it.

    A region reaches half-way to the neighbouring boxes of the same row at most, and stays on the page.
    """
    scale = template.dpi / 300
    regions = {}
    for spec in template.fields:
        box = spec.box
        overhang = min(OVERHANG * box.height, MAX_OVERHANG * scale)
        outreach = min(OUTREACH * box.height, MAX_OUTREACH * scale)
        left, right = max(0.0, box.x - outreach), min(float(template.width), box.right + outreach)
        for other in template.fields:
            beside = other.box
            if beside.y < box.bottom and beside.bottom > box.y and other is not spec:
                if beside.x >= box.right:
                    right = min(right, (box.right + beside.x) / 2)
                elif beside.right <= box.x:
                    left = max(left, (beside.right + box.x) / 2)
        top, bottom = max(0.0, box.y - overhang), min(float(template.height), box.bottom + overhang)
        regions[spec.name] = Box(left, top, right - left, bottom - top)
    return regions


def cut_field(
    gray: NDArray[np.uint8],
    threshold: float,
    registration: Registration,
    spec: FieldSpec,
    region: Box,
    dpi: float,
) -> FieldInk:
    """Cuts a field out and cleans it.

    Args:
        gray: uint8 (H, W) page, 0 = black.
        threshold: grey value 0..255; what is darker is ink.
        registration: where the form lies on the page.
        spec: the field.
        region: the part of the template to cut, as ``surroundings`` gives it.
        dpi: resolution of the template.
    """
    offset = np.array([[1, 0, round(region.x)], [0, 1, round(region.y)], [0, 0, 1]], np.float64)
    to_page = registration.matrix @ offset
    size = (round(region.width), round(region.height))
    raster = cv2.warpAffine(
        gray, to_page, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderValue=255
    )
    ink = raster < threshold
    inset = FRAME_INSET * dpi
    x, y = spec.box.x - round(region.x), spec.box.y - round(region.y)
    if spec.framed:
        expected = Frame(
            x + inset, y + inset, x + spec.box.width - inset, y + spec.box.height - inset, 2 * inset
        )
        ink, frame = remove_frame(ink, expected)
        half = frame.width / 2
        area = Box(
            frame.left + half,
            frame.top + half,
            frame.right - frame.left - frame.width,
            frame.bottom - frame.top - frame.width,
        )
        ink = _drop_rule_remains(ink, frame)
    else:
        area = Box(x, y, spec.box.width, spec.box.height)
    return FieldInk(_keep_own(ink, area, (dpi / 300) ** 2 * SPECK), area, to_page)


def _drop_rule_remains(ink: NDArray[np.bool_], frame: Frame) -> NDArray[np.bool_]:
    """Drops flat components that lie within the band of a removed rule."""
    band = frame.width / 2 + 4
    count, labels, stats, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    left, top = stats[:, 0], stats[:, 1]
    right, bottom = left + stats[:, 2], top + stats[:, 3]
    remains = np.zeros(count, bool)
    for level in (frame.top, frame.bottom):
        remains |= (top >= level - band) & (bottom <= level + band + 1)
    for level in (frame.left, frame.right):
        remains |= (left >= level - band) & (right <= level + band + 1)
    remains[0] = True
    return ~remains[labels]


def _keep_own(ink: NDArray[np.bool_], area: Box, speck: float) -> NDArray[np.bool_]:
    """Keeps the components that belong to the field.

    These are the components with a good share of their ink in the writing area, and beside it those that go
    on with the row of writing: as high as letters, at the same level, next to ink already kept.
    """
    count, labels, stats, centers = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    inner = labels[
        max(0, round(area.y)) : max(0, round(area.bottom)), max(0, round(area.x)) : max(0, round(area.right))
    ]
    inside = np.bincount(inner.ravel(), minlength=count)
    keep = (inside >= OWN_SHARE * stats[:, 4]) & (stats[:, 4] >= speck)
    keep[0] = False
    if not keep.any():
        return keep[labels]
    left, width, height = stats[:, 0], stats[:, 2], stats[:, 3]
    right = left + width
    level = (centers[:, 1] > area.y) & (centers[:, 1] < area.bottom)
    letter = (height >= 0.3 * area.height) & (height <= 1.2 * area.height) & level & ~keep
    letter[0] = False
    gap = 0.6 * area.height
    for index in np.flatnonzero(letter & (centers[:, 0] > area.right))[
        np.argsort(left[letter & (centers[:, 0] > area.right)])
    ]:
        if left[index] - right[keep].max() <= gap:
            keep[index] = True
    for index in np.flatnonzero(letter & (centers[:, 0] < area.x))[
        np.argsort(-right[letter & (centers[:, 0] < area.x)])
    ]:
        if left[keep].min() - right[index] <= gap:
            keep[index] = True
    return keep[labels]
