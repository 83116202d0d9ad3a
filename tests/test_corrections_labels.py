"""From what verifiers said to labelled crops: alignment, marks, newest entries, and the split."""

import numpy as np
import pytest

from model.datasets.corrections import make_corrections
from review.labelled import _Read, label_field


def read(text, charset="digits"):
    return [_Read(i, label, bytes(784), charset) for i, label in enumerate(text)]


@pytest.mark.parametrize(
    ("was_read", "text", "marks", "expected"),
    [
        ("123", "123", {}, {0: "1", 1: "2", 2: "3"}),
        ("123", "193", {}, {0: "1", 1: "9", 2: "3"}),
        ("123", " 1 9\n3 ", {}, {0: "1", 1: "9", 2: "3"}),
        ("1234", "134", {}, {3: "4"}),
        ("123", None, {}, {}),
        ("123", "", {}, {}),
        ("cafe", "café", {}, {0: "c", 1: "a", 2: "f"}),  # no model of ours knows é
        ("123", None, {1: ("2", "right", None)}, {1: "2"}),
        ("123", None, {1: ("2", "label", "7")}, {1: "7"}),
        ("123", None, {1: ("2", "wrong", None)}, {}),
        ("123", "123", {1: ("2", "wrong", None)}, {0: "1", 2: "3"}),
        ("123", "193", {1: ("2", "wrong", None)}, {0: "1", 1: "9", 2: "3"}),
        ("123", "193", {1: ("2", "label", "4")}, {0: "1", 1: "4", 2: "3"}),
        ("123", "193", {1: ("8", "right", None)}, {0: "1", 1: "9", 2: "3"}),  # a mark of another reading
        ("123", None, {1: ("2", "label", "é"), 2: ("3", "label", "")}, {}),
        ("123", "123", {1: ("2", "label", "AB")}, {0: "1", 2: "3"}),  # no one character
    ],
)
def test_labels_of_a_field(was_read, text, marks, expected):
    assert label_field(read(was_read), text, marks) == expected


def corrections(pages, fields=None, labels=None):
    count = len(pages)
    images = np.random.default_rng(0).integers(0, 255, (count, 28, 28), dtype=np.uint8)
    labels = np.array(labels or ["7"] * count)
    fields = np.array(fields or ["f"] * count)
    return make_corrections(
        images, labels, np.array(["1"] * count), np.array(["digits"] * count), np.array(pages), fields
    )


def test_a_page_is_on_one_side_and_stays_there():
    few = corrections([f"page {i % 40}" for i in range(80)])
    many = corrections([f"page {i % 200}" for i in range(600)])
    held = {str(page) for page in few.pages[few.held_back]}
    assert 3 <= len(held) <= 20
    assert not held & {str(page) for page in few.pages[~few.held_back]}
    assert held == {str(p) for p in many.pages[many.held_back]} & {f"page {i}" for i in range(40)}
    assert 0.15 < many.held_back.mean() < 0.35
    train, measured = many.split()
    assert len(train) + len(measured) == len(many)
    assert not set(train.pages.tolist()) & set(measured.pages.tolist())


@pytest.mark.parametrize("count", [2, 3, 5])
def test_of_few_pages_both_sides_get_one(count):
    for start in range(30):
        few = corrections([f"{start + i}" for i in range(count)])
        assert 0 < few.held_back.sum() < count


def test_sides_are_settled_once_both_have_a_page():
    unsettled = 0
    for start in range(60):
        names = [f"desk {start} page {i}" for i in range(12)]
        grown = [corrections(names[: i + 1]) for i in range(len(names))]
        held = [{str(page) for page in one.pages[one.held_back]} for one in grown]
        first = next((i for i, one in enumerate(grown) if one.settled), len(names))
        unsettled += first > 1
        for i in range(first + 1, len(names)):
            assert grown[i].settled
            assert held[i] & set(names[:i]) == held[i - 1]
    assert 10 < unsettled < 60


def test_of_one_page_the_fields_are_divided():
    one = corrections(["p"] * 20, [f"f{i // 2}" for i in range(20)])
    assert 0 < one.held_back.sum() < 20
    held = set(one.fields[one.held_back].tolist())
    assert not held & set(one.fields[~one.held_back].tolist())
    assert not corrections(["p"] * 4).held_back.any()


def test_the_masks_are_of_the_field_and_never_forbid_the_label():
    one = make_corrections(
        np.zeros((2, 28, 28), np.uint8),
        np.array(["7", "A"]),
        np.array(["1", "4"]),
        np.array(["digits", "digits"]),
        np.array(["p", "p"]),
        np.array(["f", "f"]),
    )
    assert one.masks.sum(axis=1).tolist() == [10, 11]
    assert one.corrected.tolist() == [True, True]
