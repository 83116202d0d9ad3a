"""The model in RunInference: whole pages in, one call for the crops of several pages, pages out."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from apache_beam.metrics import Metrics
from apache_beam.ml.inference.base import ModelHandler
from numpy.typing import NDArray

from model.alphabets import CLASS_COUNT
from model.classifier import Classifier
from pipeline.reading import check_log_probs
from pipeline.records import ClassifiedPage, Failure, PageToClassify


class PageModelHandler(ModelHandler[PageToClassify, ClassifiedPage, Classifier]):
    """Classifies pages, several at a time.

    The elements carry their own key, so none is lost or mixed up: each page that goes in comes out, with its
    log-probabilities or with the failure that concerns it alone.
    """

    def __init__(self, load_classifier: Callable[[], Classifier], max_batch_size: int = 8) -> None:
        """Takes a picklable function that loads the model, once per worker process."""
        super().__init__()
        self._load_classifier = load_classifier
        self._max_batch_size = max_batch_size

    def load_model(self) -> Classifier:
        """Loads the model."""
        return self._load_classifier()

    def run_inference(
        self,
        batch: Sequence[PageToClassify],
        model: Classifier,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterable[ClassifiedPage]:
        """Classifies the crops of all pages at once; see ``classify_pages``."""
        Metrics.distribution(self.get_metrics_namespace(), "pages_per_batch").update(len(batch))
        crops = sum(
            len(line.crops) for page in batch for field in page.segmented.fields for line in field.lines
        )
        Metrics.distribution(self.get_metrics_namespace(), "crops_per_batch").update(crops)
        return classify_pages(batch, model)

    def get_num_bytes(self, batch: Sequence[PageToClassify]) -> int:
        """Bytes of crops; the default would pickle the whole batch to know."""
        return sum(
            line.crops.nbytes for page in batch for field in page.segmented.fields for line in field.lines
        )

    def get_metrics_namespace(self) -> str:
        """Where the job's own metrics live too."""
        return "formscribe"

    def batch_elements_kwargs(self) -> Mapping[str, Any]:
        """How many pages may wait for each other: enough to fill the model, few enough to hold in memory."""
        return {"min_batch_size": 1, "max_batch_size": self._max_batch_size}

    def validate_inference_args(self, inference_args: dict[str, Any] | None) -> None:
        """There are none."""
        if inference_args:
            raise ValueError(f"PageModelHandler takes no inference arguments, got {sorted(inference_args)}")


def classify_pages(pages: Sequence[PageToClassify], model: Classifier) -> list[ClassifiedPage]:
    """Classifies several pages with one call, and page by page if that goes wrong.

    One page that the model cannot digest costs only itself: it comes out with a failure
    ``classification_failed`` (the model raised) or ``invalid_model_output`` (NaN, a wrong shape).
    """
    crops = [page.segmented.crops() for page in pages]
    start = time.perf_counter()
    try:
        together = _classify(np.concatenate(crops), model)
    except Exception as error:
        if len(pages) == 1:
            return [_failed(pages[0], error)]
        return [one for page in pages for one in classify_pages([page], model)]
    milliseconds = 1000 * (time.perf_counter() - start) / max(len(together), 1)
    ends = np.cumsum([len(part) for part in crops])
    parts = np.split(together, ends[:-1])
    return [
        ClassifiedPage(_timed(page, milliseconds * len(part)), part)
        for page, part in zip(pages, parts, strict=True)
    ]


class _InvalidOutputError(ValueError):
    """The model answered, but not with log-probabilities."""


def _classify(crops: NDArray[np.uint8], model: Classifier) -> NDArray[np.float32]:
    if not len(crops):  # pages of blank fields
        return np.zeros((0, CLASS_COUNT), np.float32)
    log_probs = np.asarray(model.classify(crops))
    problem = check_log_probs(log_probs, len(crops))
    if problem:
        raise _InvalidOutputError(problem)
    return log_probs


def _failed(page: PageToClassify, error: Exception) -> ClassifiedPage:
    invalid = isinstance(error, _InvalidOutputError)
    code = "invalid_model_output" if invalid else "classification_failed"
    message = str(error) if invalid else f"{type(error).__name__}: {error}"
    return ClassifiedPage(page, None, Failure(*page.key, page.sha256, "classify", code, message))


def _timed(page: PageToClassify, milliseconds: float) -> PageToClassify:
    return replace(page, milliseconds={**page.milliseconds, "classify": milliseconds})
