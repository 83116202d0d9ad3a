"""The search for a shape of the network: its counts and errors, and that every shape is one."""

import importlib.util
import os

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed: pip install .[train]"
)


def test_multiplications_are_counted_layer_by_layer():
    from benchmarks.shapes import multiply_adds
    from model.network import LARGER, Convolution, NetworkShape

    one = NetworkShape((Convolution(10, 3, 2),), dense=0)
    assert multiply_adds(one) == 14 * 14 * 9 * 10 + 14 * 14 * 10 * 63
    pooled = NetworkShape((Convolution(10, 3, 4), Convolution(20, separable=True)), pooled=True, dense=30)
    assert multiply_adds(pooled) == 7 * 7 * (9 * 10 + 10 * (9 + 20)) + 20 * 30 + 30 * 63
    assert multiply_adds(LARGER) == pytest.approx(11.7e6, rel=0.01)


def test_every_shape_can_be_built_and_is_small_enough():
    from benchmarks.shapes import SHAPES
    from model.network import build_network

    sizes = {name: build_network(shape).count_params() for name, shape in SHAPES.items()}
    assert max(sizes.values()) < 950_000  # one byte each in the exported file
    assert len(set(SHAPES.values())) == len(SHAPES)


def test_what_ships_is_among_the_shapes():
    from benchmarks.shapes import SHAPES
    from model.network import LARGER, NetworkShape

    assert {NetworkShape(), LARGER} <= set(SHAPES.values())


def test_errors_are_means_over_sets_and_over_kinds():
    from benchmarks.shapes import COLUMNS, errors

    scores = {key: 0.9 for keys in COLUMNS.values() for key in keys}
    scores["mnist_test10k/digits"] = 0.99
    digits, capitals, small, mean = errors(scores)
    assert digits == pytest.approx(7)
    assert capitals == small == pytest.approx(10)
    assert mean == pytest.approx(9)
