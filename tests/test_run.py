"""`formscribe run`: what stops it before it starts, what it tells, and that no half output is ever seen."""

import fcntl
import io
import json
import os
import pty
import shlex
import signal
import struct
import subprocess
import sys
import termios
import textwrap
import time
from pathlib import Path

import pytest
from pipeline_fakes import STAGES, TEMPLATE_TOML, write_forms

import jobs.run
from jobs.cli import main
from jobs.exit_codes import ExitCode
from jobs.progress import ProgressDisplay, progress_line
from jobs.run_lock import RunLock
from pipeline import writing
from pipeline.progress import ProgressReader, ProgressWriter
from pipeline.schemas import TABLES

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A folder with scans and a template, and a job that uses the fakes."""
    write_forms(tmp_path / "scans", a="good doubtful nan", b="explode")
    (tmp_path / "tiny.toml").write_bytes(TEMPLATE_TOML)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(jobs.run, "real_stages", lambda options: STAGES)
    monkeypatch.setattr(jobs.run, "model_sha256", lambda path: "f" * 64)
    return tmp_path


def run(*words: str, scans: str = "scans", output: str = "out", template: str = "tiny.toml") -> int:
    return main(["run", "--input", scans, "--output", output, "--template", template, *words])


def records(folder: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("out/_runs/*.json"))]


def test_the_summary_says_what_was_done_and_what_to_type_next(here, capsys):
    assert run() == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("2 of 4 pages read in ")
    assert lines[1] == "2 failed; internal_error: 1; invalid_model_output: 1"
    assert lines[2] == "fields: 1 accepted, 3 to review, 2 blank"
    command = lines[4].removeprefix("next:   formscribe query out ")
    assert main(["query", "out", command.strip('"'), "--format", "json"]) == ExitCode.OK
    assert len(json.loads(capsys.readouterr().out)) == 3


def test_the_record_holds_provenance_and_counts(here):
    run("--min_confidence", "0.4", "--run_id", "nightly-7")
    (record,) = records(here)
    assert record["run"] == "nightly-7"
    assert record["options"]["inputs"] == [str(here / "scans")]
    assert record["options"]["min_confidence"] == 0.4
    assert record["model_sha256"] == "f" * 64
    assert len(record["template_sha256"]) == 64
    assert record["started"] < record["finished"]
    assert (record["pages_in"], record["forms"], record["failures"]) == (4, 2, 2)


def test_twice_into_the_same_folder_never_doubles(here, capsys):
    assert [run(), run()] == [ExitCode.OK, ExitCode.OK]
    capsys.readouterr()
    counts = []
    for more in ([], ["--all-runs"]):
        main(["query", "out", "SELECT count(*) AS n FROM fields", "--format", "json", *more])
        counts.append(json.loads(capsys.readouterr().out)[0]["n"])
    assert counts == [6, 12]


def test_folders_with_odd_names(here, capsys):
    write_forms(here / "sc [1]ans*", a="good")
    assert run(scans="sc [1]ans*", output="o'ut {a,b} [2]") == ExitCode.OK
    assert sorted(path.name for path in (here / "o'ut {a,b} [2]").iterdir()) == sorted([*TABLES, "_runs"])
    command = capsys.readouterr().out.splitlines()[-1].removeprefix("next:   formscribe ")
    assert main([*shlex.split(command), "--format", "json"]) == ExitCode.OK
    assert len(json.loads(capsys.readouterr().out)) == 1


def test_all_pages_failed_has_its_own_code(here):
    write_forms(here / "bad", a="explode nan")
    assert run(scans="bad") == ExitCode.ALL_PAGES_FAILED
    assert records(here)[0]["failures"] == 2


@pytest.mark.parametrize(
    "flags", [["--runner", "FnApiRunner"], ["--runner=FnApiRunner"], ["--save_main_session"]]
)
def test_flags_of_beam_pass(here, flags):
    assert run(*flags, "--job_name=x") == ExitCode.OK


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--runer=FnApiRunner"], "unknown flag --runer. Did you mean --runner?"),
        (["--min_confidance", "0.5"], "unknown flag --min_confidance. Did you mean --min_confidence?"),
        (["--reg=europe-west1"], "unknown flag --reg"),
        (["--runner=NoSuchRunner"], "NoSuchRunner"),
        (["--direct_num_workers=many"], "--direct_num_workers"),
        (["--min_confidence=2"], "--min_confidence: 2.0 is not between 0 and 1"),
        (["--max_pixels=0"], "--max_pixels"),
        (["--run_id=../x"], "--run_id"),
        (["--runner", "FnApiRunner", "stray.png"], "unexpected word stray.png"),
    ],
)
def test_a_wrong_flag_stops_before_anything_starts(here, capsys, flags, told):
    assert run(*flags) == ExitCode.USAGE
    assert told in capsys.readouterr().err
    assert not (here / "out").exists()


@pytest.mark.parametrize("word", ["", " "])
def test_an_empty_word_is_not_the_folder_one_is_in(here, capsys, word):
    assert run(scans=word) == ExitCode.USAGE
    assert "--input: is an empty word" in capsys.readouterr().err
    assert run(output=word) == ExitCode.USAGE
    assert "--output: is an empty word" in capsys.readouterr().err
    assert not list(here.glob("_runs"))


def test_a_pipe_costs_only_itself(here, capsys):
    os.mkfifo(here / "scans" / "pipe.png")
    assert run() == ExitCode.OK
    (record,) = records(here)
    assert (record["pages_in"], record["forms"], record["failures"]) == (5, 2, 3)
    capsys.readouterr()
    sql = "SELECT code, message FROM failures WHERE source LIKE '%pipe.png'"
    assert main(["query", "out", sql, "--format", "json"]) == ExitCode.OK
    rows = json.loads(capsys.readouterr().out)
    assert rows == [{"code": "file_unreadable", "message": "it is no regular file"}]


@pytest.mark.parametrize("name", ["nowhere", "scans/*.tif", "empty"])
def test_no_input_is_named(here, capsys, name):
    (here / "empty").mkdir()
    assert run(scans=name) == ExitCode.NO_INPUT
    assert f"--input {here / name}: " in capsys.readouterr().err
    assert not (here / "out").exists()


def test_a_bad_template_or_model_is_named(here, capsys, monkeypatch):
    assert run(template="tiny.tml") == ExitCode.BAD_TEMPLATE
    assert "tiny.tml: --template: no such template" in capsys.readouterr().err
    monkeypatch.undo()
    os.chdir(here)
    (here / "junk.tflite").write_bytes(b"no model at all")
    for name in ("junk.tflite", "none.tflite"):
        assert run("--model", name) == ExitCode.BAD_MODEL
        assert "--model: " in capsys.readouterr().err


def test_an_output_that_cannot_be_written(here, capsys):
    (here / "out").write_text("a file, not a folder")
    assert run() == ExitCode.OUTPUT_NOT_WRITABLE
    assert f"--output {here / 'out'}: cannot be written" in capsys.readouterr().err


def test_a_run_id_is_used_once(here, capsys):
    assert run("--run_id=one") == ExitCode.OK
    assert run("--run_id=one") == ExitCode.USAGE
    assert "name another" in capsys.readouterr().err


def test_a_job_that_dies_leaves_nothing_behind(here, capsys, monkeypatch):
    def die(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing.TableWriter, "finish", die)
    assert run() == ExitCode.JOB_FAILED
    message = capsys.readouterr().err
    assert "nothing of it is visible" in message
    assert "No space left on device" in message
    assert not [path for path in (here / "out").rglob("*") if path.is_file()]
    assert main(["query", "out"]) == ExitCode.NO_RESULTS


def test_control_c_when_all_is_done_finds_a_complete_run(here, capsys, monkeypatch):
    calls = []

    def interrupted(*words):
        calls.append(words)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return writing.read_record(*words)

    monkeypatch.setattr("jobs.running.read_record", interrupted)
    assert run("--run_id=done") == ExitCode.OK
    assert capsys.readouterr().out.startswith("2 of 4 pages read in ")
    assert [record["run"] for record in records(here)] == ["done"]


def test_a_killed_run_is_not_seen_by_query(here, capsys, monkeypatch):
    run("--run_id=whole")
    monkeypatch.setattr(writing, "_write_record", lambda *args: os._exit(9))  # as SIGKILL between two renames
    child = os.fork()
    if child == 0:
        run("--run_id=half")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert (here / "out" / "fields" / "run=half").exists()
    capsys.readouterr()
    main(["query", "out", "SELECT DISTINCT run FROM fields", "--format", "json", "--all-runs"])
    assert json.loads(capsys.readouterr().out) == [{"run": "whole"}]


SLOW_RUN = """
    import sys, time
    sys.path.insert(0, {tests!r})
    import jobs.run, pipeline_fakes
    from jobs import cli

    def slow_segment(gray, template):
        open("started", "w").close()
        time.sleep(30)

    from dataclasses import replace
    jobs.run.real_stages = lambda options: replace(pipeline_fakes.STAGES, segment_page=slow_segment)
    jobs.run.model_sha256 = lambda path: "f"
    sys.argv = ["formscribe", *"run --input scans --output out --template tiny.toml".split()]
    sys.exit(cli.main())
"""


def test_control_c_stops_at_once_and_cleans_up(here):
    code = textwrap.dedent(SLOW_RUN.format(tests=str(ROOT / "tests")))
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", code], env=env, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while not Path("started").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    stopped = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=25)
    assert process.returncode == ExitCode.INTERRUPTED
    assert time.monotonic() - stopped < 10
    assert message.splitlines()[-1] == "formscribe: interrupted"
    assert not [path for path in (here / "out").rglob("*") if path.is_file()]


def test_progress_is_plain_lines_where_there_is_no_terminal(monkeypatch):
    monkeypatch.setattr("jobs.progress.PLAIN_SECONDS", 0.05)
    stream = io.StringIO()
    with ProgressDisplay(40, stream) as display:
        writer = ProgressWriter(display.path)
        writer.add({"read": 1, "status:review": 3})
        writer.add({"failed": 1, "code:truncated": 1})
        time.sleep(0.3)
        writer.close()
    last = stream.getvalue().splitlines()[-1]
    assert last.startswith("2 pages of 40 files, 1 failed, 3 fields to review, ")
    assert not Path(display.path).exists()
    writer.add({"read": 1})  # after the end: nothing happens


def test_progress_lines():
    assert progress_line({}, None, 1) == "starting"
    assert progress_line({"skipped": 3}, 9, 1).startswith("0 pages of 9 files, 3 skipped, ")
    assert progress_line({"read": 1500}, None, 100) == "1,500 pages, 0 fields to review, 15.0 pages/s"


def test_the_reader_waits_for_whole_lines(tmp_path):
    path = tmp_path / "progress"
    path.write_text("read=1\nread=")
    reader = ProgressReader(str(path))
    assert reader.update() == {"read": 1}
    path.write_text("read=1\nread=2\nnonsense\n")
    assert reader.update() == {"read": 3}


def test_without_the_file_a_worker_just_works():
    ProgressWriter("/nonexistent/progress").add({"read": 1})
    ProgressWriter(None).add({"read": 1})


def test_a_name_that_is_no_text_costs_only_itself(here, capsys):
    bad = os.fsdecode(b"scans/caf\xe9.png")
    Path(bad).write_text("FORM good")
    assert main(["run", "--input", bad, "scans", "--output", "out", "--template", "tiny.toml"]) == ExitCode.OK
    (record,) = records(here)
    assert record["failure_codes"]["bad_file_name"] == 1
    assert record["forms"] == 2
    assert record["options"]["inputs"] == [f"{here}/scans/caf\\xe9.png", f"{here}/scans"]
    assert run("--resume") == ExitCode.OK
    assert records(here)[1]["failure_codes"]["bad_file_name"] == 1
    capsys.readouterr()
    assert run(scans=bad) == ExitCode.ALL_PAGES_FAILED
    assert run(output=os.fsdecode(b"caf\xe9")) == ExitCode.OUTPUT_NOT_WRITABLE
    assert "caf\\xe9: its name is not valid UTF-8" in capsys.readouterr().err


@pytest.fixture
def locked(here, monkeypatch) -> str:
    """A folder of which this user, whoever runs the tests, may know nothing."""
    (here / "locked").mkdir()
    (here / "locked" / "in").mkdir()
    closed = str(here / "locked" / "in")

    def deny(function):
        def asked(path, *args, **words):
            if isinstance(path, str | Path) and os.path.abspath(path).startswith(closed):
                raise PermissionError(13, "Permission denied", str(path))
            return function(path, *args, **words)

        return asked

    for name in ("stat", "lstat", "scandir", "listdir", "open", "mkdir", "unlink"):
        monkeypatch.setattr(os, name, deny(getattr(os, name)))
    monkeypatch.setattr(io, "open", deny(io.open))  # which pathlib calls
    return "locked/in"


def test_what_may_not_be_known_is_told_by_its_kind(locked, capsys):
    assert run(scans=locked) == ExitCode.NO_INPUT
    assert run(scans=f"{locked}/*.png") == ExitCode.NO_INPUT
    assert capsys.readouterr().err.count("permission denied in") == 2
    assert run(template=locked) == ExitCode.BAD_TEMPLATE
    assert run(template=f"{locked}/form.toml") == ExitCode.BAD_TEMPLATE
    assert run(output=locked) == ExitCode.OUTPUT_NOT_WRITABLE
    assert run("--resume", output=locked) == ExitCode.OUTPUT_NOT_WRITABLE
    assert run() == ExitCode.OK
    told = {
        ExitCode.NO_RESULTS: [["query", locked], ["report", locked, "--out", "r.html"]],
        ExitCode.OUTPUT_NOT_WRITABLE: [
            ["report", "out", "--out", f"{locked}/r.html"],
            ["export", "out", "--out", f"{locked}/t.csv"],
        ],
        ExitCode.NO_INPUT: [
            ["evaluate", "out", "--truth", locked],
            ["review", "out", "--scans", locked, "--no-browser"],
        ],
    }
    for code, commands in told.items():
        for words in commands:
            capsys.readouterr()
            assert (words, main(words)) == (words, code)
            assert locked in capsys.readouterr().err


def test_more_workers_than_any_machine_has_use_for_are_refused(here, capsys, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert run("--workers", "500") == ExitCode.USAGE
    assert "--workers 500: is more than this machine has any use for" in capsys.readouterr().err
    assert not Path("out").exists()


def test_the_live_line_is_cut_to_the_terminal(monkeypatch):
    monkeypatch.setattr("jobs.progress.LIVE_SECONDS", 0.05)
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 20, 0, 0))
    with os.fdopen(terminal, "w") as stream, ProgressDisplay(4000, stream):
        time.sleep(0.2)
        shown = os.read(controller, 1000).decode()
    os.close(controller)
    assert "\r\x1b[Kstarting on 4,000 f" in shown
    assert max(len(line.removeprefix("\x1b[K")) for line in shown.split("\r")) == 19


def test_files_of_progress_that_nobody_holds_are_deleted(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dead = tmp_path / "formscribe-progress-dead"
    young = tmp_path / "formscribe-progress-young"
    for path in (dead, young, Path(f"{dead}.stop")):
        path.touch()
    os.utime(dead, (0, 0))
    with ProgressDisplay(1, io.StringIO()) as display:
        os.utime(display.path, (0, 0))
        with ProgressDisplay(1, io.StringIO()):
            assert Path(display.path).exists()
    assert list(tmp_path.iterdir()) == [young]


@pytest.mark.parametrize("folder", ["_runs", "forms", "characters"])
def test_folders_that_only_the_end_writes_are_tried_at_the_start(here, capsys, folder):
    Path("out").mkdir()
    Path("out", folder).write_text("no folder")
    assert run() == ExitCode.OUTPUT_NOT_WRITABLE
    assert f"out/{folder}: cannot be written (Not a directory)" in capsys.readouterr().err
    assert [path.name for path in Path("out").iterdir()] == [folder]
    Path("out", folder).unlink()
    assert run() == ExitCode.OK
    assert run() == ExitCode.OK


def test_a_start_that_fails_leaves_a_run_of_the_same_name_alone(here, monkeypatch):
    lock = RunLock("out", "mine")
    assert lock.acquire()

    def fail(output):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("jobs.claiming.clear_dead_runs", fail)
    assert run("--run_id=mine") == ExitCode.OUTPUT_NOT_WRITABLE
    assert [path.name for path in Path("out").rglob("*") if path.is_file()] == ["_owner.json"]
    lock.release()


def test_a_template_that_reads_badly_is_told_of(here, capsys):
    one_box = TEMPLATE_TOML.split(b"[[field]]", 2)[0]
    Path("lost.toml").write_bytes(one_box + b'[[field]]\nname = "number"\nbox = [10, 10, 100, 20]\n')
    assert main(["template", "check", "lost.toml"]) == ExitCode.BAD_TEMPLATE
    (problem,) = capsys.readouterr().out.splitlines()
    assert run(template="lost.toml") == ExitCode.OK
    assert capsys.readouterr().err.splitlines()[0] == f"Warning: {problem}"
    flat = b"".join(b'[[field]]\nname = "f%d"\nbox = [0, 0, 30, 10]\n' % number for number in range(5))
    Path("flat.toml").write_bytes(one_box + flat)
    run(template="flat.toml")
    told = capsys.readouterr().err
    assert told.count("Warning: flat.toml: ") == 3
    assert "more; `formscribe template check` tells all" in told
