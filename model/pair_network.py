"""The network that reads a body of ink as two digits: its layers, training and export.

TensorFlow is imported only inside the functions.
"""

import contextlib
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.pairs import PAIR_CLASSES, PAIR_SHAPE, PairReader
from model.training import AveragedWeights, TrainingOptions, learning_rate

CHECKPOINT, AVERAGED, STATE = "checkpoint.keras", "averaged.keras", "state.json"
LARGEST_FILE = 300_000
_AVERAGE_STEPS = 10

GetEpoch = Callable[[int], tuple[NDArray[np.uint8], NDArray[np.int16]]]


def build_pair_network() -> Any:
    """An untrained keras.Model: float32 (N, 28, 44, 1) in [0, 1], ink = 1, to float32 (N, 101) logits."""
    from keras import Model, layers

    def convolve(x: Any, width: int, size: int = 3, stride: int = 1) -> Any:
        x = layers.Conv2D(width, size, strides=stride, padding="same", use_bias=False)(x)
        return layers.ReLU()(layers.BatchNormalization(momentum=0.98)(x))

    crops = layers.Input((*PAIR_SHAPE, 1), name="crops")
    x = convolve(crops, 16, 5, 2)
    x = convolve(x, 28)
    x = convolve(x, 64, stride=2)
    x = convolve(x, 80, stride=2)
    x = layers.Dropout(0.25)(layers.Flatten()(x))
    x = layers.Dense(96, use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.98)(x))
    x = layers.Dropout(0.2)(x)
    return Model(crops, layers.Dense(PAIR_CLASSES, name="logits")(x), name="pairs")


def train_pairs(
    get_epoch: GetEpoch,
    measure: Callable[[Any], dict[str, float]],
    out: Path,
    options: TrainingOptions,
    resume: bool = False,
    report: Callable[[str], None] = print,
) -> tuple[Any, list[dict[str, float]]]:
    """Trains the network and returns it with averaged weights, and one row of figures an epoch.

    Args:
        get_epoch: epoch number from 0 to images uint8 (N, 28, 44) and labels int16 (N,), shuffled.
        measure: keras.Model to figures, after every epoch.
        out: folder of the checkpoint.
        options: see there; patience is not looked at.
        resume: go on from the checkpoint in ``out``, if there is one.
        report: takes one line an epoch.
    """
    import keras

    keras.utils.set_random_seed(options.seed)
    out.mkdir(parents=True, exist_ok=True)
    averaged, history = AveragedWeights(options.average), list[dict[str, float]]()
    if resume and (out / STATE).is_file():
        history = json.loads((out / STATE).read_text("utf-8"))
        model = keras.models.load_model(out / CHECKPOINT)
        averaged.load(keras.models.load_model(out / AVERAGED), history)
    else:
        model = build_pair_network()
        model.compile(
            keras.optimizers.AdamW(options.learning_rate, options.weight_decay),
            keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=options.smoothing),
            metrics=["accuracy"],
        )
    for epoch in range(len(history), options.epochs):
        images, labels = get_epoch(epoch)
        started = time.monotonic()
        loss = _train_epoch(model, averaged, images, labels, epoch, options)
        figures = {"epoch": epoch + 1, "loss": loss, "crops": len(labels)}
        figures["crops_per_second"] = round(len(labels) / (time.monotonic() - started))
        model.save(out / CHECKPOINT)
        with averaged.inside(model):
            history.append(figures | measure(model))
            model.save(out / AVERAGED, include_optimizer=False)
        (out / STATE).write_text(json.dumps(history, indent=1), "utf-8")
        report(" ".join(f"{key} {value:.5g}" for key, value in history[-1].items()))
    return keras.models.load_model(out / AVERAGED), history


def _train_epoch(
    model: Any,
    averaged: AveragedWeights,
    images: NDArray[np.uint8],
    labels: NDArray[np.int16],
    epoch: int,
    options: TrainingOptions,
) -> float:
    import keras

    steps = max(1, len(labels) // options.batch)

    class Batches(keras.utils.PyDataset):
        def __len__(self) -> int:
            return steps

        def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            part = slice(index * options.batch, (index + 1) * options.batch)
            x = images[part, :, :, None].astype(np.float32) * np.float32(1 / 255)
            return x, np.eye(PAIR_CLASSES, dtype=np.float32)[labels[part]]

    class EachStep(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            rate = learning_rate(epoch * steps + batch, steps * options.epochs, options)
            self.model.optimizer.learning_rate.assign(rate)

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if (batch + 1) % _AVERAGE_STEPS == 0 or batch + 1 == steps:
                averaged.update(self.model)

    done = model.fit(Batches(), epochs=1, verbose=0, callbacks=[EachStep()], shuffle=False)
    return float(done.history["loss"][-1])


def predict_pairs(model: Any, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Probabilities float32 (N, 101) of crops uint8 (N, 28, 44) with the Keras network."""
    logits = model.predict(images[..., None].astype(np.float32) / 255, batch_size=512, verbose=0)
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float32] = shifted / shifted.sum(axis=1, keepdims=True)
    return probabilities


def export_pairs(
    model: Any, sample: NDArray[np.uint8], tolerance: float = 0.1
) -> tuple[bytes, dict[str, float]]:
    """Converts the network as ``model.export.export_network`` does the main one, and compares both.

    Args:
        model: the trained keras.Model.
        sample: uint8 (N, 28, 44) to compare on.
        tolerance: the largest change of a probability that passes.

    Raises:
        ValueError: the file is larger than 300 kB, or a probability changed more.
    """
    import keras
    import tensorflow as tf

    crops = keras.Input(batch_shape=(PairReader.batch, *PAIR_SHAPE, 1), dtype="float32")
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(crops, model(crops)))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    with contextlib.redirect_stdout(io.StringIO()):
        content = converter.convert()
    if len(content) > LARGEST_FILE:
        raise ValueError(f"the exported model has {len(content)} bytes, more than {LARGEST_FILE}")
    exported = np.exp(PairReader("exported", content).read(sample))
    original = predict_pairs(model, sample)
    figures = {
        "largest_difference": float(np.abs(exported - original).max()),
        "same_label": float(np.mean(exported.argmax(1) == original.argmax(1))),
    }
    if not figures["largest_difference"] <= tolerance:
        raise ValueError(f"a probability changed by {figures['largest_difference']:.3f} in the export")
    return content, figures
