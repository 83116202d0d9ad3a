"""The shipped reader of pairs, on digits of handwriting fonts, which it was not trained on."""

import hashlib
import threading

import numpy as np
import pytest

from model.classifier import ClassifierError
from model.pairs import OTHER, PAIR_CLASSES, PairReader, load_pairs, pairs_card
from segmentation.composition import LineHabits, compose_line
from segmentation.handwriting import draw_glyph, random_hand
from segmentation.pairs import stack_pairs

CAPITAL = 56


@pytest.fixture(scope="module")
def shipped():
    return load_pairs()


def written(text, gap, seed):
    """The ink of digits of one hand, bool (H, W), with a gap between them in heights of a capital."""
    rng = np.random.default_rng(seed)
    hand = random_hand(rng)
    glyphs = [draw_glyph(digit, hand, CAPITAL, hand.stroke, 1.0, rng).ink for digit in text]
    inks = [glyph.astype(np.uint8) * 255 for glyph in glyphs]
    habits = LineHabits(gap=gap, gap_spread=0.02)
    return compose_line(inks, [(0.0, 1.0)] * len(text), CAPITAL, habits, rng).ink


def crops_of(texts, gap):
    return stack_pairs(written(text, gap, seed).astype(np.uint8) * 255 for seed, text in enumerate(texts))


@pytest.mark.parametrize("count", [0, 1, PairReader.batch - 1, PairReader.batch, 2 * PairReader.batch + 3])
def test_rows_are_log_probabilities(shipped, count):
    crops = np.random.default_rng(1).integers(0, 256, (count, 28, 44)).astype(np.uint8)
    log_probs = shipped.read(crops)
    assert log_probs.shape == (count, PAIR_CLASSES)
    assert log_probs.dtype == np.float32
    np.testing.assert_allclose(np.exp(log_probs).sum(axis=1), np.ones(count), atol=1e-4)


def test_reads_touching_digits_of_fonts(shipped):
    texts = [f"{number:02d}" for number in range(100)]
    read = shipped.read(crops_of(texts, -0.06)).argmax(axis=1)
    assert (read == np.arange(100)).mean() >= 0.75


def test_leaves_single_digits_alone(shipped):
    read = shipped.read(crops_of([str(number % 10) for number in range(100)], 0.1)).argmax(axis=1)
    assert (read == OTHER).mean() >= 0.95


def test_leaves_three_digits_alone(shipped):
    texts = [f"{(37 * number + 100) % 900 + 100}" for number in range(100)]
    read = shipped.read(crops_of(texts, -0.05)).argmax(axis=1)
    assert (read == OTHER).mean() >= 0.9


def test_threads_may_share_it(shipped):
    crops = crops_of(["12", "34", "56", "78"], -0.05)
    alone, together = shipped.read(crops), {}
    threads = [
        threading.Thread(target=lambda i=i: together.update({i: shipped.read(crops)})) for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for log_probs in together.values():
        np.testing.assert_array_equal(log_probs, alone)


@pytest.mark.parametrize(
    "crops",
    [np.zeros((2, 28, 44), np.float32), np.zeros((28, 44), np.uint8), np.zeros((2, 28, 28), np.uint8)],
)
def test_refuses_what_is_no_crop(shipped, crops):
    with pytest.raises(ClassifierError, match="expected uint8"):
        shipped.read(crops)


def test_refuses_other_models(tmp_path):
    with pytest.raises(ClassifierError, match="cannot be read"):
        load_pairs(tmp_path / "none.tflite")
    (tmp_path / "other.tflite").write_bytes(b"no model")
    with pytest.raises(ClassifierError, match="no LiteRT model"):
        load_pairs(tmp_path / "other.tflite")


def test_the_card_belongs_to_the_weights(shipped):
    card = pairs_card()
    assert card["sha256"] == shipped.sha256
    assert {"data", "scores", "command", "training", "export"} <= set(card)
    assert all(source["licence"] for source in card["data"])
    assert card["bytes"] <= 500_000


def test_hash_is_of_the_file(shipped, tmp_path):
    path = tmp_path / "copy.tflite"
    path.write_bytes(load_content())
    assert load_pairs(path).sha256 == hashlib.sha256(load_content()).hexdigest() == shipped.sha256


def load_content():
    from importlib import resources

    return (resources.files("model") / "weights" / "pairs.tflite").read_bytes()
