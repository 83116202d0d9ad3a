"""What a page costs in short runs and in long ones.

python -m benchmarks.growth --counts 10 100 1000 10000 --plot growth.png
python -m benchmarks.growth --template hsf --counts 10 100 1000 --json growth.json

Renders some pages, lists them under as many names as are asked for (hard links), and reads each number of
them with `formscribe run`. The longest run comes once, in the middle; the shorter ones, and one of a single
page, come before and after it, since the speed of a machine drifts. Prints Markdown: processor and wall time
of a page, with the start of a run in it and taken out, and the greatest resident memory. The ratio that
counts is the cost of a page in the longest run : in runs of 100 pages. `--json` has every run as soon as it
has ended.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.runs import Run, adopt_orphans, linked, measured_run, page_cost, rendered
from benchmarks.timing import Spread, machine, ratio, table

STRIP = Path(__file__).parent.parent / "sample_forms" / "strip" / "strip.toml"
KINDS = {"cpu_seconds": "processor", "seconds": "wall"}  # of a Run
AGAINST = 100


@dataclass(frozen=True)
class Timed:
    """A run, how many pages it read, and the round that it belongs to."""

    pages: int
    round: int
    run: Run


def plan(counts: Sequence[int], rounds: int) -> list[tuple[int, int]]:
    """Which runs are made, in order: pages and round.

    As many rounds come before the longest run as after it, each from one page up. Runs of more pages than
    others are compared with, and of more than a twentieth of the longest, are made only next to it.
    """
    *shorter, longest = sorted({1, *counts})
    order = []
    for number in range(2 * rounds):
        next_to = number in (rounds - 1, rounds)
        order += [(pages, number) for pages in shorter if next_to or pages <= max(AGAINST, longest // 20)]
        if number == rounds - 1:
            order.append((longest, number))
    return order


def costs(timed: Sequence[Timed], pages: int, kind: str, start_out: bool) -> dict[int, float]:
    """Seconds a page in runs of ``pages``, by round; if there is but one such run, it stands in every round.

    Args:
        timed: all runs.
        pages: which runs.
        kind: of ``KINDS``.
        start_out: whether what a run of one page of the same round took is taken out.
    """
    of_one = {one.round: getattr(one.run, kind) for one in timed if one.pages == 1}
    found = {one.round: getattr(one.run, kind) for one in timed if one.pages == pages}
    if len(found) == 1:
        found = dict.fromkeys(of_one, next(iter(found.values())))
    if not start_out:
        return {number: value / pages for number, value in found.items()}
    return {
        number: page_cost(value, pages, of_one[number], 1)
        for number, value in found.items()
        if number in of_one
    }


def growth_ratio(timed: Sequence[Timed], pages: int, against: int, kind: str, start_out: bool) -> Spread:
    """Cost of a page in runs of ``pages`` : in runs of ``against``, in the rounds that have both."""
    these, those = (costs(timed, count, kind, start_out) for count in (pages, against))
    both = sorted(these.keys() & those.keys())
    return ratio([these[number] for number in both], [those[number] for number in both])


def growth_table(timed: Sequence[Timed]) -> str:
    """Costs and memory by the number of pages, as Markdown."""
    heads = ["pages", "runs"]
    heads += [f"{name} ms a page{rest}" for name in KINDS.values() for rest in ("", ", start out")]
    heads += ["launcher, MB", "largest worker, MB"]
    rows = []
    for pages in sorted({one.pages for one in timed}):
        runs = [one.run for one in timed if one.pages == pages]
        cells = []
        for kind in KINDS:
            for start_out in (False, True):
                found = [] if start_out and pages == 1 else costs(timed, pages, kind, start_out).values()
                cells.append(Spread.of([1000 * one for one in found]).text() if found else "")
        cells += [f"{max(getattr(run, name) for run in runs):.0f}" for name in ("launcher_mb", "worker_mb")]
        rows.append([f"{pages:,}", str(len(runs)), *cells])
    return table(heads, rows)


def ratios_table(timed: Sequence[Timed], against: int) -> str:
    """The ratio that counts, and the same with the start in it, as Markdown."""
    longest = max(one.pages for one in timed)
    rows = []
    for kind, name in KINDS.items():
        for start_out in (True, False):
            spread = growth_ratio(timed, longest, against, kind, start_out)
            rows.append(
                [f"{name} time, start of a run {'taken out' if start_out else 'in'}", spread.text("", 3)]
            )
    return table([f"a page at {longest:,} pages : at {against:,}", "ratio"], rows)


def draw(timed: Sequence[Timed], title: str, target: Path) -> None:
    """The same numbers over the pages of a run: costs on the left, memory on the right."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    counts = sorted({one.pages for one in timed} - {1})
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10.0, 3.8))
    for (kind, name), color in zip(KINDS.items(), ("tab:blue", "tab:orange"), strict=True):
        for start_out, style in ((False, "--"), (True, "-")):
            spreads = [
                Spread.of([1000 * one for one in costs(timed, pages, kind, start_out).values()])
                for pages in counts
            ]
            middle = [one.median for one in spreads]
            bars = [[one.median - one.low for one in spreads], [one.high - one.median for one in spreads]]
            label = f"{name}, start {'taken out' if start_out else 'in'}"
            left.errorbar(counts, middle, bars, color=color, linestyle=style, marker="o", ms=3, label=label)
    left.set_ylabel("milliseconds a page")
    left.set_yscale("log")
    for name, label in (("launcher_mb", "launcher"), ("worker_mb", "largest worker")):
        peaks = [max(getattr(one.run, name) for one in timed if one.pages == pages) for pages in counts]
        right.plot(counts, peaks, marker="o", ms=3, label=label)
    right.set_ylabel("greatest resident memory, MB")
    right.set_ylim(0, 450)
    right.axhline(400, color="0.6", linewidth=0.8, linestyle="--")
    for panel in (left, right):
        panel.set_xscale("log")
        panel.set_xticks(counts, [f"{count:,}" for count in counts])
        panel.minorticks_off()
        panel.set_xlabel("pages of the run")
        panel.legend(fontsize=8)
    figure.text(0.01, 0.01, title, fontsize=6, color="0.4")
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    figure.savefig(target, dpi=110)


def main() -> int:
    args = parsed()
    against = AGAINST if AGAINST in args.counts else min(args.counts)
    if min(args.counts) < 2 or len(set(args.counts)) < 2:
        print("growth: --counts: name at least two numbers of pages, each above 1.", file=sys.stderr)
        return 2
    adopt_orphans()
    taken_on, timed = machine(), list[Timed]()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        pages = rendered(scratch / "rendered", min(args.distinct, max(args.counts)), args.template)
        scans = {n: linked(pages, scratch / f"scans{n}", n) for n in (1, *sorted(set(args.counts)))}
        measured_run(scans[1], args.template, args.workers, scratch)  # so that all is in memory
        for count, number in plan(args.counts, args.rounds):
            run = measured_run(scans[count], args.template, args.workers, scratch)
            timed.append(Timed(count, number, run))
            told = f"{count:,} pages: {run.seconds:.1f} s, {run.cpu_seconds:.1f} s of processor"
            print(told, file=sys.stderr, flush=True)
            if args.json:
                args.json.write_text(json.dumps([asdict(one) for one in timed], indent=1), "utf-8")
    name = f"`{Path(args.template).stem}`, {len(pages)} different pages, {args.workers} workers"
    print(f"{taken_on}. {name}; median (least-greatest).\n")
    print(f"{growth_table(timed)}\n\n{ratios_table(timed, against)}")
    if args.plot:
        draw(timed, f"{taken_on}. {name.replace('`', '')}", args.plot)
    return 0


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument(
        "--counts", type=int, nargs="+", default=[10, 100, 1000, 10_000], help="(default: 10 100 1000 10000)"
    )
    parser.add_argument("--template", default=str(STRIP), help="a form (default: the strip of sample_forms)")
    parser.add_argument("--distinct", type=int, default=50, help="rendered pages (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=3, help="before the longest run, and as many after (default: 3)"
    )
    parser.add_argument("--json", type=Path, help="a file for every run as it was measured")
    parser.add_argument("--plot", type=Path, help="a PNG to draw")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
