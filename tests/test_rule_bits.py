"""What is done on bits is what would be done on pixels: runs of ink, gaps, thicknesses."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from segmentation import rule_erasing, rule_finding
from segmentation.components import find_components
from segmentation.rule_band import MARGIN, REACH, ExpectedRule
from segmentation.rule_traces import extents, trace_rules

ACROSS = 2 * MARGIN + 1


def noise(shape, share, seed=0):
    return np.random.default_rng(seed).random(shape) < share


def as_bits(pixels):
    """bool (N, ACROSS) as the numbers of a band."""
    return (pixels.astype(np.uint64) << np.arange(ACROSS, dtype=np.uint64)).sum(axis=1, dtype=np.uint64)


def as_pixels(bits):
    return (bits[:, None] >> np.arange(ACROSS, dtype=np.uint64) & np.uint64(1)).astype(bool)


def opened(ink, horizontal):
    """Runs of ``MIN_RUN`` pixels and more, by definition."""
    kept = np.zeros_like(ink)
    lines, kept_lines = (ink, kept) if horizontal else (ink.T, kept.T)
    for line, out in zip(lines, kept_lines, strict=True):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], line.astype(np.int8), [0]])))
        for first, last in edges.reshape(-1, 2):
            out[first:last] = last - first >= rule_finding.MIN_RUN
    return kept


@pytest.mark.parametrize("horizontal", [True, False])
@pytest.mark.parametrize("shape", [(40, 200), (200, 64), (70, 129), (15, 15), (3, 300), (1, 1)])
def test_runs_of_ink(shape, horizontal):
    ink = noise(shape, 0.93)
    level, first, last = rule_finding._find_runs(rule_finding._packed(ink.view(np.uint8)), horizontal)
    assert (np.lexsort((first, level)) == np.arange(len(level))).all(), "in order"
    kept = np.zeros_like(ink)
    for place, begin, end in zip(level, first, last, strict=True):
        (kept if horizontal else kept.T)[place, begin:end] = True
    assert (kept == opened(ink, horizontal)).all()


def test_runs_that_touch_are_connected():
    ink = opened(noise((120, 300), 0.94, seed=3), True)
    level, first, last = rule_finding._find_runs(rule_finding._packed(ink.view(np.uint8)), True)
    owner = rule_finding._connect_runs(level, first, last)
    count, labels = cv2.connectedComponents(ink.view(np.uint8), connectivity=8)
    assert owner.max() + 1 == count - 1 > 3
    assert len(set(zip(owner.tolist(), labels[level, first].tolist(), strict=True))) == count - 1


def test_how_far_ink_reaches():
    pixels = noise((3000, ACROSS), 0.85)
    up, down = extents(as_bits(pixels))
    for column, above, below in zip(pixels, up.tolist(), down.tolist(), strict=True):
        reach = [0, 0]
        for side, direction in enumerate((-1, 1)):
            while column[MARGIN] and reach[side] < REACH and column[MARGIN + direction * (reach[side] + 1)]:
                reach[side] += 1
        assert [above, below] == reach


def test_gaps_across_a_rule_are_closed():
    pixels = noise((500, ACROSS), 0.2)
    closed = as_pixels(rule_erasing._closed(as_bits(pixels)))
    kernel = np.ones((1, rule_erasing.DROPOUT + 1), np.uint8)
    expected = cv2.morphologyEx(pixels.view(np.uint8), cv2.MORPH_CLOSE, kernel) > 0
    assert (closed == expected)[:, 3:-3].all()


def test_long_runs_along_a_rule():
    pixels = noise((1000, ACROSS), 0.985)
    runs = as_pixels(rule_erasing._long_runs(as_bits(pixels)))
    aside = rule_erasing.LONG_RUN // 2
    for line, found in zip(
        np.pad(pixels.T, ((0, 0), (aside, aside)), constant_values=True), runs.T, strict=True
    ):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], line.astype(np.int8), [0]])))
        expected = np.zeros(len(line), bool)
        for first, last in edges.reshape(-1, 2):
            expected[first:last] = last - first >= rule_erasing.LONG_RUN
        assert (found == expected[aside:-aside]).all()
    assert runs.any()
    assert not runs.all()


@pytest.mark.parametrize("upright", [False, True])
@pytest.mark.parametrize("off", [-11, 0, 9, 11])
def test_a_rule_is_straightened(upright, off):
    ink = np.zeros((120, 400), bool)
    rows = 60 + off + np.arange(400) // 80
    for column, row in enumerate(rows.tolist()):
        ink[row - 1 : row + 2, column] = True
    traced = trace_rules([ExpectedRule(ink.T.copy() if upright else ink, 60 + 2, 0, 400, upright)])
    assert traced is not None
    band = as_pixels(traced.band[traced.begins[0] : traced.ends[0]])
    assert band.sum() == 3 * 400
    assert band[:, MARGIN - 2 : MARGIN + 3].sum() >= 0.99 * 3 * 400, "within a pixel of its middle"
    assert traced.levels[0] == pytest.approx(62 + off, abs=1)
    assert traced.widths[0] == 3


@pytest.mark.parametrize("kind", [np.uint16, np.int32])
def test_components_left_out_leave_no_gap_in_the_numbers(kind):
    ink = noise((60, 90), 0.15)
    parts = find_components(ink)
    parts = type(parts)(parts.labels.astype(kind), parts.boxes, parts.areas, parts.centers)
    keep = noise(len(parts), 0.5, seed=1)
    few, left, top = parts.only(keep)
    assert few.labels.dtype == kind
    height, width = few.labels.shape
    whole = np.zeros_like(parts.labels)
    whole[top : top + height, left : left + width] = few.labels
    for number, old in enumerate(np.flatnonzero(keep), start=1):
        assert ((whole == number) == (parts.labels == old + 1)).all()
    assert (whole > 0).sum() == few.areas.sum()


@pytest.mark.parametrize("kind", [np.uint16, np.int32])
def test_components_get_other_names(kind):
    """Of rasters with short labels, which OpenCV looks up, and with long ones."""
    found = find_components(noise((60, 90), 0.1))
    parts = replace(found, labels=found.labels.astype(kind))
    names = np.random.default_rng(1).permutation(len(parts) + 1).astype(np.uint16)
    renamed = parts.renamed(names)
    assert renamed.dtype == np.uint16
    np.testing.assert_array_equal(renamed, names[parts.labels])
