"""The type, its splits, our own .npz sets and the strokes."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.alphabets import NOT_A_CHARACTER, class_index
from model.datasets import (
    AbsentError,
    DatasetError,
    LabelledCrops,
    load_npz,
    load_strokes,
    split_by_writer,
)


def crops(labels, writers, name="set"):
    count = len(labels)
    images = np.zeros((count, 28, 28), np.uint8)
    images[:, 0, 0] = np.arange(count)
    return LabelledCrops(name, images, np.array(labels, np.int16), np.array(writers, np.int32))


def numbers(part):
    return part.images[:, 0, 0].tolist()


def test_arrays_that_do_not_fit_are_refused():
    good = crops([0, 1], [-1, -1])
    with pytest.raises(ValueError, match="images must be uint8"):
        LabelledCrops("set", good.images[:1], good.labels, good.writers)
    with pytest.raises(ValueError, match="labels must be int16"):
        LabelledCrops("set", good.images, good.labels.astype(np.int64), good.writers)
    with pytest.raises(ValueError, match=r"labels must lie in 0\.\.62"):
        crops([63], [-1])
    assert len(crops([NOT_A_CHARACTER], [-1])) == 1


def test_select_takes_masks_and_indices():
    three = crops([5, 6, 7], [1, 2, 3])
    assert three.select(np.array([True, False, True])).labels.tolist() == [5, 7]
    picked = three.select(np.array([2, 0]))
    assert (numbers(picked), picked.writers.tolist(), picked.name) == ([2, 0], [3, 1], "set")


def test_concatenating_keeps_different_people_apart():
    joined = LabelledCrops.concatenate(
        [crops([1, 2], [0, 3], "a"), crops([3], [-1], "b"), crops([4], [0], "c")]
    )
    assert joined.name == "a+b+c"
    assert joined.labels.tolist() == [1, 2, 3, 4]
    assert joined.writers.tolist() == [0, 3, -1, 4]


def test_concatenating_two_halves_of_a_set_keeps_their_numbers():
    halves = [crops([1], [7]), crops([2], [7])]
    assert LabelledCrops.concatenate(halves, shared_writers=True).writers.tolist() == [7, 7]
    with pytest.raises(ValueError, match="nothing"):
        LabelledCrops.concatenate([])


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 62), st.integers(-1, 6)), min_size=1, max_size=80),
    st.floats(0, 1),
    st.integers(0, 9),
)
def test_a_split_loses_nothing_and_shares_no_writer(rows, share, seed):
    whole = crops([label for label, _ in rows], [writer for _, writer in rows])
    train, held = split_by_writer(whole, share, seed)
    assert sorted(numbers(train) + numbers(held)) == list(range(len(rows)))
    assert numbers(train) == sorted(numbers(train))
    assert not set(train.writers[train.writers >= 0].tolist()) & set(held.writers.tolist())
    assert numbers(split_by_writer(whole, share, seed)[1]) == numbers(held)


def test_a_share_of_the_writers_is_held_out():
    whole = crops([0] * 40, np.repeat(np.arange(10), 4))
    train, held = split_by_writer(whole, 0.3, seed=1)
    assert len(np.unique(held.writers)) == 3
    assert len(np.unique(train.writers)) == 7
    assert numbers(held) != numbers(split_by_writer(whole, 0.3, seed=2)[1])


def test_at_least_one_writer_on_each_side():
    whole = crops([0, 1], [4, 5])
    for share in (0.01, 0.99):
        train, held = split_by_writer(whole, share, seed=0)
        assert (len(train), len(held)) == (1, 1)


def test_without_writers_each_class_is_split_alike():
    whole = crops([0] * 50 + [1] * 10, [-1] * 60)
    _, held = split_by_writer(whole, 0.2, seed=0)
    assert np.bincount(held.labels).tolist() == [10, 2]


def test_a_share_outside_is_refused():
    with pytest.raises(ValueError, match=r"0\.\.1"):
        split_by_writer(crops([0], [0]), 1.5, seed=0)


def write_npz(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_npz_labels_writers_and_degenerate_rows(tmp_path):
    images = np.arange(3, dtype=np.uint8)[:, None, None] * np.ones((1, 28, 28), np.uint8)
    path = write_npz(
        tmp_path / "mine.npz",
        images=images,
        labels=np.array(["7", "a", "Z"]),
        writer_index=np.array([4, 5, 6], np.int16),
        degenerate=np.array([False, True, False]),
    )
    loaded = load_npz(path)
    assert loaded.name == "mine"
    assert loaded.labels.tolist() == [class_index("7"), class_index("Z")]
    assert loaded.writers.tolist() == [4, 6]
    assert numbers(loaded) == [0, 2]


def test_npz_of_a_set_with_spoilt_classes_leaves_them_out(tmp_path):
    arrays = {"images": np.zeros((4, 28, 28), np.uint8), "labels": np.array(["0", "1", "I", "J"])}
    spoilt = load_npz(write_npz(tmp_path / "binaryalphadigs.npz", **arrays))
    assert spoilt.labels.tolist() == [class_index("0"), class_index("J")]
    assert len(load_npz(write_npz(tmp_path / "other.npz", **arrays))) == 4


@pytest.mark.parametrize(
    ("field", "side", "ink_bit"), [("raw128_packed", 128, 1), ("images64_packed", 64, 0)]
)
def test_npz_originals_go_through_the_injected_normalisation(tmp_path, field, side, ink_bit):
    bits = np.full((side, side), 1 - ink_bit, np.uint8)
    bits[2:10, 5] = ink_bit
    seen = []

    def normalize(ink):
        seen.append(ink)
        return np.full((28, 28), 9, np.uint8)

    path = write_npz(
        tmp_path / "packed.npz",
        labels=np.array(["3"]),
        writer_template_field_position=np.array([[21, 1, 2, 3]], np.int32),
        **{field: np.packbits(bits)[None]},
    )
    loaded = load_npz(path, normalize)
    assert seen[0].shape == (side, side)
    assert np.argwhere(seen[0] == 255).tolist() == [[row, 5] for row in range(2, 10)]
    assert loaded.images[0, 0, 0] == 9
    assert loaded.writers.tolist() == [21]
    with pytest.raises(DatasetError, match=r"packed\.npz.*normalize"):
        load_npz(path)


def test_npz_that_is_none(tmp_path):
    with pytest.raises(DatasetError, match=r"gone\.npz: no such file"):
        load_npz(tmp_path / "gone.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(DatasetError, match=r"text\.npz"):
        load_npz(tmp_path / "text.npz")
    with pytest.raises(DatasetError, match="labels"):
        load_npz(write_npz(tmp_path / "bare.npz", images=np.zeros((1, 28, 28), np.uint8)))
    wrong = write_npz(tmp_path / "wrong.npz", images=np.zeros((1, 9, 9), np.uint8), labels=np.array(["1"]))
    with pytest.raises(DatasetError, match="28, 28"):
        load_npz(wrong)
    assert not issubclass(DatasetError, AbsentError)


def write_strokes(folder, degenerate):
    labels = np.array(["a", "B", "3"])
    write_npz(
        folder / "pen_strokes.npz",
        points=np.arange(18, dtype=np.uint8).reshape(9, 2),
        stroke_len=np.array([2, 3, 1, 3], np.uint16),
        n_strokes=np.array([2, 1, 1], np.uint8),
        labels=labels,
        writer_index=np.array([5, 6, 7], np.int16),
    )
    write_npz(
        folder / "pen.npz",
        images=np.zeros((3, 28, 28), np.uint8),
        labels=labels,
        degenerate=np.array(degenerate),
    )
    return folder / "pen_strokes.npz"


def test_strokes_are_polylines_in_order(tmp_path):
    strokes = load_strokes(write_strokes(tmp_path, [False, False, False]))
    first = strokes.polylines(0)
    assert [line.shape for line in first] == [(2, 2), (3, 2)]
    assert first[0].dtype == np.float32
    assert first[1].tolist() == [[4, 5], [6, 7], [8, 9]]
    assert strokes.polylines(2)[0].tolist() == [[12, 13], [14, 15], [16, 17]]


def test_degenerate_strokes_are_left_out_in_step_with_the_pictures(tmp_path):
    path = write_strokes(tmp_path, [False, True, False])
    strokes, pictures = load_strokes(path), load_npz(tmp_path / "pen.npz")
    assert strokes.labels.tolist() == pictures.labels.tolist() == [class_index("a"), class_index("3")]
    assert strokes.writers.tolist() == [5, 7]
    assert strokes.polylines(1)[0].tolist() == [[12, 13], [14, 15], [16, 17]]
    turned = strokes.select(np.array([1, 0]))
    assert [line.tolist() for line in turned.polylines(1)] == [line.tolist() for line in strokes.polylines(0)]


def test_strokes_without_their_pictures_or_of_other_length(tmp_path):
    path = write_strokes(tmp_path, [False, False])
    with pytest.raises(DatasetError, match=r"pen\.npz: 2 flags"):
        load_strokes(path)
    (tmp_path / "pen.npz").unlink()
    with pytest.raises(DatasetError, match=r"put that file beside it"):
        load_strokes(path)


@pytest.mark.skipif("FORMSCRIBE_DATA" not in os.environ, reason="FORMSCRIBE_DATA names no folder of data")
def test_the_real_strokes_match_the_real_pictures():
    folder = Path(os.environ["FORMSCRIBE_DATA"]) / "characters"
    strokes, pictures = load_strokes(folder / "unipen_62_strokes.npz"), load_npz(folder / "unipen_62.npz")
    assert np.array_equal(strokes.labels, pictures.labels)
    assert np.array_equal(strokes.writers, pictures.writers)
    assert len(np.unique(pictures.writers)) == 318
    assert max(line.max() for line in strokes.polylines(17)) == 255
