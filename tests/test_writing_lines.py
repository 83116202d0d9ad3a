"""Size and position against the lines of writing."""

import numpy as np
import pytest

from model.alphabets import CHARACTERS, CHARSETS, CLASS_COUNT
from model.decoding import Constraint, DecodingOptions, Lattice, decode
from model.writing_lines import EXTENTS, weigh_labels

PAIRS = "CcOoSsVvWwXxZz"


def row_of(text: str, cap: float = 0.6, base: float = 0.8, wobble: float = 0.0) -> np.ndarray:
    """Bounds float32 (N, 4) of characters that keep to the lines, but for a wobble."""
    rng = np.random.default_rng(0)
    extents = np.array([EXTENTS[character] for character in text])
    rows = base + cap * (extents - 1.0 + rng.normal(0, wobble, extents.shape))
    left = 0.5 * np.arange(len(text))
    return np.column_stack([left, rows[:, 0], left + 0.4, rows[:, 1]]).astype(np.float32)


def undecided(text: str, characters: str) -> np.ndarray:
    """Probabilities of a classifier that knows the letter, not its case."""
    labels = np.full((len(text), len(characters)), 1e-4)
    for row, character in zip(labels, text, strict=True):
        row[characters.index(character.upper())] = row[characters.index(character.lower())] = 0.5
    return labels / labels.sum(axis=1, keepdims=True)


def read(labels: np.ndarray, characters: str) -> str:
    return "".join(characters[k] for k in labels.argmax(axis=1))


@pytest.mark.parametrize("text", ["Cocks", "boxCS", "vOlt", "hWxz", "SOS", "loco"])
@pytest.mark.parametrize(("cap", "base"), [(0.6, 0.8), (0.4, 1.0)])
def test_case_follows_from_size(text: str, cap: float, base: float) -> None:
    characters = CHARSETS["letters"]
    labels = undecided(text, characters)
    # letters that look the same in both cases; of the others the classifier knows the case
    for row, character in zip(labels, text, strict=True):
        if character not in PAIRS:
            row[:] = 1e-4
            row[characters.index(character)] = 0.99
    if text == "SOS":
        labels = np.vstack([labels, undecided("H", characters)])
        labels[-1] = np.where(np.arange(52) == characters.index("H"), 0.99, 1e-4)
        text += "H"
    found, _ = weigh_labels(labels, np.ones(len(text)), row_of(text, cap, base, 0.03), characters, 0.3)
    assert read(found, characters) == text


def test_rows_still_sum_to_one_and_nothing_is_ruled_out() -> None:
    characters = CHARSETS["text"]
    labels = undecided("Cocks", characters)
    found, _ = weigh_labels(labels, np.ones(5), row_of("Cocks"), characters, 0.3)
    assert found.sum(axis=1) == pytest.approx(np.ones(5))
    assert (found > 0.02 * labels).all()


@pytest.mark.parametrize("charset", ["digits", "upper", "alphanumeric"])
def test_characters_of_one_height_are_left_alone(charset: str) -> None:
    characters = CHARSETS[charset]
    labels = np.random.default_rng(0).dirichlet(np.ones(len(characters)), 4)
    bounds = np.random.default_rng(1).random((4, 4)).astype(np.float32)
    assert weigh_labels(labels, np.ones(4), bounds, characters, 0.3)[0] is labels


def test_what_is_no_character_has_no_say_in_the_lines() -> None:
    characters = CHARSETS["letters"]
    bounds = np.vstack([row_of("Coh"), np.tile([2.0, 0.0, 2.1, 0.02], (6, 1))]).astype(np.float32)
    labels = undecided("Cohiiiiii", characters)
    labels[2] = np.where(np.arange(52) == characters.index("h"), 0.99, 1e-4)
    found, _ = weigh_labels(labels, np.array([1.0] * 3 + [1e-6] * 6), bounds, characters, 0.3)
    assert read(found, characters)[:3] == "Coh"


@pytest.mark.parametrize("trust", [0.0, 1.0])
def test_odd_rows_do_no_harm(trust: float) -> None:
    characters = CHARSETS["letters"]
    for bounds in (np.zeros((2, 4)), np.full((2, 4), 1e6)):
        labels = undecided("ab", characters)
        found, _ = weigh_labels(labels, np.full(2, trust), bounds.astype(np.float32), characters, 0.3)
        assert np.isfinite(found).all()
        assert found.sum(axis=1) == pytest.approx(np.ones(2))
    none, _ = weigh_labels(np.zeros((0, 52)), np.zeros(0), np.zeros((0, 4), np.float32), characters, 0.3)
    assert none.shape == (0, 52)


def test_the_decoder_uses_the_lines() -> None:
    text = "Cohoc"
    log_probs = np.full((5, CLASS_COUNT), -9.0, np.float32)
    for row, character in zip(log_probs, text, strict=True):
        row[[CHARACTERS.index(character.upper()), CHARACTERS.index(character.lower())]] = np.log(0.49)
    log_probs[2, CHARACTERS.index("H")] = -9.0
    log_probs[0, CHARACTERS.index("c")] = np.log(0.6)
    bounds, places = row_of(text), np.arange(5)
    lattice = Lattice(places, places + 1, log_probs, bounds, bounds, np.full(5, 0.1, np.float32))
    constraint = Constraint("letters", 5, 5)
    assert decode(lattice, constraint).text == text
    assert decode(lattice, constraint, options=DecodingOptions(line_spread=0.0)).text.startswith("c")


def test_the_lines_that_were_found_are_told_in_the_unit_of_the_bounds() -> None:
    characters = CHARSETS["text"]
    _, lines = weigh_labels(
        undecided("Cohoc", characters), np.ones(5), row_of("Cohoc", 0.5, 0.9), characters, 0.3
    )
    assert lines is not None
    assert lines.known.all()
    assert lines.base == pytest.approx(0.9, abs=0.06)
    assert lines.height == pytest.approx(0.5, abs=0.08)
    assert lines.places(np.full(5, 0.9)) == pytest.approx(1.0, abs=0.12)
    assert (lines.fit > 0.5).all()
