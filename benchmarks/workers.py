"""How much faster are more local workers?

python -m benchmarks.workers
python -m benchmarks.workers --pages 1000 --short 100 --workers 1 2 --rounds 3

Renders a few dozen pages, lists them under as many names as are asked for (hard links), and reads two
folders, a long and a short one, with each number of workers, all in turn. The difference of the two is free
of the start of a run; the long one alone has it in. Prints Markdown: ratios are against the first number of
workers, round by round. Run it on a machine that does nothing else.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.runs import Run, adopt_orphans, linked, measured_run, page_cost, pages_in, rendered
from benchmarks.timing import Spread, machine, ratio, table

LONG, SHORT = "long", "short"
Rounds = Sequence[Mapping[str, Run]]  # of each round the long run and the short one


def main() -> int:
    args = parsed()
    args.short = args.short or max(1, args.pages // 10)
    if not 0 < args.short < args.pages:
        print(f"workers: --short {args.short}: must be fewer pages than --pages.", file=sys.stderr)
        return 2
    adopt_orphans()
    taken_on = machine()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        if args.scans:
            pages = pages_in(args.scans)
        else:
            pages = rendered(scratch / "rendered", min(args.distinct, args.pages), args.template)
        counts = {LONG: args.pages, SHORT: args.short}
        scans = {name: linked(pages, scratch / name, count) for name, count in counts.items()}
        measured_run(scans[SHORT], args.template, max(args.workers), scratch)  # so that all is in memory
        taken: dict[int, list[dict[str, Run]]] = {workers: [] for workers in args.workers}
        for number in range(args.rounds):
            for workers, rounds in taken.items():
                runs = {
                    name: measured_run(path, args.template, workers, scratch) for name, path in scans.items()
                }
                rounds.append(runs)
                told = ", ".join(f"{counts[name]} pages {run.seconds:.1f} s" for name, run in runs.items())
                print(f"round {number + 1}, {workers} workers: {told}", file=sys.stderr, flush=True)
    print(
        f"{taken_on}. {args.pages:,} and {args.short:,} pages of `{Path(args.template).stem}`, {len(pages)} "
        f"different ones; median (least-greatest) of {args.rounds} rounds.\n"
    )
    print(workers_table(taken, args.pages, args.short))
    return 0


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--pages", type=int, default=1000, help="of the long run (default: %(default)s)")
    parser.add_argument("--short", type=int, help="of the short run (default: a tenth)")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="(default: 1 2)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--template", default="hsf", help="a form (default: %(default)s)")
    parser.add_argument("--distinct", type=int, default=32, help="rendered pages (default: %(default)s)")
    parser.add_argument("--scans", type=Path, help="a folder of scans, instead of rendered pages")
    return parser.parse_args()


def page_seconds(rounds: Rounds, pages: int, short: int) -> list[float]:
    """Seconds a page in each round, the start of a run taken out."""
    return [page_cost(one[LONG].seconds, pages, one[SHORT].seconds, short) for one in rounds]


def workers_table(taken: Mapping[int, Rounds], pages: int, short: int) -> str:
    """How long pages take with each number of workers, and how many times as fast that is, as Markdown."""
    heads = ["workers", "the long run, s", "times as fast", "a page without the start, ms", "times as fast"]
    heads += ["pages/s without the start", "processor, s", "largest process, MB"]
    first = next(iter(taken.values()))
    rows = []
    for workers, rounds in taken.items():
        whole, page = [one[LONG].seconds for one in rounds], page_seconds(rounds, pages, short)
        rows.append(
            [
                str(workers),
                Spread.of(whole).text(),
                ratio([one[LONG].seconds for one in first], whole).text("", 2),
                Spread.of([1000 * one for one in page]).text(),
                ratio(page_seconds(first, pages, short), page).text("", 2),
                Spread.of([1 / one for one in page]).text("", 2),
                Spread.of([one[LONG].cpu_seconds for one in rounds]).text(),
                f"{max(run.largest_mb for one in rounds for run in one.values()):.0f}",
            ]
        )
    return table(heads, rows)


if __name__ == "__main__":
    sys.exit(main())
