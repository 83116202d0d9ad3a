"""What a data set has spoilt is told by the recording and its label alone."""

import os
from pathlib import Path

import numpy as np
import pytest

from jobs.composing import held_out_sources, training_sources
from jobs.spoilt_characters import rolled_back, stroke_lost
from model.alphabets import CHARACTERS
from model.datasets import Strokes

DATA = os.environ.get("FORMSCRIBE_DATA")

SLASH = [[(200, 0), (90, 120), (0, 255)]]
HOOK = [[(0, 0), (0, 255), (120, 255)]]
ZIGZAG = [[(0, 0), (0, 255), (0, 0)]]
CROSS = [[(0, 0), (255, 255)], [(0, 255), (255, 0)]]
POINT = [[(7, 7)]]


def recorded(*characters: tuple[str, list[list[tuple[int, int]]]]) -> Strokes:
    """Strokes of (label, lines) each."""
    lines = [line for _, drawn in characters for line in drawn]
    offsets = np.cumsum([0] + [len(drawn) for _, drawn in characters])
    return Strokes(
        "made",
        np.array([point for line in lines for point in line], np.uint8),
        np.cumsum([0] + [len(line) for line in lines]),
        offsets,
        np.array([CHARACTERS.index(label) for label, _ in characters], np.int16),
        np.zeros(len(characters), np.int32),
    )


def test_one_straight_stroke_is_no_zero_but_may_be_a_one() -> None:
    made = recorded(("0", SLASH), ("1", SLASH), ("L", HOOK), ("T", SLASH), ("l", SLASH), ("i", SLASH))
    assert stroke_lost(made).tolist() == [True, False, False, True, False, False]


def test_what_turns_back_or_has_two_strokes_is_whole_and_a_point_is_not() -> None:
    made = recorded(("7", ZIGZAG), ("X", CROSS), ("4", POINT), ("X", CROSS))
    assert stroke_lost(made).tolist() == [False, False, True, False]


def test_neighbours_do_not_count() -> None:
    """The way from one character to the next is no stroke of either."""
    alone = [stroke_lost(recorded(one))[0] for one in (("0", SLASH), ("L", HOOK), ("4", SLASH))]
    assert stroke_lost(recorded(("0", SLASH), ("L", HOOK), ("4", SLASH))).tolist() == alone


def picture(columns: str) -> np.ndarray:
    """uint8 (1, 2, w), one row empty; the other with ink where a column is not a space, all different."""
    row = [0 if mark == " " else ord(mark) for mark in columns]
    return np.array([[[0] * len(row), row]], np.uint8)


@pytest.mark.parametrize(
    ("given", "mended"),
    [
        ("c  ab", "abc  "),
        ("ef a   b cd", "b cdef a   "),  # the widest gap is the edge; smaller ones are the character's
        (" abc ", " abc "),
        ("abc  ", "abc  "),
        ("  abc", "  abc"),
        ("abcde", "abcde"),
        ("     ", "     "),
    ],
)
def test_only_what_reaches_both_edges_is_rolled_back(given: str, mended: str) -> None:
    assert (rolled_back(picture(given)) == picture(mended)).all()


def test_pictures_given_stay_as_they_are() -> None:
    given = picture("c  ab")
    rolled_back(given)
    assert (given == picture("c  ab")).all()


@pytest.mark.skipif(DATA is None, reason="FORMSCRIBE_DATA names no folder with characters")
def test_sources_have_no_spoilt_characters_unless_asked_for() -> None:
    data = Path(str(DATA))
    clean, spoilt = held_out_sources(data), held_out_sources(data, spoilt=True)
    lost = len(spoilt["unipen"].labels) - len(clean["unipen"].labels)
    assert 0 < lost < 0.01 * len(spoilt["unipen"].labels)
    for sources, torn in ((clean, False), (training_sources(data), False), (spoilt, True)):
        inked = (sources["sd19"].images > 0).any(axis=1)
        assert (inked[:, 0] & inked[:, -1] & ~inked.all(axis=1)).any() == torn
    assert (clean["sd19"].labels == spoilt["sd19"].labels).all()
