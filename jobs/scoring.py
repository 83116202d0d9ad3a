"""Scores and calibration of a model on held-out sets, as its card states them."""

import string
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.alphabets import CHARACTERS, CLASS_COUNT, charset_mask
from model.classifier import Classifier, LiteRtClassifier
from model.datasets import LabelledCrops
from model.evaluation import Evaluation, compare, fit_temperature, restrict

GROUPS = ("digits", "upper", "lower")
CALIBRATED_ON = ("unipen_held_out_writers", "sd19_cleaned_held_out")


def group_masks(labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    """For each label the classes of its own kind (digits, upper, lower): bool (N, 63)."""
    table = np.zeros((CLASS_COUNT, CLASS_COUNT), bool)
    kinds = {"digits": string.digits, "upper": string.ascii_uppercase, "lower": string.ascii_lowercase}
    for name, members in kinds.items():
        table[[CHARACTERS.index(character) for character in members]] = charset_mask(name)
    return table[labels]


def compare_sets(
    log_probs: Mapping[str, NDArray[np.float32]], sets: Mapping[str, LabelledCrops]
) -> dict[str, Evaluation]:
    """The figures of every set and kind of character in it, by ``set/kind``; the kind is known."""
    results: dict[str, Evaluation] = {}
    for name, crops in sets.items():
        for group in GROUPS:
            inside = charset_mask(group)[crops.labels]
            if inside.any():
                results[f"{name}/{group}"] = compare(log_probs[name][inside], crops.labels[inside], group)
    return results


def score_sets(
    log_probs: Mapping[str, NDArray[np.float32]], sets: Mapping[str, LabelledCrops]
) -> dict[str, Any]:
    """Accuracy and calibration error of every set and kind of character in it, as a card states them."""
    return {
        name: {
            "count": result.count,
            "accuracy": round(result.accuracy, 5),
            "expected_calibration_error": round(result.calibration_error, 5),
        }
        for name, result in compare_sets(log_probs, sets).items()
    }


def classify_sets(
    classifier: Classifier, sets: Mapping[str, LabelledCrops]
) -> dict[str, NDArray[np.float32]]:
    """Log-probabilities of every set."""
    return {name: classifier.classify(crops.images) for name, crops in sets.items()}


def calibrate(content: bytes, sets: Mapping[str, LabelledCrops]) -> tuple[float, dict[str, Any]]:
    """Fits the temperature on every second held-out crop and states the error on the others.

    Returns:
        The temperature; and the card's ``calibration``.
    """
    raw = LiteRtClassifier("uncalibrated", content)
    parts = list(sets.values())
    logits = np.concatenate([raw.classify(part.images) for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    fit = np.arange(len(labels)) % 2 == 0
    temperature = fit_temperature(logits[fit], labels[fit], group_masks(labels[fit]))
    figures: dict[str, Any] = {"temperature": round(temperature, 4)}
    for name, groups in (("digits", ("digits",)), ("letters", ("upper", "lower"))):
        errors, counts = [], []
        for group in groups:
            inside = ~fit & charset_mask(group)[labels]
            if inside.any():
                result = compare(
                    restrict(logits[inside] / np.float32(temperature), None), labels[inside], group
                )
                errors.append(result.calibration_error)
                counts.append(result.count)
        if counts:
            error = float(np.average(errors, weights=counts))
            figures[f"expected_calibration_error_{name}"] = round(error, 5)
    return temperature, figures
