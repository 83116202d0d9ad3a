"""The PTransforms: wiring around the functions of ``reading``, with counters and failures at every stage."""

import errno
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import Metrics
from apache_beam.ml.inference.base import RunInference
from apache_beam.pvalue import PCollection, TaggedOutput
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from pipeline.coders import register_coders
from pipeline.handler import PageModelHandler
from pipeline.matching import match_files
from pipeline.options import JobOptions
from pipeline.progress import ProgressWriter
from pipeline.reading import decode_pages, failure_of, read_classified, segment_decoded
from pipeline.records import ClassifiedPage, DecodedPage, Failure, PageRows, PageToClassify, ShardFile
from pipeline.stages import Stages
from pipeline.writing import BundleWriter, commit_run

register_coders()

FAILED = "failed"
SEEN = "seen"  # one number for each file: how many pages, counted apart from what becomes of them
NAMESPACE = "formscribe"

_OPEN_CODES = {
    errno.ENOENT: "file_not_found",
    errno.EACCES: "permission_denied",
    errno.EPERM: "permission_denied",
    errno.EISDIR: "is_a_folder",
}


def count(name: str, amount: int = 1) -> None:
    """Adds to a counter of the job."""
    Metrics.counter(NAMESPACE, name).inc(amount)


def failed(failure: Failure) -> TaggedOutput:
    """Counts a failure and sends it to the failures' output."""
    count("pages_failed")
    count(f"failed_{failure.code}")
    return TaggedOutput(FAILED, failure)


def read_file(path: str, max_bytes: int) -> bytes:
    """The bytes of a local or remote file, as they are.

    Raises:
        FileTooLargeError: it has more than ``max_bytes``, of which no more are read.
    """
    with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as stream:
        data = bytes(stream.read(max_bytes + 1))
    if len(data) > max_bytes:
        raise FileTooLargeError(
            f"the file has more than {max_bytes:,} bytes: split or compress it, or raise the limit"
        )
    return data


class FileTooLargeError(ValueError):
    """A file that would not fit into memory."""

    code = "file_too_large"


def open_failure(error: Exception, source: str) -> Failure:
    """Why the bytes of a file could not be had."""
    if not isinstance(error, OSError):
        return failure_of(error, source, None, None, "open")
    code = _OPEN_CODES.get(error.errno or 0, "file_unreadable")
    return Failure(source, None, None, "open", code, error.strerror or str(error))


@dataclass
class MatchFiles(beam.PTransform):
    """Patterns to distinct file names, spread over the workers.

    Outputs: the names, ``failed`` and ``seen`` (for patterns that match nothing).
    """

    def expand(self, patterns: PCollection[str]) -> Any:
        """See the class."""
        matched = patterns | "Match" >> beam.ParDo(_MatchFilesFn()).with_outputs(FAILED, SEEN, main="files")
        files = (
            matched.files
            | "KeyByName" >> beam.Map(lambda path: (path, None)).with_output_types(tuple[str, None])
            | "OncePerFile" >> beam.GroupByKey()  # drops doubles, and spreads files over workers
            | "Names" >> beam.Keys()
        )
        return files, matched[FAILED], matched[SEEN]


class _MatchFilesFn(beam.DoFn):
    def process(self, pattern: str) -> Iterator[Any]:
        found = False
        try:
            for path in match_files(pattern):
                found = True
                count("files_in")
                yield path
        except Exception as error:
            found = True
            count("pages_in")
            yield TaggedOutput(SEEN, 1)
            yield failed(open_failure(error, pattern)._replace(stage="match"))
        if not found:
            count("pages_in")
            yield TaggedOutput(SEEN, 1)
            yield failed(Failure(pattern, None, None, "match", "no_match", "no file matches this input"))


@dataclass
class ReadPages(beam.PTransform):
    """File names to decoded pages, one element for each page, one page in memory at a time.

    Outputs: ``DecodedPage``, ``failed`` and ``seen``.
    """

    stages: Stages

    def expand(self, files: PCollection[str]) -> Any:
        """See the class."""
        read = beam.ParDo(_ReadPagesFn(self.stages)).with_output_types(DecodedPage)
        return files | "Read" >> read.with_outputs(FAILED, SEEN, main="pages")


class _ReadPagesFn(beam.DoFn):
    def __init__(self, stages: Stages) -> None:
        self._stages = stages

    def setup(self) -> None:
        _one_thread()

    def process(self, source: str) -> Iterator[Any]:
        try:
            data = read_file(source, self._stages.max_bytes)
        except Exception as error:
            count("pages_in")
            yield TaggedOutput(SEEN, 1)
            yield failed(open_failure(error, source))
            return
        sha256 = hashlib.sha256(data).hexdigest()
        pages = 0
        for item in decode_pages(source, data, sha256, self._stages.open_document):
            pages += 1
            count("pages_in")
            yield failed(item) if isinstance(item, Failure) else item
        yield TaggedOutput(SEEN, pages)


@dataclass
class SegmentPages(beam.PTransform):
    """Decoded pages to fields of candidate glyphs. Outputs: ``PageToClassify`` and ``failed``."""

    stages: Stages
    options: JobOptions

    def expand(self, pages: PCollection[DecodedPage]) -> Any:
        """See the class."""
        segment = beam.ParDo(_SegmentPagesFn(self.stages, self.options)).with_output_types(PageToClassify)
        return pages | "Segment" >> segment.with_outputs(FAILED, main="pages")


class _SegmentPagesFn(beam.DoFn):
    def __init__(self, stages: Stages, options: JobOptions) -> None:
        self._stages, self._options = stages, options

    def setup(self) -> None:
        _one_thread()

    def process(self, page: DecodedPage) -> Iterator[Any]:
        result = segment_decoded(page, self._stages.segment_page, self._options.template)
        if isinstance(result, Failure):
            yield failed(result)
            return
        count("pages_segmented")
        yield result


@dataclass
class ClassifyPages(beam.PTransform):
    """Candidates to class probabilities, several pages a call, through RunInference."""

    stages: Stages

    def expand(self, pages: PCollection[PageToClassify]) -> PCollection[ClassifiedPage]:
        """See the class."""
        return pages | "Classify" >> RunInference(PageModelHandler(self.stages.load_classifier))


@dataclass
class ReadFields(beam.PTransform):
    """Probabilities to readings, as rows. Outputs: ``PageRows`` and ``failed``."""

    stages: Stages
    options: JobOptions

    def expand(self, pages: PCollection[ClassifiedPage]) -> Any:
        """See the class."""
        read = beam.ParDo(_ReadFieldsFn(self.stages, self.options)).with_output_types(PageRows)
        return pages | "ReadFields" >> read.with_outputs(FAILED, main="rows")


class _ReadFieldsFn(beam.DoFn):
    def __init__(self, stages: Stages, options: JobOptions) -> None:
        self._stages, self._options = stages, options

    def process(self, page: ClassifiedPage) -> Iterator[Any]:
        result = read_classified(page, self._options, self._stages.decode)
        if isinstance(result, Failure):
            yield failed(result)
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


class _WriteRowsFn(beam.DoFn):
    def __init__(self, options: JobOptions) -> None:
        self._options = options
        self._writer: BundleWriter | None = None

    def setup(self) -> None:
        self._progress = ProgressWriter(self._options.progress_file)

    def start_bundle(self) -> None:
        self._writer = BundleWriter(self._options)

    def process(self, item: PageRows | Failure) -> None:
        assert self._writer is not None
        counts = self._writer.add(item)
        self._progress.add({"failed" if isinstance(item, Failure) else "read": 1, **counts})

    def finish_bundle(self) -> Iterator[WindowedValue]:
        assert self._writer is not None
        window = GlobalWindow()
        for shard in self._writer.finish():
            yield WindowedValue(shard, window.max_timestamp(), [window])
        self._writer = None

    def teardown(self) -> None:
        self._progress.close()


@dataclass
class CommitRun(beam.PTransform):
    """Waits for all files and counts, then makes the run visible, as the last thing that happens."""

    options: JobOptions
    pages_in: PCollection[int]

    def expand(self, shards: PCollection[ShardFile]) -> PCollection[Any]:
        """See the class."""
        total = self.pages_in | "PagesIn" >> beam.CombineGlobally(sum)
        return (
            shards.pipeline
            | "Once" >> beam.Create([None])
            | "Commit"
            >> beam.Map(_commit, self.options, beam.pvalue.AsSingleton(total), beam.pvalue.AsIter(shards))
        )


def _commit(_: None, options: JobOptions, pages_in: int, shards: Iterable[ShardFile]) -> Any:
    return commit_run(options, pages_in, shards)


def _one_thread() -> None:
    """Leaves parallelism to the runner: nested threads slow each other down."""
    import cv2

    cv2.setNumThreads(1)
