"""Crops per second of the shipped network under each runtime, and of a plain reference network beside it.

python -m benchmarks.runtimes
python -m benchmarks.runtimes --page PAGE.png --template hsf

The crops are the candidates of a page. All runtimes take turns on the same crops, one thread each. The
reference is the plain network of four convolutions (32, 32, 64, 64 channels, 3x3, two poolings, 0.2 million
weights) that reading characters usually begins with, with random weights: how fast it is does not depend on
them. Needs the extra `train`.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import contextlib
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.timing import Spread, in_rounds, machine, ratio, table
from model.alphabets import CLASS_COUNT
from model.classifier import BATCH, CROP_SHAPE, load_classifier
from model.restoring import restore_network
from pipeline.options import JobOptions
from pipeline.stages import real_stages
from segmentation.images import open_document
from segmentation.templates import load_template

SAMPLES = Path(__file__).parent.parent / "sample_forms" / "hsf"
SHIPPED, REFERENCE = "shipped, as it serves", "reference, LiteRT float"
Classify = Callable[[NDArray[np.uint8]], object]


def reference_network() -> Any:
    """A plain network of 0.2 million weights, untrained: float32 (N, 28, 28, 1) to (N, 63)."""
    from keras import Sequential, layers

    def convolve(width: int) -> Any:
        return layers.Conv2D(width, 3, activation="relu", padding="same")

    return Sequential(
        [
            layers.Input((*CROP_SHAPE, 1)),
            *(convolve(32), convolve(32), layers.MaxPooling2D()),
            *(convolve(64), convolve(64), layers.MaxPooling2D()),
            *(layers.Flatten(), layers.Dense(40, activation="relu"), layers.Dense(CLASS_COUNT)),
        ]
    )


def converted(network: Any, kind: str, crops: NDArray[np.uint8]) -> bytes:
    """A network as a LiteRT model for batches of ``BATCH`` crops, float in and out.

    Args:
        network: a keras.Model of crops to logits.
        kind: ``float``, ``dynamic`` (8-bit weights) or ``int8`` (8-bit weights and activations).
        crops: uint8 (N, 28, 28), what ranges of activations are taken from.
    """
    import keras
    import tensorflow as tf

    batch = keras.Input(batch_shape=(BATCH, *CROP_SHAPE, 1), dtype="float32")
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(batch, network(batch)))
    if kind != "float":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "int8":
        sample = batches(crops)[:8]
        converter.representative_dataset = lambda: ([one] for one in sample)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    with contextlib.redirect_stdout(io.StringIO()):
        return bytes(converter.convert())


def litert(network: Any, kind: str, crops: NDArray[np.uint8]) -> Classify:
    """A network in LiteRT on one thread; for the arguments see ``converted``."""
    from ai_edge_litert.interpreter import Interpreter

    content = converted(network, kind, crops)
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    entry, exit_ = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def classify(crops: NDArray[np.uint8]) -> None:
        for one in batches(crops):
            interpreter.set_tensor(entry, one)
            interpreter.invoke()
            interpreter.get_tensor(exit_)

    return classify


def batches(crops: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """Whole batches as the networks take them, float32 (BATCH, 28, 28, 1) in [0, 1]."""
    floats = crops[..., None].astype(np.float32) / np.float32(255)
    return [floats[start : start + BATCH] for start in range(0, len(floats) - BATCH + 1, BATCH)]


def runtimes(crops: NDArray[np.uint8]) -> dict[str, Classify]:
    """Everything that is compared, by name."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    shipped, reference = restore_network(), reference_network()
    graph = tf.function(lambda batch: shipped(batch, training=False))
    compiled = tf.function(lambda batch: shipped(batch, training=False), jit_compile=True)
    return {
        SHIPPED: load_classifier().classify,
        "shipped, LiteRT float": litert(shipped, "float", crops),
        "shipped, LiteRT 8-bit weights": litert(shipped, "dynamic", crops),
        "shipped, LiteRT 8-bit throughout": litert(shipped, "int8", crops),
        "shipped, TensorFlow graph": lambda crops: [graph(one) for one in batches(crops)],
        "shipped, TensorFlow graph with XLA": lambda crops: [compiled(one) for one in batches(crops)],
        "shipped, Keras predict": lambda crops: shipped.predict(
            np.concatenate(batches(crops)), batch_size=BATCH, verbose=0
        ),
        REFERENCE: litert(reference, "float", crops),
        "reference, LiteRT 8-bit weights": litert(reference, "dynamic", crops),
        "reference, LiteRT 8-bit throughout": litert(reference, "int8", crops),
    }


def page_crops(path: Path, template: str, count: int) -> NDArray[np.uint8]:
    """The candidates of a page, uint8 (count, 28, 28), over again if they are fewer."""
    options = JobOptions(inputs=("page",), output="none", template=load_template(template))
    gray = open_document(path.read_bytes()).read(1).gray
    crops = real_stages(options).segment_page(gray, options.template).crops()
    return np.resize(crops, (count, *CROP_SHAPE))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument(
        "--page", type=Path, default=SAMPLES / "form_0001.png", help="(default: a sample form)"
    )
    parser.add_argument("--template", default="hsf", help="its form (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=9, help="(default: %(default)s)")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    crops = page_crops(args.page, args.template, 8 * BATCH)
    print(
        f"{machine()}. {len(crops):,} crops, median (least-greatest) of {args.rounds} rounds.\n", flush=True
    )
    taken = in_rounds(
        {name: lambda run=run: run(crops) for name, run in runtimes(crops).items()}, args.rounds
    )
    rows = [
        [
            name,
            Spread.of([len(crops) / t for t in times]).text("", 0),
            ratio(taken[REFERENCE], times).text("", 2),
        ]
        for name, times in taken.items()
    ]
    print(table(["network and runtime", "crops per second", "the reference in LiteRT float = 1"], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
