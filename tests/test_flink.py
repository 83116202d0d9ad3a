"""Flink: its parts are checked, clusters that do not answer are told, and lost machines are survived."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import flink_jobs
import psutil
import pytest

from jobs import flink_parts
from jobs.cli import main
from jobs.exit_codes import CommandError, ExitCode
from jobs.flink_cluster import Cluster, free_port
from jobs.flink_cluster import main as cluster_main
from jobs.running import _last_line

PAGES = int(os.environ.get("FORMSCRIBE_FLINK_PAGES", "60"))
pytestmark = pytest.mark.timeout(1800 + 4 * PAGES)  # the first time some 400 MB are fetched
TABLES = ("forms", "fields", "characters", "failures")


@pytest.mark.parametrize(
    ("runner", "flag"), [("FlinkRunner", "--flink_master"), ("PortableRunner", "--job_endpoint")]
)
def test_a_cluster_that_does_not_answer_is_told_before_anything_starts(tmp_path, capsys, runner, flag):
    place = f"localhost:{free_port()}"
    scans = flink_jobs.REPOSITORY / "sample_forms" / "strip"
    words = ["run", "--input", str(scans), "--output", str(tmp_path / "out"), "--template", flink_jobs.FORM]
    assert main([*words, f"--runner={runner}", f"{flag}={place}"]) == ExitCode.JOB_FAILED
    told = capsys.readouterr().err
    assert f"{flag} {place}: nobody answers" in told
    assert "Start the cluster" in told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            "job x failed: java.io.IOException: full\n\tat a.b.C.d(C.java:3)\n\tat scala.E.f(E.scala:4)",
            "full",
        ),
        ("failed: a.B: outer\n\tat a.B.c(B.java:1)\nCaused by: d.E: inner\n\t... 13 more", "d.E: inner"),
        ("Traceback\n  File x\nValueError: wrong (at least 3)", "ValueError: wrong (at least 3)"),
        ("failed\njava.base/java.lang.Thread.run(Thread.java:840)", "failed"),
    ],
)
def test_of_a_java_trace_the_cause_is_told(error, told):
    assert _last_line(RuntimeError(error)).endswith(told)


def test_libraries_other_than_the_pinned_ones_are_refused(tmp_path, monkeypatch):
    def fetches_something_else(words, what):
        [folder] = [word.partition("=")[2] for word in words if word.startswith("-DoutputDirectory=")]
        Path(folder).mkdir()
        (Path(folder) / "beam.jar").write_bytes(b"other")

    monkeypatch.setattr(flink_parts, "_call", fetches_something_else)
    with pytest.raises(CommandError, match="not those that were pinned"):
        flink_parts.job_server_jar(tmp_path)
    assert not list((tmp_path / "flink").iterdir())


def test_a_launcher_names_all_its_libraries(tmp_path):
    libraries = [f"lib/a-rather-long-name-of-a-library-{number}.jar" for number in range(40)]
    flink_parts.write_launcher(tmp_path / "x.jar", libraries)
    with zipfile.ZipFile(tmp_path / "x.jar") as jar:
        manifest = jar.read("META-INF/MANIFEST.MF").decode()
    assert max(len(line.encode()) for line in manifest.split("\r\n")) <= 72
    headers = dict(line.split(": ", 1) for line in manifest.replace("\r\n ", "").split("\r\n") if line)
    assert headers["Class-Path"].split() == libraries


def test_what_is_missing_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cluster_main(["start", "--folder", str(tmp_path)]) == ExitCode.USAGE
    assert "java is missing: sudo apt install" in capsys.readouterr().err
    assert cluster_main(["status", "--folder", str(tmp_path)]) == ExitCode.USAGE
    assert "no cluster was started" in capsys.readouterr().err


@pytest.fixture(scope="module")
def scans(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("scans") / "scans"
    words = ["samples", "--out", str(folder), "--count", str(PAGES), "--template", flink_jobs.FORM]
    assert main(words) == ExitCode.OK
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def local(scans, tmp_path_factory) -> Path:
    """The results of the local runner."""
    output = tmp_path_factory.mktemp("local") / "out"
    assert flink_jobs.Run(scans, output, []).end()[0] == ExitCode.OK
    return output


@pytest.fixture
def cluster(tmp_path):
    reason = flink_jobs.why_not()
    if reason:
        pytest.skip(f"Flink cannot run: {reason}; see docs/cluster.md")
    with flink_jobs.flink(tmp_path / "cluster") as found:
        yield found


def check_against(local: Path, output: Path) -> None:
    """Every page once, and the rows are those of the local run."""
    found = flink_jobs.pages(output)
    assert len(found) == len(set(found)) == PAGES + 1
    for table in TABLES:
        assert flink_jobs.rows(output, table) == flink_jobs.rows(local, table), table
    [record] = [json.loads(path.read_text()) for path in (output / "_runs").iterdir()]
    assert (record["pages_in"], record["failures"]) == (PAGES + 1, len(flink_jobs.rows(output, "failures")))
    assert not (output / "_temp").exists()


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["task manager", "worker process"])
def test_what_is_lost_while_pages_are_read_is_read_again_and_nothing_twice(
    cluster: Cluster, scans, local, tmp_path, lost
):
    run = flink_jobs.Run(scans, tmp_path / "out", cluster.flags())
    run.wait_for_pages(PAGES // 3)
    task_manager = flink_jobs.reading_task_manager(cluster)
    if lost == "task manager":
        flink_jobs.kill_one(cluster, task_manager)
    else:
        flink_jobs.kill_worker_of(cluster, task_manager)
    code, out, err = run.end()
    assert code == ExitCode.OK, err
    assert f"of {PAGES + 1:,} pages read" in out
    assert "not_an_image: 1" in out
    assert flink_jobs.restarts(cluster) >= 1  # else nothing was lost, and nothing shown
    check_against(local, tmp_path / "out")


@pytest.mark.slow
def test_ctrl_c_cancels_the_job_on_the_cluster(cluster: Cluster, scans, tmp_path):
    run = flink_jobs.Run(scans, tmp_path / "out", cluster.flags())
    run.wait_for_pages(3)
    started = run.press_ctrl_c()
    code, _, err = run.end()
    assert code == ExitCode.INTERRUPTED, err
    assert started
    assert not psutil.wait_procs(started, timeout=60)[1]
    assert flink_jobs.state_of_newest(cluster) == "CANCELED"
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


@pytest.mark.slow
def test_the_command_starts_shows_and_stops_a_cluster(tmp_path):
    reason = flink_jobs.why_not()
    if reason:
        pytest.skip(f"Flink cannot run: {reason}; see docs/cluster.md")
    words = [
        "--folder",
        str(tmp_path / "cluster"),
        "--port",
        str(free_port()),
        "--pool_port",
        str(free_port()),
    ]

    def call(*action: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "jobs.flink_cluster", *action]
        return subprocess.run(command, capture_output=True, text=True, cwd=flink_jobs.REPOSITORY)

    started = call("start", *words, "--task_managers", "1")
    try:
        assert started.returncode == ExitCode.OK, started.stderr
        assert "--runner=FlinkRunner" in started.stdout
        shown = call("status", *words[:2])
        assert shown.returncode == ExitCode.OK
        assert "1 task managers, 2 of 2 slots free" in shown.stdout
        assert "runs already" in call("start", *words).stderr
    finally:
        stopped = call("stop", *words[:2])
    assert stopped.stdout == "3 processes stopped\n"
