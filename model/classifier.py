"""Crops to class log-probabilities with the exported model: LiteRT on one core, no TensorFlow."""

import hashlib
import json
import threading
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from model.alphabets import CLASS_COUNT

SHIPPED = "shipped"
CROP_SHAPE = (28, 28)

# One fixed shape, so that the graph is planned once. Throughput is the same from 32 crops on, and the
# padding of a page's last batch stays small.
BATCH = 32


class ClassifierError(ValueError):
    """Crops or a model file that cannot be used; the message says which and what is expected."""


class Classifier(Protocol):
    """What turns crops into log-probabilities.

    Attributes:
        name: for people.
        sha256: hexadecimal hash of the weights, for provenance.
    """

    name: str
    sha256: str

    def classify(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Uint8 (N, 28, 28), ink = 255 on 0, to float32 (N, 63) natural log-probabilities."""
        ...


@dataclass(frozen=True, slots=True)
class ModelFile:
    """The bytes of an exported model and its card (empty if it has none)."""

    name: str
    content: bytes
    card: dict[str, Any]


def read_model(path: str | Path | None = None) -> ModelFile:
    """Reads a model and the card beside it (same name, ``.json``); None is the one that ships.

    Raises:
        ClassifierError: there is no such file, or its card is no JSON.
    """
    if path is None:
        folder = resources.files("model") / "weights"
        content = (folder / f"{SHIPPED}.tflite").read_bytes()
        return ModelFile(SHIPPED, content, json.loads((folder / f"{SHIPPED}.json").read_text("utf-8")))
    path = Path(path)
    try:
        content = path.read_bytes()
        beside = path.with_suffix(".json")
        card = json.loads(beside.read_text("utf-8")) if beside.is_file() else {}
    except OSError as error:
        raise ClassifierError(
            f"{path}: cannot be read ({error.strerror}). Name a .tflite file made by `formscribe train`, "
            "or none for the model that ships."
        ) from None
    except ValueError as error:
        raise ClassifierError(f"{path.with_suffix('.json')}: is no model card ({error}).") from None
    return ModelFile(path.stem, content, card)


def model_card(path: str | Path | None = None) -> dict[str, Any]:
    """The card of a model: data, scores, calibration, hash; see ``read_model``."""
    return read_model(path).card


def load_classifier(path: str | Path | None = None, threads: int = 1) -> "LiteRtClassifier":
    """Loads an exported model; None is the one that ships.

    Raises:
        ClassifierError: the file is missing, is no LiteRT model, or takes or gives other shapes.
    """
    return classifier_of(read_model(path), threads)


def classifier_of(model: ModelFile, threads: int = 1) -> "LiteRtClassifier":
    """Loads a model whose bytes are at hand; see ``load_classifier`` for what it raises."""
    calibration = model.card.get("calibration", {})
    return LiteRtClassifier(model.name, model.content, float(calibration.get("temperature", 1.0)), threads)


class CropNetwork:
    """An exported LiteRT model of crops of one size; may be called from any thread, one at a time enters.

    Attributes:
        name: for people.
        sha256: hexadecimal hash of the weights, for provenance.
        temperature: divides the logits (Guo et al., "On Calibration of Modern Neural Networks", 2017).
    """

    shape: tuple[int, int] = CROP_SHAPE
    classes: int = CLASS_COUNT
    batch: int = BATCH

    def __init__(self, name: str, content: bytes, temperature: float = 1.0, threads: int = 1) -> None:
        """Plans the graph for batches.

        Raises:
            ClassifierError: the bytes are no LiteRT model, or it takes or gives other shapes.
        """
        from ai_edge_litert.interpreter import Interpreter

        self.name = name
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.temperature = temperature
        self._lock = threading.Lock()
        try:
            self._interpreter = Interpreter(model_content=content, num_threads=threads)
            self._input = self._interpreter.get_input_details()[0]["index"]
            self._interpreter.resize_tensor_input(self._input, [self.batch, *self.shape, 1])
            self._interpreter.allocate_tensors()
            self._interpreter.invoke()  # settles shapes that depend on the batch
        except (ValueError, RuntimeError, IndexError) as error:
            size = "x".join(map(str, self.shape))
            raise ClassifierError(f"model {name}: is no LiteRT model for {size} crops ({error}).") from None
        self._output = self._interpreter.get_output_details()[0]["index"]
        given = self._interpreter.get_tensor(self._output).shape
        if given != (self.batch, self.classes):
            raise ClassifierError(
                f"model {name}: gives {given} for {self.batch} crops, not {self.classes} classes."
            )

    def log_probs(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Uint8 (N, *shape), ink = 255 on 0, to float32 (N, classes) natural log-probabilities; N may be 0.

        Raises:
            ClassifierError: another shape or dtype.
        """
        crops = np.asarray(crops)
        if crops.dtype != np.uint8 or crops.ndim != 3 or crops.shape[1:] != self.shape:
            expected = ", ".join(map(str, self.shape))
            raise ClassifierError(f"crops are {crops.dtype} {crops.shape}, expected uint8 (N, {expected}).")
        logits = np.empty((len(crops), self.classes), np.float32)
        batch = np.zeros((self.batch, *self.shape, 1), np.float32)
        with self._lock:
            for start in range(0, len(crops), self.batch):
                part = crops[start : start + self.batch]
                np.multiply(part, np.float32(1 / 255), out=batch[: len(part), :, :, 0])
                self._interpreter.set_tensor(self._input, batch)
                self._interpreter.invoke()
                logits[start : start + len(part)] = self._interpreter.get_tensor(self._output)[: len(part)]
        return log_softmax(logits / np.float32(self.temperature))


class LiteRtClassifier(CropNetwork):
    """The model of characters; see ``load_classifier`` for what its making raises."""

    def classify(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Log-probabilities of crops.

        Args:
            crops: uint8 (N, 28, 28), ink = 255 on 0, as ``normalize_glyph`` makes them; N may be 0.

        Returns:
            float32 (N, 63), natural logarithms over ``alphabets.CHARACTERS`` and not-a-character.

        Raises:
            ClassifierError: another shape or dtype.
        """
        return self.log_probs(crops)


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Natural log-probabilities over the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True) if logits.size else logits
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
