"""The PTransforms from what the user named to decoded pages."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.pvalue import PCollection, TaggedOutput

from pipeline.matching import is_local, match_files
from pipeline.names import as_text, from_bytes, is_text
from pipeline.options import JobOptions
from pipeline.reading import decode_pages, failure_of
from pipeline.records import DecodedPage, Failure, FileToRead, Seen
from pipeline.remote import reason
from pipeline.resume import BAD_NAME, EarlierRun, earlier_readings, earlier_runs, file_to_read
from pipeline.stage_functions import FAILED, SEEN, StageFn, count
from pipeline.stages import Stages


def read_file(path: str, max_bytes: int) -> bytes:
    """The bytes of a local or remote file, as they are.

    Raises:
        FileTooLargeError: it has more than ``max_bytes``, of which no more are read.
        OSError: it cannot be opened, or is a pipe or a device, which might never end.
    """
    if is_local(path) and os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        raise OSError("it is no regular file")
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


class FileNameError(ValueError):
    """A file whose name no table can hold as it is."""

    code = "bad_file_name"


def open_failure(error: Exception, source: str) -> Failure:
    """Why the bytes of a file could not be had."""
    code, message = reason(error)
    if code is None:
        return failure_of(error, source, None, None, "open")
    return Failure(source, None, None, "open", code, message)


@dataclass
class MatchFiles(beam.PTransform):
    """Patterns to distinct file names, spread over the workers.

    Outputs: ``FileToRead``, ``failed`` and ``seen`` (for patterns that match nothing).
    """

    options: JobOptions

    def expand(self, patterns: PCollection[bytes]) -> Any:
        """See the class."""
        match = beam.ParDo(_MatchFilesFn(self.options)).with_output_types(tuple[str, Any])
        matched = patterns | "Match" >> match.with_outputs(FAILED, SEEN, main="files")
        named = matched.files
        if self.options.resume:
            runs = patterns.pipeline | "EarlierRuns" >> beam.Create(list(earlier_runs(self.options)))
            earlier = runs | "EarlierReadings" >> beam.ParDo(_EarlierReadingsFn(self.options.output))
            named = (named, earlier) | "WithEarlier" >> beam.Flatten()
        files = (
            named
            | "OncePerFile" >> beam.GroupByKey()  # drops doubles, and spreads files over workers
            | "Files" >> beam.FlatMapTuple(file_to_read)
        )
        return files, matched[FAILED], matched[SEEN]


class _MatchFilesFn(StageFn):
    def process(self, named: bytes) -> Iterator[Any]:
        pattern, found = from_bytes(named), False
        try:
            for path in match_files(pattern):
                found = True
                count("files_in")
                yield as_text(path), None if is_text(path) else BAD_NAME
        except Exception as error:
            found = True
            count("pages_in")
            yield TaggedOutput(SEEN, Seen(1))
            yield self.failed(open_failure(error, as_text(pattern))._replace(stage="match"))
        if not found:
            count("pages_in")
            yield TaggedOutput(SEEN, Seen(1))
            told = "no file matches this input"
            yield self.failed(Failure(as_text(pattern), None, None, "match", "no_match", told))


class _EarlierReadingsFn(beam.DoFn):
    def __init__(self, output: str) -> None:
        self._output = output

    def process(self, run: EarlierRun) -> Iterator[tuple[str, Any]]:
        return earlier_readings(self._output, run)


@dataclass
class ReadPages(beam.PTransform):
    """File names to decoded pages, one element for each page, one page in memory at a time.

    Outputs: ``DecodedPage``, ``failed`` and ``seen``.
    """

    stages: Stages
    options: JobOptions

    def expand(self, files: PCollection[FileToRead]) -> Any:
        """See the class."""
        read = beam.ParDo(_ReadPagesFn(self.stages, self.options)).with_output_types(DecodedPage)
        return files | "Read" >> read.with_outputs(FAILED, SEEN, main="pages")


class _ReadPagesFn(StageFn):
    def __init__(self, stages: Stages, options: JobOptions) -> None:
        super().__init__(options)
        self._stages = stages

    def process(self, file: FileToRead) -> Iterator[Any]:
        self.progress.check()
        source = file.source
        try:
            if file.bad_name:
                raise FileNameError("its name is not valid UTF-8: rename it")
            data = read_file(source, self._stages.max_bytes)
        except Exception as error:
            count("pages_in")
            yield TaggedOutput(SEEN, Seen(1))
            yield self.failed(open_failure(error, source))
            return
        sha256 = hashlib.sha256(data).hexdigest()
        if sha256 == file.known_sha256:
            count("files_skipped")
            self.progress.add({"skipped": file.pages})
            yield TaggedOutput(SEEN, Seen(0, 1, file.pages))
            return
        pages = 0
        for item in decode_pages(source, data, sha256, self._stages.open_document):
            self.progress.check()
            pages += 1
            count("pages_in")
            yield self.failed(item) if isinstance(item, Failure) else item
        yield TaggedOutput(SEEN, Seen(pages))
