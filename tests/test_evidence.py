"""What speaks for a reading beside its probability."""

import numpy as np
import pytest

from model.alphabets import CHARACTERS, CLASS_COUNT
from model.automata import Lexicon
from model.calibration import Calibration, ConfidenceMap
from model.calibration_fit import fit_map
from model.classifier import model_card
from model.constraints import read_rows
from model.evidence import Evidence, evidence_of
from model.lattice import CharacterReading, Constraint, Lattice, Reading


def lattice(
    probabilities: list[dict[str, float]], ink: list[float], tops: list[float] | None = None
) -> Lattice:
    """Candidate i is piece i; what is not named has a probability of 1e-6. ``tops``: of the candidates."""
    count = len(ink)
    log_probs = np.full((count, CLASS_COUNT), np.log(1e-6), np.float32)
    for row, named in zip(log_probs, probabilities, strict=True):
        for character, probability in named.items():
            row[CHARACTERS.index(character)] = np.log(probability)
    bounds = np.full((count, 4), 0.1, np.float32)
    bounds[:, 1] = 0.1 if tops is None else tops
    starts = np.arange(count)
    return Lattice(starts, starts + 1, log_probs, bounds, bounds, np.array(ink, np.float32))


def reading(text: str, candidates: list[int]) -> Reading:
    characters = [CharacterReading(c, 0.9, i, ()) for c, i in zip(text, candidates, strict=True)]
    return Reading(text, 0.9, tuple(characters), ())


def test_the_least_sure_labels_count_and_only_against_labels_of_the_charset():
    row = lattice([{"1": 0.9, "7": 0.09}, {"5": 0.6, "S": 0.39, "6": 0.006}], [1.0, 1.0])
    found = evidence_of(row, reading("15", [0, 1]), "digits")
    assert found.margin == pytest.approx(-np.log(0.1 + 0.01 + 0.001), rel=1e-5)
    assert found.left_out == 0.0
    mixed = evidence_of(row, reading("15", [0, 1]), "alphanumeric")
    assert mixed.margin == pytest.approx(-np.log(0.1 + 0.39 / 0.6 + 0.001), rel=1e-5)


def test_labels_that_win_by_far_are_no_surer():
    row = lattice([{"1": 1.0}], [1.0])
    assert evidence_of(row, reading("1", [0]), "digits").margin == pytest.approx(np.log(1000), rel=1e-3)


def test_a_label_that_a_rule_chose_against_the_ink_has_lost():
    row = lattice([{"1": 0.9, "7": 0.001}], [1.0])
    assert evidence_of(row, reading("7", [0]), "digits").margin == pytest.approx(-np.log(900.001), rel=1e-3)


@pytest.mark.parametrize(
    ("charset", "ink", "values"),
    [
        ("digits", "995415", ["995416", "123456"]),
        ("digits", "880253", ["380253"]),
        ("upper", "HAMBURG", ["HOMBURG", "BERLIN"]),
    ],
)
@pytest.mark.parametrize("sure", [0.9, 0.999, 0.99999])
def test_a_value_of_a_list_that_the_ink_contradicts_is_not_believed(charset, ink, values, sure):
    row = lattice([{character: sure} for character in ink], [1.0] * len(ink))
    constraint = Constraint(charset, len(ink), len(ink), automaton=Lexicon.of(values))
    [read] = read_rows([row], [constraint])
    assert read.text in (*values, ink)
    shipped = Calibration.of_card(model_card())
    assert shipped.apply(read, charset, row).confidence < 0.5 or read.text == ink
    [right] = read_rows([row], [Constraint(charset, len(ink), len(ink), automaton=Lexicon.of([ink]))])
    assert shipped.apply(right, charset, row).confidence > 0.9


def test_ink_of_no_character_is_left_out():
    row = lattice([{"1": 0.9}, {}, {"2": 0.9}], [3.0, 1.0, 4.0])
    assert evidence_of(row, reading("12", [0, 2]), "digits").left_out == pytest.approx(1 / 8)


def test_characters_that_reach_the_upper_edge_are_counted_up_to_three():
    row = lattice([{"1": 0.9}] * 5, [1.0] * 5, [-0.1, 0.0, 0.01, -0.1, -0.1])
    assert evidence_of(row, reading("11", [0, 2]), "digits").touching == 1.0
    assert evidence_of(row, reading("11", [0, 1]), "digits").touching == 2.0
    assert evidence_of(row, reading("11111", [0, 1, 2, 3, 4]), "digits").touching == 3.0


def test_nothing_read_leaves_all_ink_out():
    assert evidence_of(lattice([{}], [2.0]), reading("", []), "digits") == Evidence(0.0, 1.0)
    assert evidence_of(lattice([], []), reading("", []), "digits") == Evidence(0.0, 0.0)


def test_weights_of_the_evidence_are_found():
    rng = np.random.default_rng(1)
    touching = rng.integers(0, 4, 20_000).astype(float)
    given = [
        Evidence(*pair, most)
        for pair, most in zip(rng.uniform(0, [6, 0.5], (20_000, 2)), touching, strict=True)
    ]
    stated = rng.uniform(0.5, 0.99, len(given))
    true = ConfidenceMap(1.0, 1.0, -1.0, 0.0, 0.5, -4.0, -0.4)
    chances = np.array([true(p, 1, one) for p, one in zip(stated, given, strict=True)])
    fitted = fit_map(stated, rng.random(len(given)) < chances, None, given)
    assert fitted.margin == pytest.approx(0.5, abs=0.05)
    assert fitted.left_out == pytest.approx(-4.0, abs=0.5)
    assert fitted.touching == pytest.approx(-0.4, abs=0.05)


def test_evidence_lowers_the_confidence_of_a_reading_with_its_lattice():
    calibration = Calibration(
        {"digits": ConfidenceMap(margin=0.1, left_out=-5.0)}, {"digits": ConfidenceMap()}
    )
    whole, torn = lattice([{"1": 0.9}, {}], [1.0, 0.0]), lattice([{"1": 0.9}, {}], [1.0, 1.0])
    first, second = (calibration.apply(reading("1", [0]), "digits", row).confidence for row in (whole, torn))
    assert second < first - 0.1
    assert calibration.apply(reading("1", [0]), "digits").confidence == pytest.approx(0.9)
    touched = lattice([{"1": 0.9}, {}], [1.0, 0.0], [-0.1, 0.5])
    lowered = Calibration({"digits": ConfidenceMap(touching=-1.0)}, {"digits": ConfidenceMap()})
    third = lowered.apply(reading("1", [0]), "digits", touched).confidence
    assert np.log(third / (1 - third)) == pytest.approx(np.log(9) - 1)


def test_ink_left_out_counts_by_its_root():
    lowered = ConfidenceMap(left_out=-2.0)(0.5, 1, Evidence(0.0, 0.25))
    assert np.log(lowered / (1 - lowered)) == pytest.approx(-1.0)
