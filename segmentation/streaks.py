"""Takes out the lines that a speck of dust on a scanner's glass draws through a whole page.

Such a streak is thin, exactly upright (or lying, on a page that was scanned sideways) and runs from one edge
of the scan to the other, which nothing printed or written does.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

LOOKS = 12  # rows, or columns, that are looked at first: to look down a column touches all of a page's memory
MISSED = 2  # of these that may miss a streak where it is broken
SMALLEST = 64  # pixels: what is smaller is no page
DARK = 0.6  # of the paper's grey: what is darker may be a streak
STREAKED = 0.9  # dark share of a streak's length
FRINGE = 0.6  # the same, of a column beside it that belongs to it, being ...
PALE = 0.9  # ... darker than that share of the paper's grey
MOST = 20  # on a page of more it is something else
WIDEST = 1 / 300  # of the page's width; what is wider is a black margin
EDGE = 0.01  # of the page's width, in which margins and their shades lie


def without_streaks(gray: NDArray[np.uint8], lying: bool = False) -> NDArray[np.uint8]:
    """A page without the streaks of a dirty scanner; each is filled with what is beside it.

    So a stroke that crosses a streak stays whole, and of one that ends within it a pixel or two are lost.

    Args:
        gray: uint8 (H, W), 0 = black.
        lying: the page was scanned sideways, so that streaks lie; else they are upright.

    Returns:
        uint8 (H, W); ``gray`` itself if it has none.
    """
    height, width = gray.shape
    if min(height, width) < SMALLEST:
        return gray
    paper = float(np.median(gray[:: height // SMALLEST, :: width // SMALLEST]))
    streaks = list(_streaks(gray.T if lying else gray, paper))
    if not streaks:
        return gray
    cleaned = gray.copy()
    lines = cleaned.T if lying else cleaned
    for first, last in streaks:
        weight = (np.arange(first, last) - first + 1) / (last - first + 1)
        before, after = lines[:, first - 1, None], lines[:, last, None]
        lines[:, first:last] = np.rint(before * (1 - weight) + after * weight)
    return cleaned


def _streaks(gray: NDArray[np.uint8], paper: float) -> Iterator[tuple[int, int]]:
    """First and past-last column of each upright streak; ``paper`` is the grey value of the paper."""
    height, width = gray.shape
    widest, edge = max(3, round(WIDEST * width)), max(2, round(EDGE * width))
    looked_at = gray[np.linspace(0, height - 1, LOOKS).astype(int)] < DARK * paper
    likely = looked_at.sum(axis=0) >= LOOKS - MISSED
    likely[:edge] = likely[-edge:] = False
    changes = np.flatnonzero(np.diff(likely, prepend=False, append=False))
    thin = [(int(a), int(b)) for a, b in zip(changes[::2], changes[1::2], strict=True) if b - a <= widest]
    done = 0
    for first, last in thin if len(thin) <= MOST else ():  # hardly ever any
        start, stop = max(edge, first - widest), min(width - edge, last + widest)
        dark = (gray[:, first:last] < DARK * paper).mean(axis=0)
        pale = (gray[:, start:stop] < PALE * paper).mean(axis=0)
        beside = np.flatnonzero(pale < FRINGE) + start
        before, after = beside[beside < first], beside[beside >= last]
        if first < done or dark.min() < STREAKED or not len(before) or not len(after):
            continue
        begin, done = int(before[-1]) + 1, int(after[0])
        if done - begin <= widest:
            yield begin, done
