"""Runs that are killed, lose a worker or find no room: nothing half is seen, and the next run cleans."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pipeline_fakes import STAGES, TEMPLATE_TOML, write_forms

import jobs.run
from jobs.cli import main
from jobs.exit_codes import ExitCode
from jobs.run_lock import DEAD_AFTER_SECONDS, OWNER, RunLock, clear_dead_runs
from pipeline import writing

TESTS = Path(__file__).resolve().parent
RUN = ["run", "--input", "scans", "--output", "out", "--template", "tiny.toml"]
TWO = ["--workers", "2"]


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    write_forms(tmp_path / "scans", **{f"p{i:02}": "good" for i in range(16)})
    (tmp_path / "tiny.toml").write_bytes(TEMPLATE_TOML)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(jobs.run, "real_stages", lambda options: STAGES)
    monkeypatch.setattr(jobs.run, "model_sha256", lambda path: "f" * 64)
    return tmp_path


def start(seconds: float, *words: str) -> subprocess.Popen:
    """The command in a process of its own whose pages take so long."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)])}
    return subprocess.Popen(
        [sys.executable, str(TESTS / "slow_job.py"), str(seconds), *RUN, *words],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def workers_at_work(count: int) -> list[int]:
    """Waits until so many processes have read a page."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = sorted(int(path.name.rpartition("-")[2]) for path in Path().glob("at-work-*"))
        if len(found) >= count:
            return found
        time.sleep(0.05)
    raise AssertionError("the workers did not start")


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def ends(process: int) -> bool:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def test_a_killed_run_is_cleared_by_the_next(here):
    process = start(30, "--run_id=killed")
    workers_at_work(1)
    process.kill()
    process.communicate(timeout=20)
    left = here / "out" / "_temp" / "run=killed"
    assert left.is_dir()
    (left / "forms-1.parquet").write_bytes(b"half")
    placed = here / "out" / "fields" / "run=killed"  # as if it had been killed between two renames
    placed.mkdir(parents=True)
    assert main([*RUN, "--run_id=next"]) == ExitCode.OK
    assert not (here / "out" / "_temp").exists()
    assert not placed.exists()
    assert [path.name for path in (here / "out" / "_runs").iterdir()] == ["next.json"]


def test_a_worker_that_is_killed_ends_the_job_soon(here):
    process = start(4, *TWO)
    first, second = workers_at_work(2)
    killed = time.monotonic()
    os.kill(first, signal.SIGKILL)
    _, told = process.communicate(timeout=60)
    assert process.returncode == ExitCode.JOB_FAILED
    assert time.monotonic() - killed < 25  # the other one had pages for half a minute
    assert "a worker process died" in told.splitlines()[-1]
    assert files_in(here / "out") == []
    assert ends(second)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_their_launcher(here, sign):
    process = start(0.5, *TWO)
    workers = workers_at_work(2)
    process.send_signal(sign)
    process.communicate(timeout=20)
    assert process.returncode in (ExitCode.INTERRUPTED, -signal.SIGKILL)
    assert all(ends(worker) for worker in workers)
    assert not (here / "out" / "_runs").exists()
    if sign == signal.SIGINT:
        assert files_in(here / "out") == []


def test_two_workers_share_the_pages_and_are_quiet(here):
    process = start(0.05, *TWO)
    out, err = process.communicate(timeout=60)
    assert process.returncode == ExitCode.OK, err
    assert out.startswith("16 of 16 pages read")
    assert len(out.splitlines()) == 5
    assert all(" of 16 files" in line or line.startswith("starting") for line in err.splitlines()), err
    assert len(list(here.glob("at-work-*"))) == 2


def test_a_run_at_work_is_left_alone(here):
    lock = RunLock(str(here / "out"), "alive")
    assert lock.acquire()
    assert not RunLock(str(here / "out"), "alive").acquire()
    assert clear_dead_runs(str(here / "out")) == []
    assert main([*RUN, "--run_id=alive"]) == ExitCode.USAGE
    lock.release()
    assert clear_dead_runs(str(here / "out")) == ["alive"]


@pytest.mark.parametrize(
    ("owner", "age", "dead"),
    [
        ({"host": "elsewhere", "pid": 1}, 3600, False),
        ({"host": "elsewhere", "pid": 1}, DEAD_AFTER_SECONDS + 60, True),
        ({"host": socket.gethostname(), "pid": 1}, 0, True),  # its lock is free
        (None, 3600, False),
        (None, DEAD_AFTER_SECONDS + 60, True),
        ("no owner", 3600, False),
    ],
)
def test_who_is_dead(tmp_path, owner, age, dead):
    folder = tmp_path / "_temp" / "run=x"
    folder.mkdir(parents=True)
    if owner is not None:
        (folder / OWNER).write_text(json.dumps(owner))
    for path in (*folder.iterdir(), folder):
        os.utime(path, (time.time() - age,) * 2)
    assert clear_dead_runs(str(tmp_path)) == (["x"] if dead else [])
    assert folder.exists() is not dead


def test_a_complete_run_keeps_its_tables_when_its_rest_is_cleared(here):
    assert main([*RUN, "--run_id=whole"]) == ExitCode.OK
    before = files_in(here / "out")
    lock = RunLock(str(here / "out"), "whole")  # as if it had been killed after the record was written
    lock.acquire()
    lock.release()
    assert clear_dead_runs(str(here / "out")) == ["whole"]
    assert files_in(here / "out") == before


def test_a_full_disk_is_told_and_leaves_nothing(here, capsys, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(writing, "_create", full)
    assert main(RUN) == ExitCode.JOB_FAILED
    assert "No space left on device" in capsys.readouterr().err
    assert files_in(here / "out") == []
    monkeypatch.undo()


def test_a_disk_that_is_really_full(here, capsys):
    (here / "out").mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12k", "tmpfs", "out"], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip("a small disk can be mounted only by root")
    try:
        assert main(RUN) == ExitCode.JOB_FAILED
        assert "No space left on device" in capsys.readouterr().err
        assert files_in(here / "out") == []
    finally:
        subprocess.run(["umount", "--lazy", "out"], check=True)


def test_a_folder_that_is_read_only(here, capsys):
    (here / "out").mkdir(mode=0o555)
    if os.access(here / "out", os.W_OK):
        pytest.skip("root may write into any folder")
    assert main(RUN) == ExitCode.OUTPUT_NOT_WRITABLE
    assert "cannot be written" in capsys.readouterr().err


def test_a_folder_where_nobody_can_write(here, capsys):
    if not Path("/proc/self").exists():
        pytest.skip("this system has no /proc")
    assert main([*RUN[:3], "--output", "/proc/formscribe", *RUN[5:]]) == ExitCode.OUTPUT_NOT_WRITABLE
    assert "cannot be written" in capsys.readouterr().err
