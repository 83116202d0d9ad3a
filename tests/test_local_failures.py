"""What may go wrong on one machine: full and read-only disks, signals, pages that kill.

Nothing half is ever seen, the next run cleans, and the exit code is the documented one. See
``test_killed_runs`` too.
"""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from pipeline_fakes import STAGES, TEMPLATE_TOML, write_forms

import jobs.run
from jobs.cli import main
from jobs.descendants import descendants
from jobs.exit_codes import ExitCode
from pipeline import writing

TESTS = Path(__file__).resolve().parent
RUN = ["run", "--input", "scans", "--output", "out", "--template", "tiny.toml"]
TWO = ["--workers", "2"]
SECOND = ["--max_page_seconds=3", "--max_worker_memory=3G"]


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    write_forms(tmp_path / "scans", **{f"p{i:02}": "good" for i in range(16)})
    (tmp_path / "tiny.toml").write_bytes(TEMPLATE_TOML)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(jobs.run, "real_stages", lambda options: STAGES)
    monkeypatch.setattr(jobs.run, "model_sha256", lambda path: "f" * 64)
    return tmp_path


def start(script: str, seconds: float, *words: str, **more) -> subprocess.Popen:
    """The command in a process of its own whose pages take so long."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)])} | more.pop("env", {})
    return subprocess.Popen(
        [sys.executable, str(TESTS / script), str(seconds), *RUN, *words],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def wait_for(pattern: str, count: int) -> list[int]:
    """Waits for files that so many processes leave; returns the processes."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = sorted(int(path.name.rpartition("-")[2]) for path in Path().glob(pattern))
        if len(found) >= count:
            return found
        time.sleep(0.05)
    raise AssertionError("the workers did not start")


def end(process: subprocess.Popen) -> tuple[str, str]:
    return process.communicate(timeout=120)


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def all_end(processes: list[int]) -> bool:
    deadline = time.monotonic() + 30
    while any(psutil.pid_exists(one) for one in processes) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not any(psutil.pid_exists(one) for one in processes)


def nothing_is_seen(out: Path) -> bool:
    """Whether no reader can find a table of a run: there is no record of one."""
    return not (out / "_runs").exists() or not list((out / "_runs").iterdir())


def the_next_run_cleans(here: Path) -> None:
    assert main([*RUN, "--run_id=next"]) == ExitCode.OK
    assert [path.name for path in (here / "out" / "_runs").iterdir()] == ["next.json"]
    assert {path.parent.name for path in files_in(here / "out")} == {"run=next", "_runs"}


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """A disk in memory, for as long as the block lasts."""
    folder.mkdir(exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
    try:
        done = subprocess.run(words, capture_output=True)
    except FileNotFoundError:
        pytest.skip("this system has no mount")
    if done.returncode:
        pytest.skip("disks can be mounted only by root")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", str(folder)], check=True)


def test_a_full_disk_with_two_workers(here):
    with mounted(here / "out", "size=12k"):
        process = start("slow_job.py", 0, *TWO)
        _, told = end(process)
        assert process.returncode == ExitCode.JOB_FAILED, told
        assert "No space left on device" in told.splitlines()[-1], told
        assert files_in(here / "out") == []
        remount(here / "out", "size=10m")
        the_next_run_cleans(here)


def test_a_disk_without_room_for_one_more_file(here, capsys):
    with mounted(here / "out", "size=1m", "nr_inodes=6"):
        assert main(RUN) == ExitCode.JOB_FAILED
        assert "No space left on device" in capsys.readouterr().err
        assert nothing_is_seen(here / "out")
        remount(here / "out", "nr_inodes=1000")
        the_next_run_cleans(here)


def test_a_disk_that_is_full_when_the_record_is_written(here, capsys, monkeypatch):
    create = writing._create

    def full(path):
        if path.endswith(".json"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return create(path)

    monkeypatch.setattr(writing, "_create", full)
    assert main(RUN) == ExitCode.JOB_FAILED
    assert "No space left on device" in capsys.readouterr().err
    assert files_in(here / "out") == []
    monkeypatch.setattr(writing, "_create", create)
    the_next_run_cleans(here)


def test_files_may_not_grow_beyond_a_limit(here):
    """As with a quota: a write is refused in the middle of a file."""

    def small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))

    process = start("slow_job.py", 0, preexec_fn=small_files)
    _, told = end(process)
    assert process.returncode == ExitCode.JOB_FAILED, told
    assert "File too large" in told
    assert files_in(here / "out") == []
    the_next_run_cleans(here)


def test_a_read_only_disk(here, capsys):
    with mounted(here / "out", "ro"):
        assert main(RUN) == ExitCode.OUTPUT_NOT_WRITABLE
        told = capsys.readouterr().err
        assert "--output" in told
        assert "Read-only file system" in told


def test_a_disk_that_fills_up_while_the_job_runs(here):
    with mounted(here / "out", "size=1m"):
        process = start("slow_job.py", 0.3)
        wait_for("at-work-*", 1)
        filler = here / "out" / "filler"
        filler.write_bytes(bytes(os.statvfs(here / "out").f_bavail * os.statvfs(here / "out").f_bsize))
        _, told = end(process)
        assert process.returncode == ExitCode.JOB_FAILED, told
        assert "No space left on device" in told
        assert files_in(here / "out") == [filler]
        filler.unlink()
        the_next_run_cleans(here)


def test_an_output_that_is_deleted_while_the_job_runs(here):
    process = start("slow_job.py", 0.3)
    wait_for("at-work-*", 1)
    subprocess.run(["rm", "-rf", "out"], check=True)
    _, told = end(process)
    assert process.returncode in (ExitCode.OK, ExitCode.JOB_FAILED), told
    if process.returncode == ExitCode.JOB_FAILED:
        assert nothing_is_seen(here / "out")
    else:
        (record,) = (here / "out" / "_runs").iterdir()
        assert json.loads(record.read_text())["forms"] == 16


@pytest.mark.parametrize("workers", [[], TWO])
def test_a_full_temporary_folder_only_hides_progress(here, workers):
    with mounted(here / "small", "size=4k"):
        (here / "small" / "full").write_bytes(b"x" * 4096)
        process = start("slow_job.py", 0, *workers, env={"TMPDIR": str(here / "small")})
        _, told = end(process)
        assert process.returncode in (ExitCode.OK, ExitCode.JOB_FAILED), told
        if process.returncode == ExitCode.JOB_FAILED:
            assert "No space left on device" in told
            assert files_in(here / "out") == []
    the_next_run_cleans(here) if process.returncode else None


@pytest.mark.parametrize("workers", [[], TWO])
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_told_to_stop(here, workers, sign):
    process = start("slow_job.py", 0.5, *workers)
    at_work = wait_for("at-work-*", 2 if workers else 1)
    process.send_signal(sign)
    _, told = end(process)
    assert process.returncode == ExitCode.INTERRUPTED, told
    assert told.splitlines()[-1] == "formscribe: interrupted"
    assert files_in(here / "out") == []
    assert all_end(at_work)
    the_next_run_cleans(here)


def test_control_c_as_a_terminal_sends_it(here):
    """To all processes of the group at once, and twice, as people do."""
    process = start("failing_job.py", 0.5, *TWO, *SECOND, start_new_session=True)
    cells = wait_for("cell-*", 2)
    for _ in range(2):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.2)
    _, told = end(process)
    assert process.returncode in (ExitCode.INTERRUPTED, -signal.SIGINT), told
    assert nothing_is_seen(here / "out")
    assert all_end(cells)
    the_next_run_cleans(here)


@pytest.mark.parametrize("workers", [[], TWO])
def test_pages_that_hang_crash_or_take_all_memory_are_rows(here, workers):
    write_forms(here / "scans", z1="good explode good", z2="elsewhere good", z3="memory", z4="nan good")
    process = start("failing_job.py", 0, *workers, *SECOND, "--run_id=r")
    out, told = end(process)
    assert process.returncode == ExitCode.OK, told
    record = json.loads((here / "out" / "_runs" / "r.json").read_text())
    assert record["failure_codes"] == {
        "page_crashed": 1,
        "page_too_slow": 1,
        "too_much_memory": 1,
        "invalid_model_output": 1,
    }
    assert record["forms"] == 16 + 4
    assert all_end(wait_for("cell-*", 4))
    assert out.startswith("20 of 24 pages read")


def test_a_cell_that_the_kernel_kills_costs_a_page(here):
    process = start("failing_job.py", 0.4, *SECOND, "--run_id=r")
    (cell,) = wait_for("cell-*", 1)
    os.kill(cell, signal.SIGKILL)
    _, told = end(process)
    assert process.returncode == ExitCode.OK, told
    record = json.loads((here / "out" / "_runs" / "r.json").read_text())
    assert record["failure_codes"] in ({"too_much_memory": 1}, {})  # none, if it fell between two pages
    assert record["pages_in"] == 16


def test_cells_end_with_a_command_that_is_killed(here):
    process = start("failing_job.py", 60, "--max_page_seconds=300", *TWO)
    cells = wait_for("cell-*", 2)
    process.kill()
    end(process)
    assert all_end(cells)
    assert nothing_is_seen(here / "out")
    the_next_run_cleans(here)


def workers_below() -> list[int]:
    """The processes of the local runner's workers, and of the shells that start them."""
    found = []
    for one in sorted(descendants()):
        with suppress(psutil.Error):
            if "apache_beam.runners.worker" in " ".join(psutil.Process(one).cmdline()):
                found.append(one)
    return found


def wait_for_workers() -> list[int]:
    """The worker processes of a command that has just been started, before they have told of themselves."""
    while not (workers := workers_below()):
        time.sleep(0.01)
    return workers


@pytest.mark.parametrize("later", [0, 0.3, 1])
def test_a_run_that_is_told_to_stop_while_its_workers_start(here, later):
    process = start("slow_job.py", 1, *TWO)
    workers = wait_for_workers()
    time.sleep(later)
    process.send_signal(signal.SIGTERM)
    _, told = end(process)
    assert process.returncode == ExitCode.INTERRUPTED, told
    assert all_end([*workers, *workers_below()])
    the_next_run_cleans(here)


@pytest.mark.parametrize("later", [0.1, 0.7])
def test_a_worker_that_dies_before_it_works_ends_the_job(here, later):
    process = start("slow_job.py", 1, *TWO)  # pages that take long, as no job may be done by then
    wait_for_workers()
    time.sleep(later)
    workers = workers_below()
    os.kill(workers[-1], signal.SIGKILL)
    _, told = end(process)
    assert process.returncode == ExitCode.JOB_FAILED, told
    assert "a worker process died" in told
    assert all_end(workers)
    assert files_in(here / "out") == []
