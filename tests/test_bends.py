"""Curled and photographed pages: each field is cut where it lies, not where one flat map has it."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from segmentation.bends import find_bends
from segmentation.finding import register_best
from segmentation.registration import template_rules
from segmentation.rendering import render_blank
from segmentation.rule_finding import WORK_DPI, Rules
from segmentation.templates import load_template

COMB = load_template(str(Path(__file__).parent.parent / "sample_forms" / "comb" / "membership.toml"))
HSF = load_template("hsf")


def waves(points, size, depth):
    """Where points, float (N, 2), of a sheet lie that is curled in waves."""
    x, y = points.T
    across = depth * np.sin(2 * np.pi * 1.2 * y / size[1])
    down = depth * np.sin(2 * np.pi * 1.1 * x / size[0])
    return np.column_stack([x - across, y - down])


def slant(points, size, share):
    """The same of a sheet that is photographed at an angle."""
    width, height = size
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    moved = corners + width * share * np.array([[1, 0.5], [-0.5, 0], [0, -0.2], [0, 0]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
    return cv2.perspectiveTransform(np.asarray(points, np.float64)[None], matrix)[0]


def warped(template, where):
    """The blank form on such a sheet, and where its points lie."""
    blank = render_blank(template)
    size = blank.shape[::-1]
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    grid = np.column_stack([x.ravel(), y.ravel()]).astype(np.float64)
    there = grid.copy()
    for _ in range(6):  # the point that comes to lie at each pixel
        there += grid - where(there, size)
    columns, rows = there.T.reshape(2, *blank.shape).astype(np.float32)
    page = cv2.remap(blank, columns, rows, cv2.INTER_LINEAR, borderValue=255)
    return page, lambda points: where(np.asarray(points, np.float64), size)


def errors(template, found, where):
    """How far the middles of the sides of all fields are from where they lie, in page pixels."""
    off = []
    for spec in template.fields:
        box = spec.box
        if box.width > 700:  # no straight map holds for all of it
            continue
        x, y = box.x + box.width / 2, box.y + box.height / 2
        points = np.array([[box.x, y], [box.right, y], [x, box.y], [x, box.bottom]])
        mapped = np.column_stack([points, np.ones(4)]) @ found.near(box).matrix.T
        off.append(np.abs(mapped - where(points)).max())
    return np.array(off)


@pytest.mark.parametrize("template", [HSF, COMB], ids=["hsf", "comb"])
@pytest.mark.parametrize(
    "where", [lambda p, s: waves(p, s, s[0] / 300), lambda p, s: slant(p, s, 0.03)], ids=["curled", "tilted"]
)
def test_fields_are_found_where_they_lie(template, where):
    page, lies = warped(template, where)
    found = register_best(page, [template])[1]
    assert found.bends is not None
    off = errors(template, found, lies)
    flat = errors(template, replace(found, bends=None), lies)
    pixel = template.dpi / 300
    assert np.median(off) < 2.5 * pixel
    assert off.max() < 9 * pixel
    assert np.median(off) < 0.5 * np.median(flat)


def test_a_flat_page_has_no_bends():
    found = register_best(render_blank(HSF), [HSF])[1]
    assert found.bends is None
    assert found.near(HSF.fields[0].box) is found


def test_a_tilted_comb_is_not_taken_for_its_neighbour():
    page, lies = warped(COMB, lambda p, s: slant(p, s, 0.02))
    off = errors(COMB, register_best(page, [COMB])[1], lies)
    assert off.max() < 10  # a cell is 40 pixels wide


def test_without_rules_nothing_bends():
    none = Rules(np.zeros((0, 4)), True), Rules(np.zeros((0, 4)), False)
    factor = WORK_DPI / HSF.dpi
    bends = find_bends(none, template_rules(HSF), np.array([[factor, 0, 0], [0, factor, 0]]), HSF.dpi)
    assert bends.around(700, 900) == pytest.approx(np.eye(2, 3))


def test_between_rules_offsets_change_evenly():
    across, down = template_rules(HSF)
    factor = WORK_DPI / HSF.dpi
    matrix = np.array([[factor, 0, 0], [0, factor, 0]])
    lower = Rules(across.ends * factor, True)
    lower.ends[:, [1, 3]] += 0.004 * lower.ends[:, [1, 3]]  # farther off the farther down
    bends = find_bends((lower, Rules(down.ends * factor, False)), (across, down), matrix, HSF.dpi)
    for y in (900.0, 1300.0):
        x_there, y_there = bends.around(1000, y) @ (1000, y, 1)
        assert (x_there, y_there - y) == pytest.approx((1000, 0.004 * y), abs=0.6)
