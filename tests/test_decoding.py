from dataclasses import replace
from itertools import permutations
from math import exp

import numpy as np
import pytest
from numpy.typing import NDArray

from model.alphabets import CHARSETS, CLASS_COUNT, NOT_A_CHARACTER, class_index
from model.decoding import Constraint, DecodingOptions, Lattice, decode
from model.path_scores import score_lattice
from model.permutation import assign, exchange_odds

Verdict = dict[str, float]
Piece = tuple[float, float, float, float]


def lattice(pieces: list[Piece], verdicts: dict[tuple[int, int], Verdict], ink: float = 0.08) -> Lattice:
    """A row of pieces (left, top, right, bottom) with the classifier's verdict on each span.

    A verdict gives the probability of characters; "-" is not-a-character; what is left goes to it too.
    A piece's ink is ``ink`` for each 0.5 of height.
    """
    boxes = np.array(pieces, np.float32).reshape(-1, 4)
    probs = np.zeros((len(verdicts), CLASS_COUNT))
    for row, verdict in zip(probs, verdicts.values(), strict=True):
        for character, probability in verdict.items():
            row[NOT_A_CHARACTER if character == "-" else class_index(character)] = probability
        row[NOT_A_CHARACTER] += 1.0 - row.sum()
    spans = np.array(list(verdicts), np.int16).reshape(-1, 2)
    bounds = [(*boxes[a:b, :2].min(axis=0), *boxes[a:b, 2:].max(axis=0)) for a, b in spans]
    with np.errstate(divide="ignore"):
        logs = np.log(probs).astype(np.float32)
    return Lattice(
        starts=spans[:, 0],
        stops=spans[:, 1],
        log_probs=logs,
        bounds=np.array(bounds, np.float32).reshape(-1, 4),
        piece_bounds=boxes,
        piece_ink=np.array([ink * (p[3] - p[1]) / 0.5 for p in pieces], np.float32),
    )


def row_of(verdicts: list[Verdict], gap: float = 0.1) -> Lattice:
    """One piece a character, of equal sizes."""
    step = 0.4 + gap
    pieces = [(i * step, 0.2, i * step + 0.4, 0.7) for i in range(len(verdicts))]
    return lattice(pieces, {(i, i + 1): verdict for i, verdict in enumerate(verdicts)})


def digits(least: int, most: int | None = None) -> Constraint:
    return Constraint("digits", least, least if most is None else most)


WHOLE = (0.0, 0.2, 0.4, 0.7)


class TestExactProbabilities:
    def test_a_single_candidate_is_as_sure_as_the_classifier(self) -> None:
        reading = decode(row_of([{"7": 0.6, "1": 0.3, "-": 0.1}]), digits(1))
        assert reading.text == "7"
        assert reading.confidence == pytest.approx(0.6, abs=1e-3)
        (character,) = reading.characters
        assert (character.label, character.candidate) == ("7", 0)
        assert character.confidence == pytest.approx(0.6, abs=1e-3)
        assert [label for label, _ in character.alternatives] == ["1"]
        assert character.alternatives[0][1] == pytest.approx(0.3, abs=1e-3)
        assert reading.runners_up == (("1", pytest.approx(0.3, abs=1e-3)),)

    def test_independent_characters_multiply(self) -> None:
        reading = decode(row_of([{"7": 0.8, "1": 0.1}, {"3": 0.5, "8": 0.4}]), digits(2))
        assert reading.text == "73"
        assert reading.confidence == pytest.approx(0.8 * 0.5, abs=2e-3)
        assert [c.confidence for c in reading.characters] == pytest.approx([0.8, 0.5], abs=2e-3)
        assert reading.runners_up[:3] == (
            ("78", pytest.approx(0.32, abs=2e-3)),
            ("13", pytest.approx(0.05, abs=2e-3)),
            ("18", pytest.approx(0.04, abs=2e-3)),
        )

    def test_two_cuts_compete_by_their_pieces(self) -> None:
        # "4" over both pieces scores 0.9^2, "11" scores 0.3 * 0.3; every cut has its unreadable share,
        # the least rejection of what overlaps: 0.1 for all three.
        two = lattice(
            [(0.0, 0.2, 0.2, 0.7), (0.2, 0.2, 0.4, 0.7)],
            {(0, 1): {"1": 0.3}, (1, 2): {"1": 0.3}, (0, 2): {"4": 0.9}},
        )
        reading = decode(two, digits(1, 2), options=DecodingOptions(skip_cost=1e3, wrong_length=0.0))
        total = (0.81 + 0.1) + (0.3 + 0.1) ** 2
        assert reading.text == "4"
        assert reading.confidence == pytest.approx(0.81 / total, rel=2e-3)
        assert reading.runners_up == (("11", pytest.approx(0.09 / total, rel=2e-3)),)
        # Another cut counts among the alternatives: "1" stands in one or both halves.
        (character,) = reading.characters
        label, probability = character.alternatives[0]
        assert label == "1"
        assert 0.09 / total < probability <= 1.0 - character.confidence

    def test_halves_that_read_different_characters_share_what_the_whole_leaves(self) -> None:
        halves = {(0, 1): {"1": 0.6, "7": 0.2}, (1, 2): {"2": 0.6, "3": 0.2}, (0, 2): {"4": 0.9}}
        row = lattice([(0.0, 0.2, 0.2, 0.7), (0.2, 0.2, 0.4, 0.7)], halves)
        (character,) = decode(row, digits(1, 2), options=DecodingOptions(skip_cost=1e3)).characters
        assert character.label == "4"
        alternatives = dict(character.alternatives)
        assert {"1", "2", "3", "7"} <= alternatives.keys()  # of them always two are written together
        assert sum(alternatives.values()) == pytest.approx(1.0 - character.confidence, abs=0.01)
        assert alternatives["1"] == pytest.approx(3 * alternatives["7"], rel=0.05)

    def test_temperature_flattens_and_keeps_the_text(self) -> None:
        row = row_of([{"7": 0.8, "1": 0.2}])
        cool, warm = (decode(row, digits(1), options=DecodingOptions(temperature=t)) for t in (1.0, 2.0))
        assert cool.text == warm.text == "7"
        # The square roots of 0.8 and 0.2 are as 2 to 1; eight digits and the rejection have 0.001 each.
        assert warm.confidence == pytest.approx(2 / 3, abs=0.02)
        assert cool.confidence == pytest.approx(0.8, abs=1e-3)


class TestCharset:
    def test_other_characters_lose_their_mass(self) -> None:
        row = row_of([{"B": 0.9, "8": 0.06, "3": 0.02, "-": 0.02}])
        reading = decode(row, digits(1))
        assert reading.text == "8"
        assert reading.confidence == pytest.approx(0.6, abs=1e-3)
        assert decode(row, Constraint("upper", 1, 1)).text == "B"

    def test_a_verdict_without_any_allowed_class_is_no_reason_to_fail(self) -> None:
        reading = decode(row_of([{"B": 1.0}]), digits(1))
        assert len(reading.text) == 1
        assert reading.confidence < 0.2

    def test_an_unknown_charset_is_named(self) -> None:
        with pytest.raises(KeyError, match="runes"):
            decode(row_of([{"7": 1.0}]), Constraint("runes", 1, 1))


class TestSegmentation:
    HALVES = ((0.0, 0.2, 0.2, 0.7), (0.22, 0.2, 0.4, 0.7))

    @pytest.mark.parametrize("least", [0, 1])
    def test_halves_of_a_character_are_joined(self, least: int) -> None:
        verdicts = {(0, 1): {"1": 0.05}, (1, 2): {"1": 0.1}, (0, 2): {"0": 0.98}}
        reading = decode(lattice(list(self.HALVES), verdicts), digits(least, 9))
        assert reading.text == "0"
        assert reading.confidence > 0.9
        assert reading.characters[0].candidate == 2

    def test_not_a_character_rejects_a_merge(self) -> None:
        verdicts = {(0, 1): {"1": 0.9}, (1, 2): {"3": 0.9}, (0, 2): {"8": 0.03}}
        reading = decode(lattice(list(self.HALVES), verdicts), digits(0, 9))
        assert reading.text == "13"

    def test_the_number_of_characters_is_no_merit_in_itself(self) -> None:
        # Each half looks quite like a V, the whole surely like a W, and the other way round.
        v, w = {"V": 0.7}, {"W": 0.99}
        word = decode(
            lattice(list(self.HALVES), {(0, 1): v, (1, 2): v, (0, 2): w}), Constraint("upper", 0, 9)
        )
        assert word.text == "W"
        v, w = {"V": 0.99}, {"W": 0.7}
        word = decode(
            lattice(list(self.HALVES), {(0, 1): v, (1, 2): v, (0, 2): w}), Constraint("upper", 0, 9)
        )
        assert word.text == "VV"

    def test_a_speck_is_skipped_and_costs_no_confidence(self) -> None:
        pieces = [WHOLE, (0.45, 0.6, 0.46, 0.61), (0.5, 0.2, 0.9, 0.7)]
        verdicts = {(0, 1): {"4": 0.99}, (1, 2): {"0": 0.3}, (2, 3): {"2": 0.99}}
        for constraint in (digits(2), digits(0, 9)):
            reading = decode(lattice(pieces, verdicts), constraint)
            assert reading.text == "42"
            assert reading.confidence > 0.9
            assert [c.candidate for c in reading.characters] == [0, 2]

    def test_a_speck_inside_or_outside_is_the_same_character(self) -> None:
        pieces = [WHOLE, (0.41, 0.6, 0.42, 0.61)]
        verdicts = {(0, 1): {"4": 0.98}, (0, 2): {"4": 0.98}}
        reading = decode(lattice(pieces, verdicts), digits(1))
        assert reading.text == "4"
        assert reading.confidence > 0.95
        assert reading.characters[0].confidence > 0.95

    def test_a_whole_character_is_not_skipped(self) -> None:
        reading = decode(row_of([{"4": 0.99}, {"2": 0.05}, {"9": 0.99}]), digits(0, 9))
        assert reading.text == "429"
        assert reading.confidence < 0.2

    def test_a_stray_stroke_is_skipped_when_the_length_asks_for_it(self) -> None:
        pieces = [WHOLE, (0.5, 0.2, 0.9, 0.7), (1.3, 0.2, 1.33, 0.5)]
        verdicts = {(0, 1): {"4": 0.99}, (1, 2): {"2": 0.99}, (1, 3): {"2": 0.2}, (2, 3): {"1": 0.3}}
        assert decode(lattice(pieces, verdicts), digits(2)).text == "42"

    def test_a_gap_inside_costs_and_overlap_does_not(self) -> None:
        def cut_score(left: float) -> float:
            two = lattice([WHOLE, (left, 0.2, left + 0.1, 0.7)], {(0, 2): {"4": 0.9}})
            return float(score_lattice(two, digits(0, 9), DecodingOptions(width_tolerance=1e9)).cuts[0])

        free = 2 * np.log(0.9)
        assert cut_score(0.2) == pytest.approx(free, abs=1e-4)
        assert cut_score(0.4) == pytest.approx(free, abs=1e-4)
        # 0.075 is the tolerated 0.15 of the height of 0.5: half a nat.
        assert cut_score(0.475) == pytest.approx(free - 0.5, abs=1e-3)
        assert cut_score(0.7) < free - 5.0

    def test_a_gap_before_a_candidate_is_not_its_own(self) -> None:
        pieces = [WHOLE, (1.4, 0.2, 1.6, 0.7), (1.6, 0.2, 1.8, 0.7)]
        scores = score_lattice(lattice(pieces, {(1, 3): {"4": 0.9}}), digits(0, 9), DecodingOptions())
        assert scores.cuts[0] == pytest.approx(2 * np.log(0.9), abs=1e-4)

    def test_width_counts_against_the_pitch_that_the_length_gives(self) -> None:
        pieces = [(i * 0.5, 0.2, i * 0.5 + 0.5, 0.7) for i in range(4)]
        row = lattice(pieces, {(0, 1): {"4": 0.9}, (0, 2): {"4": 0.9}})
        narrow, wide = score_lattice(row, digits(4), DecodingOptions(width_tolerance=0.35)).cuts
        assert narrow == pytest.approx(np.log(0.9), abs=1e-4)
        assert wide == pytest.approx(2 * np.log(0.9) - 0.5 * (np.log(2) / 0.35) ** 2, abs=1e-3)
        assert score_lattice(row, digits(2), DecodingOptions()).cuts[1] == pytest.approx(
            2 * np.log(0.9), abs=1e-4
        )

    def test_skipping_costs_more_with_ink_and_less_with_rejection(self) -> None:
        pieces = [WHOLE, (0.5, 0.2, 0.9, 0.7), (1.0, 0.6, 1.01, 0.61)]
        verdicts = {(0, 1): {"4": 0.99}, (1, 2): {"4": 0.1}, (2, 3): {"4": 0.99}}
        sure, doubtful, speck = score_lattice(lattice(pieces, verdicts), digits(2), DecodingOptions()).skips
        assert sure < -15.0 < doubtful < -4.0
        assert speck > -0.6

    def test_the_ink_of_a_lone_speck_is_not_that_of_a_character(self) -> None:
        row = lattice([(0.4, 0.5, 0.41, 0.51)], {(0, 1): {}})
        assert score_lattice(row, digits(0, 5), DecodingOptions()).skips[0] > -0.5

    def test_one_verdict_cannot_veto(self) -> None:
        options = DecodingOptions(rejection_floor=0.01)
        assert score_lattice(row_of([{}]), digits(1), options).cuts[0] == pytest.approx(np.log(0.01))

    def test_unreadable_is_what_no_other_cut_can_read(self) -> None:
        verdicts = {(0, 1): {"1": 0.8}, (1, 2): {"1": 0.05}, (0, 2): {"0": 0.1}}
        free = DecodingOptions(width_tolerance=1e9, height_tolerance=1e9, gap_tolerance=1e9)
        scores = score_lattice(lattice(list(self.HALVES), verdicts), digits(0, 9), free)
        assert np.exp(scores.unreadable) == pytest.approx([0.2, 0.9, 0.2], abs=1e-4)


class TestLength:
    def test_a_prescribed_length_overrules_the_cut(self) -> None:
        pieces = [(0.0, 0.2, 0.2, 0.7), (0.2, 0.2, 0.4, 0.7)]
        verdicts = {(0, 1): {"1": 0.4}, (1, 2): {"1": 0.4}, (0, 2): {"4": 0.9}}
        row = lattice(pieces, verdicts)
        assert decode(row, digits(1)).text == "4"
        assert decode(row, digits(2)).text == "11"
        assert decode(row, digits(0, 9)).text == "4"

    def test_a_reading_forced_by_the_length_is_doubted(self) -> None:
        row = row_of([{"4": 0.99}, {"2": 0.99}, {"9": 0.99}])
        forced = decode(row, digits(2))
        assert len(forced.text) == 2
        assert forced.confidence < 0.01
        assert decode(row, digits(3)).confidence > 0.95

    def test_the_ink_says_whether_the_length_is_right(self) -> None:
        row = row_of([{"4": 0.99}, {"2": 0.99}, {"9": 0.99}])
        assert decode(row, digits(3)).length_share == pytest.approx(1.0, abs=0.03)
        assert decode(row, digits(0, 9)).length_share == pytest.approx(1.0)
        assert decode(row, digits(2)).length_share < 0.03
        assert decode(row, digits(4)).length_share == 0.0
        halves = [(0.0, 0.2, 0.2, 0.7), (0.2, 0.2, 0.4, 0.7)]
        either = lattice(halves, {(0, 1): {"1": 0.9}, (1, 2): {"1": 0.9}, (0, 2): {"4": 0.9}})
        assert all(0.1 < decode(either, digits(length)).length_share < 0.9 for length in (1, 2))

    def test_where_other_lengths_weigh_as_much_the_length_says_nothing(self) -> None:
        row = row_of([{"4": 0.99}, {"2": 0.99}, {"9": 0.99}])
        assert decode(row, digits(2), options=DecodingOptions(wrong_length=1.0)).length_share == 1.0

    @pytest.mark.parametrize(("least", "most"), [(5, 5), (4, 600)])
    def test_an_impossible_length_gives_the_best_reading_for_review(self, least: int, most: int) -> None:
        reading = decode(row_of([{"4": 0.99}, {"2": 0.99}]), digits(least, most))
        assert reading.text == "42"
        assert 0.0 < reading.confidence <= 0.003
        assert all(c.confidence <= 0.003 for c in reading.characters)

    def test_more_pieces_than_characters(self) -> None:
        row = row_of([{c: 0.99} for c in "42913"])
        for length in range(6):
            assert len(decode(row, digits(length)).text) == length
        assert len(decode(row, digits(2, 3)).text) == 3

    def test_a_long_range_of_a_paragraph(self) -> None:
        text = "wethepeopleoftheunitedstatesinordertoform" * 2
        row = row_of([{c: 0.95} for c in text])
        reading = decode(row, Constraint("letters", 0, 600))
        assert reading.text == text
        assert len(reading.characters) == len(text)


class TestNothing:
    def empty(self) -> Lattice:
        return lattice([], {})

    def test_no_ink_reads_as_nothing(self) -> None:
        reading = decode(self.empty(), digits(0, 5))
        assert (reading.text, reading.confidence) == ("", 1.0)
        assert reading.characters == reading.runners_up == ()

    def test_no_ink_where_something_must_stand_is_doubted(self) -> None:
        reading = decode(self.empty(), digits(3))
        assert reading.text == ""
        assert reading.confidence <= 0.003

    def test_a_lone_speck_reads_as_nothing(self) -> None:
        reading = decode(lattice([(0.4, 0.5, 0.41, 0.51)], {(0, 1): {"1": 0.2}}), digits(0, 5))
        assert reading.text == ""
        assert reading.confidence > 0.9

    def test_pieces_without_candidates_are_skipped(self) -> None:
        reading = decode(lattice([WHOLE], {}), digits(1))
        assert reading.text == ""
        assert reading.confidence <= 0.003

    def test_junk_is_never_read_with_confidence(self) -> None:
        reading = decode(row_of([{"1": 0.02}, {"7": 0.03}]), digits(2))
        assert len(reading.text) == 2
        assert reading.confidence < 0.01
        assert max(c.confidence for c in reading.characters) < 0.05


class TestSpaces:
    def words(self, gaps: list[float], spaces: bool = True) -> str:
        left, pieces = 0.0, []
        for gap in [0.0, *gaps]:
            left += gap
            pieces.append((left, 0.2, left + 0.3, 0.7))
            left += 0.3
        verdicts = {(i, i + 1): {"abcdefgh"[i]: 0.99} for i in range(len(pieces))}
        return decode(lattice(pieces, verdicts), Constraint("lower", 0, 60, spaces=spaces)).text

    def test_a_clearly_wider_gap_is_a_space(self) -> None:
        assert self.words([0.1, 0.12, 0.6, 0.05, 0.5, 0.1]) == "abc de fg"

    def test_wide_but_even_writing_has_no_spaces(self) -> None:
        assert self.words([0.6, 0.7, 0.65, 0.55]) == "abcde"

    def test_a_lone_gap_has_nothing_to_compare_with(self) -> None:
        assert self.words([0.9]) == "ab"

    def test_only_where_asked_for(self) -> None:
        assert self.words([0.1, 0.12, 0.6, 0.05], spaces=False) == "abcde"

    def test_spaces_have_no_part_in_length_and_characters(self) -> None:
        pieces = [(x, 0.2, x + 0.3, 0.7) for x in (0.0, 0.4, 0.8, 2.0)]
        row = lattice(pieces, {(i, i + 1): {c: 0.99} for i, c in enumerate("abcd")})
        reading = decode(row, Constraint("lower", 4, 4, spaces=True))
        assert reading.text == "abc d"
        assert [c.label for c in reading.characters] == list("abcd")
        assert reading.confidence > 0.9


class TestPermutation:
    ANY = Constraint("upper", 1, 26, permutation=True)

    def test_two_claims_to_one_letter_are_settled(self) -> None:
        row = row_of([{"U": 0.6, "V": 0.3}, {"U": 0.9, "V": 0.05}])
        assert decode(row, replace(self.ANY, permutation=False)).text == "UU"
        reading = decode(row, self.ANY)
        assert reading.text == "VU"
        assert all(0.0 <= c.confidence <= 1.0 for c in reading.characters)
        assert reading.runners_up[0][0] == "UV"

    def test_probability_of_an_exchange_is_exact(self) -> None:
        reading = decode(row_of([{"U": 0.6, "V": 0.4}, {"U": 0.6, "V": 0.4}, {"A": 1.0}]), self.ANY)
        assert sorted(reading.text[:2]) == ["U", "V"]
        assert reading.confidence == pytest.approx(0.5, abs=0.01)
        assert reading.runners_up[0][1] == pytest.approx(0.5, abs=0.01)
        assert [c.confidence for c in reading.characters] == pytest.approx([0.5, 0.5, 1.0], abs=0.01)

    def test_a_whole_alphabet_is_read_though_some_letters_look_alike(self) -> None:
        rng = np.random.default_rng(1)
        text = "".join(rng.permutation(list(CHARSETS["upper"])))
        verdicts = [{c: 0.9} for c in text]
        verdicts[text.index("V")] = {"U": 0.5, "V": 0.45}
        verdicts[text.index("Z")] = {"S": 0.3, "X": 0.3, "Z": 0.2}
        constraint = Constraint("upper", 26, 26, permutation=True)
        assert decode(row_of(verdicts), replace(constraint, permutation=False)).text != text
        reading = decode(row_of(verdicts), constraint)
        assert reading.text == text
        assert 0.0 < reading.confidence < 1.0

    def test_more_characters_than_the_charset_has(self) -> None:
        reading = decode(row_of([{"7": 0.9}] * 11), Constraint("digits", 11, 11, permutation=True))
        assert reading.text == "7" * 11

    @pytest.mark.parametrize("seed", range(30))
    def test_assignment_is_the_cheapest(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        rows = int(rng.integers(1, 6))
        costs = rng.normal(size=(rows, rows + int(rng.integers(0, 3)))).round(int(seed % 2) * 8)
        best = min(
            sum(costs[i, k] for i, k in enumerate(columns))
            for columns in permutations(range(costs.shape[1]), rows)
        )
        columns = assign(costs)
        assert len(set(columns.tolist())) == rows
        assert costs[np.arange(rows), columns].sum() == pytest.approx(best)

    def test_assignment_needs_enough_columns(self) -> None:
        with pytest.raises(ValueError, match="3 rows"):
            assign(np.zeros((3, 2)))

    def test_exchange_odds_compare_whole_assignments(self) -> None:
        scores = np.log(np.random.default_rng(4).dirichlet(np.ones(5), 3))
        labels = assign(-scores)
        odds = exchange_odds(scores, labels)

        def total(chosen: NDArray[np.intp]) -> float:
            return float(scores[np.arange(3), chosen].sum())

        for place in range(3):
            for label in range(5):
                other = labels.copy()
                other[labels == label] = labels[place]
                other[place] = label
                same = label == labels[place]
                expected = 0.0 if same else exp(total(other) - total(labels))
                assert odds[place, label] == pytest.approx(expected)


class TestInput:
    def test_arrays_that_do_not_fit(self) -> None:
        row = row_of([{"7": 0.9}])
        with pytest.raises(ValueError, match="shapes"):
            decode(replace(row, log_probs=row.log_probs[:, :10]), digits(1))
        with pytest.raises(ValueError, match="candidate 0"):
            decode(replace(row, stops=np.array([2], np.int16)), digits(1))

    def test_not_a_number(self) -> None:
        row = row_of([{"7": 0.9}])
        with pytest.raises(ValueError, match="not a number"):
            decode(replace(row, log_probs=np.full_like(row.log_probs, np.nan)), digits(1))

    def test_at_least_one_reading(self) -> None:
        row = row_of([{"7": 0.6, "1": 0.4}])
        with pytest.raises(ValueError, match="n_best"):
            decode(row, digits(1), n_best=0)
        assert decode(row, digits(1), n_best=1).runners_up == ()

    @pytest.mark.parametrize("seed", range(60))
    def test_any_lattice_gives_probabilities(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        pieces = int(rng.integers(1, 12))
        lefts = np.sort(rng.uniform(0, pieces / 2, pieces))
        boxes = [
            (x, y, x + w, y + h)
            for x, y, w, h in zip(
                lefts,
                rng.uniform(0, 0.5, pieces),
                rng.uniform(0, 0.6, pieces),
                rng.uniform(0, 0.6, pieces),
                strict=True,
            )
        ]
        spans = [
            (a, b) for a in range(pieces) for b in range(a + 1, min(a + 4, pieces) + 1) if rng.random() < 0.8
        ]
        row = lattice(boxes, {span: {} for span in spans})
        sharpness = 10 ** rng.uniform(-2, 1)
        probs = rng.dirichlet(np.full(CLASS_COUNT, sharpness), len(spans))
        with np.errstate(divide="ignore"):
            row = replace(row, log_probs=np.log(probs).astype(np.float32).reshape(-1, CLASS_COUNT))
        for least, most in [(0, 600), (1, 600), (3, 3), (2, 5), (9, 9)]:
            for permutation in (False, True):
                constraint = Constraint("alphanumeric", least, most, permutation, spaces=seed % 2 == 0)
                reading = decode(row, constraint)
                characters = reading.text.replace(" ", "")
                assert characters == "".join(c.label for c in reading.characters)
                if reading.confidence > 0.003:
                    assert least <= len(characters) <= most
                values = [reading.confidence, *(p for _, p in reading.runners_up)]
                assert sum(values) <= 1.0 + 1e-6
                for character in reading.characters:
                    assert character.confidence + sum(p for _, p in character.alternatives) <= 1.0 + 1e-6
                    values += [character.confidence, *(p for _, p in character.alternatives)]
                    assert character.label not in dict(character.alternatives)
                assert all(0.0 <= value <= 1.0 for value in values)
                ranked = [p for _, p in reading.runners_up]
                assert ranked == sorted(ranked, reverse=True)
                assert reading.confidence >= max(ranked, default=0.0)
