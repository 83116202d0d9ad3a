"""Draws what soaks have sampled: ``python -m benchmarks.soak_report soak [soak_hsf] --plot docs/soak.png``.

Prints a table in Markdown of memory, open files and threads of the workers after the first tenth of the pages
and at the end, and of what a page costs.
"""

import argparse
import csv
import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.timing import table

REAL_MB = 60  # smaller processes only wait for others


@dataclass(frozen=True)
class Series:
    """One process over the pages of its run, each process of all that did work."""

    role: str
    pages: list[int]
    resident: list[float]
    files: list[int]
    threads: list[int]

    def median(self, values: Sequence[float], low: float, high: float) -> float:
        """The middle of the values between two shares of the pages."""
        last = max(self.pages)
        inside = [v for p, v in zip(self.pages, values, strict=True) if low * last <= p <= high * last]
        return statistics.median(inside or values[-1:])


def read_series(folder: Path) -> list[Series]:
    found: dict[tuple[str, str], Series] = {}
    with open(folder / "samples.csv", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            one = found.setdefault((row["role"], row["process"]), Series(row["role"], [], [], [], []))
            one.pages.append(int(row["pages"]))
            one.resident.append(float(row["resident_mb"]))
            one.files.append(int(row["files"]))
            one.threads.append(int(row["threads"]))
    return [one for one in found.values() if max(one.resident) > REAL_MB]


def figures(folder: Path) -> list[str]:
    """A row of the table: of the workers the greatest."""
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    workers = [one for one in read_series(folder) if one.role == "worker"]
    early = max(one.median(one.resident, 0.08, 0.15) for one in workers)
    late = max(one.median(one.resident, 0.85, 1.0) for one in workers)
    files = [max(one.median(one.files, *span) for one in workers) for span in ((0.08, 0.15), (0.85, 1))]
    threads = [max(one.median(one.threads, *span) for one in workers) for span in ((0.08, 0.15), (0.85, 1))]
    seconds = [summary[key] for key in summary if key.startswith("cpu_seconds_a_page_at")]
    return [
        f"{Path(summary['template']).stem}, {summary['pages']:,} pages, {summary['workers']} workers",
        f"{early:.0f} / {late:.0f}",
        f"{max(max(one.resident) for one in workers):.0f}",
        f"{files[0]:.0f} / {files[1]:.0f}",
        f"{threads[0]:.0f} / {threads[1]:.0f}",
        " / ".join(f"{1000 * value:.1f}" for value in seconds),
        f"{summary['ratio']:.3f}",
    ]


def draw(folders: Sequence[Path], target: Path) -> None:
    """Resident memory of every process over the pages done, a panel for each run."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(
        1, len(folders), figsize=(5.2 * len(folders), 3.6), sharey=True, squeeze=False
    )
    for folder, panel in zip(folders, panels[0], strict=True):
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        numbers = {"worker": 0, "launcher": 0}
        for one in read_series(folder):
            numbers[one.role] += 1
            name = one.role if one.role == "launcher" else f"process {numbers['worker']}"
            panel.plot(one.pages, one.resident, label=name, linewidth=1.2)
        panel.axhline(400, color="0.6", linewidth=0.8, linestyle="--")
        panel.set_title(f"{Path(summary['template']).stem}, {summary['pages']:,} pages", fontsize=10)
        panel.set_xlabel("pages done by all workers together")
        panel.set_ylim(0, 450)
        panel.set_xlim(0)
        panel.legend(fontsize=8, loc="lower right")
    panels[0][0].set_ylabel("resident memory, MB")
    figure.tight_layout()
    figure.savefig(target, dpi=110)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("folders", type=Path, nargs="+", help="--out of benchmarks.soak")
    parser.add_argument("--plot", type=Path, help="a PNG to draw")
    args = parser.parse_args()
    heads = ["run", "resident MB, early / late", "peak", "open files", "threads"]
    heads += ["processor ms a page, short / long run", "long : short"]
    print(table(heads, [figures(folder) for folder in args.folders]))
    if args.plot:
        draw(args.folders, args.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
