"""The PTransforms: wiring around the functions of ``reading``, with counters and failures at every stage."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.ml.inference.base import RunInference
from apache_beam.pvalue import PCollection
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from pipeline.coders import register_coders
from pipeline.handler import PageModelHandler
from pipeline.options import JobOptions
from pipeline.reading import read_classified, segment_decoded
from pipeline.records import (
    ClassifiedPage,
    DecodedPage,
    Failure,
    PageRows,
    PageToClassify,
    Seen,
    ShardFile,
)
from pipeline.stage_functions import FAILED, NAMESPACE, StageFn, count
from pipeline.stages import Stages
from pipeline.writing import BundleWriter, commit_run

register_coders()


@dataclass
class SegmentPages(beam.PTransform):
    """Decoded pages to fields of candidate glyphs. Outputs: ``PageToClassify`` and ``failed``."""

    stages: Stages
    options: JobOptions

    def expand(self, pages: PCollection[DecodedPage]) -> Any:
        """See the class."""
        segment = beam.ParDo(_SegmentPagesFn(self.stages, self.options)).with_output_types(PageToClassify)
        return pages | "Segment" >> segment.with_outputs(FAILED, main="pages")


class _SegmentPagesFn(StageFn):
    def __init__(self, stages: Stages, options: JobOptions) -> None:
        super().__init__(options)
        self._stages = stages

    def process(self, page: DecodedPage) -> Iterator[Any]:
        result = segment_decoded(
            page, self._stages.segment_page, self.options.template, self.options.max_page_seconds
        )
        if isinstance(result, Failure):
            yield self.failed(result)
            return
        count("pages_segmented")
        yield result


@dataclass
class ClassifyPages(beam.PTransform):
    """Candidates to class probabilities, several pages a call, through RunInference."""

    stages: Stages

    def expand(self, pages: PCollection[PageToClassify]) -> PCollection[ClassifiedPage]:
        """See the class."""
        return pages | "Classify" >> RunInference(PageModelHandler(self.stages.load_networks))


@dataclass
class ReadFields(beam.PTransform):
    """Probabilities to readings, as rows. Outputs: ``PageRows`` and ``failed``."""

    stages: Stages
    options: JobOptions

    def expand(self, pages: PCollection[ClassifiedPage]) -> Any:
        """See the class."""
        read = beam.ParDo(_ReadFieldsFn(self.stages, self.options)).with_output_types(PageRows)
        return pages | "ReadFields" >> read.with_outputs(FAILED, main="rows")


class _ReadFieldsFn(StageFn):
    def __init__(self, stages: Stages, options: JobOptions) -> None:
        super().__init__(options)
        self._stages = stages

    def process(self, page: ClassifiedPage) -> Iterator[Any]:
        result = read_classified(page, self.options, self._stages.decode)
        if isinstance(result, Failure):
            yield self.failed(result)
            return
        count("pages_read")
        for status in ("accepted", "review", "blank"):
            count(f"fields_{status}", result.form[f"fields_{status}"])
        for stage in ("decode", "segment", "classify", "read"):
            milliseconds = round(result.form[f"{stage}_ms"])
            Metrics.distribution(NAMESPACE, f"{stage}_ms").update(milliseconds)
        yield result


@dataclass
class WriteRows(beam.PTransform):
    """Rows or failures to temporary files: one element out for each file that is complete."""

    options: JobOptions

    def expand(self, rows: PCollection[Any]) -> PCollection[ShardFile]:
        """See the class."""
        return rows | "Write" >> beam.ParDo(_WriteRowsFn(self.options))


class _WriteRowsFn(StageFn):
    _writer: BundleWriter | None = None

    def start_bundle(self) -> None:
        self._writer = BundleWriter(self.options)

    def process(self, item: PageRows | Failure) -> None:
        assert self._writer is not None
        counts = self._writer.add(item)
        if isinstance(item, PageRows):
            self.progress.add({"read": 1, **counts})

    def finish_bundle(self) -> Iterator[WindowedValue]:
        assert self._writer is not None
        window = GlobalWindow()
        for shard in self._writer.finish():
            yield WindowedValue(shard, window.max_timestamp(), [window])
        self._writer = None


@dataclass
class CommitRun(beam.PTransform):
    """Waits for all files and counts, then makes the run visible, as the last thing that happens."""

    options: JobOptions
    seen: PCollection[Seen]

    def expand(self, shards: PCollection[ShardFile]) -> PCollection[Any]:
        """See the class."""
        total = self.seen | "PagesIn" >> beam.CombineGlobally(sum_seen)
        return (
            shards.pipeline
            | "Once" >> beam.Create([None])
            | "Commit"
            >> beam.Map(_commit, self.options, beam.pvalue.AsSingleton(total), beam.pvalue.AsIter(shards))
        )


def _commit(_: None, options: JobOptions, seen: Seen, shards: Iterable[ShardFile]) -> Any:
    return commit_run(options, seen.pages, shards, seen)


def sum_seen(parts: Iterable[Seen]) -> Seen:
    """The sums over files."""
    return Seen(*map(sum, zip(*parts, strict=True)))
