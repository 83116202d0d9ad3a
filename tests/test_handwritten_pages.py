"""Pages that are written over their frames, as ``benchmarks.handwritten_pages`` makes them."""

import numpy as np
import pytest

from benchmarks.handwritten_pages import SIDES, Tally, render, write
from jobs.composing import BitmapSource, LineComposer
from segmentation.rendering import render_blank, writing_area
from segmentation.templates import parse_template

FORM = """
[form]
name = "boxes"
title = "Boxes"
dpi = 300
width = 1500
height = 900
[[field]]
name = "number"
box = [200, 300, 700, 110]
charset = "digits"
length = 4
"""


@pytest.fixture(scope="module")
def template():
    return parse_template(FORM.encode(), "boxes.toml")


@pytest.fixture(scope="module")
def composer():
    """Forty digits of one hand, each an upright bar."""
    images = np.zeros((40, 64, 64), np.uint8)
    images[:, 4:60, 24:40] = 255
    labels = np.tile(np.arange(10), 4).astype(np.int16)
    return LineComposer({"sd19": BitmapSource(images, labels, np.zeros(40, np.int32))})


def page_with(template, composer, side, over):
    """Ink that was added to the empty form, bool (H, W), and what was written over one side."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        (one,) = write(composer, template, "sd19", over, rng)
        if one.side == side:
            page = render(template, [one], rng)
            return (page < 128) & (render_blank(template, {"number": one.text}) >= 128), one
    raise AssertionError(f"no field came to be written over {side}")


@pytest.mark.parametrize("side", SIDES[1:])
def test_writing_lies_over_the_side_that_is_told_and_no_other(template, composer, side):
    added, one = page_with(template, composer, side, 1.0)
    area = writing_area(template, template.field("number"))
    rows, columns = np.flatnonzero(added.any(axis=1)), np.flatnonzero(added.any(axis=0))
    reached = {
        "top": rows[0] <= area.y,  # what lies in the printed line itself is not seen
        "bottom": rows[-1] >= area.bottom - 1,
        "left": columns[0] <= area.x,
        "right": columns[-1] >= area.right - 1,
    }
    assert [name for name, is_reached in reached.items() if is_reached] == [side]
    assert len(one.text) == 4
    assert one.text.isdigit()


def test_writing_stays_inside_unless_it_is_to_lie_over_the_frame(template, composer):
    added, one = page_with(template, composer, "none", 0.0)
    area = writing_area(template, template.field("number"))
    rows, columns = np.flatnonzero(added.any(axis=1)), np.flatnonzero(added.any(axis=0))
    assert rows[0] >= area.y
    assert rows[-1] < area.bottom
    assert columns[0] >= area.x
    assert columns[-1] < area.right
    assert added.sum() == one.ink.sum()


def test_fields_are_counted():
    tally = Tally()
    for right, accepted in ((True, True), (False, True), (False, False), (True, False)):
        tally.count(right, accepted)
    assert tally.row("top") == ["top", "4", "2", "50.00", "2", "1"]
    assert Tally().row("top") == ["top", "0", "0", "-", "0", "0"]
