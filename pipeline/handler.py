"""The model in RunInference: whole pages in, one call for the crops of several pages, pages out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from apache_beam.metrics import Metrics
from apache_beam.ml.inference.base import ModelHandler

from model.networks import Networks
from pipeline.classifying import classify_pages
from pipeline.records import ClassifiedPage, PageToClassify


class PageModelHandler(ModelHandler[PageToClassify, ClassifiedPage, Networks]):
    """Classifies pages, several at a time.

    The elements carry their own key, so none is lost or mixed up: each page that goes in comes out, with its
    log-probabilities or with the failure that concerns it alone.
    """

    def __init__(self, load_networks: Callable[[], Networks], max_batch_size: int = 4) -> None:
        """Takes a picklable function that loads the networks, once per worker process."""
        super().__init__()
        self._load_networks = load_networks
        self._max_batch_size = max_batch_size

    def load_model(self) -> Networks:
        """Loads the networks."""
        return self._load_networks()

    def run_inference(
        self,
        batch: Sequence[PageToClassify],
        model: Networks,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterable[ClassifiedPage]:
        """Classifies the crops of all pages at once; see ``classify_pages``."""
        results = classify_pages(batch, model)
        crops = sum(
            len(line.crops)
            for result in results
            for field in result.page.segmented.fields
            for line in field.lines
        )
        Metrics.distribution(self.get_metrics_namespace(), "pages_per_batch").update(len(batch))
        Metrics.distribution(self.get_metrics_namespace(), "crops_per_batch").update(crops)
        return results

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
