"""Crossed-out digits: how they are drawn for training, what tells them, and what the job makes of them."""

import os
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest

from jobs import train_struck_out
from jobs.struck_characters import StrikingSource, strike_out
from model import struck_out as module
from model.alphabets import CLASS_COUNT
from model.calibration import DOUBT, Calibration, ConfidenceMap
from model.classifier import model_card
from model.decoding import decode
from model.lattice import CharacterReading, Constraint, Lattice, Reading
from model.networks import load_networks
from model.struck_out import FEATURES, StruckOutNetwork, digit_features, struck_out
from model.struck_out_fit import fit_network
from pipeline.classifying import classify_rows
from pipeline.reading import lattice_of
from segmentation.components import find_components
from segmentation.glyphs import LINE_LIMITS, RowPlace
from segmentation.looks import InkRow, look_at_bodies
from segmentation.templates import Box

HEIGHT = CLASS_COUNT  # first of the features that tell of the digit's shape


def row(*heights: float, text: str | None = None) -> tuple[Lattice, Reading]:
    """Digits of these heights, each a piece of its own, standing on one line."""
    count = len(heights)
    bounds = np.array([[0.6 * k, 1 - height, 0.6 * k + 0.4, 1] for k, height in enumerate(heights)])
    numbers = np.arange(count, dtype=np.int16)
    log_probs = np.full((count, 63), -20, np.float32)
    lattice = Lattice(
        numbers,
        numbers + 1,
        log_probs,
        bounds.astype(np.float32),
        bounds.astype(np.float32),
        np.full(count, 0.05, np.float32),
    )
    text = "1" * count if text is None else text
    characters = tuple(CharacterReading(label, 0.99, k, ()) for k, label in enumerate(text))
    return lattice, Reading(text, 0.98, characters, ())


def tall(threshold: float) -> StruckOutNetwork:
    """A network that scores the logarithm of a digit's height by that of the others."""
    weights = np.zeros((FEATURES, 1), np.float32)
    weights[HEIGHT] = 1
    zero = np.zeros(1, np.float32)
    one = np.ones((1, 1), np.float32)
    return StruckOutNetwork((weights, one, one), (zero, zero, zero), threshold)


def test_a_row_is_told_by_its_worst_digit():
    network = tall(np.log(1.5))
    rows = [row(1, 1, 1), row(1, 1.8, 1), row(), row(1, 1, 1.4, 1), row(2), row(1.8, 1)]
    lattices, readings = zip(*rows, strict=True)
    assert struck_out(network, lattices, readings, ["digits"] * 6) == [False, True, False, False, False, True]
    assert not any(
        struck_out(network, lattices, readings, ["alphanumeric", "upper", "text", "lower", "upper", "text"])
    )
    assert struck_out(network, [], [], []) == []


def test_a_field_with_a_crossed_out_digit_is_doubted():
    maps = {"digits": ConfidenceMap()}
    calibration = Calibration(maps, maps, tall(np.log(1.5)))
    (lattice, meant), (other, crossed) = row(1, 1, 1), row(1, 1.8, 1)
    after = calibration.apply_all([meant, crossed], ["digits"] * 2, [lattice, other])
    assert [one.confidence for one in after] == pytest.approx([0.98, DOUBT * 0.98])
    assert [one.text for one in after] == ["111", "111"]


def test_only_the_classifier_that_it_learned_from_is_asked():
    card = model_card(None)
    assert Calibration.of_card(card).struck_out is module.shipped()
    assert Calibration.of_card(card | {"sha256": "0" * 64}).struck_out is None
    assert Calibration.of_card({}).struck_out is None


@pytest.mark.parametrize(
    "values", [[3.0], [1.0, 2.0], [2.0, 2.0, 1.0], [4.0, 1.0, 3.0, 2.0], [5, 1, 4, 2, 3]]
)
def test_each_digit_is_compared_with_the_others(values):
    others = [np.median(np.delete(values, k)) for k in range(len(values))] if len(values) > 1 else values
    assert module._of_others(values) == pytest.approx(others)


def test_features_tell_answers_shape_and_digit():
    lattice, reading = row(1, 2, text="38")
    lattice.log_probs[1, 8] = 0
    features = digit_features([lattice], [reading])
    assert features.shape == (2, FEATURES)
    assert features.dtype == np.float32
    assert features[:, 8].tolist() == [-2, 1]
    assert features[:, HEIGHT] == pytest.approx(np.log([0.5, 2]))
    assert features[:, -10:].nonzero()[1].tolist() == [3, 8]


def test_a_network_learns_and_is_stored_whole(tmp_path):
    rng = np.random.default_rng(1)
    meant, struck = rng.normal(size=(2, 2000, FEATURES)).astype(np.float32)
    struck[:, HEIGHT] += 3
    network = replace(fit_network(meant, struck, 1), classifier="abc")
    assert network.threshold == np.inf
    assert np.median(network.scores(struck)) > 2 > -2 > np.median(network.scores(meant))
    np.savez(tmp_path / "network.npz", **network.arrays())
    again = StruckOutNetwork.of_arrays(dict(np.load(tmp_path / "network.npz")))
    assert again.classifier == "abc"
    assert (again.scores(struck) == network.scores(struck)).all()


@pytest.mark.parametrize("label", [0, 3, 7])
def test_a_digit_is_drawn_over(label):
    ink = np.zeros((60, 40), np.uint8)
    cv2.ellipse(ink, (20, 30), (16, 26), 0, 0, 360, 255, 4)
    drawn = [strike_out(ink, label, 60, np.random.default_rng(seed)) for seed in range(40)]
    for struck in drawn:
        over, beside = (struck.shape[0] - 60) // 2, (struck.shape[1] - 40) // 2
        inside = struck[over : over + 60, beside : beside + 40]
        assert (inside[ink > 0] > 0).all()
        assert (struck > 0).sum() > 1.1 * (ink > 0).sum()
    assert any(a.shape != b.shape or (a != b).any() for a, b in pairwise(drawn))
    assert (strike_out(ink, label, 60, np.random.default_rng(3)) == drawn[3]).all()


def test_one_character_of_a_row_is_crossed_out():
    class Bars:
        labels = np.arange(10, dtype=np.int16)
        writers = np.zeros(10, np.int32)

        def draw(self, rows, capital, rng):
            return [np.full((40, 4), 255, np.uint8) for _ in rows]

    source = StrikingSource(Bars())
    shown = 0
    for seed in range(20):
        inks = source.draw(np.arange(4), 40.0, np.random.default_rng(seed))
        changed = [k for k, ink in enumerate(inks) if ink.shape != (40, 4) or not ink.all()]
        assert changed in ([source.places[-1]], [])  # a level stroke within a bar shows nowhere
        shown += len(changed)
    assert shown >= 15
    assert len(source.places) == 20
    assert len(set(source.places)) == 4


def written(text: str, crossed: int | None) -> np.ndarray:
    """Digits of a pen, bool (h, w), one of them under a cross."""
    ink = np.zeros((120, 70 * (len(text) + 1)), np.uint8)
    for place, digit in enumerate(text):
        left = 30 + 70 * place
        cv2.putText(ink, digit, (left, 90), cv2.FONT_HERSHEY_DUPLEX, 2.6, 1, 4)
        if place == crossed:
            cv2.line(ink, (left - 4, 92), (left + 52, 32), 1, 5)
            cv2.line(ink, (left - 4, 32), (left + 52, 92), 1, 5)
    return ink.view(bool)


def test_the_shipped_network_doubts_crosses_and_no_plain_digits():
    text, networks = "4725360918", load_networks()
    place = RowPlace(Box(0, 20, 770, 85), np.eye(2, 3))
    inks = [written(text, crossed) for crossed in (None, *range(len(text)))]
    rows = [InkRow(find_components(ink), place, LINE_LIMITS, "digits", 10, 10) for ink in inks]
    classified, _ = classify_rows(look_at_bodies(rows), networks)
    lattices = [lattice_of(one.line, one.log_probs) for one in classified]
    calibration = Calibration.of_card(model_card(None))
    raw = [decode(lattice, Constraint("digits", 10, 10)) for lattice in lattices]
    told = struck_out(module.shipped(), lattices, raw, ["digits"] * len(raw))
    readings = calibration.apply_all(raw, ["digits"] * len(raw), lattices)
    assert readings[0].text == text
    assert readings[0].confidence > 0.9
    assert not told[0]
    assert sum(told[1:]) >= 5  # of the others some are cut in two, or still look like a digit


@pytest.mark.skipif(
    "FORMSCRIBE_DATA" not in os.environ, reason="FORMSCRIBE_DATA names no folder with characters"
)
def test_the_command_trains_on_composed_fields(tmp_path, capsys):
    target = tmp_path / "network.npz"
    assert train_struck_out.main(["--fields", "40", "--doubted", "0.1", "--out", str(target)]) == 0
    assert " digits that are meant, " in capsys.readouterr().out
    network = StruckOutNetwork.of_arrays(dict(np.load(target)))
    assert network.classifier == model_card(None)["sha256"]
    assert np.isfinite(network.threshold)
    assert network.weights[0].shape[0] == FEATURES
