"""What flows through the job: immutable records that carry their key through every stage."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segmentation.page import SegmentedPage

Row = dict[str, Any]


class PageKey(NamedTuple):
    """Which page of which file: ``page`` counts from 1."""

    source: str
    page: int


class FileToRead(NamedTuple):
    """A scan, and with ``--resume`` the hash at which its ``pages`` need not be read again.

    With ``bad_name`` its name is no text, and ``source`` has escapes instead.
    """

    source: str
    known_sha256: str | None = None
    pages: int = 0
    bad_name: bool = False


class Seen(NamedTuple):
    """What was found in the inputs, counted apart from what becomes of it; sums over files."""

    pages: int = 0
    skipped_files: int = 0
    skipped_pages: int = 0


class Failure(NamedTuple):
    """Why something could not be read; a row of the table ``failures``.

    ``page`` is None when the whole file failed, ``sha256`` None when its bytes could not be had. ``code`` is
    stable and meant for programs, ``message`` is for people.
    """

    source: str
    page: int | None
    sha256: str | None
    stage: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class DecodedPage:
    """A page as pixels: ``gray`` uint8 (H, W), 0 = black; ``milliseconds`` spent so far, by stage."""

    key: PageKey
    sha256: str
    gray: NDArray[np.uint8]
    milliseconds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class PageToClassify:
    """A segmented page on its way to the model."""

    key: PageKey
    sha256: str
    segmented: SegmentedPage
    milliseconds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ClassifiedPage:
    """A page with the log-probabilities of its candidates.

    ``log_probs`` float32 (N, 63) in the order of ``SegmentedPage.crops()``; None if the model failed on this
    page, and then ``failure`` says why.
    """

    page: PageToClassify
    log_probs: NDArray[np.float32] | None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class PageRows:
    """All rows that one page gives."""

    form: Row
    fields: list[Row]
    characters: list[Row]


class ShardFile(NamedTuple):
    """A finished file under a temporary name, and what is in it.

    ``counts`` are those of the bundle that wrote it, so they are committed together with the rows.
    """

    table: str
    path: str
    rows: int
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums of a run, as ``_runs/ID.json`` and the summary show them."""

    pages_in: int
    forms: int
    failures: int
    fields: Mapping[str, int] = field(default_factory=Counter)
    failure_codes: Mapping[str, int] = field(default_factory=Counter)
    latencies: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether every page that came in came out: pages in = forms + failures."""
        return self.pages_in == self.forms + self.failures
