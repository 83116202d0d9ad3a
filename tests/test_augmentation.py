import cv2
import numpy as np
import pytest

from model.augmentation import Augmenter
from segmentation.normalization import normalize_glyph


def letter(side=60):
    ink = np.zeros((side + 20, side + 30), np.uint8)
    points = np.array([[0.2, 0.0], [0.2, 1.0], [0.8, 1.0]])
    cv2.polylines(ink, [(points * side + 10).astype(np.int32)], False, 255, 6)
    return ink


def augmenter(strength=1.0, seed=4):
    return Augmenter(np.random.default_rng(seed), normalize_glyph, strength)


def test_without_strength_only_the_resampling_remains():
    plain = normalize_glyph(letter())
    bent = augmenter(strength=0.0).bend(letter())
    assert np.abs(bent.astype(int) - plain).mean() < 6
    nudged = augmenter(strength=0.0).nudge(plain)
    np.testing.assert_array_equal(nudged, plain)


@pytest.mark.parametrize("way", ["bend", "nudge"])
def test_makes_many_different_crops_of_one(way):
    random = augmenter()
    source = letter() if way == "bend" else normalize_glyph(letter())
    crops = np.stack([getattr(random, way)(source) for _ in range(30)])
    assert crops.shape == (30, 28, 28)
    assert crops.dtype == np.uint8
    assert len(np.unique(crops.reshape(30, -1), axis=0)) == 30


def test_bent_crops_are_placed_as_serving_places_them():
    random = augmenter()
    for crop in (random.bend(letter()) for _ in range(30)):
        rows, columns = np.flatnonzero(crop.any(axis=1)), np.flatnonzero(crop.any(axis=0))
        assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20


def test_bent_crops_are_still_the_letter():
    """The mean of many crops has its ink where the letter has it."""
    random = augmenter()
    mean = np.mean([random.bend(letter()) for _ in range(60)], axis=0)
    assert mean[8:20, 6:12].max() > 100  # the upright on the left
    assert mean[6:16, 17:24].max() < 60  # nothing at the upper right


def test_same_seed_same_crops():
    np.testing.assert_array_equal(augmenter(seed=9).bend(letter()), augmenter(seed=9).bend(letter()))


def test_no_ink_gives_an_empty_crop():
    assert not augmenter().bend(np.zeros((40, 40), np.uint8)).any()
