"""One character on a picture of any kind: a crop, a scan, a photo of paper under uneven light."""

import cv2
import numpy as np
from numpy.typing import NDArray

_WORK_SIDE = 400  # enough for one character; photos are reduced to it
_SMALL_SIDE = 64  # up to here a picture is a crop: its light is even and every pixel counts
_LEAST_CONTRAST = 18  # grey levels between paper and ink
_LEAST_SHARE = 0.06  # of the main stroke's ink; smaller spots are dirt, larger ones dots and second strokes
_REACH = 0.6  # how far from the main stroke another stroke may lie, in sizes of the main one


def find_character(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Finds the ink of the one character on a picture.

    Whatever covers most of the border is taken for paper, so dark on light and light on dark are read alike.

    Args:
        gray: uint8 (H, W), 0 = black, 255 = white.

    Returns:
        uint8 (h, w), ink up to 255 on 0, reduced to at most 400 pixels a side; all zero if there is no
        contrast to speak of.
    """
    picture = _reduce(gray)
    small = max(picture.shape) <= _SMALL_SIDE
    paper = np.full(picture.shape, _border_level(picture), np.float32)
    if not small:
        picture = cv2.GaussianBlur(picture, (0, 0), max(picture.shape) / 400)
        paper = _paper_surface(picture, paper)
    difference = paper - picture.astype(np.float32)
    if _mass(-difference) > _mass(difference):
        difference = -difference
    darkness = np.clip(difference, 0, 255).astype(np.uint8)
    _, binary = cv2.threshold(darkness, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    if not binary.any() or float(np.median(darkness[binary > 0])) < _LEAST_CONTRAST:
        return np.zeros(picture.shape, np.uint8)
    if small:
        full = float(np.percentile(darkness[binary > 0], 75))
        soft = np.clip(darkness.astype(np.float32) / full, 0, 1)
        return np.where(soft < 0.25, 0, soft * 255).astype(np.uint8)
    return _main_strokes(binary)


def _reduce(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    scale = _WORK_SIDE / max(gray.shape)
    if scale >= 1:
        return gray
    size = (max(1, round(gray.shape[1] * scale)), max(1, round(gray.shape[0] * scale)))
    return cv2.resize(gray, size, interpolation=cv2.INTER_AREA)


def _border_level(gray: NDArray[np.uint8]) -> float:
    return float(np.median(np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])))


def _mass(difference: NDArray[np.float32]) -> float:
    """How strongly a picture departs in one direction; squared, so that faint large areas weigh little."""
    return float((np.clip(difference, 0, None) ** 2).sum())


def _paper_surface(gray: NDArray[np.uint8], start: NDArray[np.float32]) -> NDArray[np.float32]:
    """The light on the paper: a surface of third degree, fitted with ink losing its weight step by step."""
    height, width = gray.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    terms = np.stack([x**i * y**j for i in range(4) for j in range(4 - i)], axis=-1)
    step = max(1, max(gray.shape) // 100)
    design = terms[::step, ::step].reshape(-1, terms.shape[-1])
    wanted = gray[::step, ::step].astype(np.float32).reshape(-1)
    residual = wanted - np.median(wanted)
    surface = start
    for _ in range(8):
        spread = max(2.0, 1.5 * float(np.median(np.abs(residual))))
        weight = 1 / (1 + (residual / spread) ** 2)
        solution = np.linalg.lstsq(design * weight[:, None], wanted * weight, rcond=None)[0]
        residual = wanted - design @ solution
        surface = terms @ solution
    return surface.astype(np.float32)


def _main_strokes(binary: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The largest stroke that does not run along the border, and what lies near it and is no dirt."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(binary, connectivity=8)
    boxes, areas = stats[1:count, :4].astype(int), stats[1:count, cv2.CC_STAT_AREA].copy()
    height, width = binary.shape
    touching = (boxes[:, 0] == 0) | (boxes[:, 1] == 0)
    touching |= (boxes[:, 0] + boxes[:, 2] == width) | (boxes[:, 1] + boxes[:, 3] == height)
    ranked = np.where(touching & ~touching.all(), areas // 8, areas)
    main = int(ranked.argmax())
    left, top, size_x, size_y = boxes[main]
    reach = _REACH * max(size_x, size_y)
    near = (boxes[:, 0] < left + size_x + reach) & (boxes[:, 0] + boxes[:, 2] > left - reach)
    near &= (boxes[:, 1] < top + size_y + reach) & (boxes[:, 1] + boxes[:, 3] > top - reach)
    keep = near & (areas >= _LEAST_SHARE * areas[main]) & (~touching | (np.arange(len(areas)) == main))
    return np.where(np.isin(labels, np.flatnonzero(keep) + 1), np.uint8(255), np.uint8(0))
