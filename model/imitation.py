"""A network of another shape that begins where a trained one stands, instead of anywhere.

Layer by layer, each is given the weights by which it comes nearest, in least squares, to what a layer of the
trained network gives before its ReLU, with its inputs as the layers before it make them. That is how He,
Zhang, Sun, "Channel pruning for accelerating very deep neural networks" (ICCV 2017) repair a layer whose
inputs were thinned out; here a layer may also be left out, or added. What comes out reads nearly as well as
the trained one, and learns the rest in a fraction of the time that it takes from nothing.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.network import Convolution, NetworkShape, build_folded_network

_CHUNK = 250
_RIDGE = 1e-4  # of the mean square of the inputs


def imitate(
    trained: Any, shape: NetworkShape, models: Sequence[int], crops: NDArray[np.uint8]
) -> tuple[Any, list[float]]:
    """Builds a network of a shape that does as far as it can what a trained one does.

    Args:
        trained: a keras.Model of ``build_folded_network``.
        shape: of the new network. Its dense layers are those of the trained one.
        models: for each layer of its trunk, which layer of the trained trunk it imitates, from 0. Where it is
            narrower, the channels that matter least to what comes after are left out.
        crops: uint8 (N, 28, 28) on which they are compared; a few thousand.

    Returns:
        An untrained keras.Model of ``build_folded_network``; and for each layer of its trunk the share of the
        variance of the layer it imitates that it explains, at most 1.

    Raises:
        ValueError: as many models as layers were not given, or the dense layers do not fit.
    """
    if len(models) != len(shape.trunk):
        raise ValueError(f"{len(shape.trunk)} layers imitate {len(models)}")
    network = build_folded_network(shape)
    dense = trained.get_weights()[2 * len(_trunk(trained)) :]
    if [part.shape for part in dense] != [part.shape for part in network.get_weights()[2 * len(models) :]]:
        raise ValueError("the dense layers of the two networks differ")
    inputs = crops[..., None].astype(np.float32) / np.float32(255)
    wanted = [
        np.asarray(part, np.float32)
        for part in _before_relu(trained).predict(inputs, batch_size=256, verbose=0)
    ]
    kept = _kept_channels(trained, wanted, shape, models)
    weights: list[NDArray[np.float32]] = []
    explained = []
    x: NDArray[np.float32] = inputs
    for layer, imitated, channels in zip(shape.trunk, models, kept, strict=True):
        goal = wanted[imitated][..., channels]
        shortcut = x if layer.residual else np.zeros_like(goal)
        kernel, bias, given = _fit(layer, x, goal - shortcut)
        given += shortcut
        explained.append(1 - float(np.square(given - goal).mean() / goal.var(axis=(0, 1, 2)).mean()))
        weights += [kernel, bias]
        x = np.maximum(given, np.float32(0))
    network.set_weights([*weights, *dense])
    return network, explained


def _trunk(trained: Any) -> list[Any]:
    return [layer for layer in trained.layers if type(layer).__name__ == "Conv2D"]


def _before_relu(trained: Any) -> Any:
    """The network that gives what goes into each ReLU of the trunk."""
    from keras import Model

    relus = [layer for layer in trained.layers if type(layer).__name__ == "ReLU"][: len(_trunk(trained))]
    return Model(trained.inputs, [layer.input for layer in relus])


def _kept_channels(
    trained: Any, wanted: list[NDArray[np.float32]], shape: NetworkShape, models: Sequence[int]
) -> list[NDArray[np.intp]]:
    """For each new layer the channels of the layer that it imitates.

    What a channel matters is its mean square times that of the weights it meets next. Layers with a shortcut
    between them keep the same channels.
    """
    convolutions = _trunk(trained)
    kept: list[NDArray[np.intp]] = []
    for place, (layer, imitated) in enumerate(zip(shape.trunk, models, strict=True)):
        end = imitated
        for after, later in zip(models[place + 1 :], shape.trunk[place + 1 :], strict=True):
            if not later.residual or after == imitated:
                break
            end = after
        power = np.square(np.maximum(wanted[end], 0)).mean(axis=(0, 1, 2))
        if end + 1 < len(convolutions):
            power = power * np.square(convolutions[end + 1].get_weights()[0]).sum(axis=(0, 1, 3))
        kept.append(np.sort(np.argsort(-power)[: layer.width]))
    return kept


def _fit(
    layer: Convolution, x: NDArray[np.float32], goal: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Kernel, bias, and what they give of ``x``, nearest to ``goal`` in least squares."""
    import tensorflow as tf

    def patches(part: NDArray[np.float32]) -> NDArray[np.float32]:
        size, step = [1, layer.size, layer.size, 1], [1, layer.stride, layer.stride, 1]
        found = tf.image.extract_patches(part, size, step, [1, 1, 1, 1], "SAME").numpy()
        flat = found.reshape(-1, found.shape[-1])
        return np.concatenate([flat, np.ones((len(flat), 1), np.float32)], axis=1)

    count = layer.size**2 * x.shape[-1] + 1
    square, cross = np.zeros((count, count)), np.zeros((count, layer.width))
    for start in range(0, len(x), _CHUNK):
        part = patches(x[start : start + _CHUNK])
        square += part.T @ part
        cross += part.T @ goal[start : start + _CHUNK].reshape(-1, layer.width)
    ridge = _RIDGE * np.trace(square) / count
    solved = np.linalg.solve(square + ridge * np.eye(count), cross).astype(np.float32)
    kernel = solved[:-1].reshape(layer.size, layer.size, x.shape[-1], layer.width)
    given = tf.nn.conv2d(x, kernel, layer.stride, "SAME").numpy() + solved[-1]
    return kernel, solved[-1], given
