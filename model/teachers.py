"""Teachers: trained models whose answers to the same crops are learnt beside the labels."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.classifier import SHIPPED, Classifier, load_classifier, log_softmax

_BATCH = 1024


class NetworkTeacher:
    """A keras.Model as a classifier of whole epochs; it runs wherever Keras computes, a GPU for example."""

    def __init__(self, network: Any, name: str, sha256: str) -> None:
        """Takes a model of ``model.network``; ``sha256`` is that of its file."""
        self._network, self.name, self.sha256 = network, name, sha256

    def classify(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Log-probabilities float32 (N, 63) of crops uint8 (N, 28, 28)."""
        parts = []
        for start in range(0, len(crops), 64 * _BATCH):
            inputs = crops[start : start + 64 * _BATCH, :, :, None].astype(np.float32) / np.float32(255)
            parts.append(np.asarray(self._network.predict(inputs, batch_size=_BATCH, verbose=0), np.float32))
        return log_softmax(np.concatenate(parts))


def load_teacher(path: Path) -> Classifier:
    """A ``.keras`` or ``.tflite`` file of a training run; ``shipped`` is the model that ships.

    Raises:
        TrainingError: a ``.keras`` file is missing or no network of ours.
        ClassifierError: any other file is missing, or no exported model of characters.
    """
    from model.training import load_network

    if path.suffix != ".keras":
        return load_classifier(None if str(path) == SHIPPED else path)
    network = load_network(path)
    return NetworkTeacher(network, path.stem, hashlib.sha256(path.read_bytes()).hexdigest())


def targets_of(
    images: NDArray[np.uint8],
    labels: NDArray[Any],
    classes: int,
    teachers: Sequence[Classifier] = (),
    taught: float = 0.0,
) -> NDArray[np.float32]:
    """What is to be learnt of crops, as probabilities: float32 (N, classes), rows of sum 1.

    A teacher says of a crop not only what it is but what else it might be, and is not misled by a wrong label
    as much as the label is (Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network", 2015; here
    at temperature 1). Cross entropy being linear in its target, the mixed target is the mixed loss.

    Args:
        images: uint8 (N, 28, 28).
        labels: int16 (N,); or probabilities (N, classes), which are what is to be learnt already.
        classes: how many there are.
        teachers: trained models; the mean of their probabilities counts. None: only the labels do.
        taught: share of their answer, 0..1.
    """
    if labels.ndim == 2:
        return labels.astype(np.float32, copy=False)
    targets = np.eye(classes, dtype=np.float32)[labels]
    if not teachers or not taught:
        return targets
    answers = np.mean([np.exp(teacher.classify(images)) for teacher in teachers], axis=0)
    return ((1 - taught) * targets + taught * answers).astype(np.float32)
