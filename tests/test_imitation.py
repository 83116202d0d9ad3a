"""A network of another shape that begins where a trained one stands; needs TensorFlow."""

import importlib.util
import os
from dataclasses import replace

import numpy as np
import pytest

from model.network import Convolution, NetworkShape

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed: pip install .[train]"
)
TRUNK = (
    Convolution(4, 5, 2),
    Convolution(6),
    Convolution(8, 3, 2),
    Convolution(8, residual=True),
    Convolution(16, 3, 2),
)
TRAINED = NetworkShape(TRUNK, dense=24)


@pytest.fixture(scope="module")
def crops():
    """Round blots of ink, one or two a crop."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:28, :28]
    middles = rng.uniform(6, 22, (300, 2, 2, 1, 1))
    away = np.hypot(y - middles[:, :, 0], x - middles[:, :, 1]).min(axis=1)
    return np.where(away < 5, 255, 0).astype(np.uint8)


@pytest.fixture(scope="module")
def trained():
    import keras

    from model.network import build_folded_network

    keras.utils.set_random_seed(2)
    return build_folded_network(TRAINED)


def logits(network, crops):
    return network.predict(crops[..., None].astype(np.float32) / 255, verbose=0)


def test_the_same_shape_becomes_the_same_network(trained, crops):
    from model.imitation import imitate

    same, explained = imitate(trained, TRAINED, range(5), crops)
    np.testing.assert_allclose(logits(same, crops), logits(trained, crops), atol=0.01)
    assert min(explained) > 0.999


def test_a_layer_left_out_is_made_up_for_by_the_next(trained, crops):
    from model.imitation import imitate

    shape = replace(TRAINED, trunk=(TRUNK[0], Convolution(8, 5, 2), *TRUNK[3:]))
    network, explained = imitate(trained, shape, [0, 2, 3, 4], crops)
    assert len(explained) == 4
    assert explained[0] > 0.999
    assert 0.8 < explained[1] < 0.999
    given, wanted = logits(network, crops), logits(trained, crops)
    assert np.square(given - wanted).mean() < 0.3 * wanted.var(axis=0).mean()


def test_the_channels_left_out_are_those_that_matter_least(trained, crops):
    from model.imitation import imitate

    weights = trained.get_weights()
    weights[4][..., [1, 5]] = 0  # the kernel of the third convolution, and of the shortcut's beside it
    weights[6][..., [1, 5]] = 0
    crippled = type(trained).from_config(trained.get_config())
    crippled.set_weights(weights)
    narrow = (*TRUNK[:2], Convolution(6, 3, 2), Convolution(6, residual=True), TRUNK[4])
    network, explained = imitate(crippled, replace(TRAINED, trunk=narrow), range(5), crops)
    np.testing.assert_allclose(logits(network, crops), logits(crippled, crops), atol=0.02)
    assert min(explained) > 0.99


def test_every_layer_needs_one_to_imitate(trained, crops):
    from model.imitation import imitate

    with pytest.raises(ValueError, match="5 layers imitate 2"):
        imitate(trained, TRAINED, [0, 1], crops)
    with pytest.raises(ValueError, match="dense"):
        imitate(trained, replace(TRAINED, dense=16), range(5), crops)
