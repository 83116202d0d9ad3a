"""How long a worker takes to its first page, and how much memory the largest one has.

python -m benchmarks.worker_start
python -m benchmarks.worker_start --pages 100 --rounds 5

Reads one page with two workers, and then as many as are asked for (rendered, under many names by hard links),
and prints Markdown. The first page is told by the file in which workers say how far they are, looked at every
few milliseconds; memory is the greatest resident memory of each process, as Linux keeps it. Needs Linux.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.runs import adopt_orphans, linked, measured_run, rendered, run_words
from benchmarks.timing import Spread, machine, table

WORKERS = 2  # the least that are processes of their own
PROGRESS = "formscribe-progress-*"
LOOK_SECONDS = 0.005
STEPS = {
    "launched": "the command, until it starts the worker",
    "ready": "the worker's process, until it has opened what it needs to begin",
    "read": "from there until its first page is read: model, bytes, four stages",
    "ended": "from there until the command has ended",
}


class StartError(RuntimeError):
    """A run of which the first page could not be seen."""


@dataclass(frozen=True)
class FirstPage:
    """Seconds since the machine started, at which a run of one page came to each point."""

    called: float
    launched: float
    ready: float
    read: float
    ended: float

    @property
    def steps(self) -> dict[str, float]:
        """Seconds of each of ``STEPS``, which add up to the run."""
        points = [self.called, self.launched, self.ready, self.read, self.ended]
        return {name: points[i + 1] - points[i] for i, name in enumerate(STEPS)}

    @property
    def worker(self) -> float:
        """Seconds from the start of the worker's process to its first page."""
        return self.read - self.launched


@dataclass
class Watched:
    """What the lines of a progress file have told so far, and when each was first seen."""

    readies: dict[int, float]
    read: float | None = None

    def look(self, text: str, now: float) -> None:
        """Takes in all that the file holds at a moment."""
        for line in text.splitlines():
            for entry in line.split():
                name, _, value = entry.partition("=")
                if name.startswith("worker:") and name[7:].isdigit():
                    self.readies.setdefault(int(name[7:]), now)
                elif name == "read" and value != "0" and self.read is None:
                    self.read = now


def first_page(words: Sequence[str], folder: Path) -> FirstPage:
    """Runs a command that reads one page with processes as workers, and watches it.

    Raises:
        StartError: it failed, or what workers tell could not be seen.
    """
    folder.mkdir(parents=True)
    quiet, called = subprocess.DEVNULL, since_boot()
    environment = {**os.environ, "TMPDIR": str(folder)}
    process = subprocess.Popen(words, env=environment, stdout=quiet, stderr=quiet)
    watched, started = Watched({}), dict[int, float]()
    while process.poll() is None:
        text = "".join(_content(path) for path in folder.glob(PROGRESS))
        watched.look(text, since_boot())
        started |= _starts(set(watched.readies) - set(started))
        time.sleep(LOOK_SECONDS)
    ended = since_boot()
    if process.returncode or watched.read is None:
        raise StartError(f"exit code {process.returncode}, and no page was seen; run it: {' '.join(words)}")
    workers = [worker for worker in started if worker != process.pid and worker in watched.readies]
    if not workers:
        raise StartError("no worker was seen that is a process of its own.")
    first = min(workers, key=lambda worker: watched.readies[worker])
    return FirstPage(called, started[first], watched.readies[first], watched.read, ended)


def _content(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError:  # the run has just removed it
        return ""


def since_boot() -> float:
    """The clock by which Linux tells when a process was started."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _starts(processes: set[int]) -> Mapping[int, float]:
    """When each process was started, to a hundredth of a second, if it can still be told."""
    found = {}
    for process in processes:
        status = _content(Path(f"/proc/{process}/stat"))
        if status:
            ticks = int(status.rpartition(")")[2].split()[19])  # behind the name, which may have spaces
            found[process] = ticks / os.sysconf("SC_CLK_TCK")
    return found


def steps_table(rounds: Sequence[FirstPage]) -> str:
    """Where the time to the first page goes, as Markdown."""
    rows = [
        [text, Spread.of([one.steps[name] for one in rounds]).text("", 2)] for name, text in STEPS.items()
    ]
    rows.append(["**a worker to its first page**", Spread.of([one.worker for one in rounds]).text("", 2)])
    rows.append(["the whole run", Spread.of([one.ended - one.called for one in rounds]).text("", 2)])
    return table([f"one page, {WORKERS} workers", "s"], rows)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--template", default="hsf", help="a form (default: %(default)s)")
    parser.add_argument(
        "--pages", type=int, default=200, help="of the runs for memory (default: %(default)s)"
    )
    parser.add_argument("--distinct", type=int, default=32, help="rendered pages (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="to the first page (default: %(default)s)")
    parser.add_argument("--memory_rounds", type=int, default=3, help="(default: %(default)s)")
    args = parser.parse_args()
    adopt_orphans()
    print(f"{machine()}. Median (least-greatest).\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        pages = rendered(scratch / "rendered", min(args.distinct, args.pages), args.template)
        one = linked(pages, scratch / "one", 1)
        many = linked(pages, scratch / "many", args.pages)
        firsts = []
        for number in range(args.rounds + 1):
            words = run_words(one, scratch / f"output{number}", args.template, WORKERS)
            firsts.append(first_page(words, scratch / f"seen{number}"))
        print(
            f"{args.rounds} rounds, after one that does not count.\n\n{steps_table(firsts[1:])}", flush=True
        )
        rows = []
        for workers in (1, WORKERS):
            runs = [measured_run(many, args.template, workers, scratch) for _ in range(args.memory_rounds)]
            launcher = Spread.of([run.launcher_mb for run in runs]).text("", 0)
            worker = (
                Spread.of([run.worker_mb for run in runs]).text("", 0) if workers > 1 else "is the launcher"
            )
            rows.append([str(workers), launcher, worker])
        print(f"\nGreatest resident memory over {args.pages:,} pages, {args.memory_rounds} runs each.\n")
        print(table(["workers", "launcher, MB", "largest worker, MB"], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
