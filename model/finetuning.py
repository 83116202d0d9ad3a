"""A trained network taught some more characters, without its training data, and without forgetting them.

Only the two dense layers learn; the convolutions, which turn ink into features, stay. So every crop goes
through them once, and an epoch takes seconds. What keeps the rest in place are anchors: crops of any origin
for which the network is to go on saying what it says now (Li, Hoiem, "Learning without forgetting", ECCV
2016).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.alphabets import CLASS_COUNT
from model.classifier import log_softmax

Images = NDArray[np.uint8]
_MOST = 20_000
_FAR = 1e3  # below this a class that is not allowed has no probability left


@dataclass(frozen=True)
class TuningOptions:
    """How to train further.

    Attributes:
        epochs: times that every crop is seen, in ``copies`` variants.
        copies: variants of each labelled crop, fewer where all together would be more than 20,000.
        batch: crops a step.
        learning_rate: of Adam at the peak; rises over the first tenth and falls along a cosine.
        smoothing: label smoothing; people slip too.
        confirmed: all characters that were confirmed weigh together at most so many times as much as those
            that were corrected, or the many that are read right already would drown them.
        anchoring: what the anchors of one source weigh together, compared with all labelled crops.
        softness: temperature at which the answers to anchors are compared; above 1 the classes that come
            second and third count too (Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network",
            2015).
        seed: of the order.
    """

    epochs: int = 6
    copies: int = 6
    batch: int = 64
    learning_rate: float = 1e-3
    smoothing: float = 0.02
    confirmed: float = 1.0
    anchoring: float = 6.0
    softness: float = 2.0
    seed: int = 1


@dataclass(frozen=True, eq=False)
class Lesson:
    """What to learn.

    Attributes:
        images: uint8 (N, 28, 28).
        labels: int16 (N,), what they are.
        masks: bool (N, 63), the classes that each was chosen from. What is learnt is to tell these apart;
            that a crop is a character at all, and none of another kind, is known from its field.
        corrected: bool (N,), whether they had been read as something else.
        anchors: uint8 (M, 28, 28), what is to be read as before.
        sources: from how many sources these are; each more makes them weigh more.
    """

    images: Images
    labels: NDArray[np.int16]
    masks: NDArray[np.bool_]
    corrected: NDArray[np.bool_]
    anchors: Images
    sources: int = 1


def finetune(
    network: Any,
    lesson: Lesson,
    vary: Callable[[Images], Images],
    options: TuningOptions,
    report: Callable[[str], None] = print,
) -> list[dict[str, float]]:
    """Trains the dense layers of a network in place; returns a row of figures an epoch.

    Args:
        network: a keras.Model of ``model.network`` without batch norms, as ``restore_network`` makes it.
        lesson: at least one labelled crop.
        vary: images to as many slightly different ones.
        options: see there.
        report: takes one line an epoch.
    """
    import keras

    keras.utils.set_random_seed(options.seed)
    trunk, head = divide(network)
    copies = copies_of(len(lesson.labels), options.copies)
    variants = [lesson.images, *(vary(lesson.images) for _ in range(copies - 1))]
    taught = np.concatenate([_through(trunk, part) for part in variants])
    known = np.tile(_known(lesson, options.smoothing), (copies, 1))
    allowed = np.tile(lesson.masks, (copies, 1))
    anchors = _through(trunk, lesson.anchors)
    answers = _answers(head, anchors, options.softness)
    weights = np.tile(crop_weights(lesson.corrected, options.confirmed), copies)
    share = options.anchoring * lesson.sources * weights.sum() / max(1, len(anchors))
    return _train(
        head,
        np.concatenate([taught, anchors]),
        np.concatenate([_marked(known, allowed, 0), _marked(answers, np.ones_like(answers), 1)]),
        np.concatenate([weights, np.full(len(anchors), share, np.float32)]),
        options,
        report,
    )


def copies_of(count: int, wanted: int) -> int:
    """How many variants of each of ``count`` crops fit into memory; features take 8 kB each."""
    return max(1, min(wanted, _MOST // max(1, count)))


def divide(network: Any) -> tuple[Any, Any]:
    """The convolutions, crops to features, and the dense layers, features to logits; the weights are shared.

    Raises:
        ValueError: the network is none of ours.
    """
    from keras import Model, layers

    names = [type(layer).__name__ for layer in network.layers]
    places = [place for place, name in enumerate(names) if name in ("Flatten", "GlobalAveragePooling2D")]
    if len(places) != 1 or "Dense" not in names[places[0] :]:
        raise ValueError(f"a network of {', '.join(names)} cannot be divided")
    (place,) = places
    trunk = Model(network.inputs, network.layers[place].output)
    features = layers.Input(trunk.output_shape[1:])
    x = features
    for layer in network.layers[place + 1 :]:
        x = layer(x)
    return trunk, Model(features, x)


def crop_weights(corrected: NDArray[np.bool_], confirmed: float) -> NDArray[np.float32]:
    """What each crop weighs, float32 (N,): 1 if corrected, at most 1 if confirmed; see ``TuningOptions``."""
    wrong, right = int(corrected.sum()), int((~corrected).sum())
    weight = 1.0 if not wrong or not right else min(1.0, confirmed * wrong / right)
    return np.where(corrected, 1.0, weight).astype(np.float32)


def _through(trunk: Any, images: Images) -> NDArray[np.float32]:
    if not len(images):
        return np.zeros((0, *trunk.output_shape[1:]), np.float32)
    crops = images[..., None].astype(np.float32) / 255
    return np.asarray(trunk.predict(crops, batch_size=256, verbose=0), np.float32)


def _answers(head: Any, features: NDArray[np.float32], softness: float) -> NDArray[np.float32]:
    """What the network says now, as probabilities at a temperature, float32 (N, 63)."""
    if not len(features):
        return np.zeros((0, CLASS_COUNT), np.float32)
    logits = head.predict(features, batch_size=512, verbose=0)
    return np.exp(log_softmax(logits / np.float32(softness)))


def _known(lesson: Lesson, smoothing: float) -> NDArray[np.float32]:
    """The labels as probabilities, smoothed over the classes they were chosen from, float32 (N, 63)."""
    sure = np.eye(CLASS_COUNT, dtype=np.float32)[lesson.labels]
    even = lesson.masks / lesson.masks.sum(axis=1, keepdims=True)
    return (sure * (1 - smoothing) + even * smoothing).astype(np.float32)


def _marked(targets: NDArray[np.float32], allowed: NDArray[Any], anchor: int) -> NDArray[np.float32]:
    """What the loss must know: targets, allowed classes, and whether it is an anchor; float32 (N, 127)."""
    return np.column_stack([targets, allowed, np.full(len(targets), anchor)]).astype(np.float32)


def _train(
    head: Any,
    features: NDArray[np.float32],
    targets: NDArray[np.float32],
    weights: NDArray[np.float32],
    options: TuningOptions,
    report: Callable[[str], None],
) -> list[dict[str, float]]:
    import keras

    steps = max(1, len(features) // options.batch)
    total = steps * options.epochs

    def loss(marked: Any, logits: Any) -> Any:
        targets, allowed, anchor = keras.ops.split(marked, [CLASS_COUNT, 2 * CLASS_COUNT], axis=1)
        softness = 1 + anchor * (options.softness - 1)
        logits = logits / softness + (allowed - 1) * _FAR
        crossed = keras.losses.categorical_crossentropy(targets, logits, from_logits=True)
        return crossed * softness[:, 0] ** 2  # so that gradients keep their size at any temperature

    class EachStep(keras.callbacks.Callback):
        epoch = 0

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            step = self.epoch * steps + batch
            self.model.optimizer.learning_rate.assign(tuning_rate(step, total, options.learning_rate))

    head.compile(keras.optimizers.Adam(options.learning_rate), loss)
    rng, each_step = np.random.default_rng(options.seed), EachStep()
    history = []
    for epoch in range(options.epochs):
        each_step.epoch = epoch
        order = rng.permutation(len(features))[: steps * options.batch]
        done = head.fit(
            features[order],
            targets[order],
            sample_weight=weights[order],
            batch_size=options.batch,
            shuffle=False,
            verbose=0,
            callbacks=[each_step],
        )
        history.append({"epoch": epoch + 1, "crops": len(order), "loss": float(done.history["loss"][-1])})
        report(f"epoch {epoch + 1} of {options.epochs}: loss {history[-1]['loss']:.4f}")
    return history


def tuning_rate(step: int, total: int, peak: float) -> float:
    """The rate rises over the first tenth of all steps, then falls along a cosine to a hundredth."""
    rise = max(1, total // 10)
    return peak * min(1.0, (step + 1) / rise) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / total)))
