"""Readings under a rule, against brute force over all paths of small lattices."""

import re
from collections.abc import Iterator
from itertools import product
from math import exp

import numpy as np
import pytest
from numpy.typing import NDArray

from model.alphabets import CHARSETS, CLASS_COUNT, NOT_A_CHARACTER, class_index
from model.automata import AllOf, Automaton, LengthRange, Lexicon, Luhn, Mod11, accepts_text
from model.automaton_search import SteeredLattice, readable_log_mass
from model.constraints import decode_constrained, read_rows
from model.decoding import Constraint, DecodingOptions, Lattice, decode
from model.path_scores import PathScores, score_lattice
from segmentation.patterns import PatternError, compile_pattern

OPTIONS = DecodingOptions(temperature=1.3, wrong_length=0.003)


def row_of(verdicts: list[dict[str, float]]) -> Lattice:
    """One piece a character, of equal sizes; what a verdict leaves goes to not-a-character."""
    return lattice_of(len(verdicts), {(i, i + 1): verdict for i, verdict in enumerate(verdicts)})


def lattice_of(pieces: int, verdicts: dict[tuple[int, int], dict[str, float]]) -> Lattice:
    boxes = np.array([(i * 0.5, 0.2, i * 0.5 + 0.4, 0.7) for i in range(pieces)], np.float32).reshape(-1, 4)
    probs = np.full((len(verdicts), CLASS_COUNT), 1e-12)
    for row, verdict in zip(probs, verdicts.values(), strict=True):
        for character, probability in verdict.items():
            row[class_index(character)] = probability
        row[NOT_A_CHARACTER] += max(1.0 - row.sum(), 0.0)
    spans = np.array(list(verdicts), np.int16).reshape(-1, 2)
    bounds = np.array(
        [(*boxes[a:b, :2].min(axis=0), *boxes[a:b, 2:].max(axis=0)) for a, b in spans], np.float32
    )
    ink = np.full(pieces, 0.08, np.float32)
    return Lattice(
        spans[:, 0], spans[:, 1], np.log(probs).astype(np.float32), bounds.reshape(-1, 4), boxes, ink
    )


def sure(text: str, doubt: float = 1e-9) -> Lattice:
    """A row that reads ``text``, with a little probability for every other digit and capital."""
    share = doubt / len(CHARSETS["alphanumeric"])
    flat = dict.fromkeys(CHARSETS["alphanumeric"], share)
    return row_of([{**flat, c: 1.0 - doubt} for c in text])


def random_lattice(rng: np.random.Generator, pieces: int) -> Lattice:
    spans = [(a, b) for a in range(pieces) for b in range(a + 1, min(a + 2, pieces) + 1)]
    verdicts = {}
    for span in spans:
        values = rng.dirichlet(np.full(5, 0.5))
        digits = rng.choice(list("0123"), 4, replace=False)
        verdicts[span] = dict(zip(digits, values[:4].tolist(), strict=True))
    return lattice_of(pieces, verdicts)


def all_paths(scores: PathScores) -> Iterator[tuple[str, float, bool]]:
    """Text, score and readability of every path; "?" for an unreadable character."""

    def walk(border: int, text: str, score: float) -> Iterator[tuple[str, float]]:
        if border == len(scores.skips):
            yield text, score
            return
        yield from walk(border + 1, text, score + float(scores.skips[border]))
        for index, (start, stop) in enumerate(zip(scores.starts, scores.stops, strict=True)):
            if start != border:
                continue
            yield from walk(stop, text + "?", score + float(scores.unreadable[index]))
            for label, character in enumerate(scores.characters):
                value = float(scores.labels[index, label] + scores.cuts[index])
                yield from walk(stop, text + character, score + value)

    for text, score in walk(0, "", 0.0):
        yield text, score, "?" not in text


AUTOMATA: dict[str, Automaton] = {
    "pattern": compile_pattern("[01]+2?|3.", CHARSETS["digits"]),
    "lexicon": Lexicon.of(["012", "0", "33", "3012", "21"]),
    "luhn": Luhn(),
    "mod11": Mod11(),
    "length": LengthRange(2, 3),
    "both": AllOf((compile_pattern("[0-2]*"), Luhn())),
}


class TestAutomata:
    def test_luhn_of_known_numbers(self) -> None:
        assert all(accepts_text(Luhn(), text) for text in ("79927398713", "4111111111111111", "18", "00"))
        assert not any(accepts_text(Luhn(), text) for text in ("79927398710", "0", "", "1A"))

    def test_every_digit_of_a_luhn_number_is_checked(self) -> None:
        for place, digit in product(range(11), "0123456789"):
            text = "79927398713"
            changed = text[:place] + digit + text[place + 1 :]
            assert accepts_text(Luhn(), changed) == (changed == text)

    def test_isbns(self) -> None:
        assert all(accepts_text(Mod11(), text) for text in ("0306406152", "080442957X", "097522980X"))
        assert not any(
            accepts_text(Mod11(), t) for t in ("0306406153", "X", "0", "08044X9572", "080442957XX")
        )

    @pytest.mark.parametrize("text", ["030640615", "12345", "7", "99999999999999"])
    def test_mod11_is_the_weighted_sum(self, text: str) -> None:
        for last in "0123456789X":
            values = [10 if c == "X" else int(c) for c in text + last]
            total = sum(weight * value for weight, value in enumerate(reversed(values), 1))
            assert accepts_text(Mod11(), text + last) == (total % 11 == 0)

    def test_a_lexicon_accepts_its_words_alone(self) -> None:
        words = ["a", "ab", "abc", "b", "Zebra"]
        lexicon = Lexicon.of([*words, "ab"])
        assert [w for w in [*words, "", "Z", "c", "abcd", "aa"] if accepts_text(lexicon, w)] == words
        assert not accepts_text(Lexicon.of([]), "a")

    def test_length(self) -> None:
        assert [n for n in range(6) if accepts_text(LengthRange(2, 4), "x" * n)] == [2, 3, 4]
        assert [n for n in range(6) if accepts_text(LengthRange(2), "x" * n)] == [2, 3, 4, 5]

    def test_a_product_accepts_what_all_accept(self) -> None:
        both = AllOf((Luhn(), LengthRange(2, 2), compile_pattern("[1-4]+")))
        found = [a + b for a, b in product("0123456789", repeat=2) if accepts_text(both, a + b)]
        assert found == ["34", "42"]


class TestPatterns:
    @pytest.mark.parametrize(
        "pattern",
        [
            "[A-C]{2}3",
            "A|B(C|3)?",
            "(AB)*C+",
            "[^A-Za-z]{2,}",
            "(A|AB){0,2}",
            "A{0,2}B?",
            "(A?B){2}",
            ".3",
            "\\d+A",
        ],
    )
    def test_the_same_texts_as_in_python(self, pattern: str) -> None:
        compiled = compile_pattern(pattern)
        texts = ["".join(t) for n in range(5) for t in product("ABC3", repeat=n)]
        assert [t for t in texts if compiled.matches(t)] == [t for t in texts if re.fullmatch(pattern, t)]
        lengths = {len(t) for t in texts if re.fullmatch(pattern, t)}
        assert lengths <= set(compiled.lengths(4))

    @pytest.mark.parametrize(
        ("pattern", "told"),
        [
            ("(", "never closed"),
            ("A)", "without an opening"),
            ("[A", "never closed"),
            ("[]", "empty set"),
            ("a**", "repeat of a repeat"),
            ("*", "neither a letter"),
            ("A{", "not like"),
            ("A{3,1}", "smaller number first"),
            ("12/88", "'/'"),
            ("é", "'é'"),
            ("[Z-A]", "does not go up"),
            ("[A-z]", "does not go up"),
            ("\\w", "backslash"),
            ("(?:a)", "extension"),
            ("((A{200}){200}){200}", "too long"),
            ("(A|B)*A(A|B){15}", "too long"),
        ],
    )
    def test_what_is_not_understood_is_named(self, pattern: str, told: str) -> None:
        with pytest.raises(PatternError, match=re.escape(told)):
            compile_pattern(pattern)

    def test_an_alphabet_strikes_the_other_characters(self) -> None:
        assert compile_pattern("[A-Z0-9]", "0123456789").matches("7")
        assert not compile_pattern("[A-Z0-9]", "0123456789").matches("A")
        assert compile_pattern("[A-Z]\\d", "0123456789").empty


class TestSearch:
    @pytest.mark.parametrize("name", AUTOMATA)
    @pytest.mark.parametrize("seed", range(4))
    def test_best_paths_and_masses_are_those_of_all_paths(self, name: str, seed: int) -> None:
        automaton = AUTOMATA[name]
        scores = score_lattice(
            random_lattice(np.random.default_rng(seed), 4), Constraint("digits", 0, 9), OPTIONS
        )
        paths = [(t, s) for t, s, readable in all_paths(scores) if readable and accepts_text(automaton, t)]
        steered = SteeredLattice(scores, automaton)
        found = list(steered.best_paths(6))
        expected = sorted((score for _, score in paths), reverse=True)[:6]
        assert [path.score for path in found] == pytest.approx(expected)
        assert steered.best_score == pytest.approx(expected[0])
        masses = [exp(score / 1.3) for _, score in paths]
        assert exp(steered.log_mass(1.3)) == pytest.approx(sum(masses))
        lengths = sum(len(t) * m for (t, _), m in zip(paths, masses, strict=True)) / sum(masses)
        assert steered.shares(1.3).sum() == pytest.approx(lengths)

    def test_readable_mass(self) -> None:
        scores = score_lattice(
            random_lattice(np.random.default_rng(9), 4), Constraint("digits", 0, 9), OPTIONS
        )
        for least, most in ((0, 9), (2, 3), (4, 4)):
            masses = [
                exp(s / 1.3) for t, s, readable in all_paths(scores) if readable and least <= len(t) <= most
            ]
            assert exp(readable_log_mass(scores, least, most, 1.3)) == pytest.approx(sum(masses))


class TestReadings:
    @pytest.mark.parametrize("name", AUTOMATA)
    @pytest.mark.parametrize("seed", range(4))
    def test_brute_force(self, name: str, seed: int) -> None:
        """Text and confidence follow from the masses of all paths; see the module for the formula."""
        automaton, constraint = AUTOMATA[name], Constraint("digits", 1, 4)
        lattice = random_lattice(np.random.default_rng(100 + seed), 4)
        masses: dict[str, float] = {}
        obeying = unreadable = total = 0.0
        for text, score, readable in all_paths(score_lattice(lattice, constraint, OPTIONS)):
            mass = exp(score / OPTIONS.temperature)
            total += mass
            if not readable:
                unreadable += mass * (1 <= len(text) <= 4)
            elif 1 <= len(text) <= 4 and accepts_text(automaton, text):
                obeying += mass
                masses[text] = masses.get(text, 0.0) + mass
        kept = obeying + unreadable + OPTIONS.wrong_length * (total - obeying - unreadable)
        best = max(masses, key=masses.__getitem__)
        reading = decode_constrained(lattice, constraint, automaton, options=OPTIONS)
        assert reading.text == best
        assert reading.confidence == pytest.approx(masses[best] / kept, rel=2e-3)
        ruly = [(t, c) for t, c in reading.runners_up if accepts_text(automaton, t)]
        assert all(c == pytest.approx(masses[t] / kept, rel=2e-3) for t, c in ruly)

    def test_the_rule_finds_a_text_that_is_not_among_the_best(self) -> None:
        """Six doubtful digits make 64 texts; the one in the lexicon is the least probable of all."""
        row = row_of([{"1": 0.6, "7": 0.4}] * 6)
        assert "777777" not in [text for text, _ in decode(row, Constraint("digits", 6, 6)).runners_up]
        reading = decode_constrained(row, Constraint("digits", 6, 6), Lexicon.of(["777777", "123456"]))
        assert reading.text == "777777"
        assert [c.label for c in reading.characters] == ["7"] * 6

    def test_a_check_digit_settles_a_doubt(self) -> None:
        row = sure("79927398713", 1e-4)
        logs = row.log_probs.copy()
        logs[4, [class_index("7"), class_index("1")]] = np.log([0.45, 0.55])
        doubtful = Lattice(row.starts, row.stops, logs, row.bounds, row.piece_bounds, row.piece_ink)
        constraint = Constraint("digits", 11, 11)
        assert decode(doubtful, constraint).text == "79921398713"
        reading = decode_constrained(doubtful, constraint, Luhn())
        assert reading.text == "79927398713"
        assert reading.confidence > 0.97
        assert reading.characters[4].confidence > 0.97

    def test_ink_that_contradicts_the_rule_is_doubted(self) -> None:
        """OHIO is sure and not in the lexicon: OHIA is one letter off, but nothing to be sure of."""
        reading = decode_constrained(
            sure("OHIO", 1e-4), Constraint("upper", 4, 4), Lexicon.of(["OHIA", "UTAH"])
        )
        assert reading.text == "OHIA"
        assert reading.confidence < 0.05
        assert reading.runners_up[0][0] == "OHIO"
        assert reading.runners_up[0][1] > 0.9
        assert reading.characters[3].confidence < 0.05
        assert reading.characters[0].confidence > 0.9

    def test_the_same_ink_is_believed_where_the_rule_agrees(self) -> None:
        reading = decode_constrained(
            sure("OHIO", 1e-4), Constraint("upper", 4, 4), Lexicon.of(["OHIO", "UTAH"])
        )
        assert reading.text == "OHIO"
        assert reading.confidence > 0.999

    def test_confidence_falls_with_the_contradiction(self) -> None:
        found = []
        for share in (0.5, 0.1, 0.01, 0.001, 1e-4):
            row = row_of([{"A": 1.0}, {"A": share, "B": 1.0 - share}])
            found.append(decode_constrained(row, Constraint("upper", 2, 2), Lexicon.of(["AA"])).confidence)
        assert found == sorted(found, reverse=True)
        assert found[0] > 0.95
        assert found[2] == pytest.approx(0.01 / (0.01 + 0.003 * 0.99), rel=0.05)
        assert found[-1] < 0.05

    def test_nothing_plausible_gives_the_free_reading_in_doubt(self) -> None:
        reading = decode_constrained(sure("1234"), Constraint("digits", 4, 4), Lexicon.of(["5678"]))
        assert reading.text == "1234"
        assert reading.confidence <= 0.003
        assert all(character.confidence <= 0.003 for character in reading.characters)

    def test_too_many_characters_for_the_pattern_are_read_all_the_same(self) -> None:
        pattern = compile_pattern("\\d{4}")
        reading = decode_constrained(sure("123456"), Constraint("digits", 4, 4), pattern)
        assert reading.text == "123456"
        assert reading.confidence <= 0.003

    def test_an_empty_row(self) -> None:
        empty = lattice_of(0, {})
        assert decode_constrained(empty, Constraint("digits", 1, 4), Luhn()).confidence <= 0.003
        assert decode_constrained(
            empty, Constraint("digits", 0, 4), LengthRange(0)
        ).confidence == pytest.approx(1.0)

    def test_junk_is_not_read_with_confidence(self) -> None:
        """A lexicon of one value: no reason to find it in ink that is nothing."""
        row = row_of([{"A": 0.02, "B": 0.01}] * 3)
        assert decode_constrained(row, Constraint("upper", 3, 3), Lexicon.of(["AAA"])).confidence < 0.3

    def test_probabilities_are_probabilities(self) -> None:
        rng = np.random.default_rng(5)
        for _ in range(30):
            lattice = random_lattice(rng, int(rng.integers(1, 7)))
            for automaton in AUTOMATA.values():
                reading = decode_constrained(lattice, Constraint("digits", 0, 6), automaton, options=OPTIONS)
                values: NDArray[np.float64] = np.array(
                    [
                        reading.confidence,
                        *(c for _, c in reading.runners_up),
                        *(c.confidence for c in reading.characters),
                        *(p for c in reading.characters for _, p in c.alternatives),
                    ]
                )
                assert ((values >= 0) & (values <= 1.0)).all()
                assert len({reading.text, *(t for t, _ in reading.runners_up)}) == 1 + len(reading.runners_up)

    def test_a_constraint_carries_its_rule(self) -> None:
        row = row_of([{"1": 0.6, "7": 0.4}] * 2)
        assert read_rows([row], [Constraint("digits", 2, 2)])[0].text == "11"
        ruled = Constraint("digits", 2, 2, automaton=Lexicon.of(["77"]))
        assert read_rows([row], [ruled])[0].text == "77"

    def test_no_reading_asked_for(self) -> None:
        with pytest.raises(ValueError, match="n_best"):
            decode_constrained(sure("1"), Constraint("digits", 1, 1), Luhn(), n_best=0)
