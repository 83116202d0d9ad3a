"""What a page may take: seconds and memory.

With either limit, decoding and segmenting are done by a second process that can be ended at any moment; see
``segmentation.isolation``. Classifying and reading stay in the worker: there the clock is looked at between
pages and between groups of rows, whose work is bounded by the number of candidates.
"""

import math
import re
from collections.abc import Mapping

from pipeline.options import JobOptions
from segmentation.isolation import Bounds

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", re.IGNORECASE)
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


class PageTooSlowError(Exception):
    """A page that has taken longer than ``--max_page_seconds``."""

    code = "page_too_slow"


def bounds_of(options: JobOptions) -> Bounds | None:
    """What the second process may take for a page; None if there is no limit, and no second process."""
    if options.max_page_seconds is None and options.max_worker_memory is None:
        return None
    return Bounds(options.max_page_seconds, options.max_worker_memory)


def check_time(milliseconds: Mapping[str, float], max_seconds: float | None, more: float = 0.0) -> None:
    """Raises PageTooSlowError if the stages of a page, and ``more`` milliseconds, are over the limit."""
    spent = (sum(milliseconds.values()) + more) / 1000
    if max_seconds is not None and spent > max_seconds:
        raise PageTooSlowError(
            f"after {spent:.1f} s the page was not done: raise --max_page_seconds ({max_seconds:g}), "
            "or scan it more cleanly"
        )


def bytes_of(text: str) -> int:
    """A size such as ``800M`` or ``1.5G`` in bytes; units are powers of 1000.

    Raises:
        ValueError: it is no size.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no size such as 800M or 1.5G")
    size = float(found[1]) * _UNITS[found[2].upper()]
    if not math.isfinite(size):
        raise ValueError(f"{text[:20]!r}… is no size that a machine has")
    return round(size)
