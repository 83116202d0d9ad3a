"""``--resume``: what is read again, what is not, and that `query` then shows each page once."""

import json
import shutil
from pathlib import Path

import pytest
from pipeline_fakes import STAGES, TEMPLATE_TOML, options_for, write_forms

import jobs.run
from jobs.cli import main
from jobs.exit_codes import ExitCode
from pipeline.records import FileToRead
from pipeline.resume import BAD_NAME, EarlierReading, file_to_read, read_alike

OLD = EarlierReading(place=0, same=True, sha256="a", pages=2, transient=False)


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    write_forms(tmp_path / "scans", a="good doubtful nan", b="good", c="undecodable")
    (tmp_path / "tiny.toml").write_bytes(TEMPLATE_TOML)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(jobs.run, "real_stages", lambda options: STAGES)
    monkeypatch.setattr(jobs.run, "model_sha256", lambda path: "f" * 64)
    return tmp_path


def run(run_id: str, *words: str) -> dict:
    """The record of a run over the folder."""
    named = ["--input", "scans", "--output", "out", "--template", "tiny.toml", "--run_id", run_id]
    assert main(["run", *named, *words]) in (ExitCode.OK, ExitCode.ALL_PAGES_FAILED)
    return json.loads(Path("out/_runs", f"{run_id}.json").read_text())


def query(capsys, sql: str) -> list[dict]:
    capsys.readouterr()
    assert main(["query", "out", sql, "--format", "json"]) == ExitCode.OK
    return json.loads(capsys.readouterr().out)


PAGES = """
    SELECT parse_filename(source) AS file, page, run FROM forms
    UNION ALL SELECT parse_filename(source), page, run FROM failures ORDER BY ALL
"""


def test_a_nightly_run_costs_only_the_new_pages(here, capsys):
    write_forms(here / "scans", a="good doubtful")
    run("monday")
    write_forms(here / "scans", d="good good")
    tuesday = run("tuesday", "--resume")
    assert (tuesday["pages_in"], tuesday["forms"]) == (2, 2)
    assert tuesday["skipped"] == {"files": 3, "pages": 4}
    assert "3 files, 4 pages skipped" in capsys.readouterr().out
    wednesday = run("wednesday", "--resume")
    assert (wednesday["pages_in"], wednesday["skipped"]) == (0, {"files": 4, "pages": 6})
    assert query(capsys, PAGES) == [
        {"file": "a.png", "page": 1, "run": "monday"},
        {"file": "a.png", "page": 2, "run": "monday"},
        {"file": "b.png", "page": 1, "run": "monday"},
        {"file": "c.png", "page": 1, "run": "monday"},
        {"file": "d.png", "page": 1, "run": "tuesday"},
        {"file": "d.png", "page": 2, "run": "tuesday"},
    ]


def test_a_file_that_has_changed_is_read_again(here, capsys):
    run("old")
    write_forms(here / "scans", b="good good", c="good")
    assert run("new", "--resume")["pages_in"] == 3 + 2 + 1  # a has a page that the model failed on
    assert {(row["file"], row["run"]) for row in query(capsys, PAGES)} == {
        ("a.png", "new"),
        ("b.png", "new"),
        ("c.png", "new"),
    }
    assert query(capsys, "SELECT count(*) AS n FROM failures") == [{"n": 1}]


def test_what_may_go_well_the_next_time_is_tried_again(here):
    run("first")
    again = run("second", "--resume")
    assert (again["pages_in"], again["skipped"]) == (3, {"files": 2, "pages": 2})  # c stays undecodable


@pytest.mark.parametrize("flag", ["--min_confidence=0.5", "--max_pixels=7", "--max_pages_per_file=9"])
def test_other_options_read_everything_again(here, flag):
    run("first")
    assert run("second", "--resume", flag)["skipped"]["files"] == 0


def test_another_template_or_model_reads_everything_again(here, monkeypatch):
    run("first")
    monkeypatch.setattr(jobs.run, "model_sha256", lambda path: "e" * 64)
    assert run("second", "--resume")["skipped"]["files"] == 0
    (here / "tiny.toml").write_bytes(TEMPLATE_TOML.replace(b"length = 2", b"length = 3"))
    assert run("third", "--resume")["skipped"]["files"] == 0


def test_only_the_newest_run_of_a_file_counts(here, monkeypatch):
    run("first")
    with monkeypatch.context() as patch:
        patch.setattr(jobs.run, "model_sha256", lambda path: "e" * 64)
        run("other-model")
    assert run("third", "--resume")["skipped"]["files"] == 0  # else query would show the other model's rows


def test_a_run_that_is_not_complete_does_not_count(here):
    run("first")
    Path("out/_runs/first.json").unlink()
    assert run("second", "--resume")["skipped"]["files"] == 0


def test_a_copy_is_another_file(here, capsys):
    run("first")
    shutil.copy("scans/b.png", "scans/copy.png")
    assert run("second", "--resume")["pages_in"] == 3 + 1
    assert {"copy.png"} <= {row["file"] for row in query(capsys, PAGES)}


def test_a_damaged_record_is_named(here, capsys):
    run("first")
    Path("out/_runs/bad.json").write_text("{")
    words = ["--input", "scans", "--output", "out", "--template", "tiny.toml", "--resume"]
    assert main(["run", *words]) == ExitCode.NO_RESULTS
    assert "bad.json: is damaged" in capsys.readouterr().err
    assert not Path("out/_temp").exists()


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ([None], [FileToRead("s")]),
        ([None, None], [FileToRead("s")]),
        ([OLD], []),  # no input means it any more
        ([None, OLD], [FileToRead("s", "a", 2)]),
        ([OLD, None, OLD._replace(pages=1)], [FileToRead("s", "a", 3)]),  # of two output files
        ([None, OLD, OLD._replace(place=1, sha256="b")], [FileToRead("s", "b", 2)]),
        ([None, OLD, OLD._replace(place=1, same=False)], [FileToRead("s")]),
        ([None, OLD, OLD._replace(transient=True)], [FileToRead("s")]),
        ([BAD_NAME, OLD], [FileToRead("s", bad_name=True)]),
        ([BAD_NAME, None, OLD], [FileToRead("s", bad_name=True), FileToRead("s", "a", 2)]),
        ([None, OLD._replace(sha256=None)], [FileToRead("s", None, 2)]),  # never equal to a hash
    ],
)
def test_which_hash_a_file_may_be_left_out_at(readings, expected):
    assert list(file_to_read("s", readings)) == expected


def test_records_of_older_versions_can_be_compared(tmp_path):
    options = options_for(tmp_path, tmp_path)
    record = {
        "templates": {"tiny": options.template.sha256},
        "model_sha256": options.model_sha256,
        "options": {"min_confidence": options.min_confidence, "max_pixels": options.max_pixels},
    }
    assert read_alike(record, options)
    assert not read_alike({**record, "model_sha256": "other"}, options)
    assert not read_alike({}, options)
