"""Printed lines to write on are taken out, what stands on them is read; what crosses writing out stays."""

import cv2
import numpy as np
import pytest

from model.constraints import read_rows
from model.networks import load_networks
from pipeline.classifying import classify_pages
from pipeline.options import JobOptions
from pipeline.reading import page_rows
from pipeline.records import PageKey, PageToClassify
from segmentation.handwriting import random_hand
from segmentation.rendering import fill_form
from segmentation.ruled_lines import remove_ruled_lines
from segmentation.scanner import ScannerSettings, scan
from segmentation.segmenting import segment_page
from segmentation.templates import Box, parse_template

FORM = parse_template(
    b"""
[form]
name = "lines"
dpi = 300
width = 1700
height = 1500
[[field]]
name = "frame"
box = [200, 150, 900, 100]
charset = "digits"
[[field]]
name = "other"
box = [200, 350, 900, 100]
charset = "digits"
[[field]]
name = "number"
box = [200, 600, 900, 90]
charset = "digits"
frame = false
[[field]]
name = "second"
box = [200, 800, 900, 90]
charset = "digits"
frame = false
[[field]]
name = "notes"
box = [200, 1000, 1200, 330]
layout = "paragraph"
frame = false
""",
    "lines.toml",
)
TEXTS = {"number": "750039", "second": "48213", "notes": "one two\nthree four\nfive six"}


@pytest.fixture(scope="module")
def networks():
    return load_networks()


def written(texts, seed=3):
    rng = np.random.default_rng(seed)
    texts = {spec.name: texts.get(spec.name, "") for spec in FORM.fields}
    return fill_form(FORM, texts, random_hand(np.random.default_rng(seed)), rng)[0].copy()


def underlined(page, name, level):
    """With a printed line under a field, at so many heights of its box from its top."""
    box = FORM.field(name).box
    y = round(box.y + level * box.height)
    cv2.line(page, (round(box.x) - 5, y), (round(box.right) + 5, y), 0, 3)
    return page


def rows_of(page, networks):
    options = JobOptions(inputs=("a",), output="o", template=FORM)
    page, _ = scan(page, 300, ScannerSettings(skew_degrees=0.8), np.random.default_rng(1))
    segmented = segment_page(page, FORM)
    (classified,) = classify_pages([PageToClassify(PageKey("a", 1), "h", segmented, {})], networks)
    read = page_rows(classified.page, classified.log_probs, options, read_rows)
    return {row["field"]: row for row in read.fields}


@pytest.mark.parametrize("level", [0.75, 0.85, 0.95, 1.1])
def test_digits_on_a_line_are_read_as_without_it(networks, level):
    plain = rows_of(written(TEXTS), networks)
    assert [plain[name]["text"] for name in ("number", "second")] == ["750039", "48213"]
    page = written(TEXTS)
    for name in ("number", "second"):
        underlined(page, name, level)
    rows = rows_of(page, networks)
    assert [rows[name]["text"] for name in ("number", "second")] == ["750039", "48213"]


@pytest.mark.parametrize("level", [0.7, 0.95, 1.1])
def test_a_line_alone_is_blank(networks, level):
    rows = rows_of(underlined(written({}), "number", level), networks)
    assert (rows["number"]["status"], rows["number"]["text"]) == ("blank", "")
    assert rows["number"]["confidence"] > 0.9


def test_what_is_struck_through_is_neither_blank_nor_accepted(networks):
    box = FORM.field("number").box
    page = written(TEXTS)
    ink = np.flatnonzero(
        (page[round(box.y) : round(box.bottom), round(box.x) : round(box.right)] < 128).any(axis=0)
    )
    left, right = (round(box.x) + int(ink[end]) for end in (0, -1))
    cv2.line(page, (left - 20, round(box.y + 45)), (right + 30, round(box.y + 40)), 0, 5)
    assert rows_of(page, networks)["number"]["status"] == "review"


def test_rows_on_ruled_paper(networks):
    page = written(TEXTS)
    plain = rows_of(page, networks)["notes"]["text"]
    for level in np.linspace(0, 1, 4)[1:]:
        underlined(page, "notes", level)
    ruled = rows_of(page, networks)["notes"]
    assert ruled["text"].count("\n") == plain.count("\n")
    assert "/" not in ruled["text"]
    assert ruled["status"] == "review"


AREA = Box(100, 40, 800, 90)


def raster(*lines):
    ink = np.zeros((180, 1000), np.uint8)
    for start, stop, width in lines:
        cv2.line(ink, start, stop, 1, width)
    return ink.view(np.bool_)


@pytest.mark.parametrize("rise", [0, 6])
@pytest.mark.parametrize("width", [2, 3, 5])
def test_a_line_goes_and_what_stands_on_it_stays(width, rise):
    letter = ((300, 50), (300, 120), 6)
    ink = raster(((60, 120), (960, 120 - rise), width), letter)
    cleaned, levels = remove_ruled_lines(ink, AREA, True, False)
    assert levels == pytest.approx([120 - rise / 2], abs=2.5)
    assert cleaned[:110].sum() == ink[:110].sum()
    beside = cleaned.copy()
    beside[:, 290:311] = False
    assert beside.sum() <= 0.02 * ink.sum()
    assert ink[115:125].any()  # what was given is not changed


@pytest.mark.parametrize(
    "line",
    [
        ((60, 60), (960, 60), 3),  # in the upper half: it crosses out
        ((300, 120), (700, 120), 3),  # under one word
        ((60, 120), (960, 60), 3),  # not level
    ],
)
def test_other_lines_stay(line):
    ink = raster(line)
    cleaned, levels = remove_ruled_lines(ink, AREA, True, False)
    assert levels == []
    assert cleaned is ink


def test_several_lines_of_a_paragraph_and_those_of_a_narrow_field():
    lines = [((60, y), (960, y), 3) for y in (50, 90, 130)]
    cleaned, levels = remove_ruled_lines(raster(*lines), Box(100, 20, 800, 140), False, False)
    assert sorted(levels) == pytest.approx([50, 90, 130], abs=1.5)
    assert not cleaned.any()
    narrow = raster(lines[2])
    assert remove_ruled_lines(narrow, Box(100, 40, 100, 90), True, False) == (narrow, [])
