"""What a job is asked to do, checked once at the start and carried to the workers."""

import hashlib
import math
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.names import as_text
from segmentation.templates import FormTemplate

MAX_PIXELS = 120_000_000
MAX_PAGES = 1000
MIN_CONFIDENCE = 0.9
# Beyond these a limit is a slip of the keyboard, and no clock or counter of the system would hold it.
MOST_PIXELS = 10**12
MOST_PAGE_SECONDS = 86_400
MOST_WORKER_MEMORY = 10**15  # bytes
LEAST_WORKER_MEMORY = 700_000_000  # bytes; with less, hardly a page could be read
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def utc_now() -> str:
    """The time in UTC with microseconds, as ISO 8601; sorts as text."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def new_run_id() -> str:
    """A name for a run that sorts by time and does not collide: ``20260131T235959-1a2b3c``."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


@dataclass(frozen=True)
class JobOptions:
    """Everything that the pipeline needs to know.

    Attributes:
        inputs: files, patterns or folders; see ``pipeline.matching``.
        output: the folder for results, local or of a remote file system.
        template: the form.
        more_templates: other forms that a page may be; it is read as the one that fits it best.
        model_path: an exported model, of this machine, or None for the one that ships.
        model_sha256: hash of its bytes, for the record.
        min_confidence: a field read with less goes to review, 0..1.
        max_error_rate: what share of the accepted fields may be wrong, or None; for the record.
        thresholds: by charset, what stands instead of ``min_confidence`` to keep that rate; infinity sends
            all such fields to review.
        max_pixels: a page with more is a failure, before it is decoded.
        max_pages_per_file: a file with more is one failure.
        max_page_seconds: a page that has taken longer is a failure, or None; see ``pipeline.limits``.
        max_worker_memory: bytes of a worker; a page for which it would need more is a failure, or None.
        max_failure_ratio: of the pages, 0..1, or None; more is no success; for the record.
        resume: whether to leave out what earlier runs have read; see ``pipeline.resume``.
        run_id: names the run in the output.
        started: when, as ISO 8601 in UTC.
        version: of formscribe.
        progress_file: a local file to which workers append what they have done, or None.
    """

    inputs: tuple[str, ...]
    output: str
    template: FormTemplate
    model_path: str | None = None
    model_sha256: str = ""
    min_confidence: float = MIN_CONFIDENCE
    max_error_rate: float | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    max_pixels: int = MAX_PIXELS
    run_id: str = field(default_factory=new_run_id)
    started: str = field(default_factory=utc_now)
    version: str = "unknown"
    progress_file: str | None = None
    more_templates: tuple[FormTemplate, ...] = ()
    max_pages_per_file: int = MAX_PAGES
    max_page_seconds: float | None = None
    max_worker_memory: int | None = None
    max_failure_ratio: float | None = None
    resume: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError naming the option that is out of range."""
        if not self.inputs:
            raise ValueError("--input: name at least one file, pattern or folder.")
        if not self.output:
            raise ValueError("--output: name a folder.")
        if not 0 <= self.min_confidence <= 1:
            raise ValueError(f"--min_confidence: {self.min_confidence} is not between 0 and 1.")
        if self.max_error_rate is not None and not 0 <= self.max_error_rate <= 1:
            raise ValueError(f"--max_error_rate: {self.max_error_rate} is not between 0 and 1.")
        if not 1 <= self.max_pixels <= MOST_PIXELS:
            raise ValueError(f"--max_pixels: {self.max_pixels} is not between 1 and {MOST_PIXELS:,}.")
        if self.max_pages_per_file < 1:
            raise ValueError(f"--max_pages_per_file: {self.max_pages_per_file} is not a positive number.")
        if self.max_page_seconds is not None and not 0 < self.max_page_seconds <= MOST_PAGE_SECONDS:
            raise ValueError(
                f"--max_page_seconds: {self.max_page_seconds} is not above 0, or above {MOST_PAGE_SECONDS:,}."
            )
        self._check_worker_memory()
        if self.max_failure_ratio is not None and not 0 <= self.max_failure_ratio <= 1:
            raise ValueError(f"--max_failure_ratio: {self.max_failure_ratio} is not between 0 and 1.")
        if not _RUN_ID.fullmatch(self.run_id):
            raise ValueError(f"--run_id: {self.run_id!r} has other characters than letters, digits and . _ -")

    def _check_worker_memory(self) -> None:
        memory = self.max_worker_memory
        if memory is not None and memory < LEAST_WORKER_MEMORY:
            raise ValueError(
                f"--max_worker_memory: a worker needs at least {LEAST_WORKER_MEMORY // 10**6}M, "
                f"not {memory:,} bytes."
            )
        if memory is not None and memory > MOST_WORKER_MEMORY:
            raise ValueError(
                f"--max_worker_memory: is above {MOST_WORKER_MEMORY // 10**12}T; leave it out for no limit."
            )

    @property
    def templates(self) -> tuple[FormTemplate, ...]:
        """All forms that a page may be."""
        return (self.template, *self.more_templates)

    def template_named(self, name: str) -> FormTemplate:
        """The form of that name; of a page that names none, the first."""
        return next((template for template in self.templates if template.name == name), self.template)

    def threshold(self, charset: str) -> float:
        """The least confidence at which a field of a charset is accepted."""
        return self.thresholds.get(charset, self.min_confidence)

    def record(self) -> dict[str, Any]:
        """The options as ``_runs/ID.json`` keeps them."""
        return {
            "inputs": [as_text(name) for name in self.inputs],
            "output": self.output,
            "template": ", ".join(template.name for template in self.templates),
            "model": as_text(self.model_path or "shipped"),
            "min_confidence": self.min_confidence,
            "max_error_rate": self.max_error_rate,
            "thresholds": {k: v if math.isfinite(v) else None for k, v in self.thresholds.items()},
            "max_pixels": self.max_pixels,
            "max_pages_per_file": self.max_pages_per_file,
            "max_page_seconds": self.max_page_seconds,
            "max_worker_memory": self.max_worker_memory,
            "max_failure_ratio": self.max_failure_ratio,
            "resume": self.resume,
        }


def file_sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a local file."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
