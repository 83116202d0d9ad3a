"""The model handler: one call for several pages, and one bad page costs only itself."""

import cv2
import numpy as np
import pytest
from pipeline_fakes import CANDIDATES, KINDS, TEMPLATE, FakeClassifier, FakePage, fake_networks, fake_segment

from model.alphabets import CLASS_COUNT, NOT_A_CHARACTER
from model.networks import Networks
from pipeline.classifying import classify_pages, classify_rows
from pipeline.handler import PageModelHandler
from pipeline.reading import check_log_probs
from pipeline.records import PageKey, PageToClassify
from segmentation.components import find_components
from segmentation.glyphs import LINE_LIMITS, RowPlace
from segmentation.looks import InkRow, look_at_bodies
from segmentation.page import GlyphLine, SegmentedField, SegmentedPage
from segmentation.templates import Box

CROPS = 3 * CANDIDATES  # of a page that is not empty


def pages(*kinds: str) -> list[PageToClassify]:
    return [
        PageToClassify(PageKey(kind, i), "hash", fake_segment(FakePage(kind).gray, TEMPLATE), {"decode": 1.0})
        for i, kind in enumerate(kinds, start=1)
    ]


def test_one_call_for_all_pages_and_each_gets_its_own_part():
    model = FakeClassifier()
    results = classify_pages(pages("good", "empty", "doubtful", "long"), Networks(model))
    assert model.calls == [3 * CROPS]
    for result, kind in zip(results, ("good", "empty", "doubtful", "long"), strict=True):
        assert result.page.key.source == kind
        assert result.failure is None
        assert len(result.log_probs) == (0 if kind == "empty" else CROPS)
        assert np.allclose(result.log_probs[:, 0], -0.001 * KINDS.index(kind))
        assert set(result.page.milliseconds) == {"decode", "segment", "classify"}


@pytest.mark.parametrize(
    ("bad", "code", "told"),
    [
        ("nan", "invalid_model_output", "NaN for 9 of 9 crops"),
        ("shape", "invalid_model_output", "(9, 3) for 9 crops"),
        ("refuse", "classification_failed", "RuntimeError: tensor arena is full"),
    ],
)
def test_a_bad_page_costs_only_itself(bad, code, told):
    results = classify_pages(pages("good", bad, "long"), Networks(FakeClassifier()))
    assert [result.failure is None for result in results] == [True, False, True]
    failure = results[1].failure
    assert (failure.source, failure.page, failure.stage, failure.code) == (bad, 2, "classify", code)
    assert told in failure.message
    assert results[1].log_probs is None


def test_pages_without_ink_do_not_trouble_the_model():
    model = FakeClassifier()
    assert [len(result.log_probs) for result in classify_pages(pages("empty", "empty"), Networks(model))] == [
        0,
        0,
    ]
    assert model.calls == []


def test_batches_are_pages_and_bytes_are_counted_without_pickling():
    handler = PageModelHandler(fake_networks, max_batch_size=5)
    assert handler.batch_elements_kwargs() == {"min_batch_size": 1, "max_batch_size": 5}
    assert handler.get_num_bytes(pages("good", "empty")) == CROPS * 784
    assert isinstance(handler.load_model().characters, FakeClassifier)
    with pytest.raises(ValueError, match="no inference arguments"):
        handler.validate_inference_args({"temperature": 2})


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.full((2, 63), -1.0), None),
        (np.zeros((0, 63)), "(0, 63) for 2 crops"),
        (np.full((2, 63), 5.0), "above 0"),
        (np.full((2, 63), -np.inf), None),
    ],
)
def test_what_counts_as_log_probabilities(array, told):
    problem = check_log_probs(array.astype(np.float32), 2)
    assert problem is None if told is None else told in problem


class WideIsDoubtful:
    """Takes what is wider than high for no character; the sum of a crop's ink travels with its answer."""

    name, sha256 = "wide", "e" * 64

    def __init__(self) -> None:
        self.calls: list[int] = []

    def classify(self, crops):
        self.calls.append(len(crops))
        return self.answers(crops)

    def answers(self, crops):
        wide = crops.any(axis=1).sum(axis=1) > crops.any(axis=2).sum(axis=1)
        log_probs = np.full((len(crops), CLASS_COUNT), -20.0, np.float32)
        log_probs[np.arange(len(crops)), np.where(wide, NOT_A_CHARACTER, 0)] = -0.001
        log_probs[:, 1] = -10 - crops.sum(axis=(1, 2), dtype=np.float32) / 1e6
        return log_probs


def row_of_rings(*centers, least=0) -> GlyphLine:
    image = np.zeros((120, 700), np.uint8)
    for x in centers:
        cv2.ellipse(image, (x, 60), (20, 30), 0, 0, 360, 1, 6)
    area = Box(0, 10, 700, 100)
    place = RowPlace(area, np.eye(2, 3))
    return look_at_bodies([InkRow(find_components(image), place, LINE_LIMITS, "digits", least, 9)])[0]


def page_of(*rows: GlyphLine) -> PageToClassify:
    good = fake_segment(FakePage("good").gray, TEMPLATE)
    fields = tuple(
        SegmentedField(name, np.zeros(4, np.float32), lines, 0.2)
        for name, lines in (("number", rows[:1]), ("unused", ()), ("story", rows[1:]))
    )
    page = SegmentedPage(700, 120, good.registration, fields, {})
    return PageToClassify(PageKey("rings", 1), "hash", page, {"decode": 1.0, "segment": 2.0})


def test_doubtful_bodies_are_cut_and_only_what_is_new_is_classified():
    loose, touching = row_of_rings(60, 160, 260), row_of_rings(60, 160, 198)
    model = WideIsDoubtful()
    first, second = classify_pages([page_of(loose, touching), page_of(touching)], Networks(model))
    assert model.calls[0] == 3 + 2 + 2
    assert len(model.calls) == 2
    for result in (first, second):
        crops = result.page.segmented.crops()
        np.testing.assert_array_equal(result.log_probs, model.answers(crops))
        assert all(line.uncut is None for field in result.page.segmented.fields for line in field.lines)
        assert result.page.milliseconds["segment"] >= 2.0
    (number,), _, (story,) = (field.lines for field in first.page.segmented.fields)
    assert number.piece_count == 3
    assert story.piece_count > 2
    (again,) = second.page.segmented.fields[0].lines
    np.testing.assert_array_equal(again.crops, story.crops)
    # Of the cut rows one body was settled and one, as a whole, is known from the first look.
    assert model.calls[1] == 2 * (len(story.crops) - 2)


def test_rows_that_are_settled_cost_one_call():
    model = WideIsDoubtful()
    (row,), milliseconds = classify_rows([row_of_rings(60, 160)], Networks(model))
    assert model.calls == [2]
    assert (row.crops, row.pieces, row.line.uncut) == (2, None, None)
    assert milliseconds > 0


def test_where_a_field_must_hold_more_than_there_are_bodies_all_are_cut():
    class SureOfAll(WideIsDoubtful):
        def answers(self, crops):
            return np.where(np.arange(CLASS_COUNT) == 0, -0.001, -20.0) * np.ones((len(crops), 1), np.float32)

    for least, cut in ((2, False), (3, True)):
        (row,), _ = classify_rows([row_of_rings(60, 98, 300, least=least)], Networks(SureOfAll()))
        assert (row.line.piece_count > 2) is cut
        assert (row.pieces is not None) is cut
