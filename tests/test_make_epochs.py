"""Epochs made ahead of training, kept in a folder, and taught there."""

import importlib.util
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from jobs.make_epochs import ABOUT, EpochFolder, main, make_epochs, teach
from jobs.recipe import EpochShape
from model.alphabets import CLASS_COUNT
from model.classifier import load_classifier
from model.datasets import DatasetError
from model.epochs import epoch_path
from model.export import why_not_exported
from model.teachers import load_teacher, targets_of


class Numbered:
    """An epoch's crops are as grey as its number; its labels too."""

    def make(self, epoch):
        return np.full((3, 28, 28), epoch, np.uint8), np.full(3, epoch, np.int16)


@dataclass(frozen=True)
class Plan:
    """Stands for a recipe."""

    seed: int = 1
    shape: EpochShape = field(default_factory=EpochShape)
    judge: Path | None = None
    harvested: tuple[Path, ...] = ()

    def open(self):
        return Numbered()


class Sevens:
    name, sha256 = "sevens", "7" * 64

    def classify(self, crops):
        answers = np.full((len(crops), CLASS_COUNT), -np.inf, np.float32)
        answers[:, 7] = 0.0
        return answers


def test_epochs_come_in_order_and_again_after_the_last(tmp_path):
    make_epochs(Plan(), 3, tmp_path, processes=2)
    folder = EpochFolder(tmp_path)
    assert [int(folder.get(epoch)[1][0]) for epoch in range(5)] == [0, 1, 2, 0, 1]
    assert (folder.about["count"], folder.about["seed"]) == (3, 1)


def test_what_is_there_is_not_made_again(tmp_path):
    make_epochs(Plan(), 1, tmp_path, processes=1)
    made = epoch_path(tmp_path, 0).stat().st_mtime_ns
    make_epochs(Plan(), 2, tmp_path, processes=1)
    assert epoch_path(tmp_path, 0).stat().st_mtime_ns == made
    assert int(EpochFolder(tmp_path).get(1)[1][0]) == 1
    with pytest.raises(DatasetError, match="made otherwise"):
        make_epochs(Plan(seed=2), 2, tmp_path, processes=1)
    with pytest.raises(DatasetError, match="made otherwise"):
        make_epochs(Plan(harvested=(Path("pool.npz"),)), 2, tmp_path, processes=1)


def test_a_folder_of_something_else_and_an_epoch_that_never_comes_are_named(tmp_path):
    with pytest.raises(DatasetError, match=r"make_epochs"):
        EpochFolder(tmp_path)
    make_epochs(Plan(), 1, tmp_path, processes=1)
    epoch_path(tmp_path, 0).unlink()
    with pytest.raises(DatasetError, match=r"epoch-0\.npz: was not made"):
        EpochFolder(tmp_path, patience_s=0).get(0)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--teacher", "shipped"], "make_epochs"),
        ([], "--data"),
        (["--data", "nowhere"], "mnist_train60k.npz"),
    ],
)
def test_the_command_names_what_is_missing(tmp_path, capsys, flags, said):
    with pytest.raises(SystemExit) as ended:
        main(["--out", str(tmp_path / "epochs"), "--count", "1", "--processes", "1", *flags])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_what_teachers_say_takes_the_place_of_the_labels(tmp_path):
    make_epochs(Plan(), 2, tmp_path, processes=1)
    teach(tmp_path, [Sevens()], 0.25)
    folder = EpochFolder(tmp_path)
    images, taught = folder.get(1)
    assert (images == 1).all()
    expected = np.zeros((3, CLASS_COUNT))
    expected[:, 1], expected[:, 7] = 0.75, 0.25
    np.testing.assert_array_equal(taught, expected)
    np.testing.assert_array_equal(targets_of(images, taught, CLASS_COUNT, [], 0.0), expected)
    assert folder.about["teachers"] == ["7" * 64]
    assert (tmp_path / ABOUT).is_file()


@pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed: pip install .[train]"
)
def test_a_network_in_a_keras_file_teaches_what_its_export_says(tmp_path):
    from model.restoring import restore_network

    restore_network().save(tmp_path / "shipped.keras")
    crops = np.random.default_rng(1).integers(0, 256, (40, 28, 28)).astype(np.uint8)
    teacher, shipped = load_teacher(tmp_path / "shipped.keras"), load_classifier()
    np.testing.assert_allclose(np.exp(teacher.classify(crops)), np.exp(_raw(shipped, crops)), atol=0.02)
    assert len(teacher.sha256) == 64
    assert teacher.name == "shipped"


def _raw(classifier, crops):
    """Log-probabilities without the temperature of the card."""
    logits = classifier.classify(crops) * classifier.temperature
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


class Weighs:
    def __init__(self, parameters):
        self._parameters = parameters

    def count_params(self):
        return self._parameters


def test_what_cannot_be_exported_is_told_with_the_remedy(monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    assert why_not_exported(Weighs(500_000)) is None
    assert "--teacher" in why_not_exported(Weighs(4_000_000))
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert "--export-only" in why_not_exported(Weighs(500_000))
    assert "--teacher" in why_not_exported(Weighs(4_000_000))
