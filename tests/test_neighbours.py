import numpy as np
import pytest

from model.alphabets import CHARACTERS
from model.neighbours import weigh_by_neighbours

INDEX = {character: i for i, character in enumerate(CHARACTERS)}


def row(*glyphs, gap=0.2):
    """Candidates side by side, 0.6 wide and 1 high; each a dict of label to probability."""
    labels = np.full((len(glyphs), len(CHARACTERS)), 1e-6)
    for i, glyph in enumerate(glyphs):
        for label, probability in glyph.items():
            labels[i, INDEX[label]] = probability
    labels /= labels.sum(axis=1, keepdims=True)
    starts = np.arange(len(glyphs))
    left = starts * (0.6 + gap)
    bounds = np.stack([left, 0 * left, left + 0.6, 0 * left + 1], axis=1).astype(np.float32)
    return labels, np.ones(len(glyphs)), starts, starts + 1, bounds


def read(labels, *rest, strength=1.0):
    weighed = weigh_by_neighbours(labels, *rest, CHARACTERS, strength)
    np.testing.assert_allclose(weighed.sum(axis=1), 1)
    return "".join(CHARACTERS[k] for k in weighed.argmax(axis=1))


BAR = {"1": 0.4, "I": 0.3, "l": 0.3}
RING = {"0": 0.4, "O": 0.35, "o": 0.25}


@pytest.mark.parametrize(
    ("glyphs", "text"),
    [
        ([{"8": 1}, BAR, {"7": 1}], "817"),
        ([{"H": 1}, BAR, {"D": 1}], "HID"),
        ([{"a": 1}, BAR, {"e": 1}], "ale"),
        ([{"4": 1}, RING, RING, {"2": 1}], "4002"),
        ([{"s": 1}, RING, RING, {"n": 1}], "soon"),
        ([{"K": 0.5, "k": 0.5}, {"a": 1}, {"y": 1}], "kay"),
    ],
)
def test_what_looks_alike_follows_its_neighbours(glyphs, text):
    assert read(*row(*glyphs)) == text


def test_a_sure_reading_stays():
    sure = {"7": 0.99, "T": 0.01}
    assert read(*row({"A": 1}, sure, {"B": 1})) == "A7B"


def test_another_word_has_no_say():
    labels, trust, starts, stops, bounds = row({"a": 1}, {"b": 1}, {"c": 1}, BAR, {"9": 1}, {"9": 1})
    bounds[3:, [0, 2]] += 2.0
    assert read(labels, trust, starts, stops, bounds) == "abc199"


def test_a_neighbour_that_is_no_character_has_no_say():
    labels, trust, *rest = row({"a": 1}, BAR, {"8": 1})
    trust[0] = 0.0
    assert read(labels, trust, *rest) == "a18"


def test_nothing_to_weigh():
    labels, *rest = row({"a": 1}, BAR)
    assert weigh_by_neighbours(labels, *rest, CHARACTERS, 0.0) is labels
    one, *others = row(BAR)
    assert weigh_by_neighbours(one, *others, CHARACTERS, 1.0) is one
    digits = labels[:, :10]
    assert weigh_by_neighbours(digits, *rest, CHARACTERS[:10], 1.0) is digits
