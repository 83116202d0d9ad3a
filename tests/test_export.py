"""`formscribe export`, and what `query` shows of what people said."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jobs.cli import main
from jobs.exit_codes import ExitCode
from review.keys import CharacterKey
from review.marks import Said
from tests.desk_folder import field, key_of, open_desk, slips, write_run


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Of three scans the fields ``a`` are a text, blank and unreadable; one ``b`` was taken back."""
    output = slips(tmp_path)
    desk = open_desk(output)
    for scan, verdict, text in (("s0", "text", "Zoë"), ("s1", "blank", None), ("s2", "unreadable", None)):
        desk.queue.answer(key_of(output, f"{scan}.png", "a"), "ann", "text", "a first guess")
        desk.queue.answer(key_of(output, f"{scan}.png", "a"), "ann", verdict, text)
    desk.queue.answer(key_of(output, "s0.png", "b"), "bob", "text", "taken back")
    desk.queue.undo(key_of(output, "s0.png", "b"), "bob")
    desk.marks.save("bob", [Said(CharacterKey(key_of(output, "s0.png", "c"), 0), "label", "1")])
    desk.close()
    return output


def ask(capsys, *words: str) -> list[dict]:
    code = main(["query", *words, "--format", "json"])
    captured = capsys.readouterr()
    assert code == ExitCode.OK, captured.err
    return json.loads(captured.out)


def test_query_shows_what_people_said(capsys, output):
    sql = "SELECT text, verdict, verified_text, final_text FROM fields WHERE field = 'a' ORDER BY source"
    assert ask(capsys, str(output), sql) == [
        {"text": "10", "verdict": "text", "verified_text": "Zoë", "final_text": "Zoë"},
        {"text": "11", "verdict": "blank", "verified_text": "", "final_text": ""},
        {"text": "12", "verdict": "unreadable", "verified_text": None, "final_text": None},
    ]
    rest = "SELECT DISTINCT verdict, verified_text, final_text = text AS same FROM fields WHERE field <> 'a'"
    assert ask(capsys, str(output), rest) == [{"verdict": None, "verified_text": None, "same": True}]
    history = ask(capsys, str(output), "SELECT verdict, verifier FROM corrections ORDER BY id")
    assert [row["verdict"] for row in history][-2:] == ["text", "undone"]
    assert len(history) == 8
    (mark,) = ask(capsys, str(output), "SELECT read_label, verdict, label, verifier FROM character_marks")
    assert mark == {"read_label": "7", "verdict": "label", "label": "1", "verifier": "bob"}


def test_a_field_has_one_row_in_every_run_and_under_every_name(capsys, output, tmp_path):
    shutil.copy(tmp_path / "scans" / "s0.png", tmp_path / "copy.png")
    again = [field("a", "19", 0.95, "accepted")]
    write_run(output, "run2", {str(tmp_path / "scans" / "s0.png"): again, str(tmp_path / "copy.png"): again})
    sql = "SELECT run, text, final_text FROM fields WHERE final_text = 'Zoë' ORDER BY run, source"
    assert ask(capsys, str(output), sql) == 2 * [{"run": "run2", "text": "19", "final_text": "Zoë"}]
    assert [row["run"] for row in ask(capsys, str(output), sql, "--all-runs")] == ["run1", "run2", "run2"]
    assert ask(capsys, str(output), "SELECT count(*) AS n FROM fields") == [{"n": 8}]


def test_without_a_database_there_is_nothing_to_join(capsys, tmp_path):
    output = slips(tmp_path, 1)
    plan = ask(capsys, str(output), "EXPLAIN SELECT final_text FROM fields")
    assert "JOIN" not in str(plan)
    sql = "SELECT verdict, verified_text, final_text FROM fields ORDER BY ordinal LIMIT 1"
    assert ask(capsys, str(output), sql) == [{"verdict": None, "verified_text": None, "final_text": "10"}]
    assert ask(capsys, str(output), "SELECT * FROM corrections") == []


def test_query_reads_sqlite_without_the_extra_and_writes_nothing(output):
    """Neither SQLAlchemy nor a folder that can be written is needed."""
    blocked = (
        "import sys\n"
        "for name in ('sqlalchemy', 'fastapi', 'alembic', 'jinja2'): sys.modules[name] = None\n"
        "from jobs.cli import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    folder = output / "_review"
    before = sorted(path.name for path in folder.iterdir())
    done = subprocess.run(
        [sys.executable, "-c", blocked, "query", str(output), "SELECT count(verified_text) FROM fields"],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=Path(__file__).resolve().parent.parent,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[2] == "2"
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_file_that_is_no_database_is_named(capsys, output):
    path = output / "_review" / "corrections.sqlite"
    path.write_bytes(b"no database" * 500)
    assert main(["query", str(output)]) == ExitCode.NO_RESULTS
    message = capsys.readouterr().err
    assert str(path) in message
    assert "cannot be read" in message


def test_export_as_parquet_and_csv(capsys, output, tmp_path):
    assert main(["export", str(output), "--out", str(tmp_path / "t.parquet")]) == ExitCode.OK
    assert capsys.readouterr().out == f"9 rows: {tmp_path / 't.parquet'}\n"
    rows = pq.read_table(tmp_path / "t.parquet").to_pylist()
    assert [(row["field"], row["final_text"], row["verifier"]) for row in rows[:3]] == [
        ("a", "Zoë", "ann"), ("b", "20", None), ("c", "70", None),
    ]  # fmt: skip
    assert rows[6]["verdict"] == "unreadable"
    assert rows[6]["final_text"] is None
    assert rows[0]["verified_at"].endswith("+00:00")
    assert len(rows[0]["sha256"]) == 64
    assert main(["export", str(output), "--out", str(tmp_path / "t.csv")]) == ExitCode.OK
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [line["final_text"] for line in lines] == [row["final_text"] or "" for row in rows]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "scans", "t.csv", "t.parquet"]


@pytest.mark.parametrize(("only", "fields"), [("all", 9), ("verified", 3), ("sure", 6)])
def test_export_only_some(output, tmp_path, only, fields):
    out = str(tmp_path / "t.parquet")
    assert main(["export", str(output), "--out", out, "--only", only]) == ExitCode.OK
    assert pq.read_table(out).num_rows == fields


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["{out}", "--out", "t.xlsx"], ExitCode.USAGE, ".parquet or .csv"),
        (["{out}", "--out", "/nowhere/t.csv"], ExitCode.OUTPUT_NOT_WRITABLE, "--out /nowhere/t.csv"),
        (["{out}/no", "--out", "t.csv"], ExitCode.NO_RESULTS, "is no folder"),
        (["{out}", "--out", "t.csv", "--run", "x"], ExitCode.NO_RESULTS, "--run x"),
        (["{out}", "--out", "t.csv", "--database", "mysql://x"], ExitCode.NO_RESULTS, "not supported"),
    ],
)
def test_what_export_says_when_it_cannot(capsys, tmp_path, words, code, said):
    output = slips(tmp_path, 1)
    assert main(["export", *[word.format(out=output) for word in words]]) == code
    assert said in capsys.readouterr().err
    assert not list(tmp_path.glob("t.*"))
