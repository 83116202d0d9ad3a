"""Crops per second of the shipped network under each runtime, and of a plain reference network beside it.

python -m benchmarks.runtimes
python -m benchmarks.runtimes --page PAGE.png --template hsf
python -m benchmarks.runtimes --layers

The crops are the candidates of a page. All runtimes take turns on the same crops, one thread each. The
reference is the plain network of four convolutions (32, 32, 64, 64 channels, 3x3, two poolings, 0.2 million
weights) that reading characters usually begins with, with random weights: how fast it is does not depend on
them. With ``--layers`` it is what each layer of the shipped network costs, and what the size of a batch does.
Needs the extra `train`.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import contextlib
import functools
import io
import sys
import time
from collections.abc import Callable, Mapping
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


def converted(network: Any, kind: str, crops: NDArray[np.uint8], size: int = BATCH) -> bytes:
    """A network as a LiteRT model, float in and out.

    Args:
        network: a keras.Model of crops to logits.
        kind: ``float``, ``dynamic`` (8-bit weights) or ``int8`` (8-bit weights and activations).
        crops: uint8 (N, 28, 28), what ranges of activations are taken from.
        size: crops in a batch.
    """
    import keras
    import tensorflow as tf

    batch = keras.Input(batch_shape=(size, *CROP_SHAPE, 1), dtype="float32")
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(batch, network(batch)))
    if kind != "float":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "int8":
        sample = batches(crops, size)[:8]
        converter.representative_dataset = lambda: ([one] for one in sample)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    with contextlib.redirect_stdout(io.StringIO()):
        return bytes(converter.convert())


def litert(network: Any, kind: str, crops: NDArray[np.uint8], size: int = BATCH) -> Classify:
    """A network in LiteRT on one thread; for the arguments see ``converted``."""
    from ai_edge_litert.interpreter import Interpreter

    content = converted(network, kind, crops, size)
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    entry, exit_ = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def classify(crops: NDArray[np.uint8]) -> None:
        for one in batches(crops, size):
            interpreter.set_tensor(entry, one)
            interpreter.invoke()
            interpreter.get_tensor(exit_)

    return classify


def batches(crops: NDArray[np.uint8], size: int = BATCH) -> list[NDArray[np.float32]]:
    """Whole batches as the networks take them, float32 (size, 28, 28, 1) in [0, 1]."""
    floats = crops[..., None].astype(np.float32) / np.float32(255)
    return [floats[start : start + size] for start in range(0, len(floats) - size + 1, size)]


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


def cut_off(network: Any) -> dict[str, Any]:
    """The network up to each convolution and no further, by what that convolution is."""
    from keras import Model, layers

    parts = {}
    convolutions = [layer for layer in network.layers if isinstance(layer, layers.Conv2D)]
    relus = [layer for layer in network.layers if isinstance(layer, layers.ReLU)]
    for number, (convolution, relu) in enumerate(zip(convolutions, relus, strict=False), 1):
        size, side = convolution.kernel_size[0], relu.output.shape[1]
        name = f"{number}: {size}x{size}, {convolution.filters} channels at {side}x{side}"
        parts[name] = Model(network.inputs, layers.GlobalAveragePooling2D()(relu.output))
    return parts


def processor_time(functions: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """As ``in_rounds``, but the seconds that the processor worked: what others do on it counts less."""
    taken: dict[str, list[float]] = {name: [] for name in functions}
    for number in range(rounds + 1):
        for name, function in functions.items():
            begun = time.process_time()
            function()
            if number:
                taken[name].append(time.process_time() - begun)
    return taken


def report_layers(crops: NDArray[np.uint8], rounds: int) -> None:
    """Prints what the shipped network costs up to each layer, and in batches of other sizes."""
    shipped = restore_network()
    parts = cut_off(shipped) | {"all of it": shipped}
    kinds = {"8-bit weights": "dynamic", "8-bit throughout": "int8"}
    runs = {
        f"{name}, {title}": litert(part, kind, crops)
        for name, part in parts.items()
        for title, kind in kinds.items()
    }
    sizes = (1, 4, 8, 16, 32, 64, 128)
    runs |= {f"{size} at once": litert(shipped, "dynamic", crops, size) for size in sizes}
    taken = processor_time({name: functools.partial(run, crops) for name, run in runs.items()}, rounds)

    def cost(name: str) -> str:
        return Spread.of([1e6 * t / len(crops) for t in taken[name]]).text("", 1)

    print("Processor time.\n")
    rows = [[name, *(cost(f"{name}, {title}") for title in kinds)] for name in parts]
    print(table(["up to layer", *(f"microseconds a crop, {title}" for title in kinds)], rows), end="\n\n")
    rows = [[str(size), cost(f"{size} at once")] for size in sizes]
    print(table(["crops in a batch", "microseconds a crop"], rows))


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
    parser.add_argument("--layers", action="store_true", help="what each layer costs instead")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    crops = page_crops(args.page, args.template, 8 * BATCH)
    print(
        f"{machine()}. {len(crops):,} crops, median (least-greatest) of {args.rounds} rounds.\n", flush=True
    )
    if args.layers:
        report_layers(crops, args.rounds)
        return 0
    runs = {name: functools.partial(run, crops) for name, run in runtimes(crops).items()}
    taken = in_rounds(runs, args.rounds)
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
