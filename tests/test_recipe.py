"""The recipe of the shipped model, on the real data; set FORMSCRIBE_DATA to run it."""

import os
from pathlib import Path

import numpy as np
import pytest

from jobs import recipe
from model.alphabets import NOT_A_CHARACTER
from model.classifier import load_classifier
from model.datasets import load_npz
from model.evaluation import evaluate

DATA = os.environ.get("FORMSCRIBE_DATA")
pytestmark = pytest.mark.skipif(not DATA, reason="FORMSCRIBE_DATA is not set")


@pytest.fixture(scope="module")
def epochs():
    return recipe.Recipe(Path(str(DATA)), seed=3, shape=recipe.EpochShape(share=0.005)).open()


def test_epoch_has_every_class_and_is_the_same_again(epochs):
    images, labels = epochs.make(0)
    again, _ = epochs.make(0)
    other, _ = epochs.make(1)
    np.testing.assert_array_equal(images, again)
    assert not np.array_equal(images[:100], other[:100])
    assert len(np.unique(labels)) >= 60
    assert 0.02 < np.mean(labels == NOT_A_CHARACTER) < 0.2
    assert images.reshape(len(images), -1).any(axis=1).mean() > 0.999


def test_nobody_is_on_both_sides():
    unipen = load_npz(Path(str(DATA)) / "characters" / "unipen_62.npz")
    held = recipe.held_out_unipen_writers(unipen.writers)
    assert len(held) == recipe.HELD_OUT_WRITERS
    source = recipe.Recipe(Path(str(DATA)), shape=recipe.EpochShape(share=0.001)).open()
    assert not np.isin(source._unipen.writers, held).any()
    assert not np.isin(source._strokes.writers, held).any()
    sets = recipe.held_out_sets(Path(str(DATA)))
    assert set(np.unique(sets["unipen_held_out_writers"].writers)) <= set(held.tolist())
    trained = {image.tobytes() for image in source._letters[0]}
    folder = Path(str(DATA)) / "characters"
    images, _ = recipe.originals(folder / "sd19_cleaned.npz", "raw128_packed", 128)
    held_pictures = images[recipe.held_out_letters(folder)]
    assert len(held_pictures) == len(sets["sd19_cleaned_held_out"]) > 1200
    assert not trained & {image.tobytes() for image in held_pictures}


@pytest.mark.parametrize(
    ("name", "charset", "least"),
    [
        ("mnist_test10k", "digits", 0.99),
        ("sd19_cleaned_held_out", "upper", 0.95),
        ("unipen_held_out_writers", "lower", 0.85),
    ],
)
def test_the_shipped_model_reads_what_it_never_saw(name, charset, least):
    crops = recipe.held_out_sets(Path(str(DATA)))[name]
    chosen = np.random.default_rng(0).permutation(len(crops))[:3000]
    result = evaluate(load_classifier(), crops.images[chosen], crops.labels[chosen], charset)
    assert result.accuracy >= least
