"""How long a page may take.

The clock is looked at between the stages and between fields. Work inside a decoder or a search cannot be
interrupted without risking the process, so a page may take longer than it may, but not go on after that.
"""

from collections.abc import Mapping


class PageTooSlowError(Exception):
    """A page that has taken longer than ``--max_page_seconds``."""

    code = "page_too_slow"


def check_time(milliseconds: Mapping[str, float], max_seconds: float | None, more: float = 0.0) -> None:
    """Raises PageTooSlowError if the stages of a page, and ``more`` milliseconds, are over the limit."""
    spent = (sum(milliseconds.values()) + more) / 1000
    if max_seconds is not None and spent > max_seconds:
        raise PageTooSlowError(
            f"after {spent:.1f} s the page was not done: raise --max_page_seconds ({max_seconds:g}), "
            "or scan it more cleanly"
        )
