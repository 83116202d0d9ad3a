"""Seeded, resumable training of the network, with averaged weights, teachers and a learning curve."""

import contextlib
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.classifier import SHIPPED, Classifier, ClassifierError
from model.epochs import Epoch
from model.network import build_network
from model.restoring import restore_network
from model.teachers import targets_of

CHECKPOINT = "checkpoint.keras"
AVERAGED = "averaged.keras"
STATE = "state.json"
_AVERAGE_STEPS = 10


class TrainingError(Exception):
    """Training cannot start or go on; names the remedy."""


@dataclass(frozen=True)
class TrainingOptions:
    """How to train.

    Attributes:
        epochs: in all, those of an interrupted run included.
        batch: crops a step.
        learning_rate: at the peak; warms up over ``warmup`` steps and falls along a cosine to a hundredth.
        weight_decay: of AdamW (Loshchilov, Hutter, 2019).
        smoothing: label smoothing; the sources have a few per cent wrong labels.
        taught: share of the teachers' answer in what is to be learnt, 0..1, the rest being the label; 0 if
            there are none. See ``model.teachers``.
        average: momentum of the moving average of all weights, taken every ``_AVERAGE_STEPS`` steps; the
            average is what is measured and exported.
        patience: stop after so many epochs without a better score; 0 = never.
        seed: of initial weights and dropout.
    """

    epochs: int = 12
    batch: int = 256
    learning_rate: float = 2e-3
    warmup: int = 400
    weight_decay: float = 0.02
    smoothing: float = 0.02
    taught: float = 0.0
    average: float = 0.98
    patience: int = 0
    seed: int = 1


@dataclass
class TrainingState:
    """Where a run stands; written beside its checkpoint."""

    epoch: int
    history: list[dict[str, float]]


Measure = Callable[[Any], dict[str, float]]


def train(
    get_epoch: Callable[[int], Epoch],
    measure: Measure,
    out: Path,
    options: TrainingOptions,
    *,
    build: Callable[[], Any] = build_network,
    teachers: Sequence[Classifier] = (),
    start_from: Path | None = None,
    resume: bool = False,
    report: Callable[[str], None] = print,
    live: bool = False,
) -> tuple[Any, list[dict[str, float]]]:
    """Trains and returns the network with averaged weights, and one row of figures an epoch.

    Args:
        get_epoch: epoch number from 0 to images uint8 (N, height, width) and labels int16 (N,), shuffled.
        measure: keras.Model to figures; ``score`` among them, larger is better, decides early stopping.
        out: folder of the checkpoint, written after every epoch, and of the learning curve.
        options: see there.
        build: makes a new network, whose inputs are (N, height, width, 1) and whose outputs logits.
        teachers: whose answers to the same crops are learnt too; see ``model.teachers``.
        start_from: whose weights to start from; see ``load_network``.
        resume: go on from the checkpoint in ``out``.
        report: takes one line an epoch.
        live: show progress within an epoch.

    Raises:
        TrainingError: nothing to resume, or a file that is no network of ours.
    """
    import keras

    keras.utils.set_random_seed(options.seed)
    out.mkdir(parents=True, exist_ok=True)
    state = TrainingState(0, [])
    if resume:
        model, state = _load_checkpoint(out)
    elif start_from:
        model = load_network(start_from)
    else:
        model = build()
    if not resume:
        _compile(model, options)
    averaged = AveragedWeights(options.average)
    if resume:
        averaged.load(load_network(out / AVERAGED), state.history, options.batch)
    for epoch in range(state.epoch, options.epochs):
        waited = _epochs_without_better(state.history)
        if options.patience and waited >= options.patience:
            report(f"no better score for {waited} epochs: stopped")
            break
        started = time.monotonic()
        images, labels = get_epoch(epoch)
        waiting = time.monotonic() - started
        targets = targets_of(images, labels, model.output_shape[-1], teachers, options.taught)
        figures = _train_epoch(model, averaged, images, targets, epoch, options, live)
        figures |= {"epoch": epoch + 1, "crops": len(labels), "waited_s": round(waiting, 1)}
        figures["crops_per_second"] = round(len(labels) / (time.monotonic() - started - waiting))
        state.epoch = epoch + 1
        model.save(out / f"new-{CHECKPOINT}")
        with averaged.inside(model):
            state.history.append(figures | measure(model))
            model.save(out / f"new-{AVERAGED}", include_optimizer=False)
        _save_state(state, options, out)
        report(" ".join(f"{key} {value:.5g}" for key, value in state.history[-1].items()))
    if state.history:
        plot_learning_curve(state.history, out / "learning_curve.png")
    return load_network(out / AVERAGED), state.history


def _epochs_without_better(history: Sequence[dict[str, float]]) -> int:
    """Epochs since the best score; those of an interrupted run count."""
    best, waited = -math.inf, 0
    for row in history:
        score = row.get("score", math.nan)
        best, waited = (score, 0) if not score <= best else (best, waited + 1)
    return waited


def use_bfloat16() -> None:
    """From now on what stands that is multiplied in bfloat16; weights and sums stay float32.

    With TensorFlow on processors with units for it (AMX) training takes two thirds of the time; on others it
    takes longer. With another backend of Keras networks are built of layers that compute so, for GPUs; such a
    network can teach, but cannot be exported.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        keras.config.set_dtype_policy("mixed_bfloat16")
        return
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": True})


def load_network(path: Path) -> Any:
    """Loads a ``.keras`` file, or restores the network of a ``.tflite`` file.

    Args:
        path: the file; ``shipped`` is the model that ships.

    Raises:
        TrainingError: it is missing or no model of ours.
    """
    import keras

    if str(path) == SHIPPED or path.suffix == ".tflite":
        try:
            return restore_network(None if str(path) == SHIPPED else path)
        except ClassifierError as error:
            raise TrainingError(str(error)) from None
    try:
        return keras.models.load_model(path)
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"{path}: is no Keras model ({error}). Name a .keras or .tflite file of a training run, or "
            f"{SHIPPED} for the model that ships."
        ) from None


def plot_learning_curve(history: list[dict[str, float]], path: Path) -> None:
    """Draws loss and every accuracy over the epochs as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    loss, error = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in history]
    loss.plot(epochs, [row["loss"] for row in history], marker=".")
    loss.set(xlabel="epoch", ylabel="training loss")
    apart = {"epoch", "loss", "crops", "waited_s", "crops_per_second"}
    for key in (key for key in history[-1] if key not in apart):
        error.plot(epochs, [100 * (1 - row.get(key, math.nan)) for row in history], marker=".", label=key)
    error.set(xlabel="epoch", ylabel="error, %", yscale="log")
    error.legend(fontsize=7)
    figure.savefig(path, dpi=110)


def _compile(model: Any, options: TrainingOptions) -> None:
    import keras

    model.compile(
        keras.optimizers.AdamW(options.learning_rate, options.weight_decay),
        keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=options.smoothing),
        metrics=["accuracy"],
    )


class AveragedWeights:
    """A moving average of all weights, batch statistics included (Polyak, Juditsky, 1992).

    Early on the momentum is smaller, so that the random start is forgotten.
    """

    def __init__(self, momentum: float) -> None:
        """Nothing is averaged yet."""
        self._momentum = momentum
        self._updates = 0
        self._weights: list[NDArray[np.float32]] = []

    def load(self, model: Any, history: list[dict[str, float]], batch: int) -> None:
        """Goes on from the averaged weights of an interrupted run."""
        self._weights = model.get_weights()
        self._updates = int(sum(row["crops"] for row in history)) // (batch * _AVERAGE_STEPS)

    def update(self, model: Any) -> None:
        """Takes in the present weights."""
        weights = model.get_weights()
        momentum = np.float32(min(self._momentum, (1 + self._updates) / (10 + self._updates)))
        if not self._weights:
            self._weights = [weight.copy() for weight in weights]
        for mean, weight in zip(self._weights, weights, strict=True):
            mean += (1 - momentum) * (weight - mean)
        self._updates += 1

    @contextlib.contextmanager
    def inside(self, model: Any) -> Iterator[None]:
        """Lends the averaged weights to the model."""
        own = model.get_weights()
        model.set_weights(self._weights)
        try:
            yield
        finally:
            model.set_weights(own)


def _train_epoch(
    model: Any,
    averaged: AveragedWeights,
    images: NDArray[np.uint8],
    targets: NDArray[np.float32],
    epoch: int,
    options: TrainingOptions,
    live: bool,
) -> dict[str, float]:
    import keras

    steps = max(1, len(targets) // options.batch)
    total = steps * options.epochs
    # TensorFlow keeps every data set that it was ever given; so the arrays of an epoch are lent to it only.
    lent: list[NDArray[Any]] = [images, targets]

    class Batches(keras.utils.PyDataset):
        def __len__(self) -> int:
            return steps

        def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            crops, wanted = (array[index * options.batch : (index + 1) * options.batch] for array in lent)
            return crops[..., None].astype(np.float32) * np.float32(1 / 255), wanted

    class EachStep(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            rate = learning_rate(epoch * steps + batch, total, options)
            self.model.optimizer.learning_rate.assign(rate)

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if (batch + 1) % _AVERAGE_STEPS == 0 or batch + 1 == steps:
                averaged.update(self.model)

    history = model.fit(Batches(), epochs=1, verbose=1 if live else 0, callbacks=[EachStep()], shuffle=False)
    lent.clear()
    return {"loss": history.history["loss"][-1], "accuracy": history.history["accuracy"][-1]}


def learning_rate(step: int, total: int, options: TrainingOptions) -> float:
    """Linear warm-up, then a cosine from the peak to a hundredth of it."""
    warmup = min(options.warmup, total // 4)
    if step < warmup:
        return options.learning_rate * (step + 1) / warmup
    done = min(1.0, (step - warmup) / max(1, total - warmup))
    return options.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


def _save_state(state: TrainingState, options: TrainingOptions, out: Path) -> None:
    for name in (CHECKPOINT, AVERAGED):
        (out / f"new-{name}").replace(out / name)
    text = json.dumps(asdict(state) | {"options": asdict(options)}, indent=1)
    fresh = out / f"new-{STATE}"
    fresh.write_text(text, "utf-8")
    fresh.replace(out / STATE)


def epochs_done(out: Path) -> int:
    """How many epochs the run in a folder has finished; 0 if there is none."""
    state = out / STATE
    return int(json.loads(state.read_text("utf-8"))["epoch"]) if state.is_file() else 0


def _load_checkpoint(out: Path) -> tuple[Any, TrainingState]:
    import keras

    try:
        state = json.loads((out / STATE).read_text("utf-8"))
        return keras.models.load_model(out / CHECKPOINT), TrainingState(state["epoch"], state["history"])
    except (OSError, ValueError, KeyError) as error:
        raise TrainingError(f"{out}: nothing to resume ({error}). Start without --resume.") from None
