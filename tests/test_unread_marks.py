"""A comma in a field of digits leaves its reading unsure, whatever it was taken for."""

import numpy as np
import pytest

from model.calibration import DOUBT, Calibration
from model.lattice import CharacterReading, Lattice, Reading
from model.unread_marks import unread_marks

# Left, top, right, bottom; characters are 40 wide and 100 high, 60 apart.
DIGIT = (0.0, 0.2, 0.4, 1.2)
COMMA = (0.44, 1.05, 0.54, 1.35)
HYPHEN = (-0.4, 0.65, -0.06, 0.75)
APOSTROPHE = (0.45, 0.15, 0.55, 0.5)
FOOT = (0.05, 1.05, 0.38, 1.2)  # of a 2 that a line of the frame has cut in two, under its own body
SPECK = (0.45, 1.1, 0.52, 1.17)
POINT = (0.43, 1.05, 0.57, 1.2)
SLASH = (0.4, -0.05, 0.75, 1.45)
ONE = (0.15, 0.17, 0.32, 1.22)


def row(*boxes, read=None, joined=()):
    """A row of bodies; ``read``: which of them were read, all unless told; ``joined``: pairs read as one."""
    places = np.array(boxes, np.float32)
    starts, stops = list(range(len(boxes))), list(range(1, len(boxes) + 1))
    bounds = [tuple(box) for box in boxes]
    for first in joined:
        starts.append(first)
        stops.append(first + 2)
        pair = places[first : first + 2]
        bounds.append((*pair[:, :2].min(axis=0), *pair[:, 2:].max(axis=0)))
    whole = np.arange(len(starts)) < len(boxes)
    chosen = list(range(len(boxes))) if read is None else list(read)
    lattice = Lattice(
        np.array(starts, np.int16),
        np.array(stops, np.int16),
        np.zeros((len(starts), 63), np.float32),
        np.array(bounds, np.float32),
        places,
        np.ones(len(boxes), np.float32),
        whole=whole,
    )
    characters = tuple(CharacterReading("1", 0.99, candidate, ()) for candidate in chosen)
    return lattice, Reading("1" * len(chosen), 0.98, characters, ())


def at(box, place):
    """A box beside the character of a place."""
    left, top, right, bottom = box
    return (left + 0.6 * place, top, right + 0.6 * place, bottom)


def marked(lattice, reading, charset="digits"):
    return unread_marks([lattice], [reading], [charset])[0]


DIGITS = [at(DIGIT, place) for place in range(4)]


@pytest.mark.parametrize("charset", ["digits", "upper", "alphanumeric"])
def test_characters_alone_have_no_mark(charset):
    assert not marked(*row(*DIGITS), charset)
    assert not marked(*row(DIGITS[0]), charset)
    assert not marked(*row(*DIGITS[:2]), charset)
    uneven = [DIGITS[0], at((0.0, 0.5, 0.4, 1.15), 1), DIGITS[2], at((0.0, 0.1, 0.3, 0.9), 3)]
    assert not marked(*row(*uneven), charset)


def test_a_comma_read_as_a_digit():
    assert marked(*row(*DIGITS[:2], at(COMMA, 1), *DIGITS[2:]))
    assert marked(*row(DIGITS[0], at(COMMA, 0)))


def test_a_comma_left_out():
    assert marked(*row(*DIGITS[:2], at(COMMA, 1), *DIGITS[2:], read=(0, 1, 3, 4)))


def test_a_comma_taken_for_the_foot_of_the_digit_before():
    lattice, reading = row(*DIGITS[:2], at(COMMA, 1), *DIGITS[2:], read=(0, 5, 3, 4), joined=(1,))
    assert lattice.stops[5] - lattice.starts[5] == 2
    assert marked(lattice, reading)


def test_a_hyphen_left_out():
    assert marked(*row(HYPHEN, *DIGITS, read=(1, 2, 3, 4)))


def test_a_full_stop_left_out():
    assert marked(*row(*DIGITS[:2], at(POINT, 1), *DIGITS[2:], read=(0, 1, 3, 4)))
    high = [(left, top - 0.5, right, bottom - 0.5) for left, top, right, bottom in (at(POINT, 1),)]
    assert not marked(*row(*DIGITS[:2], *high, *DIGITS[2:], read=(0, 1, 3, 4)))


def test_a_slash_read_as_a_one():
    assert marked(*row(*DIGITS[:2], at(SLASH, 1), *DIGITS[2:]))
    assert not marked(*row(*DIGITS[:2], at(SLASH, 1), *DIGITS[2:]), "upper")
    assert not marked(*row(*DIGITS[:2], at(ONE, 1), *DIGITS[2:]))


def test_an_apostrophe_read_as_a_letter_but_of_digits_it_may_be_a_raised_one():
    boxes = (DIGITS[0], at(APOSTROPHE, 0), *DIGITS[1:])
    assert marked(*row(*boxes), "upper")
    assert not marked(*row(*boxes), "digits")


def test_a_broken_foot_and_a_speck_are_no_marks():
    assert not marked(*row(*DIGITS[:2], at(FOOT, 1), *DIGITS[2:], read=(0, 5, 3, 4), joined=(1,)))
    assert not marked(*row(*DIGITS[:2], at(SPECK, 1), *DIGITS[2:], read=(0, 1, 3, 4)))


@pytest.mark.parametrize("charset", ["lower", "letters", "text"])
def test_small_letters_are_as_small_as_marks(charset):
    assert not marked(*row(*DIGITS[:2], at(COMMA, 1), *DIGITS[2:]), charset)


def test_the_size_of_the_writing_does_not_matter():
    boxes = [tuple(0.2 * edge for edge in box) for box in (*DIGITS[:2], at(COMMA, 1), *DIGITS[2:])]
    assert marked(*row(*boxes))


def test_half_of_the_confidence_is_left():
    with_comma, plain = row(*DIGITS[:2], at(COMMA, 1), *DIGITS[2:]), row(*DIGITS)
    lattices, readings = zip(with_comma, plain, strict=True)
    unsure, sure = Calibration().apply_all(readings, ["digits", "digits"], lattices)
    assert unsure.confidence == pytest.approx(DOUBT * 0.98)
    assert (unsure.text, unsure.characters) == (readings[0].text, readings[0].characters)
    assert sure == readings[1]
