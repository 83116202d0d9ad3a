"""The composed test: what is held out, what is composed, what is counted."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from jobs import calibrate, cli, composed
from jobs.composed_fields import KINDS, ComposedField, compose_field, has_whole_path, make_fields
from jobs.composing import (
    DIGITS,
    UPPER,
    BitmapSource,
    LineComposer,
    held_out_sources,
    spaced_habits,
    training_sources,
)
from model.alphabets import CHARACTERS, CLASS_COUNT
from model.calibration import Calibration
from model.decoding import CharacterReading, Lattice, Reading
from model.networks import Networks
from segmentation.composition import WRONG_CUT, ComposedLine

DATA = os.environ.get("FORMSCRIBE_DATA")
needs_data = pytest.mark.skipif(DATA is None, reason="FORMSCRIBE_DATA names no folder with characters")


def bars(writers: int = 3, each: int = 2) -> BitmapSource:
    """All characters of a few hands, drawn as bars whose width tells the hand."""
    labels = np.tile(np.repeat(np.arange(62, dtype=np.int16), each), writers)
    hands = np.repeat(np.arange(writers, dtype=np.int32), 62 * each)
    images = np.zeros((len(labels), 28, 28), np.uint8)
    for image, hand in zip(images, hands, strict=True):
        image[4:24, 10 : 14 + 2 * hand] = 255
    return BitmapSource(images, labels, hands)


class PerfectClassifier:
    """Says of every crop that it is the character ``label``."""

    name, sha256 = "fake", "0" * 64

    def __init__(self, label: int) -> None:
        self.label = label

    def classify(self, crops: np.ndarray) -> np.ndarray:
        log_probs = np.full((len(crops), CLASS_COUNT), -9.0, np.float32)
        log_probs[:, self.label] = -0.01
        return log_probs


@pytest.fixture(scope="module")
def composer() -> LineComposer:
    return LineComposer({name: bars() for name in ("unipen", "cleaned", "sd19", "mnist")})


def kind(name: str):
    return next(kind for kind in KINDS if kind.name == name)


@pytest.mark.parametrize("each", KINDS, ids=lambda each: each.name)
def test_a_field_has_the_length_and_the_characters_of_its_kind(composer: LineComposer, each) -> None:
    for number in range(6):
        row, truth, source, _ = compose_field(composer, each, number, seed=3)
        assert each.shortest <= len(truth) <= each.longest
        assert source == each.sources[number % len(each.sources)]
        assert set(np.unique(row.owner)) - {0} <= set(range(1, len(truth) + 1))
        if each.layout == "alphabet":
            assert len(set(truth)) == 26
        if each.layout == "word":
            assert truth[0].isupper()
            assert truth[1:].islower()


def test_the_same_seed_and_number_make_the_same_field(composer: LineComposer) -> None:
    first, truth, *_ = compose_field(composer, kind("digits 4"), 5, seed=1)
    again, same, *_ = compose_field(composer, kind("digits 4"), 5, seed=1)
    other, *_ = compose_field(composer, kind("digits 4"), 5, seed=2)
    assert truth == same
    assert np.array_equal(first.ink, again.ink)
    assert not np.array_equal(first.ink, other.ink)


def test_one_hand_writes_a_row(composer: LineComposer) -> None:
    source = bars(writers=4)
    hands = LineComposer({"mnist": source})._hands["mnist"]  # the rows, before they become ink
    rng = np.random.default_rng(0)
    for kind_of in (DIGITS, UPPER):
        rows = hands.some(10, kind_of, rng)
        assert len(np.unique(source.writers[rows])) == 1
        assert len(np.unique(rows)) == 10
    assert len(np.unique(source.writers[hands.some(30, DIGITS, rng)])) > 1  # a hand has 20 digits


def test_spacing_says_whether_characters_touch(composer: LineComposer) -> None:
    rng = np.random.default_rng(0)
    widths = {}
    for spacing in ("free", "overlapping"):
        rows = [
            composer.compose_string("mnist", DIGITS, 8, spaced_habits(spacing, False, rng), rng)[0]
            for _ in range(5)
        ]
        widths[spacing] = np.mean([np.ptp(np.flatnonzero(row.ink.any(axis=0))) for row in rows])
    assert widths["overlapping"] < 0.75 * widths["free"]


def test_over_the_frame_writes_every_row_over_its_frame_and_else_nothing_changes() -> None:
    """The writing area is the inside of the frame: some of the row lies beyond it, up or to either side."""

    def rows(**over: float) -> list[ComposedLine]:
        lines = LineComposer({name: bars() for name in ("unipen", "cleaned", "sd19", "mnist")}, **over)
        return [compose_field(lines, kind("digits 4"), number, seed=1)[0] for number in range(30)]

    usual, none, over = rows(), rows(over=0.0), rows(over=1.0)
    for row, same in zip(usual, none, strict=True):
        np.testing.assert_array_equal(row.ink, same.ink)
    outside = []
    for row in over:
        ys, xs = np.nonzero(row.owner)
        area = row.area
        room = (ys.min() - area.y, area.bottom - ys.max(), xs.min() - area.x, area.right - xs.max())
        outside.append(min(room))
    assert np.mean(np.array(outside) < 4) > 0.9  # at least into the line, which is up to 7 pixels wide
    assert np.mean(np.array(outside) < 0) > 0.5


def test_over_the_frame_goes_with_composed_fields_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["evaluate", "--dataset", "mnist", "--over-frame"]) == 2
    assert "--over-frame: goes with --composed" in capsys.readouterr().err


def test_whole_path_needs_every_character_in_order() -> None:
    starts, stops = np.array([0, 1, 0, 2]), np.array([1, 2, 2, 3])
    assert has_whole_path(starts, stops, np.array([0, 1, WRONG_CUT, 2], np.int16), 3)
    assert has_whole_path(starts, stops, np.array([WRONG_CUT, WRONG_CUT, 0, 1], np.int16), 2)
    assert not has_whole_path(starts, stops, np.array([0, WRONG_CUT, WRONG_CUT, 1], np.int16), 3)
    assert not has_whole_path(starts, stops, np.array([WRONG_CUT, 0, 1, 2], np.int16)[:4], 4)
    assert not has_whole_path(starts, stops, np.array([1, 0, WRONG_CUT, 2], np.int16), 3)


def field_of(truth: str, verdict: list[int]) -> ComposedField:
    count = len(verdict)
    numbers = np.arange(count, dtype=np.int16)
    bounds = np.full((count, 4), 0.2, np.float32)
    lattice = Lattice(
        numbers,
        numbers + 1,
        np.zeros((count, CLASS_COUNT), np.float32),
        bounds,
        bounds,
        np.ones(count, np.float32),
    )
    return ComposedField(kind("digits 2"), "mnist", "free", 0, truth, lattice, np.array(verdict, np.int16))


def outcome_of(truth: str, read: str, verdict: list[int], confidence: float = 0.9) -> composed.Outcome:
    characters = tuple(CharacterReading(label, confidence, i, ()) for i, label in enumerate(read))
    return composed.Outcome(field_of(truth, verdict), Reading(read, confidence, characters, ()), read, None)


@pytest.mark.parametrize(
    ("read", "verdict", "cause"),
    [
        ("12", [0, 1], None),
        ("17", [0, 1], "label"),
        ("17", [0, WRONG_CUT], "cut"),
        ("1", [0, 1], "path"),
        ("172", [0, WRONG_CUT, 1], "path"),
    ],
)
def test_the_cause_of_a_wrong_reading(read: str, verdict: list[int], cause: str | None) -> None:
    assert outcome_of("12", read, verdict).cause == cause


def test_figures_of_known_outcomes() -> None:
    outcomes = [
        outcome_of("12", "12", [0, 1], 0.99),
        outcome_of("34", "34", [0, 1], 0.95),
        outcome_of("56", "58", [0, 1], 0.6),
        outcome_of("78", "7", [0, 1], 0.5),
    ]
    found = composed.figures(outcomes)
    assert found["fields"] == 4
    assert found["exact"] == 0.5
    assert found["characters"] == 6 / 8
    assert found["wrong"] == {"cut": 0.0, "path": 0.25, "label": 0.25}
    assert found["review_share_in_hindsight"] == 0.5
    assert found["exact_length_unknown"] == 0.5
    assert found["exact_permutation"] is None


def test_everything_is_read_right_where_nothing_can_be_wrong() -> None:
    """One class, drawn as a bar, freely spaced: whatever is read wrong is the fault of cuts or decoder."""
    source = bars(writers=1, each=20)
    ones = source.select(source.labels == 1)
    lines = LineComposer(dict.fromkeys(("sd19", "mnist", "unipen"), ones))
    fields = make_fields(lines, Networks(PerfectClassifier(1)), [kind("digits 4")], 12, seed=1)
    free = [field for field in fields if field.spacing == "free"]
    assert free
    outcomes = composed.read_fields(free, Calibration())
    assert all(outcome.field.whole for outcome in outcomes)
    assert [outcome.reading.text for outcome in outcomes] == ["1111"] * len(free)


def test_calibration_of_outcomes_is_what_a_card_can_hold() -> None:
    outcomes = [outcome_of("12", "12" if i % 3 else "17", [0, 1], 0.99) for i in range(300)]
    types = json.loads(json.dumps(calibrate.fit_types(outcomes)))
    found = Calibration.of_card({"field_calibration": {"types": types}})
    assert set(types) == {"digits"}
    applied = found.apply(outcomes[0].reading, "digits", outcomes[0].field.lattice)
    assert applied.confidence == pytest.approx(2 / 3, abs=0.03)
    assert types["digits"]["calibration_error_fields"][1] < types["digits"]["calibration_error_fields"][0]


def test_missing_data_is_told(tmp_path: Path, capsys) -> None:
    assert composed.main(["--data", str(tmp_path), "--lines", "1"]) != 0
    assert "--data" in capsys.readouterr().err


@needs_data
def test_parts_share_no_picture_and_no_hand_of_unipen() -> None:
    data = Path(str(DATA))
    test, fitted = held_out_sources(data, "test"), held_out_sources(data, "calibration")
    every, trained = held_out_sources(data), training_sources(data)
    for name in test:
        assert len(test[name].labels) + len(fitted[name].labels) == len(every[name].labels)
    for a, b in ((test, fitted), (every, trained)):
        assert not set(a["unipen"].writers) & set(b["unipen"].writers)
    assert not set(test["sd19"].writers) & set(fitted["sd19"].writers)
    for name in ("cleaned", "sd19", "mnist"):
        seen = {image.tobytes() for image in trained[name].images}
        assert not any(image.tobytes() in seen for image in every[name].images)


@needs_data
def test_the_command_measures_and_draws(tmp_path: Path, capsys) -> None:
    figures, pictures = tmp_path / "figures.json", tmp_path / "sheets"
    words = ["--data", str(DATA), "--lines", "4", "--json", str(figures), "--pictures", str(pictures)]
    assert composed.main(words) == 0
    printed = capsys.readouterr().out
    measured = json.loads(figures.read_text("utf-8"))
    assert measured["kinds"]["digits 5/all"]["fields"] == 4
    assert "digits 10/all" in printed
    assert all(set(row) >= {"exact", "characters", "whole_path"} for row in measured["kinds"].values())
    assert CHARACTERS  # the sheets exist only if something was read wrong
    for sheet in pictures.iterdir():
        assert sheet.stat().st_size > 1000
