"""Keras to LiteRT with quantised weights, checked against the network it came from."""

import contextlib
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.classifier import BATCH, CROP_SHAPE, LiteRtClassifier

LARGEST_FILE = 1_000_000


class ExportError(Exception):
    """The exported model is too large or reads otherwise than the network."""


def export_network(
    model: Any, sample: NDArray[np.uint8], tolerance: float = 0.1
) -> tuple[bytes, dict[str, float]]:
    """Converts with dynamic-range quantisation: 8-bit weights, float in and out, batch norms folded.

    Args:
        model: the keras.Model of ``build_network``.
        sample: uint8 (N, 28, 28) to compare on.
        tolerance: the largest change of a probability that passes.

    Returns:
        The bytes of the LiteRT model; and ``largest_difference`` of a probability and ``same_label``, the
        share of crops with the same arg max.

    Raises:
        ExportError: see above.
    """
    import keras
    import tensorflow as tf

    crops = keras.Input(batch_shape=(BATCH, *CROP_SHAPE, 1), dtype="float32")
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(crops, model(crops)))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    with contextlib.redirect_stdout(io.StringIO()):
        content = converter.convert()
    if len(content) > LARGEST_FILE:
        raise ExportError(f"the exported model has {len(content)} bytes, more than {LARGEST_FILE}")
    exported = np.exp(LiteRtClassifier("exported", content).classify(sample))
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
