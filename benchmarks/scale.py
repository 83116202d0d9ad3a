"""What many pages take, on paper: ``python -m benchmarks.scale``, or with your own ``--seconds_a_page``.

A model of a few lines, no measurement: hours and price by pages and workers, and which part is the first to
be the longest. Its inputs are measured by ``benchmarks.page`` and ``benchmarks.soak``, or assumed where
nothing could be measured; docs/scale.md says which.
"""

import argparse
import sys
import tracemalloc
from collections import Counter
from dataclasses import dataclass, fields, replace

import numpy as np

from benchmarks.timing import table
from pipeline.latency import latency_counts
from pipeline.schemas import STAGES

PAGES = (10_000, 1_000_000, 100_000_000)
WORKERS = (1, 10, 100, 1000)
TABLES = 3  # files of a bundle; a fourth where something failed
SAFE_MEMORY = 2e9  # bytes that the last step may need on one worker
PARTS = {"listing": "listing", "work": "reading pages", "commit": "renaming files"}


@dataclass(frozen=True)
class Inputs:
    """What the model is told; seconds and bytes."""

    seconds_a_page: float = 0.09
    start: float = 240.0
    names_a_second: float = 2_500.0
    patterns: int = 1
    pages_a_bundle: int = 100
    rename: float = 0.15
    reads_a_second: float = 5_000.0
    page_bytes: float = 80_000.0
    output_bytes: float = 78_000.0
    price_core_hour: float = 0.07
    tail: float = 1.05


HELP = {
    "seconds_a_page": "of one worker on one core, from benchmarks.page",
    "start": "until workers work",
    "names_a_second": "that one listing gives",
    "patterns": "of --input, each listed by a worker of its own",
    "pages_a_bundle": "that the runner hands out at a time",
    "rename": "of one output file",
    "reads_a_second": "of the bucket before it has grown",
    "page_bytes": "of a scan",
    "output_bytes": "of a page's rows",
    "price_core_hour": "dollars, with the memory of a core",
    "tail": "work that is not spread evenly",
}


@dataclass(frozen=True)
class Forecast:
    """What a run takes: seconds of its parts, and what may stop it before."""

    listing: float
    work: float
    commit: float
    start: float
    files: float
    memory: float
    reads: float
    core_hours: float

    @property
    def hours(self) -> float:
        return (self.start + self.listing + self.work + self.commit) / 3600

    def first_bottleneck(self, inputs: Inputs) -> str:
        if self.memory > SAFE_MEMORY:
            return f"memory of the last step: {self.memory / 1e9:.0f} GB"
        if self.reads > inputs.reads_a_second:
            return f"requests: {self.reads:,.0f} a second"
        longest = max(PARTS, key=lambda part: getattr(self, part))
        return PARTS[longest]


def forecast(pages: int, workers: int, inputs: Inputs, bytes_a_bundle: float) -> Forecast:
    """One run."""
    bundles = max(workers, pages / inputs.pages_a_bundle)
    work = inputs.tail * pages * inputs.seconds_a_page / workers
    listing = pages / inputs.names_a_second / min(inputs.patterns, workers)
    commit = TABLES * bundles * inputs.rename
    return Forecast(
        listing=listing,
        work=work,
        commit=commit,
        start=inputs.start,
        files=TABLES * bundles,
        memory=bundles * bytes_a_bundle,
        reads=2 * pages / work,  # the size, and the bytes
        core_hours=(work * workers + listing + commit + inputs.start * workers) / 3600,
    )


def memory_of_a_bundle(pages: int) -> float:
    """Bytes that the last step keeps of a bundle of so many pages: mostly the buckets of its latencies."""
    times = np.random.default_rng(0).lognormal(4, 0.4, (pages, len(STAGES)))
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    counts: Counter[str] = Counter()
    for row in times:
        counts.update(latency_counts({f"{stage}_ms": ms for stage, ms in zip(STAGES, row, strict=True)}))
    kept = dict(counts)
    del counts
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept
    return after - before


def runs_table(inputs: Inputs, pages_of: tuple[int, ...], runs: int = 1) -> str:
    """Pages by workers as Markdown; ``runs`` of them one after the other, by the same workers."""
    bundle = memory_of_a_bundle(inputs.pages_a_bundle)
    rows = []
    for pages in pages_of:
        for workers in WORKERS:
            one = forecast(pages, workers, inputs, bundle)
            rows.append(
                [
                    f"{pages * runs:,}",
                    f"{workers:,}",
                    duration(one.hours * runs),
                    f"{one.core_hours * runs:,.0f}",
                    f"{one.core_hours * runs * inputs.price_core_hour:,.2f}",
                    f"{one.files * runs:,.0f}",
                    one.first_bottleneck(inputs),
                ]
            )
    return table(["pages", "workers", "takes", "core hours", "dollars", "files", "first bottleneck"], rows)


def duration(hours: float) -> str:
    if hours < 1:
        return f"{60 * hours:.0f} min"
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:,.0f} days"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    for one in fields(Inputs):
        kind = type(one.default)
        parser.add_argument(
            f"--{one.name}", type=kind, default=one.default, help=f"{HELP[one.name]} (default: %(default)s)"
        )
    inputs = Inputs(**vars(parser.parse_args()))
    print("## One run\n")
    print(runs_table(inputs, PAGES))
    patterns, bundle = max(inputs.patterns, 64), max(inputs.pages_a_bundle, 1000)
    better = replace(inputs, patterns=patterns, pages_a_bundle=bundle)
    print("\n## 100 runs of a million pages, each of 64 patterns, in bundles of 1,000 pages\n")
    print(runs_table(better, (1_000_000,), runs=100))
    terabytes = [PAGES[-1] * size / 1e12 for size in (inputs.page_bytes, inputs.output_bytes)]
    print(f"\n100 million pages are {terabytes[0]:.1f} TB of scans and {terabytes[1]:.1f} TB of tables.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
