"""Which bodies count as whole characters."""

import numpy as np
import pytest

from model.alphabets import CLASS_COUNT, NOT_A_CHARACTER, class_index
from model.settling import DOUBT, surely_whole


def verdicts(*rows):
    """Log-probabilities of rows given as {character or None (none): probability}; the rest is spread."""
    probs = np.full((len(rows), CLASS_COUNT), 1e-9)
    for row, given in zip(probs, rows, strict=True):
        for character, probability in given.items():
            row[NOT_A_CHARACTER if character is None else class_index(character)] = probability
    return np.log(probs / probs.sum(axis=1, keepdims=True)).astype(np.float32)


def settled(rows, charset, most):
    return surely_whole([rows], [charset], [most])[0]


def test_sure_characters_are_whole_and_doubtful_ones_are_not():
    rows = verdicts({"3": 0.99, None: 0.01}, {"3": 0.8, None: 0.2}, {None: 1.0})
    assert settled(rows, "digits", 3).tolist() == [True, False, False]


def test_which_character_it_is_does_not_matter():
    rows = verdicts({"1": 0.5, "7": 0.499, None: 0.001})
    assert settled(rows, "digits", 1).tolist() == [True]


def test_only_characters_of_the_field_count():
    rows = verdicts({"W": 0.97, "1": 0.001, None: 0.029})
    assert settled(rows, "upper", 5).tolist() == [True]
    assert settled(rows, "digits", 5).tolist() == [False]


@pytest.mark.parametrize(("rejection", "whole"), [(0.9 * DOUBT, True), (1.1 * DOUBT, False)])
def test_the_doubt_that_is_allowed(rejection, whole):
    assert settled(verdicts({"5": 1 - rejection, None: rejection}), "digits", 1).tolist() == [whole]


def test_more_whole_bodies_than_characters_prove_that_some_are_parts():
    rows = verdicts({"1": 1.0}, {"1": 1.0}, {"0": 1.0})
    assert settled(rows, "digits", 3).all()
    assert not settled(rows, "digits", 2).any()


def test_no_bodies():
    assert settled(np.zeros((0, CLASS_COUNT), np.float32), "text", 5).shape == (0,)


def test_rows_together_are_as_each_alone():
    rng = np.random.default_rng(4)
    charsets = ["digits", "upper", "digits", "text"]
    rows = [np.log(rng.dirichlet(np.full(CLASS_COUNT, 0.05), n) + 1e-9).astype("f4") for n in (4, 6, 0, 9)]
    together = surely_whole(rows, charsets, [4, 2, 3, 9])
    alone = [settled(*row) for row in zip(rows, charsets, [4, 2, 3, 9], strict=True)]
    assert [own.tolist() for own in together] == [own.tolist() for own in alone]
    assert any(own.any() for own in together)
