"""The network that reads a body of ink as two digits: its layers and its export.

Keras is imported only inside the functions. It is trained by ``model.training.train``.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.export import export_network
from model.pairs import PAIR_CLASSES, PAIR_SHAPE, PairReader

LARGEST_FILE = 500_000  # with the network of characters less than a megabyte


def build_pair_network() -> Any:
    """An untrained keras.Model: float32 (N, 28, 44, 1) in [0, 1], ink = 1, to float32 (N, 101) logits."""
    from keras import Model, layers

    def convolve(x: Any, width: int, size: int = 3, stride: int = 1) -> Any:
        x = layers.Conv2D(width, size, strides=stride, padding="same", use_bias=False)(x)
        return layers.ReLU()(layers.BatchNormalization(momentum=0.98)(x))

    crops = layers.Input((*PAIR_SHAPE, 1), name="crops")
    x = convolve(crops, 24, 5, 2)
    x = convolve(x, 48)
    x = convolve(x, 96, stride=2)
    x = convolve(x, 96, stride=2)
    x = layers.Dropout(0.25)(layers.Flatten()(x))
    x = layers.Dense(128, use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.98)(x))
    x = layers.Dropout(0.2)(x)
    return Model(crops, layers.Dense(PAIR_CLASSES, name="logits")(x), name="pairs")


def predict_pairs(model: Any, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Probabilities float32 (N, 101) of crops uint8 (N, 28, 44) with the Keras network."""
    logits = model.predict(images[..., None].astype(np.float32) / 255, batch_size=512, verbose=0)
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float32] = shifted / shifted.sum(axis=1, keepdims=True)
    return probabilities


def export_pairs(model: Any, sample: NDArray[np.uint8]) -> tuple[bytes, dict[str, float]]:
    """Converts the network and compares both on a sample, uint8 (N, 28, 44); see ``export_network``.

    Raises:
        ExportError: the file is larger than 500 kB, or a probability changed by more than a tenth.
    """
    return export_network(
        model,
        sample,
        read=lambda content, crops: PairReader("exported", content).read(crops),
        batch=PairReader.batch,
        largest=LARGEST_FILE,
    )
