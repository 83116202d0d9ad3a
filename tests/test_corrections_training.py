"""A model taught what people corrected: it learns, forgets little, and the whole loop runs as commands."""

import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest
from correction_results import Field, say, write_results

from jobs import cli, compare_models, train_corrections
from jobs.anchors import rendered_crops
from jobs.tuned_model import ENOUGH, Parent, calibrate
from model.alphabets import CHARACTERS, NOT_A_CHARACTER, charset_mask, class_index
from model.classifier import load_classifier, log_softmax, read_model
from model.datasets.corrections import make_corrections
from model.finetuning import Lesson, TuningOptions, copies_of, crop_weights, divide, finetune, tuning_rate

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
needs_tensorflow = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed: pip install .[train]"
)
QUICK = TuningOptions(epochs=4, copies=3)
WRITTEN_AS = class_index("7")
DIGITS = np.tile(charset_mask("digits"), (30, 1))


def strange_sevens(count, seed=1):
    """What someone writes for a 7, and nobody else for anything: a ring with a bar through it."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:28, 0:28]
    images = np.zeros((count, 28, 28), np.uint8)
    for image in images:
        y, x, radius = rng.uniform(12.5, 14.5), rng.uniform(12.5, 14.5), rng.uniform(6.5, 8)
        image[np.abs(np.hypot(rows - y, columns - x) - radius) < 1.3] = 255
        image[np.abs(rows - y) < 1.5] = 255
    return images


def vary(images):
    return np.roll(images, 1, axis=2)


def probabilities(network, images):
    logits = network.predict(images[..., None].astype(np.float32) / 255, batch_size=256, verbose=0)
    return np.exp(log_softmax(logits))


def quiet(_):
    pass


def test_confirmed_characters_do_not_drown_the_corrected():
    few = np.arange(100) < 10
    assert crop_weights(few, 1.0)[few].sum() == pytest.approx(crop_weights(few, 1.0)[~few].sum())
    assert crop_weights(few, 3.0)[~few].sum() == pytest.approx(30)
    assert crop_weights(~few, 1.0).tolist() == [1.0] * 100  # none weighs more than a corrected one
    assert crop_weights(np.zeros(4, bool), 1.0).tolist() == [1.0] * 4


@pytest.mark.parametrize(("count", "copies"), [(1, 6), (3333, 6), (5000, 4), (50_000, 1)])
def test_many_crops_are_not_multiplied(count, copies):
    assert copies_of(count, 6) == copies


def test_the_rate_rises_and_falls():
    rates = [tuning_rate(step, 100, 1.0) for step in range(100)]
    assert rates[0] < 0.11
    assert max(rates) == max(rates[:15])
    assert rates[-1] < 0.02
    assert all(rate > 0 for rate in (tuning_rate(step, 1, 1.0) for step in range(1)))


@needs_tensorflow
def test_it_learns_what_is_new_and_keeps_the_rest():
    parent = Parent("shipped", read_model().content, {})
    anchors, classes = rendered_crops(1500, seed=4)
    seen, unseen = anchors[:1000], anchors[1000:]
    new, later = strange_sevens(30), strange_sevens(30, seed=2)
    labels = np.full(30, WRITTEN_AS, np.int16)
    shares, moved, learnt = {}, {}, {}
    before = probabilities(parent.network(), unseen)
    assert np.mean(probabilities(parent.network(), later)[:, :10].argmax(1) == WRITTEN_AS) < 0.1
    for name, images in (("anchored", seen), ("free", seen[:0])):
        network = parent.network()
        history = finetune(
            network, Lesson(new, labels, DIGITS[:30], np.ones(30, bool), images), vary, QUICK, quiet
        )
        assert [row["epoch"] for row in history] == [1, 2, 3, 4]
        after = probabilities(network, unseen)
        shares[name] = float(np.mean(before.argmax(1) == after.argmax(1)))
        moved[name] = float(np.mean(np.abs(before - after).sum(axis=1)))
        wrong = classes[1000:] == NOT_A_CHARACTER
        learnt[name] = np.mean(probabilities(network, later)[:, :10].argmax(1) == WRITTEN_AS)
        if name == "anchored":
            assert np.mean(after[wrong, NOT_A_CHARACTER]) > 0.9 * np.mean(before[wrong, NOT_A_CHARACTER])
    assert learnt["anchored"] > 0.9
    assert shares["anchored"] > 0.97
    assert moved["anchored"] < 0.8 * moved["free"]


@needs_tensorflow
def test_only_the_dense_layers_change():
    network = Parent("shipped", read_model().content, {}).network()
    trunk, head = divide(network)
    before = [weight.copy() for weight in network.get_weights()]
    lesson = Lesson(
        strange_sevens(8), np.full(8, WRITTEN_AS, np.int16), DIGITS[:8], np.ones(8, bool), strange_sevens(0)
    )
    finetune(network, lesson, vary, TuningOptions(epochs=1, copies=1, batch=4), quiet)
    after = network.get_weights()
    same = [np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
    assert same == [True] * len(trunk.get_weights()) + [False] * len(head.get_weights())


@needs_tensorflow
def test_a_foreign_network_is_refused():
    import keras

    foreign = keras.Sequential([keras.layers.Input((28, 28, 1)), keras.layers.GlobalAveragePooling2D()])
    with pytest.raises(ValueError, match="GlobalAveragePooling2D"):
        divide(foreign)


def held_back(count):
    images, labels = rendered_crops(count * 6, seed=8)
    digits = np.flatnonzero(labels < 10)[:count]
    assert len(digits) == count
    texts = np.array(list(CHARACTERS))[labels[digits]]
    texts[::5] = np.where(
        texts[::5] == "1", "2", "1"
    )  # a fifth of the labels are wrong: confidences are too high
    named = np.array([f"{i}" for i in range(len(digits))])
    kinds = np.full(len(digits), "digits")
    return make_corrections(images[digits], texts, texts, kinds, named, named)


def test_the_temperature_is_fitted_if_there_are_enough_and_else_kept():
    content = read_model().content
    temperature, card = calibrate(content, held_back(ENOUGH // 2), 0.9)
    assert (temperature, card["temperature"]) == (0.9, 0.9)
    assert "too few" in card["fitted_on"]
    temperature, card = calibrate(content, held_back(ENOUGH), 0.9)
    assert temperature > 1.5
    assert card["fitted_on"].startswith(f"fitted on {ENOUGH // 2} corrections")
    fitted, before = (
        card[f"expected_calibration_error_{name}"] for name in ("corrections", "with_the_temperature_before")
    )
    assert fitted < before
    temperature, card = calibrate(content, held_back(ENOUGH), 3.5)
    assert temperature == 3.5  # the crops would allow to be surer
    assert card["fitted_on"].startswith("kept")


@pytest.fixture
def corrected(tmp_path: Path) -> Path:
    """Results in which every 7 is strange and read as something else, and the corrections of them."""
    images, labels = rendered_crops(4000, seed=6)
    plain = {digit: images[labels == class_index(digit)] for digit in "12345"}
    strange, fields, said = strange_sevens(120, seed=9), [], []
    read = load_classifier().classify(strange)[:, :10].argmax(1)
    for page in range(40):
        digits = "12345"[page % 5], "12345"[(page + 1) % 5]
        crops = [plain[digits[0]][page % 8], *strange[3 * page : 3 * page + 3], plain[digits[1]][page % 7]]
        middle = "".join(str(label) for label in read[3 * page : 3 * page + 3])
        fields.append(Field(page, "a", f"{digits[0]}{middle}{digits[1]}", np.array(crops)))
        said.append({"page": page, "field": "a", "text": f"{digits[0]}777{digits[1]}"})
    write_results(tmp_path / "out", fields)
    say(tmp_path / "out", said)
    return tmp_path


@needs_tensorflow
def test_the_loop_as_commands(corrected, monkeypatch, capsys):
    monkeypatch.setattr(train_corrections, "RENDERED", 600)
    monkeypatch.setattr(compare_models, "RENDERED_CROPS", 600)
    monkeypatch.chdir(corrected)
    assert cli.main(["export", "out", "--crops", "corrections.npz"]) == 0
    tuned = ["--dataset", "corrections:corrections.npz", "--from-model", "shipped", "--out", "runs/mine"]
    assert cli.main(["train", *tuned, "--epochs", "3"]) == 0
    assert "read as something else" in capsys.readouterr().out
    card = json.loads(Path("runs/mine/model.json").read_text())
    assert card["started_from"]["sha256"] == load_classifier().sha256
    assert card["sha256"] == load_classifier("runs/mine/model.tflite").sha256
    assert card["training"]["epochs"] == 3
    assert card["read_as_before"] == {"rendered": 600}
    assert card["field_calibration"] == read_model().card["field_calibration"]
    both = ["--model", "runs/mine/model.tflite", "--against", "shipped", "--also", "rendered"]
    promoted = ["--promote", "mine.tflite", "--json", "f.json", "--allowed", "0.02"]
    assert cli.main(["evaluate", "--dataset", "corrections:out", *both, *promoted]) == 0
    first = json.loads(Path("f.json").read_text())["sets"][0]
    assert first["verdict"] == "better"
    assert first["new_error_rate"] < 0.3 < first["old_error_rate"]
    assert cli.main(["evaluate", "--dataset", "corrections:out", "--model", "mine.tflite"]) == 0
    again = ["--dataset", "corrections:out", "--from-model", "runs/mine/model.keras", "--out", "runs/more"]
    assert cli.main(["train", *again, "--epochs", "1", "--rehearse", "npz:corrections.npz"]) == 0
    more = json.loads(Path("runs/more/model.json").read_text())
    assert more["started_from"]["scores"] == card["scores"]
    assert more["read_as_before"] == {"rendered": 600, "npz:corrections.npz": 200}


@needs_tensorflow
def test_a_model_that_is_none_is_named(corrected, monkeypatch, capsys):
    monkeypatch.chdir(corrected)
    Path("odd.tflite").write_bytes(b"no")
    for name in ("odd.tflite", "absent.keras"):
        flags = ["--dataset", "corrections:out", "--from-model", name, "--out", "o"]
        assert cli.main(["train", *flags]) == 5
        assert name.partition(".")[0] in capsys.readouterr().err
