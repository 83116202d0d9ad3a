"""An exported model back to a network that can be trained: the .tflite file is the one truth.

Exporting folds every batch norm into the layer before it and rounds weights to 8 bits with a scale for each
output channel (``model/export.py``). What comes back is the same network without its batch norms, each layer
with a bias, and weights that 8 bits can hold; exported again it gives the same probabilities. Without batch
norms it is also the better one to train on few crops: there are no statistics that a handful could spoil.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.classifier import ClassifierError, read_model
from model.network import Convolution, NetworkShape, build_folded_network

# A letter for each operation, so that a pattern can say what a network of ours is made of: convolutions, some
# separable, some residual; every place or the mean of all; one or two dense layers.
_LETTERS = {
    "CONV_2D": "C",
    "DEPTHWISE_CONV_2D": "D",
    "ADD": "A",
    "RESHAPE": "R",
    "MEAN": "M",
    "FULLY_CONNECTED": "F",
}
_OURS = re.compile("(D?CA?)+[RM]F{1,2}")
_DTYPES = {"FLOAT32": np.float32, "INT8": np.int8}


@dataclass(frozen=True)
class Layer:
    """Weights of a layer as Keras has them, float32, and its bias, float32 (out,).

    Weights are (height, width, in, out) of a convolution, (height, width, in, 1) of one for each channel, and
    (in, out) of a dense layer.
    """

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]


def restore_network(path: str | Path | None = None, dropout: float = NetworkShape.dropout) -> Any:
    """The keras.Model of an exported model: float32 (N, 28, 28, 1) in [0, 1] to (N, 63) logits.

    Args:
        path: a ``.tflite`` file that ``formscribe train`` wrote; None is the one that ships.
        dropout: share of activations left out while it is trained.

    Raises:
        ClassifierError: the file is missing, or is not an export of ``model.network``.
    """
    model = read_model(path)
    return restore_content(model.content, model.name, dropout)


def restore_content(content: bytes, name: str = "model", dropout: float = NetworkShape.dropout) -> Any:
    """The same from the bytes of the file; ``name`` is for messages."""
    shape, layers = read_network(content, name)
    network = build_folded_network(replace(shape, dropout=dropout))
    network.set_weights([part for layer in layers for part in (layer.weights, layer.bias)])
    return network


def read_layers(content: bytes, name: str = "model") -> list[Layer]:
    """The layers with weights, from input to output; for arguments and errors see ``read_network``."""
    return read_network(content, name)[1]


def read_network(content: bytes, name: str = "model") -> tuple[NetworkShape, list[Layer]]:
    """The shape of an exported network, and its layers with weights from input to output.

    Args:
        content: the bytes of a ``.tflite`` file.
        name: for messages.

    Raises:
        ClassifierError: it is no such file, or its operations are not those of ``model.network``.
    """
    from ai_edge_litert import schema_py_generated as schema

    codes = {value: key for key, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    try:
        stored = schema.ModelT.InitFromPackedBuf(content, 0)
        (graph,) = stored.subgraphs
        operations = [codes[_code(stored, operator)] for operator in graph.operators]
    except Exception as error:  # the reader of the format trips over foreign bytes in many ways
        raise ClassifierError(
            f"model {name}: is no LiteRT model ({type(error).__name__}: {error})."
        ) from None
    letters = "".join(_LETTERS.get(operation, "?") for operation in operations)
    if not _OURS.fullmatch(letters) or not _residuals_are_ours(letters, graph.operators):
        raise ClassifierError(
            f"model {name}: is made of {', '.join(operations)}, which is not the network that `formscribe "
            "train` exports, so it cannot be trained on. Name a .tflite or .keras file of a training run."
        )
    layers = [
        _layer(stored, graph, operator, letter)
        for letter, operator in zip(letters, graph.operators, strict=True)
        if letter in "CDF"
    ]
    return _shape(letters, graph.operators, layers), layers


def _residuals_are_ours(letters: str, operators: list[Any]) -> bool:
    """Whether each addition adds what goes into the layer before it."""
    for place, letter in enumerate(letters):
        if letter == "A":
            first = place - 2 if letters[place - 2 : place] == "DC" else place - 1
            if set(operators[place].inputs) != {operators[first].inputs[0], operators[place - 1].outputs[0]}:
                return False
    return True


def _shape(letters: str, operators: list[Any], layers: list[Layer]) -> NetworkShape:
    trunk: list[Convolution] = []
    dense: list[int] = []
    rest = iter(layers)
    deep: Convolution | None = None  # a convolution for each channel, whose 1x1 convolution comes next
    for letter, operator in zip(letters, operators, strict=True):
        if letter == "A":
            trunk[-1] = replace(trunk[-1], residual=True)
        if letter not in "CDF":
            continue
        layer = next(rest)
        width = len(layer.bias)
        if letter == "F":
            dense.append(width)
        elif letter == "D":
            deep = Convolution(width, layer.weights.shape[0], operator.builtinOptions.strideH, separable=True)
        elif deep:
            trunk.append(replace(deep, width=width))
            deep = None
        else:
            trunk.append(Convolution(width, layer.weights.shape[0], operator.builtinOptions.strideH))
    return NetworkShape(tuple(trunk), "M" in letters, dense[0] if len(dense) == 2 else 0)


def _code(stored: Any, operator: Any) -> int:
    code = stored.operatorCodes[operator.opcodeIndex]
    return max(int(code.builtinCode), int(code.deprecatedBuiltinCode))


def _layer(stored: Any, graph: Any, operator: Any, letter: str) -> Layer:
    weights = _values(stored, graph.tensors[operator.inputs[1]])
    width = weights.shape[-1] if letter == "D" else len(weights)
    bias = np.zeros(width, np.float32)
    if operator.inputs[2] >= 0:  # a bias of nothing but zeros is left out of the file
        bias = _values(stored, graph.tensors[operator.inputs[2]])
    # LiteRT puts output channels first, (out, height, width, in) and (out, in); of a convolution for each
    # channel (1, height, width, in).
    return Layer(np.ascontiguousarray(np.moveaxis(weights, 0, -1)), bias)


def _values(stored: Any, tensor: Any) -> NDArray[np.float32]:
    """A constant tensor as float32; 8-bit values times the scale of their channel."""
    from ai_edge_litert import schema_py_generated as schema

    names = {value: key for key, value in vars(schema.TensorType).items() if isinstance(value, int)}
    dtype = _DTYPES[names[tensor.type]]
    values = np.asarray(stored.buffers[tensor.buffer].data, np.uint8).view(dtype).reshape(tensor.shape)
    if dtype is np.float32:
        return values.astype(np.float32)
    along = [1] * values.ndim
    along[tensor.quantization.quantizedDimension] = -1
    scales = np.asarray(tensor.quantization.scale, np.float32).reshape(along)
    zeros = np.asarray(tensor.quantization.zeroPoint, np.float32).reshape(along)
    return (values.astype(np.float32) - zeros) * scales
