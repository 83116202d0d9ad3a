"""Times with their spread, ratios of things timed in the same rounds, and the machine they were taken on."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """Median, least and greatest of several values."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values))

    def text(self, unit: str = "", digits: int = 1) -> str:
        """``12.3 ms (11.9-14.0)``; at least three figures of small values."""
        low, middle, high = (f"{value:,.{digits}f}" for value in (self.low, self.median, self.high))
        return f"{middle}{unit} ({low}-{high})"


def seconds(function: Callable[[], object]) -> float:
    """How long one call takes."""
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def in_rounds(functions: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each function in each round, after one that does not count.

    The functions take turns, so that whatever slows the machine down slows all of them.
    """
    taken: dict[str, list[float]] = {name: [] for name in functions}
    for number in range(rounds + 1):
        for name, function in functions.items():
            spent = seconds(function)
            if number:
                taken[name].append(spent)
    return taken


def ratio(one: Sequence[float], other: Sequence[float]) -> Spread:
    """Of two things timed in the same rounds, round by round."""
    return Spread.of([a / b for a, b in zip(one, other, strict=True)])


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> str:
    """Processor, cores, system and load in one line."""
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            name = next(line.split(":", 1)[1].strip() for line in stream if line.startswith("model name"))
    except (OSError, StopIteration):
        pass  # not Linux
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return (
        f"{name}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}; "
        f"load at the start (1, 5, 15 minutes) {load}"
    )
