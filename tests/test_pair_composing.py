import cv2
import numpy as np
import pytest

from jobs.pair_composing import UNCERTAIN, LabelledWindows, label_windows, some_windows
from jobs.train_pairs import make_epoch, nudge, score
from model.pair_network import build_pair_network, export_pairs, predict_pairs
from model.pairs import OTHER, PAIR_CLASSES
from model.training import TrainingOptions, train
from segmentation.composition import LineHabits, compose_line


def ring():
    ink = np.zeros((64, 46), np.uint8)
    cv2.ellipse(ink, (23, 32), (18, 27), 0, 0, 360, 255, 5)
    return ink


def row_of(count, gap):
    habits = LineHabits(gap=gap, gap_spread=0.0, drift=0.0)
    return compose_line([ring()] * count, [(0.0, 1.0)] * count, 60, habits, np.random.default_rng(1))


def test_two_digits_that_touch_are_their_pair():
    found = label_windows(row_of(2, -0.05), [4, 7])
    assert found.labels.tolist() == [47]
    assert found.single_crops().shape == (1, 28, 28)


def test_digits_apart_are_no_pair():
    assert 47 not in label_windows(row_of(2, 0.3), [4, 7]).labels


def test_three_digits_are_no_pair():
    found = label_windows(row_of(3, -0.02), [4, 7, 1])
    whole = found.windows[:, 1] - found.windows[:, 0] == len(found.pieces.areas)
    assert set(found.labels[whole].tolist()) <= {OTHER}


def test_of_each_pair_one_window_is_kept_and_few_others():
    found = label_windows(row_of(3, -0.02), [4, 7, 1])
    count = len(found.labels)
    labels = np.resize(np.array([47, 71, OTHER, UNCERTAIN], np.int16), count)
    chosen = some_windows(
        LabelledWindows(found.pieces, found.windows, labels), np.random.default_rng(2)
    ).labels.tolist()
    assert count > 8
    assert sorted(chosen) == [47, 71, OTHER, OTHER]


def test_a_nudged_crop_is_still_the_same_body():
    crop = np.zeros((28, 44), np.uint8)
    crop[4:24, 8:36] = 255
    for seed in range(20):
        nudged = nudge(crop, np.random.default_rng(seed))
        assert nudged.shape == crop.shape
        assert nudged.dtype == np.uint8
        assert float(nudged.sum()) == pytest.approx(float(crop.sum()), rel=0.35)


def test_an_epoch_is_the_same_for_the_same_seed():
    images = np.random.default_rng(1).integers(0, 256, (6, 28, 44)).astype(np.uint8)
    labels = np.arange(6, dtype=np.int16)
    first, again, other = (make_epoch(images, labels, seed, 3) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first[0], again[0])
    assert sorted(first[1].tolist()) == labels.tolist()
    assert not np.array_equal(first[0], other[0])


def test_scores_count_pairs_and_others_apart():
    probabilities = np.zeros((4, PAIR_CLASSES), np.float32)
    probabilities[[0, 1, 2, 3], [12, 34, OTHER, OTHER]] = 1
    assert score(probabilities, np.array([12, 35, OTHER, 56], np.int16)) == {
        "pairs_read": pytest.approx(1 / 3),
        "pairs_found": pytest.approx(2 / 3),
        "others_left": 1.0,
    }


def test_trains_resumes_and_exports(tmp_path):
    images = np.random.default_rng(1).integers(0, 256, (64, 28, 44)).astype(np.uint8)
    labels = np.arange(64, dtype=np.int16)
    assert build_pair_network().output_shape == (None, PAIR_CLASSES)

    def run(epochs, resume):
        options = TrainingOptions(epochs=epochs, batch=16)
        return train(
            lambda epoch: (images, labels),
            lambda model: {},
            tmp_path,
            options,
            build=build_pair_network,
            resume=resume,
            report=lines.append,
        )

    lines: list[str] = []
    run(1, False)
    model, history = run(2, True)
    assert [row["epoch"] for row in history] == [1, 2]
    assert len(lines) == 2
    content, figures = export_pairs(model, images)
    assert len(content) < 500_000
    assert figures["largest_difference"] < 0.1
    np.testing.assert_allclose(predict_pairs(model, images).sum(axis=1), np.ones(64), atol=1e-5)
