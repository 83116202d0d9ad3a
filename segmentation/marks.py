"""Tick boxes: marked, empty, or struck out, from the ink inside the box after its frame went.

A mark is a stroke or a few that reach far through the box. What covers the box with ink is a correction: the
writer took the choice back.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.fields import FieldInk
from segmentation.page import EMPTY, MARKED, STRUCK_OUT, Mark

REACH = 0.36  # of the box that the ink reaches across, at which marked and empty are as likely
STEEPNESS = 18.0  # natural logarithm of the odds for each whole box more
MIDDLE = 0.15  # of the box on each side that is not its middle
CLOSE = 0.12  # width of white, in heights of the box, that scribbling leaves and that counts as filled
SOLID = 0.3  # side of a square full of ink, in heights of the box, that the crossing of two strokes is not
COVERED = 0.42  # solid share of the box at which struck out and marked are as likely
COVER_STEEPNESS = 14.0
DOUBTFUL = 0.5  # probability, at most, of what is told of a box that may not be seen as it was marked


def judge_mark(ink: FieldInk, doubtful: bool = False) -> Mark:
    """Judges the ink of a tick box.

    A box with a ring around it is taken for marked, but nobody can be sure of it.

    Args:
        ink: the field with its frame removed.
        doubtful: whether the box may look otherwise than it was marked, as ``SegmentedField.doubtful``.
    """
    inside = _inside(ink)
    some = _odds(STEEPNESS * (_reach(inside) - REACH))
    covered = _odds(COVER_STEEPNESS * (_solid_share(inside) - COVERED))
    chances = {EMPTY: 1 - some, MARKED: some * (1 - covered), STRUCK_OUT: some * covered}
    state = max(chances, key=lambda name: chances[name])
    if ink.ringed:  # an empty box was chosen by it; around another it may be a correction
        return Mark(MARKED if state == EMPTY else state, min(chances[state], DOUBTFUL))
    return Mark(state, min(chances[state], DOUBTFUL) if doubtful else chances[state])


def _odds(log_odds: float) -> float:
    return float(1 / (1 + np.exp(-np.clip(log_odds, -50, 50))))


def _inside(ink: FieldInk) -> NDArray[np.uint8]:
    """The inside of the box, uint8 (H, W), 0 or 1, with the field's own ink."""
    area = ink.area
    height, width = max(3, round(area.height)), max(3, round(area.width))
    canvas = np.zeros((height, width), np.uint8)
    left, top = round(area.x), round(area.y)
    mask = ink.parts.ink
    rows = slice(max(0, top), max(0, min(mask.shape[0], top + height)))
    columns = slice(max(0, left), max(0, min(mask.shape[1], left + width)))
    part = mask[rows, columns]
    y, x = rows.start - top, columns.start - left
    if part.size:
        canvas[y : y + part.shape[0], x : x + part.shape[1]] = part
    return canvas


def _reach(inside: NDArray[np.uint8]) -> float:
    """How far the largest stroke reaches across the box, 0..1.

    It counts half if little of it is in the middle of the box, and a fifth if nothing is.

    Remains of the frame, specks and writing that hangs in from outside do not reach the middle.
    """
    height, width = inside.shape
    count, labels, stats, _ = cv2.connectedComponentsWithStats(inside, connectivity=8)
    top, left = round(MIDDLE * height), round(MIDDLE * width)
    middle = labels[top : height - top, left : width - left]
    in_middle = np.bincount(middle.ravel(), minlength=count)
    best = 0.0
    for index in range(1, count):
        # Against the shorter side: a box may be much wider than high, a tick is not.
        across = max(stats[index, 2], stats[index, 3]) / min(height, width)
        share = in_middle[index] / stats[index, 4]
        trust = 1.0 if share >= 0.4 else 0.5 if share >= 0.1 else 0.2
        best = max(best, trust * min(1.0, float(across)))
    return best


def _solid_share(inside: NDArray[np.uint8]) -> float:
    """Share of the box, 0..1, that is filled: small gaps closed, single strokes and crossings left out."""
    height = min(inside.shape)
    gap, side = max(1, round(CLOSE * height)), max(3, round(SOLID * height))
    framed = cv2.copyMakeBorder(inside, side, side, side, side, cv2.BORDER_REPLICATE)
    closed = cv2.morphologyEx(framed, cv2.MORPH_CLOSE, np.ones((gap, gap), np.uint8))
    solid = cv2.morphologyEx(closed, cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
    return float(solid[side:-side, side:-side].mean())
