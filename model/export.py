"""Keras to LiteRT with quantised weights, checked against the network it came from."""

import contextlib
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.classifier import BATCH, LiteRtClassifier

LARGEST_FILE = 1_000_000


class ExportError(Exception):
    """The exported model is too large or reads otherwise than the network."""


Crops = NDArray[np.uint8]


def other_backend() -> bool:
    """Whether Keras was told to compute with something else than TensorFlow, as on a GPU with JAX."""
    return os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow"


def why_not_exported(model: Any) -> str | None:
    """What keeps a trained keras.Model from being exported, and the remedy; None if nothing does."""
    if model.count_params() > LARGEST_FILE:  # a weight is a byte
        return "It is too large to serve; name it with --teacher."
    if other_backend():
        return "Export it with --export-only, without KERAS_BACKEND, where TensorFlow is installed."
    return None


def _classify(content: bytes, crops: Crops) -> NDArray[np.float32]:
    return LiteRtClassifier("exported", content).classify(crops)


def export_network(
    model: Any,
    sample: Crops,
    tolerance: float = 0.1,
    *,
    read: Callable[[bytes, Crops], NDArray[np.float32]] = _classify,
    batch: int = BATCH,
    largest: int = LARGEST_FILE,
) -> tuple[bytes, dict[str, float]]:
    """Converts with dynamic-range quantisation: 8-bit weights, float in and out, batch norms folded.

    Args:
        model: a keras.Model of crops float32 (N, height, width, 1) in [0, 1] to logits, as ``build_network``
            makes one.
        sample: uint8 (N, height, width) to compare on.
        tolerance: the largest change of a probability that passes.
        read: the bytes of an exported model, and crops, to log-probabilities.
        batch: how many crops the exported model takes at once.
        largest: bytes that the file may have.

    Returns:
        The bytes of the LiteRT model; and ``largest_difference`` of a probability and ``same_label``, the
        share of crops with the same arg max.

    Raises:
        ExportError: see above.
    """
    import keras
    import tensorflow as tf

    crops = keras.Input(batch_shape=(batch, *model.input_shape[1:]), dtype="float32")
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(crops, model(crops)))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    with contextlib.redirect_stdout(io.StringIO()):
        content = converter.convert()
    if len(content) > largest:
        raise ExportError(f"the exported model has {len(content)} bytes, more than {largest}")
    exported = np.exp(read(content, sample))
    logits = model.predict(sample[..., None].astype(np.float32) / 255, batch_size=256, verbose=0)
    original = keras.ops.convert_to_numpy(keras.ops.softmax(logits))
    figures = {
        "largest_difference": float(np.abs(exported - original).max()),
        "same_label": float(np.mean(exported.argmax(1) == original.argmax(1))),
    }
    if not figures["largest_difference"] <= tolerance:
        raise ExportError(f"a probability changed by {figures['largest_difference']:.3f} in the export")
    return content, figures


def write_model(content: bytes, card: dict[str, Any], path: Path) -> None:
    """Writes ``path`` (.tflite) and its card beside it (.json), each whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for target, data in (
        (path, content),
        (path.with_suffix(".json"), (json.dumps(card, indent=1, ensure_ascii=False) + "\n").encode()),
    ):
        fresh = target.with_name(f".new-{target.name}")
        fresh.write_bytes(data)
        os.replace(fresh, target)
