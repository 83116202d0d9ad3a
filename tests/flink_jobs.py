"""A Flink cluster and ``formscribe run`` on it, for tests that kill parts of it while pages are read."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import psutil

from jobs.exit_codes import CommandError
from jobs.flink_cluster import Cluster, Plan, free_port, start, stop
from jobs.flink_parts import cache_folder, flink_jars, job_server_jar, missing_programs, parts_are_cached

REPOSITORY = Path(__file__).resolve().parent.parent
FORM = str(REPOSITORY / "sample_forms" / "strip" / "strip.toml")
FORMSCRIBE = [sys.executable, "-m", "jobs.cli"]
WAIT_SECONDS = 600  # for what takes seconds on a machine with nothing else to do
_TIMINGS = re.compile(r".*_ms")


def why_not() -> str | None:
    """What this machine lacks to run Flink, if anything; parts other than the pinned ones are an error."""
    needed = ["java"] if parts_are_cached(cache_folder()) else ["java", "mvn"]
    lacking = missing_programs(needed)
    if lacking:
        return f"{' and '.join(lacking)} not installed"
    try:
        flink_jars(cache_folder())
        job_server_jar(cache_folder())
    except CommandError as error:
        if "could not be fetched" in str(error):
            return str(error)
        raise
    return None


@contextmanager
def flink(folder: Path) -> Iterator[Cluster]:
    """A cluster of two task managers on ports of its own."""
    cluster = start(Plan(folder, rest_port=free_port(), pool_port=free_port()))
    try:
        yield cluster
    finally:
        stop(folder)


class Run:
    """``formscribe run`` in a process of its own, with a view of how far its workers are."""

    def __init__(self, scans: Path, output: Path, flags: list[str]) -> None:
        """Starts it."""
        self._temporary = output.with_name(f"{output.name}-tmp")
        self._temporary.mkdir()
        words = ["run", "--input", str(scans), "--output", str(output), "--template", FORM, *flags]
        self.process = subprocess.Popen(
            [*FORMSCRIBE, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env=os.environ | {"TMPDIR": str(self._temporary)},
            start_new_session=True,
        )

    def wait_for_pages(self, pages: int) -> None:
        """Returns once the workers have told of so many."""
        deadline = time.monotonic() + WAIT_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            files = self._temporary.glob("formscribe-progress-*")
            if sum(path.read_text().count("read=1") for path in files if not path.suffix) >= pages:
                return
            time.sleep(0.05)
        self.process.kill()
        raise AssertionError(f"the job did not get to {pages} pages: {self.process.communicate()}")

    def press_ctrl_c(self) -> list[psutil.Process]:
        """Signals the command and what it has started, as a terminal does; returns what it had started."""
        started = psutil.Process(self.process.pid).children(recursive=True)
        os.killpg(self.process.pid, signal.SIGINT)
        return started

    def end(self) -> tuple[int, str, str]:
        """Exit code, stdout and stderr."""
        out, err = self.process.communicate(timeout=WAIT_SECONDS)
        return self.process.returncode, out, err


def reading_task_manager(cluster: Cluster) -> str:
    """A task manager on which pages are being read now.

    Flink calls a task running before its worker has been started, and the other task manager may have read
    many pages by then.
    """
    [job] = [job["id"] for job in cluster.ask("/jobs")["jobs"] if job["status"] == "RUNNING"]
    [vertex] = [v["id"] for v in cluster.ask(f"/jobs/{job}")["vertices"] if "ReadPages" in v["name"]]
    tasks = cluster.ask(f"/jobs/{job}/vertices/{vertex}")["subtasks"]
    running = [task["taskmanager-id"] for task in tasks if task["status"] == "RUNNING"]
    return next(task_manager for task_manager in running if workers_of(cluster, task_manager))


def kill_one(cluster: Cluster, name: str) -> None:
    """Ends a process of the cluster as a machine that loses power would."""
    [process] = [process for process in cluster.processes if process.name == name]
    os.kill(process.pid, signal.SIGKILL)


def workers_of(cluster: Cluster, task_manager: str) -> list[psutil.Process]:
    """The Python processes that read for a task manager, without their pool."""
    pool = task_manager.replace("task_manager", "worker_pool")
    [process] = [process for process in cluster.processes if process.name == pool]
    return [
        child
        for child in psutil.Process(process.pid).children()
        if child.status() != psutil.STATUS_ZOMBIE and "SdkHarness" in " ".join(child.cmdline())
    ]


def kill_worker_of(cluster: Cluster, task_manager: str) -> None:
    """Ends the Python process that reads for a task manager, and leaves its pool alone."""
    workers = workers_of(cluster, task_manager)
    assert workers
    for worker in workers:
        worker.kill()


def restarts(cluster: Cluster) -> int:
    """How often tasks of the newest job had to be started again."""
    newest = max(cluster.ask("/jobs/overview")["jobs"], key=lambda job: job["start-time"])
    return len(cluster.ask(f"/jobs/{newest['jid']}/exceptions")["exceptionHistory"]["entries"])


def state_of_newest(cluster: Cluster) -> str:
    """What has become of the newest job."""
    newest = max(cluster.ask("/jobs/overview")["jobs"], key=lambda job: job["start-time"])
    return str(newest["state"])


def rows(output: Path, table: str) -> list[tuple]:
    """All rows of a table of a folder with one run, in order, without the timings."""
    with duckdb.connect() as connection:
        files = str(output / table / "run=*" / "*.parquet")
        found = connection.execute("SELECT * FROM read_parquet(?, hive_partitioning = false)", [files])
        keep = [i for i, column in enumerate(found.description) if not _TIMINGS.fullmatch(column[0])]
        return sorted(tuple(json.dumps(row[i], default=str) for i in keep) for row in found.fetchall())


def pages(output: Path) -> list[tuple[str, int | None]]:
    """Source and page of every row of ``forms`` and ``failures``."""
    with duckdb.connect() as connection:
        found = []
        for table in ("forms", "failures"):
            files = str(output / table / "run=*" / "*.parquet")
            found += connection.execute(
                "SELECT source, page FROM read_parquet(?, hive_partitioning = false)", [files]
            ).fetchall()
        return sorted(found)
