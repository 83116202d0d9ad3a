"""Object stores on this machine, and what must hold for a run whose input and output lie in one."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from pipeline_fakes import STAGES, TEMPLATE_TOML

import jobs.run
from jobs import remote_lock
from jobs.cli import main
from jobs.exit_codes import ExitCode
from jobs.remote_lock import RemoteRunLock, clear_dead_remote_runs
from jobs.run_lock import OWNER
from pipeline import inputs, remote, writing
from pipeline.matching import match_files

SAMPLES = Path(__file__).resolve().parent.parent / "sample_forms"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def forget_stores(monkeypatch) -> None:
    """What a process remembers of its stores, so that the next test starts anew."""
    from apache_beam.internal.gcp import auth
    from apache_beam.io.filesystems import FileSystems

    monkeypatch.setattr(FileSystems, "_pipeline_options", None)
    monkeypatch.setattr(auth._Credentials, "_credentials_init", False)
    monkeypatch.setattr(auth._Credentials, "_credentials", None)
    for name in (
        "GOOGLE_APPLICATION_CREDENTIALS",
        "STORAGE_EMULATOR_HOST",
        "AWS_PROFILE",
        "AWS_ENDPOINT_URL",
    ):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("FORMSCRIBE_STORE_FLAGS", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")


class Denying(BaseHTTPRequestHandler):
    """A store that answers, but not to this user."""

    def answer(self) -> None:
        body = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_HEAD = do_PUT = answer  # noqa: N815

    def log_message(self, *words) -> None:
        """Says nothing."""


@pytest.fixture
def denying() -> Iterator[str]:
    server = ThreadingHTTPServer(("localhost", 0), Denying)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()


class RemoteCases:
    """The tests of one store; a subclass says which, and its fixture ``store`` gives an empty bucket.

    A store has ``top`` (such as gs://bucket), ``put(name, content)``, ``get(name)``, ``names(prefix)``, and
    ``point_at(url)``, which lets the process take another server for it.
    """

    scheme: ClassVar[str]
    odd_names: ClassVar[tuple[str, ...]] = ("with space", "ümläut", "a[1]", "a*b", "x#y", "50%25", "q?x")

    @pytest.fixture
    def here(self, store, tmp_path, monkeypatch):
        """A folder with a template, and a bucket with scans."""
        (tmp_path / "tiny.toml").write_bytes(TEMPLATE_TOML)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(jobs.run, "real_stages", lambda options: STAGES)
        monkeypatch.setattr(jobs.run, "model_sha256", lambda path: "f" * 64)
        for name, kinds in {"a": "good doubtful nan", "b": "good", "deep/c": "undecodable"}.items():
            store.put(f"scans/{name}.png", f"FORM {kinds}".encode())
        store.put("scans/notes.txt", b"no scan")
        store.put("scans/empty.tif", b"")
        return store

    def run(self, store, *words, run_id="one", code=ExitCode.OK) -> dict:
        """The record of a run; None if it must fail."""
        named = {"--input": f"{store.top}/scans/", "--output": f"{store.top}/out", "--template": "tiny.toml"}
        given = [word for word in words if word.startswith("--")]
        kept = [part for flag, value in named.items() if flag not in given for part in (flag, value)]
        assert main(["run", *kept, "--run_id", run_id, *words]) == code
        return json.loads(store.get(f"out/_runs/{run_id}.json")) if code == ExitCode.OK else None

    def query(self, store, capsys, sql, *words) -> list[dict]:
        capsys.readouterr()
        assert main(["query", f"{store.top}/out", sql, "--format", "json", *words]) == ExitCode.OK
        return json.loads(capsys.readouterr().out)

    def test_a_run_is_whole_and_leaves_nothing_else(self, here, capsys):
        record = self.run(here)
        assert (record["pages_in"], record["forms"], record["failures"]) == (6, 3, 3)
        assert record["failure_codes"] == {"not_an_image": 1, "invalid_model_output": 1, "truncated": 1}
        folders = {name.rpartition("/")[0] for name in here.names("out/")}
        assert folders == {"out/_runs"} | {
            f"out/{table}/run=one" for table in ("forms", "fields", "characters", "failures")
        }
        sources = self.query(here, capsys, "SELECT source FROM forms ORDER BY ALL")
        assert sources[0] == {"source": f"{here.top}/scans/a.png"}

    @pytest.mark.parametrize(
        ("named", "pages"),
        [
            (["scans"], 6),
            (["scans/b.png"], 1),
            (["scans/*.png"], 4),
            (["scans/**/*.png"], 5),
            (["scans/*.{png,tif}", "scans/deep/", "scans/b.png"], 6),
        ],
    )
    def test_inputs_are_files_folders_and_patterns(self, here, named, pages):
        assert self.run(here, "--input", *(f"{here.top}/{name}" for name in named))["pages_in"] == pages

    def test_odd_names(self, here):
        for name in self.odd_names:
            here.put(f"odd/{name}.png", b"FORM good")
        assert self.run(here, "--input", f"{here.top}/odd")["forms"] == len(self.odd_names)
        assert self.run(here, "--input", f"{here.top}/odd/a[1].png", run_id="two")["forms"] == 1

    def test_the_record_is_written_last(self, here, monkeypatch):
        renamed = []
        rename = writing.FileSystems.rename
        monkeypatch.setattr(
            writing.FileSystems, "rename", lambda old, new: (renamed.extend(new), rename(old, new))[1]
        )
        self.run(here)
        assert len(renamed) == 5
        assert renamed[-1] == f"{here.top}/out/_runs/one.json"

    def test_a_run_that_fails_leaves_nothing(self, here, monkeypatch, capsys):
        def fail(*args):
            raise OSError(28, "No space left")

        monkeypatch.setattr(writing, "_write_record", fail)
        self.run(here, code=ExitCode.JOB_FAILED)
        assert here.names("out/") == []
        assert "nothing of it is visible" in capsys.readouterr().err

    def test_doing_the_last_step_twice_is_as_good_as_once(self, here, monkeypatch):
        commit = writing.commit_run

        def twice(*args):
            commit(*args)
            return commit(*args)

        monkeypatch.setattr("pipeline.transforms.commit_run", twice)
        self.run(here)
        assert len(here.names("out/forms/")) == 1

    def test_a_file_that_goes_away_is_a_failure(self, here, monkeypatch, capsys):
        gone = f"{here.top}/scans/gone.png"
        monkeypatch.setattr(inputs, "match_files", lambda pattern: [*match_files(pattern), gone])
        assert self.run(here)["failures"] == 4
        rows = self.query(
            here, capsys, "SELECT code, stage, message FROM failures WHERE source LIKE '%gone.png'"
        )
        assert [(row["code"], row["stage"]) for row in rows] == [("file_not_found", "open")]

    def test_a_name_is_taken_once(self, here, capsys):
        self.run(here)
        self.run(here, code=ExitCode.USAGE)
        here.put(f"out/_temp/run=two/{OWNER}", b"{}")
        self.run(here, run_id="two", code=ExitCode.USAGE)
        assert "--run_id two: is in" in capsys.readouterr().err
        here.put("out/forms/run=three/part.parquet", b"of a run that died between tables and record")
        self.run(here, run_id="three", code=ExitCode.USAGE)

    def test_what_dead_runs_left_is_cleared(self, here, monkeypatch, capsys):
        self.run(here)
        before = here.names("out/")
        left = [f"out/_temp/run=dead/{OWNER}", "out/_temp/run=dead/x.parquet", "out/forms/run=dead/p.parquet"]
        for name in [*left, "out/_temp/run=one/late.parquet"]:
            here.put(name, b"x")
        self.run(here, run_id="two")
        assert set(left) <= set(here.names("out/"))  # it may be alive: touched less than a day ago
        monkeypatch.setattr(remote_lock, "DEAD_AFTER_SECONDS", -3600.0)
        self.run(here, run_id="three")
        assert "what run dead had left" in capsys.readouterr().err
        kept = [name for name in here.names("out/") if "two" not in name and "three" not in name]
        assert kept == before

    def test_a_living_run_shows_it(self, here, monkeypatch):
        self.run(here)  # sets the store up for this process
        lock = RemoteRunLock(f"{here.top}/out", "two")
        owner = f"out/_temp/run=two/{OWNER}"
        assert lock.acquire()
        assert not RemoteRunLock(f"{here.top}/out", "two").acquire()
        here.put(owner, b"old")
        lock.beat()
        assert here.get(owner) == b"old"  # not yet
        monkeypatch.setattr(remote_lock, "BEAT_SECONDS", 0)
        lock.beat()
        assert b"pid" in here.get(owner)
        remote.delete_below(f"{here.top}/out/_temp/run=two")
        lock.beat()  # the run has become visible
        assert here.names("out/_temp/") == []
        lock.release()
        again = RemoteRunLock(f"{here.top}/out", "two")
        assert again.acquire()
        again.release()
        assert here.names("out/_temp/") == []
        assert clear_dead_remote_runs(f"{here.top}/out") == []

    def test_resume_reads_only_what_is_new(self, here, capsys):
        self.run(here)
        time.sleep(1.1)  # records sort by the time at which a run ended
        here.put("scans/b.png", b"FORM good good")
        here.put("scans/new.png", b"FORM good")
        record = self.run(here, "--resume", run_id="two")
        assert record["skipped"] == {"files": 2, "pages": 2}  # empty.tif and deep/c.png
        assert record["pages_in"] == 6  # a.png has a failure that may not happen again
        newest = self.query(here, capsys, "SELECT source, run FROM forms ORDER BY ALL")
        assert {row["run"] for row in newest} == {"two"}
        assert len(newest) == 5
        only = self.query(here, capsys, "SELECT DISTINCT run FROM forms", "--run", "one")
        assert only == [{"run": "one"}]
        every = self.query(here, capsys, "SELECT DISTINCT run FROM forms ORDER BY ALL", "--all-runs")
        assert [row["run"] for row in every] == ["one", "two"]

    def test_a_question_fetches_the_tables_it_names(self, here, capsys, monkeypatch, tmp_path):
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        monkeypatch.setattr("tempfile.tempdir", None)
        self.run(here)
        assert main(["query", f"{here.top}/out"]) == ExitCode.OK
        assert "fetched 3 files" in capsys.readouterr().err  # forms, failures, fields
        assert self.query(here, capsys, "SELECT count(*) AS n FROM characters")[0]["n"] > 0
        assert len(self.query(here, capsys, "DESCRIBE characters")) > 5
        assert not list(tmp_path.glob("formscribe-results-*"))

    def test_questions_without_an_answer(self, here, capsys):
        self.run(here)
        assert main(["query", f"{here.top}/nothing"]) == ExitCode.NO_RESULTS
        assert "holds no complete run" in capsys.readouterr().err
        assert main(["query", f"{here.top}/out", "--run", "nine"]) == ExitCode.NO_RESULTS
        assert f"is no complete run of {here.top}/out. There are: one." in capsys.readouterr().err
        here.put("out/_runs/bad.json", b"{")
        assert main(["query", f"{here.top}/out"]) == ExitCode.NO_RESULTS
        assert "bad.json: is damaged" in capsys.readouterr().err

    def test_results_that_do_not_fit_are_not_fetched(self, here, capsys, monkeypatch):
        self.run(here)
        monkeypatch.setattr("jobs.remote_results.SPARE_BYTES", 10**18)
        assert main(["query", f"{here.top}/out"]) == ExitCode.NO_RESULTS
        assert "TMPDIR" in capsys.readouterr().err

    def test_a_template_may_lie_in_a_bucket(self, here):
        here.put("forms/tiny.toml", TEMPLATE_TOML)
        assert self.run(here, "--template", f"{here.top}/forms/tiny.toml")["forms"] == 3
        self.run(here, "--template", f"{here.top}/forms/no.toml", run_id="two", code=ExitCode.BAD_TEMPLATE)

    def test_a_real_page_is_read_compared_and_drawn(self, store, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        store.put("scans/form_0007.tif", (SAMPLES / "hsf" / "form_0007.tif").read_bytes())
        assert self.run(store, "--template", "hsf")["forms"] == 1
        words = [f"{store.top}/out", "--truth", str(SAMPLES / "hsf"), "--worst", "worst.png"]
        assert main(["evaluate", *words]) == ExitCode.OK
        assert "pages 1" in capsys.readouterr().out
        scan = f"{store.top}/scans/form_0007.tif"
        assert main(["preview", scan, "--template", "hsf", "--out", "o.png"]) == ExitCode.OK
        assert main(["preview", f"{scan}f", "--template", "hsf", "--out", "o.png"]) == ExitCode.NO_INPUT
        assert f"{scan}f: cannot be opened (" in capsys.readouterr().err
        assert Path("worst.png").stat().st_size > 1000
        assert Path("o.png").stat().st_size > 1000

    @pytest.mark.parametrize(
        ("flag", "place", "code", "told"),
        [
            ("--input", "{top}/none/", ExitCode.NO_INPUT, "no file matches"),
            (
                "--input",
                "{scheme}://nobucket/scans/",
                ExitCode.NO_INPUT,
                "there is no bucket {scheme}://nobucket",
            ),
            ("--output", "{scheme}://nobucket/out", ExitCode.OUTPUT_NOT_WRITABLE, "there is no bucket"),
            ("--input", "{scheme}://", ExitCode.NO_INPUT, "names no bucket"),
            ("--input", "sftp://host/x", ExitCode.NO_INPUT, "sftp:// is no file system that is installed"),
            ("--model", "{top}/m.tflite", ExitCode.BAD_MODEL, "name a file of this machine"),
        ],
    )
    def test_places_that_cannot_be(self, here, flag, place, code, told, capsys):
        names = {"top": here.top, "scheme": self.scheme}
        self.run(here, flag, place.format(**names), code=code)
        assert told.format(**names) in capsys.readouterr().err
        assert here.names("out/") == []

    def test_a_store_that_denies(self, here, denying, capsys):
        here.point_at(denying)
        self.run(here, code=ExitCode.NO_INPUT)
        assert f"access to {here.top} is denied" in capsys.readouterr().err
        local = ["--input", str(SAMPLES / "hsf")]
        self.run(here, *local, code=ExitCode.OUTPUT_NOT_WRITABLE)
        assert main(["query", f"{here.top}/out"]) == ExitCode.NO_RESULTS

    def test_a_store_that_is_not_there(self, here, capsys):
        here.point_at(f"http://localhost:{free_port()}")
        start = time.monotonic()
        self.run(here, code=ExitCode.NO_INPUT)
        assert "does not answer" in capsys.readouterr().err
        assert time.monotonic() - start < 60  # Beam alone would try for minutes

    def test_missing_packages_are_named(self, here, monkeypatch, capsys):
        monkeypatch.setattr("pipeline.remote_access._is_installed", lambda module: False)
        self.run(here, code=ExitCode.NO_INPUT)
        extra = {"gs": "gcp", "s3": "aws"}[self.scheme]
        assert f"pip install '.[{extra}]'" in capsys.readouterr().err
