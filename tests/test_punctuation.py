"""Commas, full stops, hyphens and slashes of free text."""

from dataclasses import replace

import numpy as np
import pytest

from model.alphabets import CHARACTERS, CLASS_COUNT
from model.automata import Lexicon
from model.decoding import DEFAULT_OPTIONS, Constraint, Lattice, decode
from model.path_scores import score_lattice
from model.words import decode_words
from model.writing_lines import EXTENTS

FREE = Constraint("text", 1, 40, spaces=True)
CAP, BASE, WIDE, GAP = 0.6, 0.8, 0.36, 0.08  # in heights of the writing area
# Top, bottom and width in cap heights, what the network makes of it, and how surely it is no character.
MARKS = {
    ",": (0.72, 1.2, 0.28, {"o": 0.5, "g": 0.3}, 0.5),
    ".": (0.8, 0.98, 0.18, {"o": 0.5, "m": 0.3}, 0.95),
    "-": (0.42, 0.58, 0.5, {"0": 0.6, "I": 0.3}, 0.95),
    "/": (-0.15, 1.2, 0.75, {"1": 0.8, "l": 0.15}, 0.01),
    "1": (0.0, 1.0, 0.25, {"1": 0.6, "l": 0.35}, 0.01),
}


def row_of(text, whole=True, before=None):
    """A lattice of one piece a character, as a hand would set them; ``before`` adds gaps before places."""
    bounds, logs, x = [], [], 0.0
    for place, character in enumerate(text.replace(" ", "")):
        x += (before or {}).get(place, 0.0)
        if character in MARKS:
            top, bottom, width, likely, rejected = MARKS[character]
        else:
            (top, bottom), width, likely, rejected = EXTENTS[character], WIDE / CAP, {character: 0.97}, 0.005
        bounds.append((x, BASE + CAP * (top - 1), x + CAP * width, BASE + CAP * (bottom - 1)))
        x += CAP * width + GAP
        row = np.full(CLASS_COUNT, 1e-4)
        row[CLASS_COUNT - 1] = rejected
        for label, share in likely.items():
            row[CHARACTERS.index(label)] = share * (1 - rejected)
        logs.append(np.log(row / row.sum()))
    places, edges = np.arange(len(bounds)), np.array(bounds, np.float32)
    ink = 0.3 * (edges[:, 2] - edges[:, 0]) * (edges[:, 3] - edges[:, 1])
    known = np.full(len(places), whole)
    return Lattice(places, places + 1, np.array(logs, np.float32), edges, edges, ink, whole=known)


@pytest.mark.parametrize("text", ["Lima,", "Lena.", "369-4205", "22/8/95", "6.8.1994"])
def test_marks_are_read_by_their_size_and_place(text):
    assert decode(row_of(text), FREE).text == text


def test_a_space_follows_a_comma_where_the_gap_is_wide():
    assert decode(row_of("Riverton,WY", before={9: 0.3}), FREE).text == "Riverton, WY"


def test_a_one_among_digits_is_no_slash():
    assert decode(row_of("3195"), FREE).text == "3195"
    assert decode(row_of("81185"), FREE).text == "81185"


def test_a_stroke_that_may_be_a_slash_is_doubted():
    free, digits = decode(row_of("4/8"), FREE), decode(row_of("4/8"), replace(FREE, charset="digits"))
    assert digits.text == "418"
    assert free.confidence < 0.9
    assert {free.text, *(text for text, _ in free.runners_up)} >= {"418", "4/8"}


def test_a_character_of_a_mark_is_a_row_like_any_other():
    reading = decode(row_of("Lima,"), FREE)
    assert "".join(character.label for character in reading.characters) == "Lima,"
    comma = reading.characters[-1]
    assert comma.candidate == 4
    assert 0.5 < comma.confidence < 1
    assert "o" in [label for label, _ in comma.alternatives]


@pytest.mark.parametrize("charset", ["letters", "upper", "lower", "digits", "alphanumeric"])
def test_only_free_text_has_punctuation(charset):
    for text in ("LIMA,", "lima,", "4444."):
        read = decode(row_of(text), replace(FREE, charset=charset, spaces=False)).text
        assert read.isalnum() or not read


def test_a_field_with_a_list_of_values_has_none():
    values = Lexicon.of({"Lima": "Lima", "Lena": "Lena"})
    scores = score_lattice(row_of("Lima,"), replace(FREE, automaton=values), DEFAULT_OPTIONS)
    assert scores.characters == CHARACTERS


def test_what_was_cut_off_is_no_mark():
    assert "," not in decode(row_of("Lima,", whole=False), FREE).text


def test_small_letters_stay_letters():
    assert decode(row_of("assessors"), FREE).text == "assessors"


def test_a_mark_is_not_left_out_nor_joined_to_its_neighbour():
    row = row_of("Lena.")
    joined = np.log(np.full((1, CLASS_COUNT), 1e-4, np.float32))
    joined[0, CHARACTERS.index("a")] = np.log(0.98)
    edges = np.concatenate([row.bounds, [[*row.bounds[3, :2], *row.bounds[4, 2:]]]]).astype(np.float32)
    both = Lattice(
        np.append(row.starts, 3),
        np.append(row.stops, 5),
        np.concatenate([row.log_probs, joined]),
        edges,
        row.piece_bounds,
        row.piece_ink,
        whole=np.append(row.whole, False),
    )
    assert decode(both, FREE).text == "Lena."


class TestWordsOfADictionary:
    WORDS = Lexicon.of({word: word for word in ("the", "house", "in", "Lima")})

    def read(self, text, **where):
        constraint = replace(FREE, words=self.WORDS)
        return decode_words(row_of(text, **where), constraint, self.WORDS)

    def test_marks_stand_after_their_words(self):
        reading = self.read("thehouse,inLima.", before={3: 0.3, 9: 0.3, 11: 0.3})
        assert reading.text == "the house, in Lima."
        assert "".join(character.label for character in reading.characters) == "thehouse,inLima."
        assert [character.candidate for character in reading.characters] == list(range(16))

    @pytest.mark.parametrize("text", ["22/8/95", "6.8.1994", "369-4205", "-Lima", ".Lima"])
    def test_no_mark_is_lost(self, text):
        reading = self.read(text)
        assert reading.text.replace(" ", "") == text
        assert "".join(character.label for character in reading.characters) == text

    def test_they_cost_a_word_none_of_its_confidence(self):
        with_mark, without = self.read("Lima."), self.read("Lima")
        assert with_mark.text == "Lima."
        assert with_mark.confidence == pytest.approx(without.confidence, abs=0.02)

    def test_a_row_of_a_mark_alone_has_no_words(self):
        assert self.read(".").text == ""
