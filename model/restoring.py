"""An exported model back to a network that can be trained: the .tflite file is the one truth.

Exporting folds every batch norm into the layer before it and rounds weights to 8 bits with a scale for each
output channel (``model/export.py``). What comes back is the same network without its batch norms, each layer
with a bias, and weights that 8 bits can hold; exported again it gives the same probabilities. Without batch
norms it is also the better one to train on few crops: there are no statistics that a handful could spoil.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.classifier import ClassifierError, read_model
from model.network import NetworkShape, build_folded_network

_CONVOLUTION, _DENSE = "CONV_2D", "FULLY_CONNECTED"
_ORDER = (*[_CONVOLUTION] * 5, "ADD", _CONVOLUTION, "RESHAPE", _DENSE, _DENSE)
_DTYPES = {"FLOAT32": np.float32, "INT8": np.int8}


@dataclass(frozen=True)
class Layer:
    """Weights of a convolution, float32 (height, width, in, out), or dense layer, (in, out); bias (out,)."""

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
    layers = read_layers(content, name)
    network = build_folded_network(shape_of(layers), dropout)
    network.set_weights([part for layer in layers for part in (layer.weights, layer.bias)])
    return network


def read_layers(content: bytes, name: str = "model") -> list[Layer]:
    """The layers with weights, from input to output: six convolutions and two dense layers.

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
    if tuple(operations) != _ORDER:
        raise ClassifierError(
            f"model {name}: is made of {', '.join(operations)}, which is not the network that `formscribe "
            "train` exports, so it cannot be trained on. Name a .tflite or .keras file of a training run."
        )
    used = [
        operator for operator in graph.operators if codes[_code(stored, operator)] in (_CONVOLUTION, _DENSE)
    ]
    return [_layer(stored, graph, operator) for operator in used]


def shape_of(layers: Sequence[Layer]) -> NetworkShape:
    """The widths of the network that such layers make."""
    widths = [len(layer.bias) for layer in layers]
    return NetworkShape(widths[0], widths[1], (widths[2], widths[3]), widths[5], widths[6])


def _code(stored: Any, operator: Any) -> int:
    code = stored.operatorCodes[operator.opcodeIndex]
    return max(int(code.builtinCode), int(code.deprecatedBuiltinCode))


def _layer(stored: Any, graph: Any, operator: Any) -> Layer:
    weights = _values(stored, graph.tensors[operator.inputs[1]])
    bias = np.zeros(len(weights), np.float32)
    if operator.inputs[2] >= 0:  # a bias of nothing but zeros is left out of the file
        bias = _values(stored, graph.tensors[operator.inputs[2]])
    # LiteRT puts output channels first: (out, height, width, in) and (out, in).
    return Layer(np.ascontiguousarray(np.moveaxis(weights, 0, -1)), bias)


def _values(stored: Any, tensor: Any) -> NDArray[np.float32]:
    """A constant tensor as float32; 8-bit values times the scale of their output channel, the first axis."""
    from ai_edge_litert import schema_py_generated as schema

    names = {value: key for key, value in vars(schema.TensorType).items() if isinstance(value, int)}
    dtype = _DTYPES[names[tensor.type]]
    values = np.asarray(stored.buffers[tensor.buffer].data, np.uint8).view(dtype).reshape(tensor.shape)
    if dtype is np.float32:
        return values.astype(np.float32)
    scales = np.asarray(tensor.quantization.scale, np.float32)
    zeros = np.asarray(tensor.quantization.zeroPoint, np.float32)
    along = (-1, *[1] * (values.ndim - 1))
    return (values.astype(np.float32) - zeros.reshape(along)) * scales.reshape(along)
