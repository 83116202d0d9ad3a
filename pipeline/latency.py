"""How long pages took, stage by stage, as counts that sum over any number of workers.

Times go into buckets that are 5% wide each, so that a median over millions of pages needs a few hundred
numbers and no second look at the rows.
"""

import math
from collections.abc import Mapping
from typing import Any

from pipeline.schemas import STAGES

_WIDTH = math.log(1.05)
_LEAST_MS = 0.001


def latency_counts(form: Mapping[str, Any]) -> dict[str, int]:
    """What the row of one page adds to the counts: its bucket and its microseconds for each stage."""
    counts = {}
    for stage in STAGES:
        milliseconds = max(float(form[f"{stage}_ms"]), _LEAST_MS)
        counts[f"latency:{stage}:{math.floor(math.log(milliseconds) / _WIDTH)}"] = 1
        counts[f"latency_us:{stage}"] = round(1000 * milliseconds)
    return counts


def latencies(counts: Mapping[str, int]) -> dict[str, dict[str, float]]:
    """Pages, mean, median and 95th percentile in milliseconds of each stage that has any.

    The mean is exact, the percentiles are within 2.5%.
    """
    found = {}
    for stage in STAGES:
        start = f"latency:{stage}:"
        buckets = {int(name.removeprefix(start)): n for name, n in counts.items() if name.startswith(start)}
        pages = sum(buckets.values())
        if pages:
            found[stage] = {
                "count": pages,
                "mean": round(counts[f"latency_us:{stage}"] / 1000 / pages, 3),
                "p50": _percentile(buckets, 0.5),
                "p95": _percentile(buckets, 0.95),
            }
    return found


def _percentile(buckets: Mapping[int, int], share: float) -> float:
    wanted, below = share * sum(buckets.values()), 0
    for bucket in sorted(buckets):
        below += buckets[bucket]
        if below >= wanted:
            break
    return round(math.exp((bucket + 0.5) * _WIDTH), 3)
