"""What the shapes of words say of doubtful characters."""

from dataclasses import replace
from itertools import product
from math import log

import numpy as np
import pytest
from test_constraints import lattice_of

from model.alphabets import CHARACTERS, PUNCTUATION
from model.decoding import DEFAULT_OPTIONS, Constraint, decode
from model.path_scores import score_lattice
from model.word_shapes import BEGINS, ENDS, FOLLOWS, SHAPES, ShapedRow, weigh_by_word_shapes

TEXT = Constraint("text", 1, 20, spaces=True)


def row_of(*verdicts, gaps=()):
    """A lattice of one piece a character; ``gaps`` are the places before which it is wide."""
    row = lattice_of(len(verdicts), {(i, i + 1): verdict for i, verdict in enumerate(verdicts)})
    moves = np.sum([np.arange(len(verdicts)) >= place for place in gaps], axis=0, dtype=float)
    shift = np.zeros((len(verdicts), 4), np.float32)
    shift[:, [0, 2]] = np.broadcast_to(moves, len(verdicts))[:, None]
    return replace(row, bounds=row.bounds + shift, piece_bounds=row.piece_bounds + shift)


def sure(text):
    return [{character: 0.99} for character in text]


def read(*verdicts, gaps=(), constraint=TEXT):
    return decode(row_of(*verdicts, gaps=gaps), constraint)


@pytest.mark.parametrize(
    ("around", "doubt", "expected"),
    [
        ("KA*L", "Rr", "R"),
        ("ka*l", "Rr", "r"),
        ("4*7", "Oo0", "0"),
        ("H*LL", "Ii1l", "I"),
        ("he*p", "Ii1l", "l"),
        ("2*5", "Ss5", "5"),
    ],
)
def test_a_character_of_doubtful_kind_follows_its_word(around, doubt, expected):
    shares = {character: 0.9 / len(doubt) for character in doubt}
    verdicts = [shares if character == "*" else {character: 0.99} for character in around]
    reading = read(*verdicts)
    assert reading.text in (around.replace("*", expected), around.replace("*", "i"))
    assert reading.text[around.index("*")].isupper() == expected.isupper()
    assert reading.text[around.index("*")].isdigit() == expected.isdigit()


def test_several_doubtful_characters_are_of_one_kind():
    either = [{"O": 0.49, "0": 0.5}, {"I": 0.49, "1": 0.5}]
    assert read({"N": 0.99}, *either, {"R": 0.99}).text == "NOIR"
    assert read({"7": 0.99}, *either, {"4": 0.99}).text == "7014"


def test_a_gap_begins_another_word():
    doubt = {"O": 0.45, "0": 0.5, "o": 0.04}
    assert read(*sure("HILL"), doubt, *sure("72"), gaps=(4,)).text == "HILL 072"
    assert read(*sure("HILL"), doubt, *sure("72"), gaps=(5,)).text == "HILLO 72"


@pytest.mark.parametrize("between", [0.0, 0.6])
def test_characters_that_all_stand_apart_are_words_too(between):
    """A comb, or a hand that spaces its letters: only a gap that is wider than the others parts words."""
    doubt = {"O": 0.2, "0": 0.75, "o": 0.04}
    verdicts = [*sure("LIM"), doubt, *sure("N1234")]
    row = row_of(*verdicts)
    apart = between * np.arange(len(verdicts)) + np.where(np.arange(len(verdicts)) >= 5, 1.0, 0.0)
    shift = np.zeros((len(verdicts), 4), np.float32)
    shift[:, [0, 2]] = apart[:, None]
    row = replace(row, bounds=row.bounds + shift, piece_bounds=row.piece_bounds + shift)
    assert decode(row, TEXT).text == "LIMON 1234"


@pytest.mark.parametrize("text", ["McDonald", "A4", "2nd", "iOS", "B12a"])
def test_what_is_sure_stays(text):
    assert read(*sure(text)).text == text


def test_a_pattern_is_left_to_say_which_kinds_stand_where():
    row = row_of({"K": 0.3, "k": 0.6}, *sure("ARL"))
    free = score_lattice(row, TEXT, DEFAULT_OPTIONS)
    ruled = score_lattice(row, replace(TEXT, automaton=object()), DEFAULT_OPTIONS)
    k = free.characters.index("K")
    assert free.labels[0, k] > ruled.labels[0, k] + 0.2


def test_fields_of_capitals_and_digits_mix_them_freely():
    mixed = Constraint("alphanumeric", 1, 20)
    doubt = {"1": 0.95, "I": 0.04}
    assert read({"A": 0.99}, doubt, {"B": 0.99}, constraint=mixed).text == "A1B"
    assert read({"A": 0.99}, doubt, {"B": 0.99}).text == "AIB"


def weigh(labels, starts, stops, cuts, skips, gaps, characters):
    row = ShapedRow(labels, np.array(starts), np.array(stops), cuts, skips, gaps)
    return weigh_by_word_shapes([row], characters)[0]


EVERYTHING = CHARACTERS + PUNCTUATION
KINDS = np.array([*[0] * 10, *[1] * 26, *[2] * 26, 3, 3, 3, 4])


def random_row(seed):
    """Scores of a small lattice at random: labels, starts, stops, cuts, skips and gaps."""
    rng = np.random.default_rng(seed)
    spans = [(a, b) for a in range(4) for b in range(a + 1, min(a + 3, 4) + 1) if rng.random() < 0.8]
    labels = np.log(rng.dirichlet(np.ones(66) * 0.05, len(spans)) + 1e-6)
    gaps = [tuple(np.log(rng.uniform(0.05, 1, 2))) for _ in range(4)]
    starts, stops = (list(side) for side in zip(*spans, strict=True))
    return labels, starts, stops, rng.normal(-1, 1, len(spans)), rng.normal(-3, 1, 4), gaps


def shares_of_kinds(labels, starts, stops, cuts, skips, gaps):
    """The same by trying all paths with all shapes and all ways of parting words: float64 (N, 5)."""
    masses = np.stack([np.exp(labels)[:, kind == KINDS].sum(axis=1) for kind in range(5)], axis=1)
    found = np.zeros((len(starts), 5))

    def go(border, shape, weight, seen):
        if border == len(skips):
            for index, kind in seen:
                found[index, kind] += weight * (1 if shape is None else ENDS[shape])
            return
        go(border + 1, shape, weight * np.exp(skips[border]), seen)
        for index, ahead in product([k for k, start in enumerate(starts) if start == border], SHAPES):
            if shape is None:
                way = BEGINS[ahead]
            else:
                part, join = np.exp(gaps[border])
                way = part * BEGINS[ahead] + join * FOLLOWS[shape][ahead]
            kind = (0, 2, 1, 1, 3, 4, 0, 4, 0)[ahead]
            drawn = masses[index, kind] * np.exp(cuts[index])
            if way:
                go(stops[index], ahead, weight * way * drawn, [*seen, (index, kind)])

    go(0, None, 1.0, [])
    return found / found.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("seed", range(6))
def test_kinds_are_as_likely_as_all_paths_together_say(seed):
    row = random_row(seed)
    weighed = np.exp(weigh(*row, EVERYTHING))
    shares = np.stack([weighed[:, kind == KINDS].sum(axis=1) for kind in range(5)], axis=1)
    expected = shares_of_kinds(*row)
    likely = expected > 2e-3  # what is less likely is raised to ``LEAST`` of the context
    assert np.abs(shares - expected)[likely] == pytest.approx(0, abs=2e-3)
    assert weighed.sum(axis=1) == pytest.approx(1)


def test_rows_weighed_together_are_as_each_by_itself():
    rows = [random_row(seed) for seed in range(5)]
    rows.append((*(part[:2] for part in rows[0][:4]), rows[0][4], None))  # one that is shorter, of one word
    rows.append((np.zeros((0, 66)), [], [], np.zeros(0), np.zeros(0), None))
    shaped = [ShapedRow(a, np.array(b, int), np.array(c, int), d, e, f) for a, b, c, d, e, f in rows]
    together = weigh_by_word_shapes(shaped, EVERYTHING)
    for row, weighed in zip(rows, together, strict=True):
        assert weighed == pytest.approx(weigh(*row, EVERYTHING), abs=1e-9)


def test_cuts_that_are_on_no_path_are_left_as_they_are():
    labels, starts, stops, cuts, skips, gaps = random_row(3)
    cuts[0] = -1e4
    weighed = weigh(labels, starts, stops, cuts, skips, gaps, EVERYTHING)
    own = labels[0] - np.log(np.exp(labels[0]).sum())
    assert weighed[0] == pytest.approx(own)
    assert not np.isnan(weighed).any()


def test_single_characters_and_fields_of_one_kind_have_no_shape():
    labels = np.log(np.full((1, 62), 1 / 62))
    assert weigh(labels, [0], [1], np.zeros(1), np.zeros(1), None, CHARACTERS) is labels
    digits = np.log(np.full((2, 10), 0.1))
    same = weigh(digits, [0, 1], [1, 2], np.zeros(2), np.zeros(2), None, CHARACTERS[:10])
    assert same is digits


def test_a_long_row_of_unlikely_cuts_has_no_underflow():
    count = 300
    labels = np.log(np.full((count, 62), 1 / 62))
    row = labels, list(range(count)), list(range(1, count + 1)), np.full(count, -30.0), np.full(count, -50.0)
    weighed = weigh(*row, None, CHARACTERS)
    assert np.exp(weighed).sum(axis=1) == pytest.approx(1)
    assert not np.allclose(weighed, labels)
    assert log(1e-30) < weighed.min()
