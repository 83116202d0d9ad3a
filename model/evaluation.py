"""How good a classifier is: accuracy, a report per class, confusion, calibration. Needs no TensorFlow."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.alphabets import CHARACTERS, CLASS_COUNT, NOT_A_CHARACTER, charset_mask
from model.classifier import Classifier, log_softmax
from model.crop_variants import classify_known

BINS = 15


@dataclass(frozen=True)
class ClassScore:
    """One class: how many there are, precision, recall and F1, each 0..1."""

    label: str
    support: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Evaluation:
    """The figures of one data set.

    Attributes:
        charset: the classes a reading was chosen from; None = all 63.
        count: crops measured.
        accuracy: share read right, 0..1.
        calibration_error: expected calibration error of the chosen label, 0..1 (Naeini et al., AAAI 2015).
        classes: the classes that occur or were read.
        confusion: int64 (63, 63), rows truth, columns reading.
        reliability: float64 (15, 3): crops, mean confidence and accuracy per bin of confidence.
    """

    charset: str | None
    count: int
    accuracy: float
    calibration_error: float
    classes: tuple[ClassScore, ...]
    confusion: NDArray[np.int64]
    reliability: NDArray[np.float64]

    def as_dict(self) -> dict[str, Any]:
        """The figures for JSON; the confusions as the most frequent pairs."""
        return {
            "charset": self.charset,
            "count": self.count,
            "accuracy": round(self.accuracy, 6),
            "expected_calibration_error": round(self.calibration_error, 6),
            "classes": [vars(score) for score in self.classes],
            "confusions": [
                {"truth": truth, "read": read, "count": count} for truth, read, count in self.worst(40)
            ],
            "reliability": [
                {"count": int(row[0]), "confidence": round(row[1], 4), "accuracy": round(row[2], 4)}
                for row in self.reliability
            ],
        }

    def worst(self, count: int) -> list[tuple[str, str, int]]:
        """The most frequent confusions: (truth, read, count), most frequent first."""
        wrong = self.confusion.copy()
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind="stable")[:count]
        pairs = [(int(i) // CLASS_COUNT, int(i) % CLASS_COUNT) for i in order]
        return [(class_name(t), class_name(r), int(wrong[t, r])) for t, r in pairs if wrong[t, r]]


def class_name(index: int) -> str:
    """The character of a class, or ``(none)`` for not-a-character."""
    return "(none)" if index == NOT_A_CHARACTER else CHARACTERS[index]


def restrict(log_probs: NDArray[np.float32], charset: str | None) -> NDArray[np.float32]:
    """Log-probabilities given that the character is of the charset; the others become -inf.

    Args:
        log_probs: float32 (N, 63).
        charset: a name of ``alphabets.CHARSETS``; None leaves all 63.

    Returns:
        float32 (N, 63), each row summing to 1 after ``exp``.
    """
    if charset is None:
        return log_probs
    return log_softmax(np.where(charset_mask(charset), log_probs, np.float32(-np.inf)))


def evaluate(
    classifier: Classifier, images: NDArray[np.uint8], labels: NDArray[np.integer], charset: str | None = None
) -> Evaluation:
    """Classifies crops as ``classify_known`` does and compares; crops outside the charset are not measured.

    Args:
        classifier: see ``model.classifier``.
        images: uint8 (N, 28, 28).
        labels: (N,) class indices.
        charset: a name of ``alphabets.CHARSETS``, None for all classes.
    """
    if charset is not None:
        inside = charset_mask(charset)[labels]
        images, labels = images[inside], labels[inside]
    return compare(classify_known(classifier, images, charset), labels, charset)


def compare(
    log_probs: NDArray[np.float32],
    labels: NDArray[np.integer],
    charset: str | None,
    masks: NDArray[np.bool_] | None = None,
) -> Evaluation:
    """The figures from log-probabilities, float32 (N, 63), and class indices (N,).

    ``masks``, bool (N, 63), are the classes that each crop is chosen from, where they differ.
    """
    if masks is not None:
        log_probs = log_softmax(np.where(masks, log_probs, np.float32(-np.inf)))
    probabilities = np.exp(restrict(log_probs, charset))
    read = probabilities.argmax(axis=1) if len(labels) else np.zeros(0, np.int64)
    confusion = np.zeros((CLASS_COUNT, CLASS_COUNT), np.int64)
    np.add.at(confusion, (labels, read), 1)
    confidence = probabilities.max(axis=1) if len(labels) else np.zeros(0)
    reliability = reliability_bins(confidence, read == labels)
    gaps = reliability[:, 0] * np.abs(reliability[:, 1] - reliability[:, 2])
    return Evaluation(
        charset,
        len(labels),
        float(np.mean(read == labels)) if len(labels) else float("nan"),
        float(gaps.sum() / max(1, len(labels))),
        _class_scores(confusion),
        confusion,
        reliability,
    )


def reliability_bins(confidence: NDArray[Any], right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Crops, mean confidence and accuracy in 15 equal bins of confidence: float64 (15, 3)."""
    bins = np.minimum((np.asarray(confidence) * BINS).astype(int), BINS - 1)
    count = np.bincount(bins, minlength=BINS).astype(float)
    sums = [np.bincount(bins, weights=values, minlength=BINS) for values in (confidence, right)]
    return np.column_stack([count, *(part / np.maximum(count, 1) for part in sums)])


def fit_temperature(
    logits: NDArray[np.float32], labels: NDArray[np.integer], masks: NDArray[np.bool_]
) -> float:
    """The temperature that gives held-out labels the highest likelihood, 0.3..4.

    Args:
        logits: float32 (N, 63), of temperature 1.
        labels: (N,) class indices.
        masks: bool (N, 63), the classes each crop is chosen from.
    """
    masked = np.where(masks, logits, np.float32(-np.inf)).astype(np.float32)
    rows = np.arange(len(labels))

    def loss(temperature: float) -> float:
        return -float(log_softmax(masked / np.float32(temperature))[rows, labels].mean())

    grid = np.geomspace(0.3, 4, 27)
    best = grid[int(np.argmin([loss(t) for t in grid]))]
    fine = np.geomspace(best / 1.1, best * 1.1, 21)
    return float(fine[int(np.argmin([loss(t) for t in fine]))])


def _class_scores(confusion: NDArray[np.int64]) -> tuple[ClassScore, ...]:
    scores = []
    for index in np.flatnonzero(confusion.sum(axis=0) + confusion.sum(axis=1)):
        right, support = int(confusion[index, index]), int(confusion[index].sum())
        precision = right / max(1, int(confusion[:, index].sum()))
        recall = right / max(1, support)
        f1 = 2 * precision * recall / (precision + recall) if right else 0.0
        scores.append(ClassScore(class_name(int(index)), support, precision, recall, f1))
    return tuple(scores)


def format_report(evaluation: Evaluation) -> str:
    """A table per class, the worst confusions and the totals, as text."""
    lines = [f"{'class':>7} {'count':>7} {'precision':>10} {'recall':>8} {'F1':>8}"]
    lines += [
        f"{s.label:>7} {s.support:7d} {s.precision:10.4f} {s.recall:8.4f} {s.f1:8.4f}"
        for s in evaluation.classes
    ]
    confusions = ", ".join(f"{t} as {r} {n}x" for t, r, n in evaluation.worst(12))
    lines += ["", f"most confused: {confusions or 'nothing'}"]
    lines += [
        f"crops {evaluation.count}, accuracy {100 * evaluation.accuracy:.2f} %, "
        f"expected calibration error {100 * evaluation.calibration_error:.2f} points"
    ]
    return "\n".join(lines)


def draw_confusion(evaluation: Evaluation, path: Path, cell: int = 26) -> None:
    """Draws the confusion matrix of the classes that occur as a PNG; errors in red, by share of their row."""
    from PIL import Image, ImageDraw, ImageFont

    used = np.flatnonzero(evaluation.confusion.sum(axis=0) + evaluation.confusion.sum(axis=1))
    matrix = evaluation.confusion[np.ix_(used, used)]
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    names = [class_name(int(index)) if index != NOT_A_CHARACTER else "-" for index in used]
    side = cell * (len(used) + 1)
    picture = Image.new("RGB", (side + 1, side + 1), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(11)
    for i, name in enumerate(names):
        middle = cell * (i + 1.5)
        draw.text((middle, cell / 2), name, "black", font, "mm")
        draw.text((cell / 2, middle), name, "black", font, "mm")
        for j in np.flatnonzero(matrix[i]):
            tint = 255 - int(200 * shares[i, j] ** 0.5)
            color = (tint, tint, 255) if i == j else (255, tint, tint)
            x, y = cell * (int(j) + 1), cell * (i + 1)
            draw.rectangle((x, y, x + cell, y + cell), color)
            if i != j:
                draw.text((x + cell / 2, y + cell / 2), str(matrix[i, j]), "black", font, "mm")
    picture.save(path)
