"""Doubtful crops read in several variants, and what the mean of these does to a reading."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from jobs.evaluate_recipe import read_sets
from model.alphabets import CHARACTERS, CLASS_COUNT, NOT_A_CHARACTER
from model.crop_variants import MARGIN, VARIANTS, averaged, classify_known, doubtful, variants
from model.datasets import LabelledCrops
from model.evaluation import evaluate
from model.networks import Networks
from model.pairs import OTHER, PAIR_CLASSES
from pipeline.classifying import classify_rows
from pipeline.prediction import predict
from segmentation.components import find_components
from segmentation.glyphs import LINE_LIMITS, RowPlace
from segmentation.looks import InkRow, look_at_bodies
from segmentation.page import GlyphLine
from segmentation.templates import Box


def log_probs(*rows: dict[str, float]) -> np.ndarray:
    """What is not named has a probability of 1e-6; ``-`` is not-a-character."""
    found = np.full((len(rows), CLASS_COUNT), np.log(1e-6), np.float32)
    for row, named in zip(found, rows, strict=True):
        for character, probability in named.items():
            row[NOT_A_CHARACTER if character == "-" else CHARACTERS.index(character)] = np.log(probability)
    return found


def crops_of(count: int) -> np.ndarray:
    """Crops uint8 (N, 28, 28) with a bar upright in the middle, each with a dot at another height."""
    crops = np.zeros((count, 28, 28), np.uint8)
    crops[:, 5:23, 13:15] = 255
    for number, crop in enumerate(crops):
        crop[4 + number, 18] = 255
    return crops


def line_of(crops: np.ndarray, charset: str) -> GlyphLine:
    """A row in which each crop is one piece."""
    count = len(crops)
    boxes = np.zeros((count, 4), np.float32)
    starts = np.arange(count, dtype=np.int16)
    return GlyphLine(
        starts, starts + 1, crops, boxes, boxes, boxes, np.ones(count, np.float32), charset=charset
    )


class Hesitant:
    """A classifier that reads a 4 in crops it was not shown before, and of all others is not sure."""

    name, sha256 = "hesitant", "0"

    def __init__(self, known: np.ndarray, sure: bool = False) -> None:
        self.known, self.sure, self.asked = {crop.tobytes() for crop in known}, sure, 0

    def classify(self, crops: np.ndarray) -> np.ndarray:
        self.asked += len(crops)
        first = {"9": 0.99} if self.sure else {"9": 0.5, "4": 0.4}
        return log_probs(*(first if crop.tobytes() in self.known else {"4": 0.98} for crop in crops))


def test_what_is_not_sure_and_may_be_a_digit_is_doubtful():
    rows = log_probs(
        {"4": 0.6, "9": 0.3},
        {"4": 0.95, "9": 0.95 / np.exp(MARGIN) * 1.01},
        {"4": 0.95, "9": 0.95 / np.exp(MARGIN) * 0.99},
        {"4": 0.15, "9": 0.1, "-": 0.75},
        {"4": 0.2, "9": 0.1, "-": 0.65},
        {"1": 0.5, "l": 0.49},
    )
    assert doubtful(rows, "digits").tolist() == [True, True, False, False, True, False]


@pytest.mark.parametrize("charset", ["upper", "lower", "letters", "alphanumeric", "text", ""])
def test_nothing_but_digits_is_doubtful(charset):
    assert not doubtful(log_probs({"4": 0.5, "A": 0.3, "a": 0.2}), charset).any()


def test_an_unknown_charset_is_an_error():
    with pytest.raises(KeyError):
        doubtful(log_probs({"4": 0.5}), "runes")


def test_no_crops_have_no_doubts_and_no_variants():
    assert doubtful(log_probs(), "digits").shape == (0,)
    assert variants(np.zeros((0, 28, 28), np.uint8)).shape == (0, 28, 28)


@pytest.mark.parametrize("width", [28, 44])
def test_variants_of_a_crop_stay_in_its_middle_and_differ(width):
    crop = np.zeros((1, 28, width), np.uint8)
    crop[0, 6:22, width // 2 - 6 : width // 2 + 6] = 255
    crop[0, 8:20, width // 2 - 4 : width // 2 + 4] = 0
    changed = variants(crop)
    assert changed.shape == (VARIANTS, 28, width)
    assert len({one.tobytes() for one in (*changed, crop[0])}) == VARIANTS + 1
    for one in changed:
        moments = cv2.moments(one)
        assert moments["m10"] / moments["m00"] == pytest.approx((width - 1) / 2, abs=0.1)
        assert moments["m01"] / moments["m00"] == pytest.approx(13.5, abs=1.1)
        assert moments["m00"] == pytest.approx(int(crop.sum()), rel=0.2)


def test_variants_come_crop_by_crop():
    crops = crops_of(3)
    together = variants(crops)
    for number in range(3):
        own = together[number * VARIANTS : (number + 1) * VARIANTS]
        np.testing.assert_array_equal(own, variants(crops[number : number + 1]))


def test_probabilities_are_averaged_with_those_of_the_crop_itself():
    own = log_probs({"4": 0.9}, {"4": 0.3})
    others = log_probs(*[{"4": 0.2, "9": 0.7}] * VARIANTS, *[{"4": 0.3}] * VARIANTS)
    mean = np.exp(averaged(own, others))
    assert mean[0, 4] == pytest.approx((0.9 + VARIANTS * 0.2) / (VARIANTS + 1), rel=1e-4)
    assert mean[0, 9] == pytest.approx(VARIANTS * 0.7 / (VARIANTS + 1), rel=1e-4)
    assert mean[1, 4] == pytest.approx(0.3, rel=1e-4)
    assert mean.dtype == np.float32


def test_variants_decide_where_a_row_of_digits_is_doubtful():
    crops = crops_of(2)
    classifier = Hesitant(crops)
    (row,), _ = classify_rows([line_of(crops, "digits")], Networks(classifier))
    assert row.log_probs.argmax(axis=1).tolist() == [4, 4]
    assert row.crops == classifier.asked == 2 * (VARIANTS + 1)


@pytest.mark.parametrize(("charset", "sure"), [("digits", True), ("upper", False), ("", False)])
def test_what_is_sure_or_no_digit_is_read_once(charset, sure):
    crops = crops_of(2)
    classifier = Hesitant(crops, sure)
    (row,), _ = classify_rows([line_of(crops, charset)], Networks(classifier))
    assert row.log_probs.argmax(axis=1).tolist() == [9, 9]
    assert row.crops == classifier.asked == 2


def test_each_row_gets_the_variants_of_its_own_crops():
    crops = crops_of(4)
    classifier = Hesitant(crops)
    lines = [line_of(crops[:1], "digits"), line_of(crops[1:2], "upper"), line_of(crops[2:], "digits")]
    rows, _ = classify_rows(lines, Networks(classifier))
    assert [row.log_probs.argmax(axis=1).tolist() for row in rows] == [[4], [9], [4, 4]]
    alone, _ = classify_rows([replace(lines[2], charset="digits")], Networks(classifier))
    np.testing.assert_array_equal(rows[2].log_probs, alone[0].log_probs)


def test_single_characters_known_to_be_digits_are_read_in_variants_too():
    crops = crops_of(3)
    classifier = Hesitant(crops)
    assert classify_known(classifier, crops, "digits").argmax(axis=1).tolist() == [4, 4, 4]
    assert classifier.asked == 3 * (VARIANTS + 1)
    for charset in ("upper", None):
        assert classify_known(Hesitant(crops), crops, charset).argmax(axis=1).tolist() == [9, 9, 9]
    assert predict(classifier, crops, "digits", 1)[0].label == "4"
    assert predict(classifier, crops, "text", 1)[0].label == "9"
    labels = np.full(3, 4)
    assert evaluate(classifier, crops, labels, "digits").accuracy == 1
    assert evaluate(classifier, crops, labels).accuracy == 0


def test_the_sets_of_the_recipe_are_read_by_kind():
    crops = crops_of(3)
    labels = np.array([4, CHARACTERS.index("A"), 4], np.int16)
    sets = {"some": LabelledCrops("some", crops, labels, np.full(3, -1, np.int32))}
    assert read_sets(Hesitant(crops), sets)["some"].argmax(axis=1).tolist() == [4, 9, 4]


class NoDigits:
    """Takes everything for no character."""

    name, sha256 = "none", "0"

    def classify(self, crops: np.ndarray) -> np.ndarray:
        return log_probs(*[{"-": 0.9, "1": 0.05, "7": 0.04}] * len(crops))


class Pairs:
    """Reads 86 in what it is shown first, with a probability, and 80 in all that it is shown after that."""

    def __init__(self, probability: float) -> None:
        self.probability, self.asked = probability, []

    def read(self, crops: np.ndarray) -> np.ndarray:
        first = not self.asked
        self.asked.append(len(crops))
        probs = np.full((len(crops), PAIR_CLASSES), 1e-9, np.float32)
        probs[:, 86 if first else 80] = self.probability if first else 0.999
        probs[:, OTHER] = 1 - probs.sum(axis=1)
        return np.log(probs)


@pytest.mark.parametrize(("probability", "again", "second"), [(0.6, True, 0), (0.9999, False, 6)])
def test_pairs_that_are_not_sure_are_read_in_variants_too(probability, again, second):
    image = np.zeros((120, 300), np.uint8)
    for x in (100, 138):
        cv2.ellipse(image, (x, 60), (20, 30), 0, 0, 360, 1, 6)
    place = RowPlace(Box(0, 10, 300, 100), np.eye(2, 3))
    line = look_at_bodies([InkRow(find_components(image), place, LINE_LIMITS, "digits", 2, 2)])[0]
    reader = Pairs(probability)
    (row,), _ = classify_rows([line], Networks(NoDigits(), reader))
    assert reader.asked == ([1, VARIANTS] if again else [1])
    assert row.log_probs[:, second].max() > np.log(0.5)
    assert row.log_probs[:, 8].max() > np.log(0.5)
