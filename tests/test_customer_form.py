"""A real customer form: colour, 200 dpi, thin broken cell lines, some double. Needs FORMSCRIBE_DATA."""

import json
import os
from pathlib import Path

import cv2
import pytest

from model.constraints import read_rows
from model.networks import load_networks
from pipeline.classifying import classify_pages
from pipeline.options import JobOptions
from pipeline.reading import page_rows
from pipeline.records import PageKey, PageToClassify
from segmentation.segmenting import segment_page
from segmentation.templates import load_template

TEMPLATE = load_template(str(Path(__file__).parent / "data" / "customer_form.toml"))
FOLDER = Path(os.environ.get("FORMSCRIBE_DATA", "")) / "forms" / "boxdetect"

pytestmark = pytest.mark.skipif(
    "FORMSCRIBE_DATA" not in os.environ, reason="FORMSCRIBE_DATA does not name the folder of real forms"
)


@pytest.fixture(scope="module")
def truth():
    return json.loads((FOLDER / "customer_form.truth.json").read_text())["fields"]


@pytest.fixture(scope="module")
def page():
    return segment_page(cv2.imread(str(FOLDER / "customer_form.png"), cv2.IMREAD_GRAYSCALE), TEMPLATE)


@pytest.fixture(scope="module")
def rows(page):
    options = JobOptions(inputs=("a",), output="o", template=TEMPLATE)
    (classified,) = classify_pages([PageToClassify(PageKey("a", 1), "h", page, {})], load_networks())
    read = page_rows(classified.page, classified.log_probs, options, read_rows)
    return {row["field"]: row for row in read.fields}


def test_the_form_is_found_by_nearly_all_of_its_rules(page):
    found = page.registration
    assert found.matched > 0.95 * found.landmarks
    assert found.residual < 1.5


def test_every_character_has_its_cell_and_no_other_cell_has_one(page, truth):
    for field in page.fields:
        if field.mark is None:
            cells = field.lines[0].cells.tolist() if field.lines else []
            places = [i for i, char in enumerate(truth[field.name]) if char != " "]
            dots = [i for i, char in enumerate(truth[field.name]) if char == "."]
            # A full stop may stand in the cell of the letter before it.
            assert set(places) - set(dots) <= set(cells) <= set(places), field.name


def test_ticks_and_blank_fields_are_right(rows, truth):
    for name, value in truth.items():
        if isinstance(value, bool):
            assert (rows[name]["text"], rows[name]["status"]) == (
                ("x", "accepted") if value else ("", "blank")
            )
        else:
            assert (rows[name]["status"] == "blank") == (value == ""), name


def test_most_characters_are_right(rows, truth):
    right = total = 0
    for name, value in truth.items():
        if not isinstance(value, bool):
            text = rows[name]["text"]
            scored = [i for i, char in enumerate(value) if char.isalnum()]
            total += len(scored)
            right += sum(i < len(text) and text[i] == value[i] for i in scored)
    assert total == 146
    assert right >= 0.95 * total
