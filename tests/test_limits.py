"""Limits that protect the job, workers, and what the record tells about time."""

import json
import os
import pickle
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pipeline_fakes import STAGES, TEMPLATE, TEMPLATE_TOML, fake_open, options_for, write_forms
from slow_job import slow_segment
from test_images import saved

import jobs.run
from jobs.beam_flags import beam_options, worker_processes
from jobs.cli import CommandError, main
from jobs.exit_codes import ExitCode
from jobs.guard import EARLY_PAGES, JobGuard
from jobs.progress import ProgressDisplay
from pipeline.latency import latencies, latency_counts
from pipeline.limits import PageTooSlowError, bytes_of, check_time
from pipeline.progress import JobStoppedError, ProgressWriter, stop_file
from pipeline.schemas import STAGES as STAGE_NAMES
from pipeline.stages import real_stages
from segmentation.isolation import Bounds, CellError, IsolatedDocument, IsolatedSegmenter
from segmentation.registration import RegistrationError

TESTS = Path(__file__).resolve().parent


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    (tmp_path / "tiny.toml").write_bytes(TEMPLATE_TOML)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(jobs.run, "real_stages", lambda options: STAGES)
    monkeypatch.setattr(jobs.run, "model_sha256", lambda path: "f" * 64)
    return tmp_path


WORDS = ["run", "--input", "scans", "--output", "out", "--template", "tiny.toml"]


def record() -> dict:
    (path,) = Path("out/_runs").glob("*.json")
    return json.loads(path.read_text())


@pytest.mark.parametrize(
    ("ratio", "code"), [("0.5", ExitCode.OK), ("0.3", ExitCode.TOO_MANY_FAILURES), ("0", 11), ("1", 0)]
)
def test_a_run_with_too_many_failures_is_visible_but_no_success(here, capsys, ratio, code):
    write_forms(here / "scans", a="good explode")
    assert main([*WORDS, "--max_failure_ratio", ratio]) == code
    assert record()["failures"] == 1
    told = capsys.readouterr().err
    assert ("1 of 2 pages failed; the run is complete and visible" in told) == (code != 0)


def test_a_local_job_that_is_only_failing_is_stopped_early(here):
    pages = 3 * EARLY_PAGES
    write_forms(here / "scans", **{f"p{i:03}": "good" if i % 10 == 0 else "elsewhere" for i in range(pages)})
    slow = [sys.executable, str(TESTS / "slow_job.py"), "0.02"]
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)])}
    done = subprocess.run(
        [*slow, *WORDS, "--max_failure_ratio=0.5"], env=env, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == ExitCode.TOO_MANY_FAILURES
    told = done.stderr.splitlines()[-1]
    assert "pages failed (form_not_found: " in told
    assert "nothing of it is visible" in told
    assert [path for path in (here / "out").rglob("*") if path.is_file()] == []


def test_the_guard_waits_for_enough_pages_and_keeps_its_reason():
    guard = JobGuard(max_failure_ratio=0.1)
    assert not guard.stops({"failed": EARLY_PAGES - 1})
    assert not guard.stops({"failed": EARLY_PAGES, "read": 9 * EARLY_PAGES})
    assert not JobGuard().stops({"failed": 10 * EARLY_PAGES})
    assert guard.stops({"failed": EARLY_PAGES, "code:truncated": 90, "code:x": 10})
    assert "(truncated: 90, x: 10)" in str(guard.reason)
    reason = guard.reason
    assert guard.stops({})
    assert guard.reason is reason


def test_the_guard_misses_a_worker_only_where_it_should():
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    counts = {f"worker:{os.getpid()}": 1, f"worker:{gone.pid}": 1}
    assert not JobGuard().stops(counts)
    guard = JobGuard(watch_workers=True)
    assert not guard.stops({f"worker:{os.getpid()}": 1})
    assert guard.stops(counts)
    assert guard.reason.code == ExitCode.JOB_FAILED


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_job_that_failed_before_anybody_looked_says_that_a_worker_died():
    def fail():
        raise RuntimeError("Worker subprocess exited with return code 137")

    guard = JobGuard(watch_workers=True)
    with guard.hearing_of_workers():
        guard.look_again()
        assert guard.reason is None
        waiting = threading.Thread(target=fail, name="run_worker")
        waiting.start()
        waiting.join()
    guard.look_again()
    assert "a worker process died" in str(guard.reason)


def test_workers_are_told_to_stop(monkeypatch):
    monkeypatch.setattr("jobs.progress.LIVE_SECONDS", 0.01)
    with ProgressDisplay(None, stops=lambda counts: counts["failed"] > 1) as display:
        writer = ProgressWriter(display.path)
        writer.add({"failed": 1})
        writer.check()
        writer.add({"failed": 1})
        deadline = time.monotonic() + 10
        while not Path(stop_file(display.path)).exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        with pytest.raises(JobStoppedError):
            writer.check()
        writer.close()
    assert list(Path(display.path).parent.glob(f"{Path(display.path).name}*")) == []


@pytest.mark.parametrize(
    "flag",
    [
        "--max_failure_ratio=1.5",
        "--max_failure_ratio=-1",
        "--max_page_seconds=0",
        "--max_worker_memory=699M",
        "--max_worker_memory=much",
    ],
)
def test_limits_out_of_range(here, capsys, flag):
    write_forms(here / "scans", a="good")
    assert main([*WORDS, flag]) == ExitCode.USAGE
    assert flag.partition("=")[0] in capsys.readouterr().err
    assert not (here / "out").exists()


def test_pages_per_file_reach_the_decoder(tmp_path, monkeypatch):
    limits = []
    monkeypatch.setattr(
        "segmentation.images.open_document",
        lambda data, limit, bounds: limits.append(limit) or fake_open(data),
    )
    stages = real_stages(options_for(tmp_path, tmp_path, max_pages_per_file=3, max_pixels=50))
    stages.open_document(b"FORM good")
    assert (limits[0].max_pages, limits[0].max_pixels) == (3, 50)


@pytest.mark.parametrize(
    ("limits", "bounds"),
    [
        ({}, None),
        ({"max_page_seconds": 5.0}, Bounds(5.0, None)),
        ({"max_worker_memory": 10**9}, Bounds(None, 10**9)),
        (
            {"max_page_seconds": 5.0, "max_worker_memory": 10**9, "more_templates": (TEMPLATE,)},
            Bounds(5.0, 10**9),
        ),
    ],
)
def test_limits_put_pages_into_a_process_of_their_own(tmp_path, limits, bounds):
    stages = pickle.loads(pickle.dumps(real_stages(options_for(tmp_path, tmp_path, **limits))))
    assert isinstance(stages.segment_page, IsolatedSegmenter) is (bounds is not None)
    assert bounds is None or stages.segment_page.bounds == bounds
    page = saved(Image.new("L", (30, 20), 255), "PNG")
    with stages.open_document(page) as document:
        assert isinstance(document, IsolatedDocument) is (bounds is not None)
        gray = document.read(1).gray
        with pytest.raises((RegistrationError, CellError)) as caught:
            stages.segment_page(gray, TEMPLATE)
    assert caught.value.code in ("form_not_found", "no_landmarks")


@pytest.mark.parametrize(
    ("text", "size"), [("800M", 800_000_000), ("1.5G", 1_500_000_000), ("2 gb", 2 * 10**9), ("123", 123)]
)
def test_sizes(text, size):
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1G", "1X", "1e9", "nan"])
def test_what_is_no_size(text):
    with pytest.raises(ValueError, match="is no size"):
        bytes_of(text)


def test_a_slow_page_is_a_failure_of_its_own(here, monkeypatch):

    def slow_if_doubtful(gray, template):
        return slow_segment(gray, template, 0.3 if gray[0, 0] else 0)

    monkeypatch.setattr(
        jobs.run, "real_stages", lambda options: replace(STAGES, segment_page=slow_if_doubtful)
    )
    write_forms(here / "scans", a="good doubtful good")
    assert main([*WORDS, "--max_page_seconds", "0.2"]) == ExitCode.OK
    assert record()["failure_codes"] == {"page_too_slow": 1}
    assert record()["forms"] == 2


def test_the_clock_counts_all_stages():
    check_time({"decode": 900, "segment": 900}, None)
    check_time({"decode": 900}, 1.0)
    with pytest.raises(PageTooSlowError, match=r"after 1\.8 s"):
        check_time({"decode": 900, "segment": 900}, 1.0)
    with pytest.raises(PageTooSlowError):
        check_time({"decode": 900}, 1.0, 200)


@pytest.mark.parametrize(
    ("flags", "workers", "told"),
    [
        (["--runner=FlinkRunner"], 2, "is for the local runner; FlinkRunner"),
        ([], 0, "must be at least 1"),
        (["--direct_num_workers=3"], 2, "leave out the --direct_ flags"),
    ],
)
def test_workers_that_make_no_sense(flags, workers, told):
    with pytest.raises(CommandError, match=told) as caught:
        beam_options(flags, [], workers)
    assert caught.value.code == ExitCode.USAGE


def test_workers_are_processes_of_the_local_runner():
    assert worker_processes(beam_options([], [], 3))
    assert beam_options([], [], 3).get_all_options()["direct_num_workers"] == 3
    assert not worker_processes(beam_options([], [], 1))
    assert not worker_processes(beam_options([], [], None))


def test_latencies_are_those_of_numpy():
    times = np.random.default_rng(1).lognormal(3, 1, 5000)
    counts: Counter[str] = Counter()
    for ms in times:
        counts.update(latency_counts({f"{stage}_ms": ms for stage in STAGE_NAMES}))
    found = latencies(counts)
    assert set(found) == set(STAGE_NAMES)
    assert found["read"]["count"] == 5000
    assert found["read"]["mean"] == pytest.approx(times.mean(), rel=1e-3)
    assert found["read"]["p50"] == pytest.approx(np.percentile(times, 50), rel=0.03)
    assert found["read"]["p95"] == pytest.approx(np.percentile(times, 95), rel=0.03)
    assert len(counts) < 4 * 300


def test_no_page_has_no_latency():
    assert latencies({}) == {}
    found = latencies(latency_counts({f"{stage}_ms": 0.0 for stage in STAGE_NAMES}))
    assert found["decode"]["count"] == 1


def test_the_record_tells_time(here):
    write_forms(here / "scans", a="good good explode")
    assert main(WORDS) == ExitCode.OK
    told = record()
    assert {stage: values["count"] for stage, values in told["latency_ms"].items()} == dict.fromkeys(
        STAGE_NAMES, 2
    )
    assert told["pages_per_second"] == pytest.approx(3 / told["seconds"], rel=0.01)
    assert told["skipped"] == {"files": 0, "pages": 0}


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--max_page_seconds", "inf"),
        ("--max_page_seconds", "1e300"),
        ("--max_page_seconds", "1e10"),
        ("--max_worker_memory", "99999999T"),
        ("--max_worker_memory", "9" * 400 + "T"),
        ("--max_pixels", "9" * 23),
    ],
)
def test_a_limit_beyond_all_machines_is_refused_before_the_start(here, capsys, flag, value):
    write_forms(here / "scans", a="good")
    assert main([*WORDS, flag, value]) == ExitCode.USAGE
    assert flag in capsys.readouterr().err
