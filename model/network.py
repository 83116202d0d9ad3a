"""The convolutional network: 28x28 crops to 63 logits. TensorFlow is imported only when it is built."""

from dataclasses import dataclass
from typing import Any

from model.alphabets import CLASS_COUNT


@dataclass(frozen=True)
class Convolution:
    """One layer of the trunk, with a batch norm and ReLU behind it.

    Attributes:
        width: channels that it gives.
        size: side of its kernel.
        stride: by how much it divides the resolution.
        residual: whether what goes in is added before the ReLU (He et al., "Deep Residual Learning for Image
            Recognition", 2016); it then gives as many channels as it takes, at the same resolution.
        separable: a kernel for each channel, then a 1x1 convolution across them (Howard et al., "MobileNets",
            2017), without anything in between.
    """

    width: int
    size: int = 3
    stride: int = 1
    residual: bool = False
    separable: bool = False


@dataclass(frozen=True)
class NetworkShape:
    """The layers.

    The default is the shape of the shipped model. ``LARGER``, which shipped before, classifies half as fast
    and reads single digits a little better; see docs/model-shapes.md.

    Attributes:
        trunk: convolutions, from the crop on.
        pooled: whether the dense layers take the mean over all places instead of every place.
        dense: width of the layer before the last; 0 for none.
        dropout: share of activations left out in training, before each dense layer.
    """

    trunk: tuple[Convolution, ...] = (
        Convolution(24, 5, 2),
        # 7x7 from here on: a convolution at 14x14 costs four times one at 7x7. 64 channels and 128, as
        # integer units multiply 64 at once, and 96 cost as much as 128.
        Convolution(64, 3, 2),
        Convolution(64, residual=True),
        Convolution(64),
        Convolution(64, residual=True),
        Convolution(128, 3, 2),
    )
    pooled: bool = False
    dense: int = 128
    dropout: float = 0.25


LARGER = NetworkShape(
    (
        Convolution(24, 5, 2),
        Convolution(40),
        Convolution(64, 3, 2),
        Convolution(96),
        Convolution(96, residual=True),
        Convolution(128, 3, 2),
    )
)

# Twenty times the work of the others, for teaching them: too large to serve.
TEACHER = NetworkShape(
    (
        Convolution(64),
        Convolution(64, residual=True),
        Convolution(128, 3, 2),
        Convolution(128, residual=True),
        Convolution(128, residual=True),
        Convolution(256, 3, 2),
        Convolution(256, residual=True),
        Convolution(256, residual=True),
        Convolution(256, 3, 2),
        Convolution(256, residual=True),
    ),
    dense=256,
    dropout=0.4,
)

SHAPES = {"shipped": NetworkShape(), "larger": LARGER, "teacher": TEACHER}


def build_network(shape: NetworkShape | None = None) -> Any:
    """Builds an untrained keras.Model: float32 (N, 28, 28, 1) in [0, 1], ink = 1, to float32 (N, 63) logits.

    Weights are drawn from Keras' global seed.

    Raises:
        ValueError: a residual layer whose input has another shape than its output.
    """
    return _build(shape or NetworkShape(), folded=False)


def build_folded_network(shape: NetworkShape) -> Any:
    """The same network with every batch norm folded into the layer before it, as an exported model has it.

    Returns:
        An untrained keras.Model; its weights are a kernel and a bias for each layer, from input to output.
    """
    return _build(shape, folded=True)


def _build(shape: NetworkShape, folded: bool) -> Any:
    from keras import Model, layers

    def normalize(x: Any) -> Any:
        return x if folded else layers.BatchNormalization(momentum=0.98)(x)

    def convolve(x: Any, layer: Convolution) -> Any:
        size, stride = layer.size, layer.stride
        if layer.separable:
            x = layers.DepthwiseConv2D(size, strides=stride, padding="same", use_bias=folded)(x)
            size, stride = 1, 1
        return normalize(layers.Conv2D(layer.width, size, strides=stride, padding="same", use_bias=folded)(x))

    x = crops = layers.Input((28, 28, 1), name="crops")
    for layer in shape.trunk:
        y = convolve(x, layer)
        x = layers.ReLU()(layers.Add()([x, y]) if layer.residual else y)
    x = layers.GlobalAveragePooling2D()(x) if shape.pooled else layers.Flatten()(x)
    x = layers.Dropout(shape.dropout)(x)
    if shape.dense:
        x = layers.ReLU()(normalize(layers.Dense(shape.dense, use_bias=folded)(x)))
        x = layers.Dropout(shape.dropout)(x)
    return Model(crops, layers.Dense(CLASS_COUNT, name="logits")(x), name="formscribe")
