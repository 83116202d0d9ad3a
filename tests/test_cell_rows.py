"""Cells that stand apart in a row are drafted as one comb, and read as one; boxes to tick are not joined."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from segmentation.cell_rows import join_cells
from segmentation.checking import check_template
from segmentation.drafting import draft_template, template_text
from segmentation.handwriting import load_font
from segmentation.printed_boxes import PrintedBox
from segmentation.rendering import render_blank
from segmentation.scanner import ScannerSettings, scan
from segmentation.segmenting import segment_page
from segmentation.templates import TemplateError, parse_template

DPI = 300
MM = DPI / 25.4
DIGITS = "4711028395"
LINES = [(20, 90, 80, 8), (110, 90, 80, 8), (20, 105, 170, 8)]


def box(image, x, y, width, height, radius=0.0):
    ends = [x * MM, y * MM, (x + width) * MM, (y + height) * MM]
    ImageDraw.Draw(image).rounded_rectangle(ends, radius * MM, None, 0, 4)


def form(gap, width=5.0, height=7.0, radius=0.0):
    image = Image.new("L", (round(210 * MM), round(148 * MM)), 255)
    for place in range(10):
        box(image, 20 + place * (width + gap), 20, width, height, radius)
    left = 20.0
    for count in (2, 2, 4):  # a date
        for _ in range(count):
            box(image, left, 40, width, height, radius)
            left += width + gap
        left += 5
    for place in range(5):
        box(image, 20 + 12 * place, 60, 4, 4)
    for line in LINES:
        box(image, *line)
    return image


def drafted(page):
    draft = draft_template(page, DPI)
    return draft, parse_template(template_text(draft, "cells", "cells.png").encode(), "cells.toml")


def scanned(image, skew):
    return scan(np.array(image), DPI, ScannerSettings(skew_degrees=skew), np.random.default_rng(1))[0]


SHAPES = [
    {"gap": 0.5},
    {"gap": 0.8},
    {"gap": 1.0},
    {"gap": 1.5},
    {"gap": 2.2},
    {"gap": 1.0, "radius": 0.8},
    {"gap": 1.2, "width": 6.0, "height": 8.0, "radius": 1.5},
    {"gap": 1.5, "width": 4.0, "height": 5.0},
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("skew", [None, 1.1])
def test_cells_that_stand_apart_are_a_comb(shape, skew):
    image = form(**shape)
    draft, template = drafted(np.array(image) if skew is None else scanned(image, skew))
    assert [spec.layout for spec in template.fields] == ["comb"] * 4 + ["mark"] * 5 + ["line"] * 3
    assert [spec.cells for spec in template.fields[:4]] == [10, 2, 2, 4]
    assert check_template(template_text(draft, "cells", "cells.png").encode(), "cells.toml")[1] == []
    if skew is None and shape["gap"] > 0.6:
        pitch = shape.get("width", 5.0) + shape["gap"]
        lines = [20 + place * pitch - shape["gap"] / 2 for place in range(1, 10)]
        assert np.array(template.fields[0].cell_lines) / MM == pytest.approx(lines, abs=0.2)
        assert template.fields[0].gap / MM == pytest.approx(shape["gap"], abs=0.25)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("skew", [-1.2, 2.0])
def test_their_cells_are_read(shape, skew):
    image = form(**shape)
    _, template = drafted(np.array(image))
    told = segment_page(scanned(image, skew), template)
    assert told.registration.matched >= 0.9 * told.registration.landmarks
    assert max(field.largest for field in told.fields) < 0.1
    width, height = shape.get("width", 5.0), shape.get("height", 7.0)
    font = load_font("architects-daughter", round(8.5 * height))
    for place, digit in enumerate(DIGITS):
        x = (20 + place * (width + shape["gap"]) + width / 2) * MM
        ImageDraw.Draw(image).text((x, (20 + 0.85 * height) * MM), digit, 0, font, "ms")
    told = segment_page(scanned(image, skew), template)
    assert not told.fields[0].doubtful
    (line,) = told.fields[0].lines
    assert line.cells.tolist() == list(range(10))
    assert all(not field.lines for field in told.fields[1:])


def test_boxes_to_tick_stay_apart():
    ticks = [PrintedBox(100 + 70 * i, 100, 147 + 70 * i, 147) for i in range(5)]
    assert join_cells(ticks, DPI) == ticks
    pair = [PrintedBox(100, 100, 147, 147), PrintedBox(155, 100, 202, 147)]
    assert join_cells(pair, DPI) == pair


def test_boxes_of_other_sizes_or_levels_are_no_cells():
    boxes = [PrintedBox(100, 100, 160, 180), PrintedBox(170, 120, 230, 200), PrintedBox(240, 120, 380, 200)]
    assert sorted(join_cells(boxes, DPI), key=lambda box: box.left) == boxes


def test_a_comb_with_gaps_is_printed_as_it_is_drafted():
    _, template = drafted(np.array(form(1.5)))
    again = draft_template(render_blank(template), DPI)
    assert [field.layout for field in again.fields] == [spec.layout for spec in template.fields]
    assert [len(field.cell_edges) for field in again.fields[:4]] == [9, 1, 1, 3]


@pytest.mark.parametrize(
    ("layout", "gap", "cells", "told"),
    [
        ("line", "9", "", "means nothing"),
        ("comb", "40", "cells = 10", "wider than"),
        ("comb", "-1", "cells = 10", "0"),
        ("comb", "150", "cell_edges = [150, 300, 450, 600]", "wider than"),
    ],
)
def test_a_gap_that_cannot_be(layout, gap, cells, told):
    text = '[form]\nname = "f"\ndpi = 300\nwidth = 900\nheight = 900\n'
    text += f'[[field]]\nname = "a"\nbox = [100, 100, 600, 90]\nlayout = "{layout}"\ngap = {gap}\n'
    text += f"{cells}\n"
    with pytest.raises(TemplateError, match=told):
        parse_template(text.encode(), "f.toml")
