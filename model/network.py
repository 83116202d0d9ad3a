"""The convolutional network: 28x28 crops to 63 logits. TensorFlow is imported only when it is built."""

from dataclasses import dataclass
from typing import Any

from model.alphabets import CLASS_COUNT


@dataclass(frozen=True)
class NetworkShape:
    """Widths of the layers.

    The stem halves the resolution at once: a 3x3 convolution at 28x28 costs four times one at 14x14 and reads
    no better, so the width goes where pixels are few.
    """

    stem: int = 24
    half: int = 40
    quarter: tuple[int, int] = (64, 96)
    last: int = 128
    dense: int = 128
    dropout: float = 0.25


def build_network(shape: NetworkShape | None = None) -> Any:
    """Builds an untrained keras.Model: float32 (N, 28, 28, 1) in [0, 1], ink = 1, to float32 (N, 63) logits.

    Weights are drawn from Keras' global seed. The shortcut follows He et al., "Deep Residual Learning for
    Image Recognition", 2016.
    """
    from keras import Model, layers

    shape = shape or NetworkShape()

    def convolve(x: Any, width: int, size: int = 3, stride: int = 1) -> Any:
        x = layers.Conv2D(width, size, strides=stride, padding="same", use_bias=False)(x)
        return layers.BatchNormalization(momentum=0.98)(x)

    crops = layers.Input((28, 28, 1), name="crops")
    x = layers.ReLU()(convolve(crops, shape.stem, 5, 2))
    x = layers.ReLU()(convolve(x, shape.half))
    x = layers.ReLU()(convolve(x, shape.quarter[0], 3, 2))
    x = layers.ReLU()(convolve(x, shape.quarter[1]))
    x = layers.ReLU()(layers.Add()([x, convolve(x, shape.quarter[1])]))
    x = layers.ReLU()(convolve(x, shape.last, 3, 2))
    x = layers.Flatten()(x)
    x = layers.Dropout(shape.dropout)(x)
    x = layers.Dense(shape.dense, use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.98)(x))
    x = layers.Dropout(shape.dropout)(x)
    return Model(crops, layers.Dense(CLASS_COUNT, name="logits")(x), name="formscribe")


def build_folded_network(shape: NetworkShape, dropout: float) -> Any:
    """The same network with every batch norm folded into the layer before it, as an exported model has it.

    Args:
        shape: widths; its dropout is not used.
        dropout: share of activations left out in training, before each dense layer.

    Returns:
        An untrained keras.Model; its weights are a kernel and a bias for each layer, from input to output.
    """
    from keras import Model, layers

    def convolve(x: Any, width: int, size: int = 3, stride: int = 1) -> Any:
        return layers.Conv2D(width, size, strides=stride, padding="same")(x)

    crops = layers.Input((28, 28, 1), name="crops")
    x = layers.ReLU()(convolve(crops, shape.stem, 5, 2))
    x = layers.ReLU()(convolve(x, shape.half))
    x = layers.ReLU()(convolve(x, shape.quarter[0], 3, 2))
    x = layers.ReLU()(convolve(x, shape.quarter[1]))
    x = layers.ReLU()(layers.Add()([x, convolve(x, shape.quarter[1])]))
    x = layers.ReLU()(convolve(x, shape.last, 3, 2))
    x = layers.Dropout(dropout)(layers.Flatten()(x))
    x = layers.ReLU()(layers.Dense(shape.dense)(x))
    x = layers.Dropout(dropout)(x)
    return Model(crops, layers.Dense(CLASS_COUNT, name="logits")(x), name="formscribe")
