"""``evaluate --dataset recipe``: all that is held out of the training of the shipped model, in one table."""

import json

import numpy as np
import pytest
from PIL import Image

from jobs import cli, evaluate_recipe, scoring
from jobs.recipe import HELD_OUT_WRITERS
from model.alphabets import CLASS_COUNT, class_index
from model.datasets import DatasetError, LabelledCrops

KINDS = {"first": "0123456789", "second": "7Aa"}


def crops(name, characters):
    """One crop of each character: its class stands in the first pixel."""
    labels = np.array([class_index(character) for character in characters], np.int16)
    images = np.zeros((len(labels), 28, 28), np.uint8)
    images[:, 0, 0] = labels
    return LabelledCrops(name, images, labels, np.full(len(labels), -1, np.int32))


class Reader:
    """Reads what stands in the first pixel, but takes every 7 for a 1 and every 9 for a 4."""

    name, sha256 = "reader", "0" * 64

    def classify(self, images):
        read = images[:, 0, 0].astype(int)
        read[read == class_index("7")] = class_index("1")
        read[read == class_index("9")] = class_index("4")
        log_probs = np.full((len(images), CLASS_COUNT), -9, np.float32)
        log_probs[np.arange(len(images)), read] = -0.01
        return log_probs


@pytest.fixture
def reader(monkeypatch):
    asked = []

    def sets(data, spoilt=False):
        asked.append((str(data), spoilt))
        return {name: crops(name, characters) for name, characters in KINDS.items()}

    monkeypatch.setattr(evaluate_recipe, "open_model", lambda path: Reader())
    monkeypatch.setattr(evaluate_recipe, "held_out_sets", sets)
    return asked


def test_a_row_for_each_set_and_kind(reader, tmp_path, capsys):
    figures, picture = tmp_path / "f.json", tmp_path / "c.png"
    command = ["evaluate", "--dataset", "recipe", "--data", "DATA", "--json", str(figures)]
    assert cli.main([*command, "--confusion", str(picture)]) == 0
    assert reader == [("DATA", False)]
    told = json.loads(figures.read_text("utf-8"))
    assert {name: (row["count"], row["accuracy"]) for name, row in told["sets"].items()} == {
        "first/digits": (10, 0.8),
        "second/digits": (1, 0.0),
        "second/upper": (1, 1.0),
        "second/lower": (1, 1.0),
    }
    assert (told["model"], told["spoilt"]) == ("0" * 64, False)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines[1:3]] == [
        ["first/digits", "10", "80.00"],
        ["second/digits", "1", "0.00"],
    ]
    assert "7 as 1 1x, 9 as 4 1x" in lines[1]
    assert Image.open(picture).width > 100


def test_a_picture_of_nothing_wrong_is_no_error(tmp_path):
    sets = {"right": crops("right", "123")}
    results = scoring.compare_sets(scoring.classify_sets(Reader(), sets), sets)
    evaluate_recipe.draw_confusions(results, tmp_path / "c.png")
    assert "nothing" in evaluate_recipe.format_table(results)


def test_spoilt_characters_are_kept_if_asked_for(reader):
    assert cli.main(["evaluate", "--dataset", "recipe", "--data", "DATA", "--spoilt"]) == 0
    assert reader == [("DATA", True)]


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (["--charset", "digits"], 2, "--charset"),
        (["--split", "all"], 2, "--split"),
        (["--against", "shipped"], 2, "--against"),
        (["--download"], 2, "--download"),
        (["--confusion", "c.nonsense"], 2, "c.nonsense"),
        (["--json", "/nowhere/f.json"], 6, "/nowhere/f.json"),
    ],
)
def test_errors_name_the_flag_or_file(reader, capsys, flags, code, said):
    assert cli.main(["evaluate", "--dataset", "recipe", "--data", "DATA", *flags]) == code
    assert said in capsys.readouterr().err


def test_without_data_the_flag_is_named(reader, capsys, monkeypatch):
    monkeypatch.delenv("FORMSCRIBE_DATA", raising=False)
    assert cli.main(["evaluate", "--dataset", "recipe"]) == 2
    assert "--data" in capsys.readouterr().err


def test_absent_sets_are_named(capsys, tmp_path):
    assert cli.main(["evaluate", "--dataset", "recipe", "--data", str(tmp_path)]) == 3
    assert str(tmp_path) in capsys.readouterr().err


def test_of_other_sets_nothing_is_spoilt(capsys):
    assert cli.main(["evaluate", "--dataset", "mnist", "--spoilt"]) == 2
    assert "--spoilt" in capsys.readouterr().err


def test_an_error_of_the_data_is_told(reader, monkeypatch, capsys):
    def broken(data, spoilt=False):
        raise DatasetError(f"{data}: nothing of {HELD_OUT_WRITERS} writers")

    monkeypatch.setattr(evaluate_recipe, "held_out_sets", broken)
    assert cli.main(["evaluate", "--dataset", "recipe", "--data", "DATA"]) == 3
    assert "40 writers" in capsys.readouterr().err
