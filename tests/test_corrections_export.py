"""A folder of results with corrections to labelled crops, as the commands give them."""

from pathlib import Path

import numpy as np
import pytest
from correction_results import Field, say, write_results

from jobs import cli
from model.alphabets import CHARACTERS
from model.datasets import load_npz
from model.datasets.corrections import load_corrections
from review.labelled import labelled_crops


def some_crops(seed, count):
    return np.random.default_rng(seed).integers(0, 256, (count, 28, 28), dtype=np.uint8)


FIELDS = [
    Field(1, "a", "123", some_crops(1, 3)),
    Field(1, "b", "45", some_crops(2, 2)),
    Field(2, "a", "678", some_crops(3, 3)),
    Field(2, "b", "9", some_crops(4, 1)),
    Field(3, "a", "XY", some_crops(5, 2), "upper"),
    Field(3, "b", "0123", some_crops(6, 4)),
]
SAID = [
    {"page": 1, "field": "a", "text": "999"},  # said again below
    {"page": 1, "field": "a", "text": "129"},
    {"page": 1, "field": "b", "text": "45"},
    {"page": 1, "field": "b", "verdict": "undone"},
    {"page": 2, "field": "a", "verdict": "blank"},
    {"page": 2, "field": "b", "verdict": "unreadable"},
    {"page": 3, "field": "a", "text": "XV"},
    {"page": 3, "field": "b", "position": 0, "read_label": "0", "verdict": "right"},
    {"page": 3, "field": "b", "position": 1, "read_label": "1", "verdict": "wrong"},  # said again below
    {"page": 3, "field": "b", "position": 1, "read_label": "1", "verdict": "label", "label": "7"},
    {"page": 3, "field": "b", "position": 2, "read_label": "2", "verdict": "wrong"},
]
EXPECTED = {
    ("1", "a", "1"),
    ("2", "a", "2"),
    ("9", "a", "3"),
    ("X", "a", "X"),
    ("V", "a", "Y"),
    ("0", "b", "0"),
} | {("7", "b", "1")}


@pytest.fixture
def output(tmp_path: Path) -> Path:
    write_results(tmp_path / "out", FIELDS)
    say(tmp_path / "out", SAID)
    return tmp_path / "out"


def test_the_newest_words_become_labels(output):
    found, counts = labelled_crops(output)
    labels = [CHARACTERS[label] for label in found.crops.labels]
    read = [CHARACTERS[label] for label in found.read]
    assert set(zip(labels, (name.partition("/")[2] for name in found.fields), read, strict=True)) == EXPECTED
    assert len(found) == 7
    assert (counts.crops, counts.corrected, counts.fields) == (7, 3, 3)
    assert counts.left_out == 2
    by_read = {
        (name, was): image for name, was, image in zip(found.fields, read, found.crops.images, strict=True)
    }
    np.testing.assert_array_equal(by_read["small/a", "3"], FIELDS[0].crops[2])
    np.testing.assert_array_equal(by_read["small/a", "Y"], FIELDS[4].crops[1])
    assert set(found.charsets) == {"digits", "upper"}
    assert len(np.unique(found.crops.writers)) == len(np.unique(found.pages)) == 2


def test_a_reading_of_another_run_is_not_labelled_by_position(output):
    write_results(output, [Field(1, "a", "193", some_crops(9, 3))], run="20260202-000000")
    found, _ = labelled_crops(output)
    assert len(found) == 7  # the run that the verifier saw, and no other


BEFORE, AFTER = "2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z"


def labels_of(output, page, field):
    found, _ = labelled_crops(output)
    own = next(one for one in FIELDS if (one.page, one.name) == (page, field)).crops
    crops = zip(found.crops.labels, found.crops.images, strict=True)
    return {CHARACTERS[label] for label, image in crops if (image == own).all(axis=(1, 2)).any()}


@pytest.mark.parametrize("verdict", ["blank", "unreadable"])
@pytest.mark.parametrize("marked", [BEFORE, AFTER])
@pytest.mark.parametrize("mark", [{"verdict": "right"}, {"verdict": "label", "label": "5"}])
def test_a_field_that_is_called_blank_or_unreadable_gives_nothing(output, verdict, marked, mark):
    place = {"page": 2, "field": "b"}
    say(output, [place | {"position": 0, "read_label": "9", "created": marked} | mark])
    say(output, [place | {"verdict": verdict}])
    assert not labels_of(output, 2, "b")
    say(output, [place | {"verdict": "undone"}])  # nobody says any more that it is
    assert labels_of(output, 2, "b") == {mark.get("label", "9")}


def test_a_blank_field_gives_nothing_in_a_later_run_either(output):
    write_results(output, [Field(2, "a", "6", FIELDS[2].crops[:1])], run="20260202-000000")
    mark = {"position": 0, "read_label": "6", "verdict": "right", "run": "20260202-000000"}
    say(output, [{"page": 2, "field": "a", "created": AFTER} | mark])
    assert not labels_of(output, 2, "a")


@pytest.mark.parametrize(("marked", "label"), [(BEFORE, "9"), (AFTER, "5")])
def test_the_newer_of_a_text_and_a_mark_counts(output, marked, label):
    mark = {"position": 2, "read_label": "3", "verdict": "label", "label": "5", "created": marked}
    say(output, [{"page": 1, "field": "a"} | mark])
    assert labels_of(output, 1, "a") == {"1", "2", label}


def test_a_picture_that_two_runs_cut_alike_counts_once_with_the_later_label(output):
    write_results(output, [Field(1, "a", "123", FIELDS[0].crops)], run="20260202-000000")
    mark = {"position": 0, "read_label": "1", "verdict": "label", "label": "5", "run": "20260202-000000"}
    say(output, [{"page": 1, "field": "a"} | mark])
    found, _ = labelled_crops(output)
    assert len(found) == 7
    (same,) = np.flatnonzero((found.crops.images == FIELDS[0].crops[0]).all(axis=(1, 2)))
    assert CHARACTERS[found.crops.labels[same]] == "5"


def test_one_command_writes_a_data_set(output, tmp_path, capsys):
    target = tmp_path / "corrections.npz"
    assert cli.main(["export", str(output), "--crops", str(target)]) == 0
    said = capsys.readouterr().out
    assert "7 characters of 3 fields" in said
    assert "3 of them were read as something else" in said
    written, direct = load_corrections(target), labelled_crops(output)[0]
    np.testing.assert_array_equal(written.crops.images, direct.crops.images)
    np.testing.assert_array_equal(written.crops.labels, direct.crops.labels)
    np.testing.assert_array_equal(written.held_back, direct.held_back)
    assert ("few pages" in said) is not written.settled
    assert len(load_npz(target)) == 7  # a set like any other


def test_they_can_be_measured_on(output, tmp_path, capsys):
    figures = tmp_path / "f.json"
    flags = ["--dataset", f"corrections:{output}", "--split", "all", "--json", str(figures)]
    assert cli.main(["evaluate", *flags]) == 0
    assert '"count": 7' in figures.read_text()
    assert cli.main(["evaluate", "--dataset", f"corrections:{output}"]) == 0
    assert "accuracy" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["export", "OUT", "--crops", "x.csv"], 2, ".npz"),
        (["export", "OUT", "--crops", "x.npz", "--out", "y.csv"], 2, "--crops"),
        (["export", "OUT"], 2, "--crops"),
        (["export", "OUT", "--crops", "nowhere/x.npz"], 6, "nowhere"),
        (["export", "EMPTY", "--crops", "x.npz"], 9, "EMPTY"),
        (["evaluate", "--dataset", "corrections:EMPTY"], 9, "EMPTY"),
        (["evaluate", "--dataset", "corrections:absent.npz"], 3, "formscribe export"),
        (["evaluate", "--dataset", "corrections:other.npz"], 2, "read"),
        (["train", "--dataset", "corrections:absent.npz", "--out", "o"], 3, "absent.npz"),
        (["train", "--dataset", "corrections:OUT", "--resume", "--out", "o"], 2, "--resume"),
        (["train", "--dataset", "mnist", "--rehearse", "mnist", "--out", "o"], 2, "--rehearse"),
    ],
)
def test_errors_name_the_file_or_flag(output, tmp_path, monkeypatch, capsys, words, code, told):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "other.npz", images=some_crops(0, 2), labels=np.array(["1", "2"]))
    words = [word.replace("OUT", str(output)) for word in words]
    assert cli.main(words) == code
    assert told in capsys.readouterr().err


def test_nobody_has_said_anything_yet(tmp_path, capsys):
    write_results(tmp_path / "out", FIELDS)
    assert cli.main(["export", str(tmp_path / "out"), "--crops", str(tmp_path / "x.npz")]) == 9
    assert "formscribe review" in capsys.readouterr().err
    say(tmp_path / "out", [{"page": 2, "field": "a", "verdict": "blank"}])
    assert cli.main(["evaluate", "--dataset", f"corrections:{tmp_path / 'out'}"]) == 3
    assert "formscribe review" in capsys.readouterr().err


def test_what_was_read_as_punctuation_is_left_out(tmp_path):
    """The model has no class for it, whether people agreed or saw a letter."""
    write_results(tmp_path, [Field(1, "a", "12,34/5", some_crops(7, 7), "text")])
    say(tmp_path, [{"page": 1, "field": "a", "text": "12,3415"}])
    found, counts = labelled_crops(tmp_path)
    assert sorted(CHARACTERS[label] for label in found.crops.labels) == list("12345")
    assert counts.corrected == 0
    assert counts.left_out == 2
