"""Calibrated confidence: the map, the card, the threshold for an error rate."""

import itertools
import math

import numpy as np
import pytest

from model.alphabets import CHARSETS
from model.calibration import (
    CARD_KEY,
    DOUBT,
    FIELD_TYPES,
    Calibration,
    CalibrationError,
    ConfidenceMap,
    acceptance_table,
    acceptance_threshold,
    calibration_error,
    review_share,
)
from model.calibration_fit import fit_map
from model.lattice import CharacterReading, Reading


def overconfident(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Stated confidences whose logit is twice that of the truth, minus one."""
    rng = np.random.default_rng(seed)
    true = rng.beta(3, 0.7, count)
    stated = 1 / (1 + np.exp(-(2 * np.log(true / (1 - true)) + 1)))
    return stated, rng.random(count) < true


def card(acceptance: list[list[float]], **maps: dict[str, float]) -> dict:
    entry = {"field_map": {}, "character_map": {}, "acceptance": acceptance} | maps
    return {CARD_KEY: {"types": {"digits": entry}}}


def test_every_charset_has_a_type() -> None:
    assert set(FIELD_TYPES) == set(CHARSETS)


def test_identity_changes_nothing() -> None:
    for p in (0.001, 0.3, 0.5, 0.999):
        assert ConfidenceMap()(p) == pytest.approx(p)
    assert ConfidenceMap()(0.0) < 1e-6
    assert ConfidenceMap()(1.0) > 1 - 1e-6


def test_maps_never_fall() -> None:
    grid = np.linspace(0, 1, 200)
    values = [ConfidenceMap(0.4, 2.5, -1.0)(p) for p in grid]
    assert all(a <= b for a, b in itertools.pairwise(values))
    with pytest.raises(ValueError, match="no rising map"):
        ConfidenceMap(-0.1, 1.0, 0.0)
    with pytest.raises(ValueError, match="no rising map"):
        ConfidenceMap(1.0, 1.0, math.nan)


def test_fit_finds_the_truth_behind_overconfidence() -> None:
    fitted = fit_map(*overconfident(20_000))
    stated, right = overconfident(20_000, seed=1)
    assert calibration_error(stated, right) > 0.05
    assert calibration_error([fitted(p) for p in stated], right) < 0.015
    assert fitted(0.9) == pytest.approx(1 / (1 + math.exp(-(math.log(9) - 1) / 2)), abs=0.02)


def test_few_fields_leave_the_identity_almost_alone() -> None:
    assert fit_map([], []) == ConfidenceMap()
    assert fit_map([0.9], [True])(0.9) == pytest.approx(0.9, abs=0.05)


def test_long_texts_may_be_right_more_often_than_stated_and_short_ones_not():
    rng = np.random.default_rng(5)
    stated, lengths = rng.uniform(0.05, 0.95, 20_000), rng.choice([1, 10], 20_000)
    odds = stated / (1 - stated) * np.where(lengths == 10, 4.0, 1.0)
    fitted = fit_map(stated, rng.random(20_000) < odds / (1 + odds), lengths)
    assert fitted(0.5, 10) == pytest.approx(0.8, abs=0.02)
    assert fitted(0.5, 1) == pytest.approx(0.5, abs=0.02)
    assert fitted(0.5, 0) == fitted(0.5, 1)


def test_a_fit_to_reversed_confidence_is_flat_not_falling() -> None:
    rng = np.random.default_rng(0)
    stated = rng.random(2000)
    fitted = fit_map(stated, rng.random(2000) < 1 - stated)
    assert fitted(0.99) >= fitted(0.01)
    assert fitted(0.5) == pytest.approx(0.5, abs=0.05)


def test_apply_maps_fields_and_characters_and_shares_the_rest() -> None:
    calibration = Calibration({"digits": ConfidenceMap(1, 1, -1.0)}, {"digits": ConfidenceMap(1, 1, 1.0)})
    character = CharacterReading("1", 0.8, 3, (("7", 0.15), ("4", 0.05)))
    reading = Reading("1", 0.8, (character,), (("7", 0.1), ("4", 0.05)))
    found = calibration.apply(reading, "digits")
    assert found.text == "1"
    assert found.confidence == pytest.approx(4 / math.e / (1 + 4 / math.e))
    left = (1 - found.confidence) / 0.2
    assert found.runners_up[0] == ("7", pytest.approx(0.1 * left))
    assert found.characters[0].candidate == 3
    assert found.characters[0].confidence == pytest.approx(4 * math.e / (1 + 4 * math.e))
    assert found.characters[0].alternatives[1][1] == pytest.approx(
        0.05 * (1 - found.characters[0].confidence) / 0.2
    )
    assert calibration.apply(reading, "upper") is reading


def test_runners_up_never_pass_the_best() -> None:
    calibration = Calibration({"digits": ConfidenceMap(1, 1, -3.0)}, {"digits": ConfidenceMap()})
    found = calibration.apply(Reading("1", 0.5, (), (("7", 0.49),)), "digits")
    assert found.runners_up[0][1] <= found.confidence


def test_a_runner_up_above_what_a_rule_chose_stays_above_it() -> None:
    calibration = Calibration({"digits": ConfidenceMap()}, {"digits": ConfidenceMap()})
    character = CharacterReading("1", 0.02, 0, (("7", 0.9), ("4", 0.01)))
    reading = Reading("1", 0.02, (character,), (("7", 0.9), ("4", 0.01)))
    found = calibration.apply(reading, "digits")
    for others in (found.runners_up, found.characters[0].alternatives):
        assert others == (("7", pytest.approx(0.9)), ("4", pytest.approx(0.01)))
    doubting = Calibration({"digits": ConfidenceMap(1, 1, -3.0)}, {"digits": ConfidenceMap()})
    doubted = doubting.apply(reading, "digits")
    assert doubted.confidence < 0.01 < 0.9 < doubted.runners_up[0][1] <= 1 - doubted.confidence


def test_half_of_the_confidence_is_left_where_the_ink_speaks_for_another_length() -> None:
    calibration = Calibration({"digits": ConfidenceMap()}, {"digits": ConfidenceMap()})
    for share, left in ((0.26, 1.0), (0.24, DOUBT), (0.0, DOUBT)):
        found = calibration.apply(Reading("12", 0.9, (), (), share), "digits")
        assert (found.confidence, found.length_share) == (pytest.approx(left * 0.9), share)


def test_a_card_without_calibration_changes_nothing() -> None:
    reading = Reading("1", 0.8, (), ())
    assert Calibration.of_card({}).apply(reading, "digits") is reading


def test_a_broken_card_names_the_remedy() -> None:
    for broken in (
        card([], field_map={"a": -1}),
        card([], field_map={"slope": 1}),
        {CARD_KEY: {"types": {"x": {}}}},
    ):
        with pytest.raises(CalibrationError, match=r"jobs\.calibrate"):
            Calibration.of_card(broken)


def test_table_counts_the_accepted() -> None:
    confidences = [0.9, 0.8, 0.8, 0.7, 0.6]
    table = acceptance_table(confidences, [True, True, False, True, False])
    rows = {row[0]: row[1:] for row in table}
    assert rows[0.9] == (pytest.approx(0.2), pytest.approx(1.0))
    assert rows[0.8] == (pytest.approx(0.6), pytest.approx(2 / 3))  # ties are accepted together
    assert rows[0.6] == (pytest.approx(1.0), pytest.approx(3 / 5))
    assert acceptance_table([], []) == ()


def test_table_is_small_and_reaches_from_few_to_all() -> None:
    stated, right = overconfident(5000)
    table = acceptance_table(stated, right, rows=60)
    assert len(table) <= 60
    assert table[0][1] < 0.05
    assert table[-1][1] == 1.0
    assert [row[0] for row in table] == sorted((row[0] for row in table), reverse=True)


def test_threshold_keeps_the_rate_on_other_fields() -> None:
    about = card([list(row) for row in acceptance_table(*overconfident(20_000))])
    stated, right = overconfident(20_000, seed=1)
    accepted = stated >= acceptance_threshold(about, "digits", 0.02)
    assert accepted.mean() > 0.2
    assert 1 - right[accepted].mean() < 0.03


def test_threshold_is_the_least_that_keeps_the_rate() -> None:
    about = card([[0.99, 0.1, 0.001], [0.9, 0.5, 0.01], [0.5, 0.9, 0.1]])
    assert acceptance_threshold(about, "digits", 0.01) == 0.9
    assert acceptance_threshold(about, "digits", 1.0) == 0.5
    assert acceptance_threshold(about, "digits", 0.0001) == math.inf


def test_threshold_without_a_table_names_both_remedies() -> None:
    for missing in ({}, card([])):
        with pytest.raises(CalibrationError, match=r"jobs\.calibrate.*--min_confidence"):
            acceptance_threshold(missing, "upper", 0.01)
    with pytest.raises(ValueError, match="not between 0 and 1"):
        acceptance_threshold(card([]), "digits", 1.5)


def test_review_share_in_hindsight() -> None:
    confidences = np.linspace(1, 0.01, 100)
    right = np.ones(100, bool)
    right[[50, 60]] = False
    assert review_share(confidences, right, 0.0) == pytest.approx(0.5)
    assert review_share(confidences, right, 0.02) == 0.0
    assert review_share(confidences, np.zeros(100, bool), 0.005) == 1.0
    assert review_share([], [], 0.005) == 0.0


def test_review_share_does_not_split_ties() -> None:
    assert review_share([0.9, 0.9], [True, False], 0.0) == 1.0
