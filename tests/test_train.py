"""The command ``train`` on small folders; needs TensorFlow where it trains."""

import argparse
import importlib.util
import json

import numpy as np
import pytest
from test_evaluate_dataset import write_pictures

from jobs import cli
from jobs.train_dataset import AugmentedEpochs, open_splits

needs_tensorflow = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed: pip install .[train]"
)


def test_splits_hold_every_class_and_share_nothing(tmp_path):
    folder = write_pictures(tmp_path / "set", count=30)
    splits = open_splits(f"folder:{folder}", None, False, seed=1)
    parts = (splits.train, splits.validation, splits.test)
    assert sum(len(part) for part in parts) == 120
    assert all(len(np.unique(part.labels)) == 4 for part in parts)
    assert len(splits.test) == 24


def test_epochs_are_fresh_and_seeded(tmp_path):
    folder = write_pictures(tmp_path / "set", count=12)
    crops = open_splits(f"folder:{folder}", None, False, seed=1).train
    epochs = AugmentedEpochs(crops, seed=3)
    (first, labels), (again, _), (second, _) = epochs.make(0), epochs.make(0), epochs.make(1)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)
    assert sorted(labels) == sorted(crops.labels)


@needs_tensorflow
def test_trains_resumes_and_leaves_a_model_that_others_can_load(tmp_path, capsys):
    folder, out = write_pictures(tmp_path / "set", count=40), tmp_path / "run"
    flags = ["--dataset", f"folder:{folder}", "--out", str(out)]
    assert cli.main(["train", *flags, "--epochs", "1"]) == 0
    assert cli.main(["train", *flags, "--epochs", "2", "--resume"]) == 0
    printed = capsys.readouterr().out
    assert "epoch 2" in printed
    assert "validation" in printed
    card = json.loads((out / "model.json").read_text())
    assert card["epochs_trained"] == 2
    assert card["training"]["seed"] == 1
    names = {"model.tflite", "model.keras", "learning_curve.png", "confusion.png", "test.json"}
    assert names <= {path.name for path in out.iterdir()}
    model = ["--model", str(out / "model.tflite")]
    assert cli.main(["evaluate", "--dataset", f"folder:{folder}", *model]) == 0


@needs_tensorflow
@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (["--dataset", "nonsense"], 2, "nonsense"),
        (["--dataset", "folder:SET"], 3, "too few"),
        (["--dataset", "recipe", "--data", "/nowhere"], 2, "/nowhere"),
        (["--dataset", "folder:SET", "--teacher", "/no.tflite"], 5, "/no.tflite"),
        (["--dataset", "corrections:SET", "--teacher", "shipped"], 2, "--teacher"),
    ],
)
def test_errors_name_the_data_set(tmp_path, capsys, flags, code, said):
    folder = write_pictures(tmp_path / "set", count=1)
    flags = [flag.replace("SET", str(folder)) for flag in flags]
    assert cli.main(["train", *flags, "--out", str(tmp_path / "out")]) == code
    assert said in capsys.readouterr().err


def test_without_tensorflow_it_says_how_to_install_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert cli.main(["train", "--dataset", "mnist", "--out", str(tmp_path)]) == 2
    assert "pip install '.[train]'" in capsys.readouterr().err


def test_the_flags_choose_the_shape_of_a_new_network():
    from jobs.train import new_shape
    from model.network import LARGER, NetworkShape

    larger = new_shape(argparse.Namespace(shape="larger", dropout=0.1))
    assert (larger.trunk, larger.dropout) == (LARGER.trunk, 0.1)
    default = new_shape(argparse.Namespace(shape="shipped", dropout=NetworkShape.dropout))
    assert default == NetworkShape()
