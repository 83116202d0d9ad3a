"""Running text: the spaces between words, and rows read against a dictionary."""

import json
from dataclasses import replace
from itertools import product
from math import exp
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_constraints import lattice_of as pieces_of

from model.alignment import align
from model.automata import Lexicon
from model.constraints import read_rows
from model.decoding import DEFAULT_OPTIONS, Constraint, Lattice, Reading, decode
from model.networks import load_networks
from model.path_scores import score_lattice
from model.word_gaps import gap_scores
from model.word_tree import STRANGE_CHARACTER, STRANGE_WORD, word_tree
from model.words import decode_words
from pipeline.classifying import classify_pages
from pipeline.reading import lattice_of
from pipeline.records import PageKey, PageToClassify
from pipeline.rules import constraint_of
from segmentation.handwriting import Hand
from segmentation.rendering import fill_form
from segmentation.segmenting import segment_page
from segmentation.templates import FormTemplate, load_template, parse_template

SAMPLES = Path(__file__).resolve().parent.parent / "sample_forms" / "hsf"
TEXT = Constraint("text", 0, 600)
FORM = b"""
[form]
name = "prose"
dpi = 300
width = 2000
height = 1100
[[field]]
name = "place"
box = [100, 100, 1800, 110]
charset = "text"
[[field]]
name = "remarks"
box = [100, 400, 1800, 600]
layout = "paragraph"
charset = "text"
lexicon = ["the", "garden", "is", "green", "and", "house", "white", "behind", "big", "street"]
"""


def spaced_row(words: list[list[dict[str, float]]], gap: float = 0.5) -> Lattice:
    """One piece a character; ``gap`` more, in heights of a character, before each new word."""
    verdicts = [verdict for word in words for verdict in word]
    row = pieces_of(len(verdicts), {(i, i + 1): verdict for i, verdict in enumerate(verdicts)})
    begins = np.cumsum([0, *(len(word) for word in words)])
    moves = np.sum([np.arange(len(verdicts)) >= begin for begin in begins[1:-1]], axis=0) * gap * 0.5
    shift = np.zeros((len(verdicts), 4), np.float32)
    shift[:, [0, 2]] = moves[:, None] if len(words) > 1 else 0.0
    return replace(row, bounds=row.bounds + shift, piece_bounds=row.piece_bounds + shift)


def spelled(word: str, **doubts: dict[str, float]) -> list[dict[str, float]]:
    """Verdicts that are sure but for some characters."""
    return [doubts.get(character, {character: 0.999}) for character in word]


class TestDictionary:
    def test_words_and_their_spaces(self) -> None:
        row = spaced_row([spelled("we"), spelled("the"), spelled("people")])
        reading = decode_words(row, TEXT, Lexicon.of(["we", "the", "people", "of"]))
        assert reading.text == "we the people"
        assert reading.confidence > 0.98
        assert "".join(c.label for c in reading.characters) == "wethepeople"

    def test_a_doubtful_word_becomes_one_of_the_dictionary(self) -> None:
        doubts = {"l": {"i": 0.99, "l": 0.0005}, "o": {"a": 0.99, "o": 0.0005}}
        row = spaced_row([spelled("the"), spelled("people", **doubts)])
        assert "".join(decode(row, TEXT).text.split()) == "thepeapie"
        reading = decode_words(row, TEXT, Lexicon.of(["the", "people", "purple"]))
        assert reading.text == "the people"
        assert reading.confidence > 0.9

    def test_a_word_that_is_not_in_it_keeps_its_raw_reading(self) -> None:
        row = spaced_row([spelled("the"), spelled("Zebra7"), spelled("of")])
        reading = decode_words(row, TEXT, Lexicon.of(["the", "of", "people", "Liberty"]))
        assert reading.text == "the Zebra7 of"

    def test_an_empty_dictionary_and_an_empty_row(self) -> None:
        row = spaced_row([spelled("ab"), spelled("cd")], gap=1.0)
        assert decode_words(row, TEXT, Lexicon.of([])).text == "ab cd"
        empty = decode_words(pieces_of(0, {}), TEXT, Lexicon.of(["a"]))
        assert (empty.text, empty.characters) == ("", ())

    def test_no_space_within_a_word_nor_two_words_without_one(self) -> None:
        lexicon = Lexicon.of(["in", "to", "into"])
        assert (
            decode_words(spaced_row([spelled("in"), spelled("to")], gap=1.0), TEXT, lexicon).text == "in to"
        )
        assert decode_words(spaced_row([spelled("into")]), TEXT, lexicon).text == "into"

    def test_a_gap_alone_does_not_break_a_word(self) -> None:
        """A gap that says "space" with little conviction yields to the only word that makes sense."""
        row = spaced_row([spelled("peo"), spelled("ple")], gap=0.55)
        assert decode_words(row, TEXT, Lexicon.of(["people"])).text == "people"

    @pytest.mark.parametrize("seed", range(8))
    def test_the_best_path_is_that_of_all_paths(self, seed: int) -> None:
        """Brute force over all cuts, characters, and ways to part words, on four pieces."""
        rng = np.random.default_rng(seed)
        verdicts = {}
        for start in range(4):
            for stop in range(start + 1, min(start + 2, 4) + 1):
                values = rng.dirichlet(np.full(4, 0.5))
                verdicts[start, stop] = dict(zip("0123", (0.97 * values).tolist(), strict=True))
        row = pieces_of(4, verdicts)
        shift = np.cumsum(rng.uniform(0, 0.5, 4)).astype(np.float32)
        moved = row.piece_bounds.copy()
        moved[:, [0, 2]] += shift[:, None]
        row = replace(row, piece_bounds=moved)
        words, constraint = ["01", "2", "310", "33"], Constraint("digits", 0, 9)
        best = max(all_texts(row, constraint, words), key=lambda found: found[0])
        assert decode_words(row, constraint, Lexicon.of(words)).text == best[1]

    def test_the_tree_leaves_out_what_the_charset_cannot_spell(self) -> None:
        tree = word_tree(Lexicon.of(["01", "0a", "1"]), "0123456789")
        assert len(tree.ends) == 3  # 01, 1 and any string
        assert tree.parents.tolist() == [0, 1, 0, 2, 0]


def all_texts(row: Lattice, constraint: Constraint, words: list[str]) -> list[tuple[float, str]]:
    """Score and text of every path, however its characters are parted into words."""
    scores = score_lattice(row, constraint, DEFAULT_OPTIONS)
    gaps = gap_scores(row.piece_bounds, row.piece_ink, DEFAULT_OPTIONS.space_gap)
    paths: list[tuple[float, list[tuple[int, str]]]] = []

    def walk(border: int, score: float, steps: list[tuple[int, str]]) -> None:
        if border == len(scores.skips):
            paths.append((score, steps))
            return
        walk(border + 1, score + float(scores.skips[border]), steps)
        for i, (start, stop) in enumerate(zip(scores.starts, scores.stops, strict=True)):
            if start == border:
                for k, character in enumerate(scores.characters[:4]):
                    value = float(scores.labels[i, k] + scores.cuts[i])
                    walk(stop, score + value, [*steps, (start, character)])

    walk(0, 0.0, [])
    found = []
    for score, steps in paths:
        for parted in product((True, False), repeat=max(len(steps) - 1, 0)):
            text, total = "", score
            for (start, character), part in zip(steps, (None, *parted), strict=False):
                total += 0.0 if part is None else gaps[start][0 if part else 1]
                text += f" {character}" if part else character
            strange = [w for w in text.split() if w not in words]
            total -= sum(STRANGE_WORD + STRANGE_CHARACTER * len(w) for w in strange)
            found.append((total, text))
    return found


class TestGaps:
    def test_wide_gaps_part_and_narrow_ones_join(self) -> None:
        row = spaced_row([spelled("ab"), spelled("cd")], gap=1.0)
        scores = gap_scores(row.piece_bounds, row.piece_ink, DEFAULT_OPTIONS.space_gap)
        assert exp(scores[2][0]) > 0.99
        assert exp(scores[1][0]) < 0.01
        assert exp(scores[1][1]) > 0.99

    def test_a_comma_does_not_close_a_gap(self) -> None:
        pieces = np.array([[0.0, 0, 0.4, 0.5], [0.5, 0.45, 0.55, 0.6], [0.9, 0, 1.3, 0.5]], np.float32)
        row = Lattice(
            np.array([0, 1, 2]),
            np.array([1, 2, 3]),
            np.zeros((3, 63), np.float32),
            pieces,
            pieces,
            np.array([0.1, 0.005, 0.1], np.float32),
        )
        assert exp(gap_scores(row.piece_bounds, row.piece_ink, DEFAULT_OPTIONS.space_gap)[2][0]) > 0.9


def read_form(form: FormTemplate, gray: np.ndarray) -> dict[str, list[Reading]]:
    """The readings of all rows, by field, with the shipped model."""
    page = PageToClassify(PageKey("a", 1), "h", segment_page(gray, form), {})
    (classified,) = classify_pages([page], load_networks())
    at = 0
    readings: dict[str, list[Reading]] = {}
    for found in classified.page.segmented.fields:
        constraint, own = constraint_of(form.field(found.name)), []
        for line in found.lines:
            stop = at + len(line.crops)
            own += read_rows([lattice_of(line, classified.log_probs[at:stop])], [constraint])
            at = stop
        readings[found.name] = own
    return readings


@pytest.fixture(scope="module")
def written() -> tuple[dict[str, str], dict[str, list[Reading]]]:
    """A form written by a steady hand, and what the shipped model reads."""
    form = parse_template(FORM, "prose.toml")
    hand = Hand("schoolbell", 62, 1.0, 0, 5.5, 0.3, 0.8, 0, touching=0, crossing=0)
    texts = {
        "place": "Cedar Point East",
        "remarks": "the white house behind the garden is big and green and the street is white and big",
    }
    page, truth = fill_form(form, texts, hand, np.random.default_rng(4))
    return truth, read_form(form, page)


def test_a_line_of_text_keeps_its_inner_spaces(written) -> None:
    truth, readings = written
    (reading,) = readings["place"]
    assert [len(word) for word in reading.text.split()] == [len(word) for word in truth["place"].split()]
    assert "".join(c.label for c in reading.characters) == reading.text.replace(" ", "")


def test_a_paragraph_is_read_with_the_words_of_its_template(written) -> None:
    truth, readings = written
    assert len(readings["remarks"]) > 1
    assert " ".join(reading.text for reading in readings["remarks"]) == truth["remarks"]


def test_the_paragraph_of_a_sample_form() -> None:
    """The preamble on the shipped form: nine tenths without a dictionary would be out of reach."""
    form = load_template("hsf")
    truth = json.loads((SAMPLES / "form_0003.truth.json").read_text("utf-8"))["fields"]["fld_33"]
    gray = cv2.imread(str(SAMPLES / "form_0003.png"), cv2.IMREAD_GRAYSCALE)
    text = " ".join(reading.text for reading in read_form(form, gray)["fld_33"])
    letters = "".join(c for c in truth if c.isalnum())
    counts = align(letters, text.replace(" ", "")).counts
    assert 1 - (counts.substitutions + counts.deletions + counts.insertions) / len(letters) > 0.95
