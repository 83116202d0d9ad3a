"""The tables and the picture of a page, and what Tesseract has read right."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import tesseract
from benchmarks.page_figures import STAGES, PageFigures, against_table, draw, stages_table
from benchmarks.tesseract import Right, Word, count_right, exactly, somewhere_in, texts_of, truth_of, within
from jobs.truth import TruthError
from pipeline.records import PageRows
from segmentation.templates import load_template

CHARSETS = {"a": "digits", "b": "digits", "c": "lower", "d": "text"}
TRUTH = {"a": "12 34", "b": "56", "c": "xyz", "d": "", "gone": "7"}


def rows_of(texts: dict[str, str]) -> PageRows:
    places = {"page": 1, "source": "s", "status": "accepted", "confidence": 0.9, "box_width": 100.0}
    fields = [
        {**places, "field": name, "charset": CHARSETS[name], "text": text, "box_height": 20.0}
        | {"box_x": 0.0, "box_y": 50.0 * number}
        for number, (name, text) in enumerate(texts.items())
    ]
    return PageRows({}, fields, [])


def counted(is_right) -> list[Right]:
    return list(count_right(TRUTH, CHARSETS, is_right).values())


def test_of_ours_all_of_a_field_must_be_right():
    ours = tesseract.ours_right(rows_of({"a": "1234", "b": "567", "c": "xyz", "d": ""}), TRUTH)
    assert counted(ours) == [Right(1, 2), Right(1, 1), Right(0, 0)]
    assert Right(1, 2).text() == "1 of 2"


def test_anywhere_is_anywhere_whatever_the_spaces_and_counts_what_a_field_shares_with_another():
    assert counted(somewhere_in("a 1 2\n3 4567\nxy z")) == [Right(2, 2), Right(1, 1), Right(0, 0)]
    assert counted(somewhere_in("123 56 xyZ")) == [Right(1, 2), Right(0, 1), Right(0, 0)]


def test_in_place_needs_the_word_within_the_box_of_the_field():
    rows = rows_of({"a": "", "b": "", "c": ""})
    words = [Word("12", 10, 5), Word("34", 60, 10), Word("56", 10, 35), Word("wxyz", 100, 120)]
    assert counted(within(words, rows)) == [Right(1, 2), Right(1, 1), Right(0, 0)]


def test_a_box_must_hold_the_field_and_nothing_else():
    assert counted(exactly({"a": "12 34\n", "b": "|56", "c": "xyz"})) == [
        Right(1, 2),
        Right(1, 1),
        Right(0, 0),
    ]


def test_words_are_read_from_the_table_of_tesseract():
    head = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n"
    lines = '4\t1\t1\t1\t1\t0\t40\t20\t90\t30\t-1\t\n5\t1\t1\t1\t1\t1\t40\t20\t10\t30\t96.5\t"12\n'
    assert tesseract.words_of(head + lines) == [Word('"12', 45.0, 35.0)]


def test_each_picture_has_one_text_even_if_it_is_empty():
    assert texts_of("1\n\f\f3\n", 3) == ["1\n", "", "3\n"]
    assert texts_of("1\n\f2\n\f", 2) == ["1\n", "2\n"]
    assert texts_of("1\n\f", 2) == ["1\n", ""]
    with pytest.raises(tesseract.TesseractError, match="1 texts for 2"):
        texts_of("1\n", 2)


def test_truth_lies_beside_the_page_or_is_named(tmp_path: Path):
    page = tmp_path / "a.png"
    assert truth_of(page, []) == {}
    beside = {"source": "a.png", "fields": {"x": "1"}}
    (tmp_path / "a.truth.json").write_text(json.dumps(beside))
    assert truth_of(page, []) == {"x": "1"}
    (tmp_path / "other.json").write_text(json.dumps({"source": "a.png", "fields": {"x": "2"}}))
    assert truth_of(page, [tmp_path / "other.json"]) == {"x": "2"}
    with pytest.raises(TruthError, match="no such file"):
        truth_of(page, [tmp_path / "lost.json"])


def test_the_picture_of_a_field_is_the_inside_of_its_box_with_paper_around_it():
    spec = load_template("hsf").field("fld_03")
    page = np.full((3300, 2560), 250, np.uint8)
    box = [round(value) for value in (spec.box.x, spec.box.y, spec.box.right, spec.box.bottom)]
    cv2.rectangle(page, (box[0] + 2, box[1] + 2), (box[2] - 3, box[3] - 3), 0, 5)
    page[box[1] + 30 : box[1] + 40, box[0] + 50 : box[0] + 60] = 0
    turn = np.array([[1.0, 0, 0], [0, 1, 0]])
    shown = tesseract.field_picture(page, spec, turn, 300.0)
    rows, columns = np.nonzero(shown < 125)  # of the frame nothing is left
    assert len(rows) == pytest.approx(100, abs=20)
    assert (rows.min(), columns.min()) == pytest.approx((30 + 15 - 6.25, 50 + 15 - 6.25), abs=1)
    assert max(np.ptp(rows), np.ptp(columns)) <= 11
    assert abs(shown.shape[1] - (spec.box.width - 12.5 + 30)) <= 1
    smaller = tesseract.field_picture(cv2.resize(page, None, fx=0.5, fy=0.5), spec, turn / 2, 300.0)
    assert abs(2 * smaller.shape[1] - shown.shape[1]) <= 4


def figures(name: str, scale: float) -> PageFigures:
    stages = [
        dict.fromkeys(STAGES, scale * (number + 1) / 100) | {"page": scale * (number + 1) / 10}
        for number in range(3)
    ]
    taken = {"decode": [0.01, 0.02, 0.03], "label": [0.05, 0.1, 0.1], "ours": [one["page"] for one in stages]}
    return PageFigures(name, taken, stages, 1234, 1300)


def test_tables_of_a_page_have_its_ratios_round_by_round():
    row = against_table([figures("p.png", 1.0)]).splitlines()[-1]
    assert row.split(" | ")[-2:] == ["10.0 (10.0-10.0)", "2.0 (2.0-3.0) |"]
    rows = stages_table([figures("p.png", 1.0)]).splitlines()[2:]
    assert rows[0] == "| p.png | decode | 20.0 (10.0-30.0) | 10 (10-10) |"
    assert rows[-2:] == [
        "| p.png | candidates | 1,234 |  |",
        "| p.png | crops the model was asked for | 1,300 |  |",
    ]


def test_the_bars_of_a_page_are_drawn(tmp_path: Path):
    draw([figures("p.png", 1.0), figures("q.png", 2.0)], "machine", tmp_path / "stages.png")
    assert cv2.imread(str(tmp_path / "stages.png")).shape[1] > 600
