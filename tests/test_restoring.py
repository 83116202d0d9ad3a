"""The exported model as a network again: the same weights, readings and accuracy; needs TensorFlow."""

import importlib.util
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.classifier import ClassifierError, LiteRtClassifier, load_classifier, log_softmax, read_model
from model.network import Convolution, NetworkShape

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
needs_tensorflow = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed: pip install .[train]"
)
SMALL = NetworkShape((Convolution(4, 5, 2), Convolution(8, 3, 2), Convolution(16, 3, 2)), dense=24)


def written_crops(count=600):
    """Rendered characters and wrong cuts, with their classes."""
    from jobs.anchors import rendered_crops

    return rendered_crops(count, seed=5)


def probabilities(network, images, temperature=1.0):
    logits = network.predict(images[..., None].astype(np.float32) / 255, batch_size=200, verbose=0)
    return np.exp(log_softmax(logits / np.float32(temperature)))


def test_the_shipped_model_has_the_shape_that_training_gives():
    from model.network import NetworkShape
    from model.restoring import read_network

    shape, layers = read_network(read_model().content)
    assert shape == NetworkShape()
    assert [layer.weights.shape[-1] for layer in layers[:-2]] == [part.width for part in shape.trunk]
    assert [layer.weights.shape[0] for layer in layers[:-2]] == [part.size for part in shape.trunk]
    assert np.prod([part.stride for part in shape.trunk]) == 8
    assert [layer.weights.shape[-1] for layer in layers[-2:]] == [shape.dense, 63]
    assert any(part.residual for part in shape.trunk)
    assert not shape.pooled
    assert len(layers) == len(shape.trunk) + 2
    assert [layer.weights.shape[-1] for layer in layers] == [len(layer.bias) for layer in layers]
    first = shape.trunk[0]
    assert layers[0].weights.shape == (first.size, first.size, 1, first.width)
    assert all(np.isfinite(layer.weights).all() and layer.weights.std() > 0.01 for layer in layers)


@needs_tensorflow
def test_reads_as_the_exported_model_does():
    from model.restoring import restore_network

    images, labels = written_crops()
    classifier = load_classifier()
    served = np.exp(classifier.classify(images))
    restored = probabilities(restore_network(), images, classifier.temperature)
    # LiteRT rounds what flows between the layers to 8 bits too; the restored network does not.
    assert np.abs(served - restored).max() < 0.06
    assert np.mean(served.argmax(1) == restored.argmax(1)) > 0.99
    right = [np.mean(read.argmax(1) == labels) for read in (served, restored)]
    assert right[0] == pytest.approx(right[1], abs=0.005)
    assert right[1] > 0.75


@needs_tensorflow
def test_exported_again_it_is_the_same_model():
    from model.export import export_network
    from model.restoring import restore_network

    images, _ = written_crops(200)
    content, _ = export_network(restore_network(), images)
    again = LiteRtClassifier("again", content).classify(images)
    before = LiteRtClassifier("before", read_model().content).classify(images)
    np.testing.assert_allclose(np.exp(again), np.exp(before), atol=1e-3)


@needs_tensorflow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"dense": 0},
        {"pooled": True},
        {"pooled": True, "dense": 0},
        {
            "trunk": (
                Convolution(8, 3, 2),
                Convolution(12, 5, 2, separable=True),
                Convolution(12, residual=True),
            )
        },
        {"trunk": (Convolution(40, 7, 4), Convolution(40, residual=True, separable=True))},
    ],
)
def test_a_network_of_another_shape_comes_back(tmp_path: Path, changes):
    from model.export import export_network
    from model.network import build_network
    from model.restoring import read_network
    from model.training import load_network

    import keras  # isort: skip

    keras.utils.set_random_seed(3)
    images, _ = written_crops(100)
    shape = replace(SMALL, **changes)
    network = build_network(shape)
    content, _ = export_network(network, images)
    assert read_network(content)[0] == shape
    (tmp_path / "small.tflite").write_bytes(content)
    restored = load_network(tmp_path / "small.tflite")
    assert restored.output_shape == (None, 63)
    np.testing.assert_allclose(probabilities(restored, images), probabilities(network, images), atol=0.02)


@needs_tensorflow
def test_a_network_with_another_shortcut_is_not_ours():
    from keras import Model, layers

    from model.export import export_network
    from model.restoring import read_network

    crops = layers.Input((28, 28, 1))
    first = layers.Conv2D(8, 3, strides=4, padding="same", activation="relu")(crops)
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(first)
    x = layers.Add()([first, layers.Conv2D(8, 3, padding="same")(x)])
    network = Model(crops, layers.Dense(63)(layers.Flatten()(layers.ReLU()(x))))
    content, _ = export_network(network, written_crops(20)[0])
    with pytest.raises(ClassifierError, match="ADD"):
        read_network(content)


@needs_tensorflow
@pytest.mark.parametrize("content", [None, b"", b"not a model", b"\x1c\x00\x00\x00TFL3" + bytes(100)])
def test_what_cannot_be_restored_is_named(tmp_path: Path, content: bytes | None):
    from model.training import TrainingError, load_network

    path = tmp_path / "odd.tflite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TrainingError, match="odd"):
        load_network(path)
