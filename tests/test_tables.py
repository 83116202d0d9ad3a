"""Tables: boxes that share their lines are found on a page, and each keeps to its own writing."""

import numpy as np
import pytest

from segmentation.fields import surroundings
from segmentation.finding import register_best
from segmentation.registration import template_rules
from segmentation.rendering import render_blank
from segmentation.scanner import ScannerSettings, scan
from segmentation.templates import parse_template

LINE = 5  # pixels that two boxes have in common


def table(columns, rows):
    text = '[form]\nname = "table"\ndpi = 300\nwidth = 2400\nheight = 2000\n'
    for row in range(rows):
        for column in range(columns):
            box = [200 + 300 * column, 300 + 120 * row, 300 + LINE, 120 + LINE]
            text += f'[[field]]\nname = "r{row}c{column}"\nbox = {box}\ncharset = "digits"\n'
    return parse_template(text.encode(), "table.toml")


@pytest.mark.parametrize(("columns", "rows"), [(2, 3), (1, 8), (6, 1), (6, 10)])
def test_a_table_is_found_by_its_long_lines(columns, rows):
    form = table(columns, rows)
    across, down = template_rules(form)
    assert (len(across.ends), len(down.ends)) == (rows + 1, columns + 1)
    page, _ = scan(render_blank(form), 300, ScannerSettings(skew_degrees=1.0), np.random.default_rng(1))
    _, found = register_best(page, [form])
    assert found.matched == found.landmarks == rows + columns + 2
    assert found.residual < 1.5


def test_a_cell_does_not_look_for_writing_in_the_next_one():
    form = table(3, 2)
    regions = surroundings(form)
    for spec in form.fields:
        region = regions[spec.name]
        last, first = spec.name.endswith("c2"), spec.name.endswith("c0")
        assert (region.right > spec.box.right + LINE) == last
        assert (region.x < spec.box.x - LINE) == first
