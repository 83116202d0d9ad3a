import numpy as np
import pytest
from PIL import Image

from model.alphabets import CLASS_COUNT, NOT_A_CHARACTER, class_index
from model.evaluation import compare, draw_confusion, evaluate, fit_temperature, format_report, restrict


def log_probs_for(*rows):
    """Each row a dict of character -> probability; what is left goes to not-a-character."""
    out = np.full((len(rows), CLASS_COUNT), 1e-9, np.float32)
    for i, row in enumerate(rows):
        for character, probability in row.items():
            out[i, class_index(character)] = probability
        out[i, NOT_A_CHARACTER] = max(1 - sum(row.values()), 1e-9)
    return np.log(out)


def labels_for(text):
    return np.array([class_index(c) for c in text], np.int16)


def test_charset_decides_between_look_alikes():
    log_probs = log_probs_for({"0": 0.3, "O": 0.6, "o": 0.1})
    assert restrict(log_probs, None).argmax() == class_index("O")
    digits = restrict(log_probs, "digits")
    assert digits.argmax() == class_index("0")
    assert np.exp(digits).sum() == pytest.approx(1)


def test_counts_precision_recall_and_confusions():
    rows = [{"1": 0.9}, {"1": 0.9}, {"7": 0.9}, {"7": 0.9}, {"1": 0.9}]
    result = compare(log_probs_for(*rows), labels_for("11771"[:4] + "7"), "digits")
    assert result.accuracy == pytest.approx(0.8)
    seven = next(score for score in result.classes if score.label == "7")
    assert (seven.support, seven.precision, seven.recall) == (3, 1.0, pytest.approx(2 / 3))
    assert result.worst(5) == [("7", "1", 1)]
    assert "7 as 1 1x" in format_report(result)


def test_calibration_error_is_the_gap_between_confidence_and_accuracy():
    rows = [{"1": 0.7, "7": 0.3}] * 10
    honest = compare(log_probs_for(*rows), labels_for("1" * 7 + "7" * 3), "digits")
    boastful = compare(log_probs_for(*rows), labels_for("1" * 2 + "7" * 8), "digits")
    assert honest.calibration_error == pytest.approx(0.0, abs=1e-6)
    assert boastful.calibration_error == pytest.approx(0.5, abs=1e-6)


def test_temperature_is_found_again():
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 2, (20_000, CLASS_COUNT)).astype(np.float32)
    chosen = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)  # labels drawn from softmax(logits)
    masks = np.ones(logits.shape, bool)
    assert fit_temperature(logits * np.float32(2.5), chosen, masks) == pytest.approx(2.5, rel=0.04)


def test_only_the_charset_is_measured():
    class Ones:
        name, sha256 = "ones", ""

        def classify(self, crops):
            return log_probs_for(*[{"1": 0.9}] * len(crops))

    crops = np.zeros((3, 28, 28), np.uint8)
    result = evaluate(Ones(), crops, labels_for("1aZ"), "digits")
    assert (result.count, result.accuracy) == (1, 1.0)
    assert evaluate(Ones(), crops, labels_for("1aZ")).accuracy == pytest.approx(1 / 3)


def test_nothing_to_measure_is_no_crash():
    result = compare(np.zeros((0, CLASS_COUNT), np.float32), np.zeros(0, np.int16), None)
    assert result.count == 0
    assert np.isnan(result.accuracy)


def test_confusion_picture_grows_with_the_classes(tmp_path):
    few = compare(log_probs_for({"1": 0.9}, {"7": 0.9}), labels_for("17"), None)
    draw_confusion(few, tmp_path / "few.png", cell=20)
    assert Image.open(tmp_path / "few.png").size == (61, 61)
