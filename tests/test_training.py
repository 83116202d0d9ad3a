"""Training on crops that are easy to tell apart, with a tiny network; needs TensorFlow."""

import importlib.util
import os
import signal
import weakref
from dataclasses import replace

import numpy as np
import pytest

from model.alphabets import CLASS_COUNT
from model.epochs import BackgroundEpochs
from model.network import Convolution, NetworkShape, build_network
from model.teachers import targets_of
from model.training import (
    AVERAGED,
    CHECKPOINT,
    TrainingError,
    TrainingOptions,
    TrainingState,
    _save_state,
    epochs_done,
    learning_rate,
    load_network,
    train,
)

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
needs_tensorflow = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed: pip install .[train]"
)
TINY = NetworkShape(
    (Convolution(4, 5, 2), Convolution(8, 3, 2), Convolution(16, 3, 2)), dense=16, dropout=0.0
)
OPTIONS = TrainingOptions(epochs=5, batch=32, learning_rate=0.01, warmup=10, smoothing=0.0, average=0.9)


def bars(epoch=0, count=960):
    """Upright bars are ones, flat ones are not characters."""
    rng = np.random.default_rng(epoch)
    images = np.zeros((count, 28, 28), np.uint8)
    upright = rng.random(count) < 0.5
    for image, stands in zip(images, upright, strict=True):
        place = int(rng.integers(10, 16))
        if stands:
            image[4:24, place : place + 3] = 255
        else:
            image[place : place + 3, 4:24] = 255
    return images, np.where(upright, 1, CLASS_COUNT - 1).astype(np.int16)


def accuracy(model):
    images, labels = bars(99)
    logits = model.predict(images[..., None].astype(np.float32) / 255, verbose=0)
    value = float(np.mean(logits.argmax(axis=1) == labels))
    return {"bars": value, "score": value}


def build_tiny():
    return build_network(TINY)


def quiet(_):
    pass


class Says:
    """A teacher that takes every crop for one class, and is so sure of it."""

    name, sha256 = "says", "0" * 64

    def __init__(self, label, sure):
        self._answer = np.full(CLASS_COUNT, (1 - sure) / (CLASS_COUNT - 1), np.float32)
        self._answer[label] = sure

    def classify(self, crops):
        return np.log(np.tile(self._answer, (len(crops), 1)))


class FailingSource:
    def make(self, epoch):
        raise ValueError("no such crops")


class KilledSource:
    def make(self, epoch):
        os.kill(os.getpid(), signal.SIGKILL)


class BarSource:
    def make(self, epoch):
        return bars(epoch, 50 + epoch)


def test_rate_warms_up_and_falls():
    rates = [
        learning_rate(step, 1000, TrainingOptions(learning_rate=1.0, warmup=100)) for step in range(1000)
    ]
    assert rates[0] == pytest.approx(0.01)
    assert max(rates) == rates[99] == pytest.approx(1.0)
    assert rates[99:] == sorted(rates[99:], reverse=True)
    assert rates[-1] == pytest.approx(0.01, abs=1e-3)


def test_epochs_come_from_another_process_in_order():
    with BackgroundEpochs(BarSource) as epochs:
        for number in range(3):
            images, labels = epochs.get(number)
            expected = bars(number, 50 + number)
            np.testing.assert_array_equal(images, expected[0])
            np.testing.assert_array_equal(labels, expected[1])


def test_a_failure_in_the_other_process_is_told():
    with BackgroundEpochs(FailingSource) as epochs, pytest.raises(RuntimeError, match="no such crops"):
        epochs.get(0)


def test_a_process_that_was_killed_is_not_waited_for(monkeypatch):
    monkeypatch.setattr("model.epochs._LOOK_AFTER_S", 0.1)
    with BackgroundEpochs(KilledSource) as epochs, pytest.raises(RuntimeError, match="exit code -9"):
        epochs.get(0)


def test_what_is_learnt_is_the_label_and_the_mean_of_the_teachers():
    images, labels = bars(0, 4)
    sure = np.eye(CLASS_COUNT)[labels]
    np.testing.assert_array_equal(targets_of(images, labels, CLASS_COUNT, [], 0.5), sure)
    np.testing.assert_array_equal(targets_of(images, labels, CLASS_COUNT, [Says(7, 0.9)], 0.0), sure)
    mixed = targets_of(images, labels, CLASS_COUNT, [Says(7, 0.9), Says(9, 0.5)], 0.4)
    assert mixed.dtype == np.float32
    np.testing.assert_allclose(mixed.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(mixed[np.arange(4), labels], 0.6, atol=0.01)
    np.testing.assert_allclose(mixed[:, 7], 0.4 * (0.9 + 0.5 / 62) / 2, atol=1e-6)


@needs_tensorflow
def test_a_teacher_is_believed_as_far_as_it_was_asked_for(tmp_path):
    """A teacher says 7 of everything; with most of the say it prevails over the labels."""
    options = replace(OPTIONS, epochs=2, taught=0.9)
    teachers = [Says(7, 0.99)]
    model, _ = train(bars, accuracy, tmp_path, options, build=build_tiny, teachers=teachers, report=quiet)
    logits = model.predict(bars(99)[0][..., None].astype(np.float32) / 255, verbose=0)
    assert np.mean(logits.argmax(axis=1) == 7) > 0.95


@needs_tensorflow
def test_network_takes_crops_and_gives_logits():
    model = build_network()
    assert model.output_shape == (None, CLASS_COUNT)
    assert model.count_params() < 950_000  # one byte each in the exported file


@needs_tensorflow
def test_learns_and_keeps_a_learning_curve(tmp_path):
    model, history = train(bars, accuracy, tmp_path, OPTIONS, build=build_tiny, report=quiet)
    assert [row["epoch"] for row in history] == [1, 2, 3, 4, 5]
    assert history[-1]["bars"] > 0.95
    assert accuracy(model)["bars"] == pytest.approx(history[-1]["bars"])
    assert (tmp_path / "learning_curve.png").stat().st_size > 5000


@needs_tensorflow
def test_an_epoch_is_let_go_of_when_it_is_done(tmp_path):
    """TensorFlow keeps its data sets for good; epochs of a quarter of a gigabyte would fill the memory."""
    alive = []

    def get_epoch(epoch):
        assert not [images for images in (reference() for reference in alive[:-1]) if images is not None]
        images, labels = bars(epoch, 64)
        alive.append(weakref.ref(images))
        return images, labels

    train(get_epoch, accuracy, tmp_path, replace(OPTIONS, epochs=4), build=build_tiny, report=quiet)
    assert len(alive) == 4


@needs_tensorflow
def test_same_seed_same_network(tmp_path):
    runs = []
    for name in "ab":
        few = TrainingOptions(epochs=1, batch=32)
        model, _ = train(bars, accuracy, tmp_path / name, few, build=build_tiny, report=quiet)
        runs.append(model.get_weights())
    assert all(np.allclose(a, b, atol=1e-4) for a, b in zip(*runs, strict=True))


@needs_tensorflow
def test_goes_on_where_it_stopped(tmp_path):
    seen = []

    def broken(epoch):
        if epoch == 4:
            raise KeyboardInterrupt
        return bars(epoch)

    def counted(epoch):
        seen.append(epoch)
        return bars(epoch)

    with pytest.raises(KeyboardInterrupt):
        train(broken, accuracy, tmp_path, OPTIONS, build=build_tiny, report=quiet)
    assert epochs_done(tmp_path) == 4
    _, history = train(counted, accuracy, tmp_path, OPTIONS, resume=True, report=quiet)
    assert seen == [4]
    assert len(history) == 5


@needs_tensorflow
def test_stops_when_the_score_no_longer_rises(tmp_path):
    flat = TrainingOptions(epochs=9, batch=32, patience=2)
    constant = lambda model: {"score": 0.5}  # noqa: E731
    _, history = train(lambda e: bars(e, 64), constant, tmp_path, flat, build=build_tiny, report=quiet)
    assert len(history) == 3
    _, history = train(lambda e: bars(e, 64), constant, tmp_path, flat, resume=True, report=quiet)
    assert len(history) == 3  # the epochs before count
    assert sorted(path.name for path in tmp_path.glob("*state*")) == ["state.json"]


def test_a_state_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch):
    def full(path, text, encoding):
        path.write_bytes(text.encode(encoding)[:5])
        raise OSError("no room")

    def save(epoch):
        for name in (CHECKPOINT, AVERAGED):
            (tmp_path / f"new-{name}").write_bytes(b"")
        _save_state(TrainingState(epoch, []), OPTIONS, tmp_path)

    save(1)
    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(OSError, match="no room"):
        save(2)
    assert epochs_done(tmp_path) == 1


@needs_tensorflow
def test_nothing_to_resume_is_named(tmp_path):
    with pytest.raises(TrainingError, match="nothing to resume"):
        train(bars, accuracy, tmp_path, OPTIONS, resume=True, report=quiet)


@needs_tensorflow
def test_a_file_that_is_no_network_is_named(tmp_path):
    (tmp_path / "x.keras").write_text("no")
    with pytest.raises(TrainingError, match=r"x\.keras"):
        load_network(tmp_path / "x.keras")


@needs_tensorflow
def test_export_reads_as_the_network_does(tmp_path):
    from model.classifier import load_classifier
    from model.export import ExportError, export_network, write_model

    model, _ = train(bars, accuracy, tmp_path, OPTIONS, build=build_tiny, report=quiet)
    images, labels = bars(7, 200)
    content, figures = export_network(model, images)
    assert figures["largest_difference"] < 0.1
    write_model(content, {"calibration": {"temperature": 1.0}}, tmp_path / "m.tflite")
    log_probs = load_classifier(tmp_path / "m.tflite").classify(images)
    assert np.mean(log_probs.argmax(axis=1) == labels) > 0.95
    with pytest.raises(ExportError, match="changed"):
        export_network(model, images, tolerance=0.0)
