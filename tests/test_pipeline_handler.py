"""The model handler: one call for several pages, and one bad page costs only itself."""

import numpy as np
import pytest
from pipeline_fakes import CANDIDATES, KINDS, TEMPLATE, FakeClassifier, FakePage, fake_segment

from pipeline.handler import PageModelHandler, classify_pages
from pipeline.reading import check_log_probs
from pipeline.records import PageKey, PageToClassify

CROPS = 3 * CANDIDATES  # of a page that is not empty


def pages(*kinds: str) -> list[PageToClassify]:
    return [
        PageToClassify(PageKey(kind, i), "hash", fake_segment(FakePage(kind).gray, TEMPLATE), {"decode": 1.0})
        for i, kind in enumerate(kinds, start=1)
    ]


def test_one_call_for_all_pages_and_each_gets_its_own_part():
    model = FakeClassifier()
    results = classify_pages(pages("good", "empty", "doubtful", "long"), model)
    assert model.calls == [3 * CROPS]
    for result, kind in zip(results, ("good", "empty", "doubtful", "long"), strict=True):
        assert result.page.key.source == kind
        assert result.failure is None
        assert len(result.log_probs) == (0 if kind == "empty" else CROPS)
        assert np.allclose(result.log_probs[:, 0], -0.001 * KINDS.index(kind))
        assert set(result.page.milliseconds) == {"decode", "classify"}


@pytest.mark.parametrize(
    ("bad", "code", "told"),
    [
        ("nan", "invalid_model_output", "NaN for 9 of 9 crops"),
        ("shape", "invalid_model_output", "(9, 3) for 9 crops"),
        ("refuse", "classification_failed", "RuntimeError: tensor arena is full"),
    ],
)
def test_a_bad_page_costs_only_itself(bad, code, told):
    results = classify_pages(pages("good", bad, "long"), FakeClassifier())
    assert [result.failure is None for result in results] == [True, False, True]
    failure = results[1].failure
    assert (failure.source, failure.page, failure.stage, failure.code) == (bad, 2, "classify", code)
    assert told in failure.message
    assert results[1].log_probs is None


def test_pages_without_ink_do_not_trouble_the_model():
    model = FakeClassifier()
    assert [len(result.log_probs) for result in classify_pages(pages("empty", "empty"), model)] == [0, 0]
    assert model.calls == []


def test_batches_are_pages_and_bytes_are_counted_without_pickling():
    handler = PageModelHandler(FakeClassifier, max_batch_size=5)
    assert handler.batch_elements_kwargs() == {"min_batch_size": 1, "max_batch_size": 5}
    assert handler.get_num_bytes(pages("good", "empty")) == CROPS * 784
    assert isinstance(handler.load_model(), FakeClassifier)
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
