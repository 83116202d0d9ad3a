"""`formscribe query`: which runs it shows, what it refuses, and the three formats."""

import csv
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import tables
from jobs.cli import main
from jobs.exit_codes import ExitCode
from pipeline.schemas import TABLES

PAGE = {"page": 1, "field": "fld_03"}
BOX = {"box_x": 1.0, "box_y": 2.0, "box_width": 3.0, "box_height": 4.0}


def field_row(source: str, text: str, **changes) -> dict:
    row = {"source": source, **PAGE, "ordinal": 3, "text": text, "confidence": 0.95, "status": "accepted"}
    row |= {"charset": "digits", **BOX, "ink_ratio": 0.1, "runners_up": [{"text": "7", "confidence": 0.03}]}
    return row | changes


def form_row(source: str) -> dict:
    row = dict.fromkeys(TABLES["forms"].names, 0)
    texts = ("sha256", "status", "template", "template_sha256", "model_sha256")
    return row | dict.fromkeys(texts, "x") | {"source": source, "page": 1, "transform": [1.0] * 6}


def failure_row(source: str) -> dict:
    return {
        "source": source,
        "page": None,
        "sha256": None,
        "stage": "open",
        "code": "gone",
        "message": "away",
    }


def write_run(output: Path, run: str, finished: str | None, fields=(), failures=()) -> None:
    """A run as the job writes it; without its record if ``finished`` is None."""
    rows = {
        "forms": [form_row(source) for source in {row["source"] for row in fields}],
        "fields": list(fields),
        "characters": [],
        "failures": list(failures),
    }
    for table, content in rows.items():
        folder = output / table / f"run={run}"
        folder.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(content, TABLES[table]), folder / "part-00000-of-00001.parquet")
    if finished is not None:
        (output / "_runs").mkdir(exist_ok=True)
        (output / "_runs" / f"{run}.json").write_text(json.dumps({"run": run, "finished": finished}))


@pytest.fixture
def output(tmp_path: Path) -> Path:
    write_run(
        tmp_path, "first", "2026-01-01T00:00:00",
        fields=[field_row("/scans/a.png", "old a"), field_row("/scans/b.png", "old b"),
                field_row("/scans/c.png", "", confidence=None, status="blank", runners_up=[])],
    )  # fmt: skip
    write_run(
        tmp_path, "second", "2026-01-02T00:00:00",
        fields=[field_row("/scans/a.png", "new a")], failures=[failure_row("/scans/b.png")],
    )  # fmt: skip
    write_run(
        tmp_path, "killed", None, fields=[field_row("/scans/a.png", "half"), field_row("/d.png", "half")]
    )
    return tmp_path


def ask(capsys, *words: str) -> str:
    code = main(["query", *words])
    captured = capsys.readouterr()
    assert code == ExitCode.OK, captured.err
    return captured.out


def rows_of(capsys, *words: str) -> list[dict]:
    return json.loads(ask(capsys, *words, "--format", "json"))


def test_a_source_shows_its_newest_complete_run(capsys, output):
    sql = "SELECT source, text, run FROM fields ORDER BY source"
    assert rows_of(capsys, str(output), sql) == [
        {"source": "/scans/a.png", "text": "new a", "run": "second"},
        {"source": "/scans/c.png", "text": "", "run": "first"},
    ]
    failures = rows_of(capsys, str(output), "SELECT source, run FROM failures")
    assert failures == [{"source": "/scans/b.png", "run": "second"}]  # its old reading is out of date
    assert len(rows_of(capsys, str(output), "SELECT * FROM forms")) == 2


def test_all_runs_and_one_run(capsys, output):
    sql = "SELECT text FROM fields ORDER BY text"
    everything = rows_of(capsys, str(output), sql, "--all-runs")
    assert [row["text"] for row in everything] == ["", "new a", "old a", "old b"]
    assert [row["text"] for row in rows_of(capsys, str(output), sql, "--run", "first")] == [
        "",
        "old a",
        "old b",
    ]


def test_a_run_that_is_not_complete_is_not_there(capsys, output):
    assert main(["query", str(output), "--run", "killed"]) == ExitCode.NO_RESULTS
    assert "There are: first, second" in capsys.readouterr().err


def test_empty_views_can_be_read(capsys, tmp_path):
    write_run(tmp_path, "only", "2026-01-01T00:00:00")
    for view in TABLES:
        assert rows_of(capsys, str(tmp_path), f"SELECT * FROM {view}") == []
    assert ask(capsys, str(tmp_path)).splitlines() == [
        "source  page  field  text  confidence  status",
        "------  ----  -----  ----  ----------  ------",
        "(0 rows)",
    ]


def test_the_overview_is_a_table(capsys, output):
    assert ask(capsys, str(output)).splitlines() == [
        "source        page  field   text   confidence  status",
        "------------  ----  ------  -----  ----------  --------",
        "/scans/a.png     1  fld_03  new a        0.95  accepted",
        "/scans/c.png     1  fld_03               NULL  blank",
        "(2 rows)",
    ]


def test_a_table_shows_only_so_many_rows(capsys, output):
    lines = ask(capsys, str(output), "SELECT * FROM range(7)", "--rows", "2").splitlines()
    assert lines[-1] == "(7 rows, 2 shown (--rows 0 shows all))"
    assert len(lines) == 2 + 2 + 1
    assert len(ask(capsys, str(output), "SELECT * FROM range(70)", "--rows", "0").splitlines()) == 73


def test_csv(capsys, output):
    sql = "SELECT text, confidence, runners_up, 'a\nb' AS lines FROM fields ORDER BY source"
    rows = list(csv.reader(io.StringIO(ask(capsys, str(output), sql, "--format", "csv"))))
    assert rows == [
        ["text", "confidence", "runners_up", "lines"],
        ["new a", "0.95", '[{"text": "7", "confidence": 0.03}]', "a\nb"],
        ["", "", "[]", "a\nb"],
    ]


def test_json_holds_bytes_and_nulls(capsys, output):
    (row,) = rows_of(capsys, str(output), "SELECT 'ab'::BLOB AS b, NULL AS n, DATE '2026-01-02' AS d")
    assert row == {"b": "YWI=", "n": None, "d": "2026-01-02"}


def test_columns_of_the_same_name_are_numbered(capsys, output):
    sql = "SELECT 1 AS status, 2 AS status, 3 AS status_1, 4 AS status"
    named = {"status": 1, "status_2": 2, "status_1": 3, "status_3": 4}
    assert rows_of(capsys, str(output), sql) == [named]
    header, _ = ask(capsys, str(output), sql, "--format", "csv").splitlines()
    assert header == "status,status_2,status_1,status_3"


def test_numbers_have_the_digits_of_their_type(capsys, output):
    sql = (
        "SELECT 134217728.0::DOUBLE AS d, 0.1::FLOAT::DOUBLE AS wide, 0.1::FLOAT AS f, "
        "134217728::FLOAT AS big, [{'a': 0.1::FLOAT, 'b': 0.1::FLOAT::DOUBLE}] AS inner"
    )
    (row,) = rows_of(capsys, str(output), sql)
    wide = 0.10000000149011612
    assert (row["d"], row["wide"], row["f"]) == (134217728.0, wide, 0.1)
    assert row["inner"] == [{"a": 0.1, "b": wide}]
    assert row["big"] == 134217728.0


def test_what_is_no_number_is_null_in_json(capsys, output):
    sql = "SELECT 'nan'::DOUBLE AS n, ['inf'::FLOAT, 1] AS many, MAP {DATE '2026-01-02': 1} AS days"
    text = ask(capsys, str(output), sql, "--format", "json")
    (row,) = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert row == {"n": None, "many": [None, 1.0], "days": {"2026-01-02": 1}}


@pytest.mark.parametrize(
    "sql",
    [
        "COPY fields TO '{folder}/x.csv'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{folder}/x.csv'",
        "SELECT 1; COPY fields TO '{folder}/x.csv'",
        "CREATE TABLE x AS SELECT 1",
        "ATTACH '{folder}/x.csv' AS x",
        "SET enable_external_access = true",
        "SELECT * FROM read_text('{folder}/secret')",
        "",
    ],
)
def test_only_reading_the_results_is_allowed(capsys, output, tmp_path, sql):
    (tmp_path / "secret").write_text("secret")
    assert main(["query", str(output), sql.format(folder=tmp_path) or " "]) == ExitCode.BAD_QUERY
    assert not (tmp_path / "x.csv").exists()
    assert "secret\n" not in capsys.readouterr().out


def test_wrong_sql_lists_views_and_columns(capsys, output):
    assert main(["query", str(output), "SELECT txt FROM fields"]) == ExitCode.BAD_QUERY
    message = capsys.readouterr().err
    assert '"txt" not found' in message
    assert "  failures: source, page, sha256, stage, code, message, run" in message


def test_errors_while_rows_are_fetched_are_told(capsys, output):
    assert main(["query", str(output), "SELECT text::INTEGER FROM fields"]) == ExitCode.BAD_QUERY
    assert "Conversion Error" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_a_folder_without_results(capsys, tmp_path, name):
    (tmp_path / "empty").mkdir()
    assert main(["query", str(tmp_path / name)]) == ExitCode.NO_RESULTS
    assert "formscribe run" in capsys.readouterr().err


def test_a_damaged_record_is_named(capsys, output):
    (output / "_runs" / "third.json").write_text("{")
    assert main(["query", str(output)]) == ExitCode.NO_RESULTS
    assert "third.json: is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["query", "review", "export"])
def test_a_damaged_table_is_named(capsys, output, command):
    for path in output.glob("fields/*/*.parquet"):
        path.write_bytes(b"")
    words = [command, str(output)] + (["--out", str(output / "x.csv")] if command == "export" else [])
    assert main(words) == ExitCode.NO_RESULTS
    said = capsys.readouterr().err
    assert str(output / "fields") in said
    assert "gone or damaged" in said


def test_folders_with_quotes_in_their_names(capsys, tmp_path):
    write_run(tmp_path / "o'clock", "only", "2026-01-01T00:00:00", fields=[field_row("/a", "1")])
    assert len(rows_of(capsys, str(tmp_path / "o'clock"))) == 1


@pytest.mark.parametrize("name", ["run=5/out", "source=hsf/page=7/out", "filename=x/out"])
def test_folders_above_the_results_name_no_columns(capsys, tmp_path, name):
    output = tmp_path / name
    write_run(output, "0012", "2026-01-01T00:00:00", fields=[field_row("/a", "1"), field_row("/b", "2")])
    write_run(output, "0013", "2026-01-02T00:00:00", fields=[field_row("/b", "3")])
    rows = rows_of(capsys, str(output), "SELECT source, page, text, run FROM fields ORDER BY source")
    assert [tuple(row.values()) for row in rows] == [("/a", 1, "1", "0012"), ("/b", 1, "3", "0013")]
    named = [row["column_name"] for row in rows_of(capsys, str(output), "DESCRIBE failures")]
    assert named == [*TABLES["failures"].names, "run"]


@pytest.mark.parametrize(
    ("natural", "room", "widths"),
    [([5, 5], 80, [5, 5]), ([40, 8], 30, [20, 8]), ([9, 9, 9], 10, [6, 6, 6])],
)
def test_widths_fit_the_terminal(natural, room, widths):
    assert tables.fit_widths(natural, room) == widths


def test_of_a_path_the_end_is_kept():
    assert tables.shorten("/a/very/long/path.png", 10, keep_end=True) == "…/path.png"
    assert tables.shorten("a long text", 6) == "a lon…"
    assert tables.shorten("short", 6) == "short"


@pytest.mark.parametrize("name", ["second.json", ""])
def test_a_record_that_may_not_be_read_is_not_called_damaged(output, capsys, monkeypatch, name):
    denied = PermissionError(13, "Permission denied", str(output / "_runs"))
    reading, listing = Path.read_text, Path.iterdir

    def read_text(path, *args, **words):
        if path.name == name:
            raise denied
        return reading(path, *args, **words)

    def iterdir(path):
        if path.name == "_runs" and not name:
            raise denied
        return listing(path)

    monkeypatch.setattr(Path, "read_text", read_text)
    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert main(["query", str(output)]) == ExitCode.NO_RESULTS
    told = capsys.readouterr().err
    assert f"{name or '_runs'}: cannot be read (Permission denied)" in told
    assert "damaged" not in told
    assert "elete" not in told


def test_a_table_shows_what_would_steer_the_terminal(capsys, tmp_path):
    name = "/scans/\x1b[2J\x9b\u202egnp.a\tb\\c\nd.png"
    write_run(tmp_path, "only", "2026-01-01T00:00:00", fields=[field_row(name, "1")])
    assert main(["query", str(tmp_path), 'SELECT source AS "\x1bsource" FROM fields']) == ExitCode.OK
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "\\x1bsource"
    assert "/scans/\\x1b[2J\\x9b\\u202egnp.a\\tb\\\\c\\nd.png" in out
    main(["query", str(tmp_path), "SELECT source FROM fields", "--format", "json"])
    assert json.loads(capsys.readouterr().out) == [{"source": name}]  # data stay as they are
    assert main(["query", f"{tmp_path}/\x1b[2J"]) == ExitCode.NO_RESULTS
    assert "/\\x1b[2J: is no folder" in capsys.readouterr().err


def test_the_failure_of_a_folder_goes_once_files_of_it_were_read(capsys, tmp_path):
    sources = ["/scans/a", "/scans/b", "gs://b/scans/", "gs://b/*.png", "gs://b/*.tif", "/scans/late"]
    files = ["/scans/a/1.png", "gs://b/scans/2.png", "gs://b/3.png", "/scans/b c/4.png", "/scans/b.png"]
    write_run(tmp_path, "0", "2026-01-01", fields=[field_row("/scans/late/5.png", "1")])
    write_run(
        tmp_path, "1", "2026-01-02",
        failures=[failure_row(source) | {"code": "no_match" if "*" in source else "permission_denied"}
                  for source in sources],
    )  # fmt: skip
    write_run(tmp_path, "2", "2026-01-03", fields=[field_row(file, "1") for file in files])
    (shown, every) = (
        rows_of(capsys, str(tmp_path), "SELECT source FROM failures ORDER BY source", *more)
        for more in ([], ["--all-runs"])
    )
    assert [row["source"] for row in shown] == ["/scans/b", "/scans/late", "gs://b/*.tif"]
    assert len(every) == len(sources)


def test_csv_tells_an_empty_text_from_null(capsys, output):
    sql = "SELECT NULL AS a, '' AS b, 'x,\"y' AS c, 'two\nlines' AS d, [1, NULL] AS e, 1.5 AS f, NULL AS g"
    assert ask(capsys, str(output), sql, "--format", "csv") == (
        'a,b,c,d,e,f,g\n,"","x,""y","two\nlines","[1, null]",1.5,\n'
    )
    assert ask(capsys, str(output), "SELECT NULL AS a", "--format", "csv") == 'a\n""\n'


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (
            ["export", "gs://b/out", "--out", "x.csv"],
            ExitCode.NO_RESULTS,
            "gs://b/out: `formscribe export` works",
        ),
        (["export", "s3://b/out", "--crops", "x.npz"], ExitCode.NO_RESULTS, "Copy the output first"),
        (["review", "gs://b/out"], ExitCode.NO_RESULTS, "gs://b/out: `formscribe review` works"),
        (
            ["export", "out", "--out", "gs://b/x.csv"],
            ExitCode.OUTPUT_NOT_WRITABLE,
            "--out gs://b/x.csv: name",
        ),
        (["export", "out", "--crops", "gs://b/x.npz"], ExitCode.OUTPUT_NOT_WRITABLE, "--crops gs://b/x.npz"),
    ],
)
def test_commands_for_local_folders_say_so_of_buckets(capsys, words, code, told):
    assert main(words) == code
    assert told in capsys.readouterr().err
