"""The exported model as a network again: the same weights, readings and accuracy; needs TensorFlow."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

from model.classifier import LiteRtClassifier, load_classifier, log_softmax, read_model

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
needs_tensorflow = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed: pip install .[train]"
)
SHAPE_OF_SHIPPED = (24, 40, (64, 96), 128, 128)


def written_crops(count=600):
    """Rendered characters and wrong cuts, with their classes."""
    from jobs.anchors import rendered_crops

    return rendered_crops(count, seed=5)


def probabilities(network, images, temperature=1.0):
    logits = network.predict(images[..., None].astype(np.float32) / 255, batch_size=200, verbose=0)
    return np.exp(log_softmax(logits / np.float32(temperature)))


def test_the_layers_are_those_of_the_network():
    from model.restoring import read_layers, shape_of

    layers = read_layers(read_model().content)
    shape = shape_of(layers)
    assert (shape.stem, shape.half, shape.quarter, shape.last, shape.dense) == SHAPE_OF_SHIPPED
    assert [layer.weights.shape[-1] for layer in layers] == [len(layer.bias) for layer in layers]
    assert layers[0].weights.shape == (5, 5, 1, 24)
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
def test_a_network_of_other_widths_comes_back(tmp_path: Path):
    from model.export import export_network
    from model.network import NetworkShape, build_network
    from model.training import load_network

    import keras  # isort: skip

    keras.utils.set_random_seed(3)
    images, _ = written_crops(100)
    network = build_network(NetworkShape(stem=4, half=8, quarter=(8, 12), last=16, dense=24))
    content, _ = export_network(network, images)
    (tmp_path / "small.tflite").write_bytes(content)
    restored = load_network(tmp_path / "small.tflite")
    assert restored.output_shape == (None, 63)
    np.testing.assert_allclose(probabilities(restored, images), probabilities(network, images), atol=0.02)


@needs_tensorflow
@pytest.mark.parametrize("content", [None, b"", b"not a model", b"\x1c\x00\x00\x00TFL3" + bytes(100)])
def test_what_cannot_be_restored_is_named(tmp_path: Path, content: bytes | None):
    from model.training import TrainingError, load_network

    path = tmp_path / "odd.tflite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TrainingError, match="odd"):
        load_network(path)
