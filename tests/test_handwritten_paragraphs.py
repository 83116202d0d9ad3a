"""Texts in one hand, as ``benchmarks.handwritten_paragraphs`` and ``benchmarks.free_text`` write them."""

import re

import numpy as np
import pytest

from benchmarks.free_text import KINDS, some_text
from benchmarks.free_text import write as write_row
from benchmarks.hands import Hands, draw_mark
from benchmarks.handwritten_paragraphs import MANNERS, TEXT, Tally, write
from jobs.composing import BitmapSource
from model.alphabets import PUNCTUATION

SIZE = (2064, 796)


@pytest.fixture(scope="module")
def hands():
    """Three of each character in hand 1, all the same bar; hand 2 wrote few."""
    labels = np.concatenate([np.tile(np.arange(62), 3), np.arange(20)]).astype(np.int16)
    writers = np.repeat([1, 2], [186, 20]).astype(np.int32)
    images = np.zeros((len(labels), 64, 64), np.uint8)
    images[:, 4:60, 24:40] = 255
    return Hands(BitmapSource(images, labels, writers), TEXT)


def test_only_hands_that_wrote_nearly_all_characters_write(hands):
    assert len(hands) == 1


@pytest.mark.parametrize("name", MANNERS)
def test_all_words_are_written_within_the_box(hands, name):
    written = write(hands, TEXT, SIZE, MANNERS[name], np.random.default_rng(1))
    assert " ".join(written.rows) == TEXT
    assert written.ink.shape[0] <= SIZE[1]
    assert written.ink.shape[1] == SIZE[0]


def test_rows_climb_or_fall_only_where_they_are_meant_to(hands):
    def white(name):
        """Share of the rows of pixels that are white from end to end: the spaces between level rows."""
        ink = write(hands, TEXT, SIZE, MANNERS[name], np.random.default_rng(3)).ink
        return float(np.mean(~ink.any(axis=1)))

    assert white("level") > 2 * white("climbing or falling")


@pytest.mark.parametrize("mark", PUNCTUATION)
def test_marks_stand_where_they_are_read(mark):
    """What the benchmarks draw has its ink between the top and bottom that they say."""
    highest, lowest = {",": (0.84, 1.4), ".": (0.9, 1.06), "-": (0.3, 0.8), "/": (-0.32, 1.37)}[mark]
    for seed in range(20):
        sign = draw_mark(mark, 50.0, 5, np.random.default_rng(seed))
        rows = np.flatnonzero(sign.ink.any(axis=1))
        assert np.ptp(rows) + 1 == pytest.approx(50 * (sign.extent[1] - sign.extent[0]), abs=3)
        assert highest <= sign.extent[0] < sign.extent[1] <= lowest


@pytest.mark.parametrize("kind", KINDS)
def test_free_texts_are_what_their_kind_says(kind):
    shapes = {
        "place": r"[A-Z][a-z]+, [A-Z]{2} \d{5}",
        "name, turned": r"[A-Z][a-z]+, [A-Z][a-z]+",
        "name, initial": r"[A-Z][a-z]+ [A-Z]\. [A-Z][a-z]+",
        "name": r"[A-Z][a-z]+ [A-Z][a-z]+",
        "date 1/2/03": r"\d{1,2}/\d{1,2}/\d{2}",
        "date 1.2.2003": r"\d{1,2}\.\d{1,2}\.\d{4}",
        "number 123-4567": r"\d{3}-\d{4}",
        "number 123456": r"\d{4,8}",
    }
    for seed in range(20):
        assert re.fullmatch(shapes[kind], some_text(kind, np.random.default_rng(seed)))


def test_a_free_text_stands_on_its_writing_area(hands):
    ink, area = write_row(hands, "Anna, 12/3", np.random.default_rng(5))
    rows = np.flatnonzero(ink.any(axis=1))
    assert ink.any()
    assert area.y < rows[0] + 0.6 * area.height
    assert area.bottom > rows[-1] - 0.6 * area.height
    assert area.width == ink.shape[1]


def test_a_text_that_does_not_fit_is_an_error(hands):
    with pytest.raises(ValueError, match="does not fit into 700 x 200"):
        write(hands, TEXT, (700, 200), MANNERS["level"], np.random.default_rng(1))


def test_pages_are_counted_with_and_without_punctuation():
    tally = Tally()
    tally.count(["ab, cd", "ef."], "ab cd\nef")
    assert tally.row("level") == ["level", "1", "1", "100.0", "80.0"]
    tally.count(["ab, cd", "ef."], "ab, cd ef.")
    assert tally.row("level") == ["level", "2", "1", "100.0", "90.0"]
