"""Trains the network that tells crossed-out digits; see ``model.struck_out``."""

import numpy as np

from model.struck_out import FEATURES, Features, StruckOutNetwork

WIDTHS = (32, 16)
STEPS = ((2e-3, 8), (5e-4, 4), (1e-4, 2))  # rates of learning, and how many epochs each
BATCH = 256


def fit_network(meant: Features, struck: Features, seed: int) -> StruckOutNetwork:
    """Trains the network on features of digits; its threshold, infinity, is still to be chosen.

    Args:
        meant: float32 (N, FEATURES), of digits that are meant as they are written.
        struck: float32 (M, FEATURES), of digits that are crossed out.
        seed: of the first weights and the order of the lessons.
    """
    import keras

    keras.utils.set_random_seed(seed)
    layers = [*(keras.layers.Dense(width, "relu") for width in WIDTHS), keras.layers.Dense(1)]
    network = keras.Sequential([keras.layers.Input((FEATURES,)), *layers])
    network.compile(keras.optimizers.Adam(), keras.losses.BinaryCrossentropy(from_logits=True))
    features = np.concatenate([meant, struck])
    labels = np.repeat(np.array([0, 1], np.float32), [len(meant), len(struck)])
    for rate, epochs in STEPS:
        network.optimizer.learning_rate = rate
        network.fit(features, labels, batch_size=BATCH, epochs=epochs, verbose=0)
    weights, biases = zip(*(layer.get_weights() for layer in layers), strict=True)
    return StruckOutNetwork(tuple(weights), tuple(biases), np.inf)
