import json
import weakref

import cv2
import numpy as np
import pytest

from model.alphabets import CLASS_COUNT
from model.classifier import BATCH, ClassifierError, load_classifier, log_softmax, model_card, read_model


@pytest.fixture(scope="module")
def shipped():
    return load_classifier()


def random_crops(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 28, 28)).astype(np.uint8)


@pytest.mark.parametrize("count", [0, 1, BATCH - 1, BATCH, BATCH + 1, 3 * BATCH + 5])
def test_rows_are_log_probabilities(shipped, count):
    log_probs = shipped.classify(random_crops(count))
    assert log_probs.shape == (count, CLASS_COUNT)
    assert log_probs.dtype == np.float32
    np.testing.assert_allclose(np.exp(log_probs).sum(axis=1), np.ones(count), atol=1e-4)


def test_a_crop_reads_the_same_wherever_it_stands_in_a_batch(shipped):
    crops = random_crops(BATCH + 7)
    together = shipped.classify(crops)
    for i in (0, BATCH - 1, BATCH, BATCH + 6):
        np.testing.assert_allclose(shipped.classify(crops[i : i + 1])[0], together[i], atol=1e-4)


def test_reads_plain_digits(shipped):
    one = np.zeros((28, 28), np.uint8)
    one[4:24, 13:16] = 255
    ring = np.zeros((28, 28), np.uint8)
    cv2.ellipse(ring, (14, 14), (6, 9), 0, 0, 360, 255, 2)
    digits = np.exp(shipped.classify(np.stack([one, ring])))[:, :10].argmax(axis=1)
    assert digits.tolist() == [1, 0]


@pytest.mark.parametrize(
    "crops",
    [
        np.zeros((2, 28, 28), np.float32),
        np.zeros((28, 28), np.uint8),
        np.zeros((2, 32, 32), np.uint8),
        np.zeros((2, 28, 28, 1), np.uint8),
    ],
)
def test_refuses_what_is_no_crop(shipped, crops):
    with pytest.raises(ClassifierError, match="expected uint8"):
        shipped.classify(crops)


def test_can_be_referred_to_weakly(shipped):
    assert weakref.ref(shipped)() is shipped


def test_card_belongs_to_the_weights(shipped):
    card = model_card()
    assert card["sha256"] == shipped.sha256
    assert shipped.temperature == card["calibration"]["temperature"] > 0
    assert card["bytes"] <= 1_000_000
    assert all(source["licence"] for source in card["data"])


def test_temperature_of_the_card_flattens_the_probabilities(tmp_path, shipped):
    hot = tmp_path / "hot.tflite"
    hot.write_bytes(read_model().content)
    hot.with_suffix(".json").write_text(json.dumps({"calibration": {"temperature": 10.0}}))
    crops = random_crops(4)
    assert load_classifier(hot).classify(crops).max() < shipped.classify(crops).max()


def test_names_a_missing_file(tmp_path):
    with pytest.raises(ClassifierError, match=r"nowhere\.tflite"):
        load_classifier(tmp_path / "nowhere.tflite")


def test_names_a_file_that_is_no_model(tmp_path):
    bad = tmp_path / "bad.tflite"
    bad.write_bytes(b"not a model at all")
    with pytest.raises(ClassifierError, match="bad"):
        load_classifier(bad)


def test_names_a_card_that_is_no_json(tmp_path):
    model = tmp_path / "mine.tflite"
    model.write_bytes(read_model().content)
    model.with_suffix(".json").write_text("{")
    with pytest.raises(ClassifierError, match=r"mine\.json"):
        load_classifier(model)


def test_log_softmax_stands_large_logits_and_impossible_classes():
    result = log_softmax(np.array([[1e4, 0, -np.inf]], np.float32))
    np.testing.assert_allclose(np.exp(result), [[1, 0, 0]], atol=1e-6)
