"""`formscribe report`: what stands in the page, that data never become markup, and what goes wrong."""

import base64
import hashlib
import io
import json
import re
import sqlite3
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_evaluate_forms import character_row, field_row, form_row, scored, write_run, write_truth
from test_walls import modules_loaded_by

from jobs.cli import main
from jobs.exit_codes import ExitCode
from jobs.report_charts import confidence_histogram, reliability_diagram, wilson_interval
from jobs.report_examples import worst_first
from jobs.report_html import Html, data_text, element, escape, percent, table
from jobs.report_pictures import MOST_BYTES, Budget, data_address
from jobs.report_remedies import REMEDIES

ROOT = Path(__file__).resolve().parent.parent
EVIL = "<script>alert(1)</script>"
ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "header", "nav", "main", "section", "div", "p"),
    *("span", "b", "u", "a", "bdi", "code", "strong", "h1", "h2", "h3", "ul", "ol", "li", "table", "caption"),
    *("thead", "tbody", "tr", "th", "td", "figure", "figcaption", "img"),
    *("svg", "line", "rect", "circle", "text"),
}  # fmt: skip
VOID = ("meta", "img")


class Page(HTMLParser):
    """A report taken apart: it must be well nested, and hold nothing that runs or is fetched."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.words: list[str] = []
        self.parts: dict[str, list[str]] = {}
        self.feed(markup)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert tag in ALLOWED, tag
        self.tags.append((tag, dict(attrs)))
        if tag == "section":
            self.parts[dict(attrs)["id"]] = []
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), name
            assert name not in ("src", "href") or value.startswith(("data:image/", "#")), value

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)
        if "section" in self.open:
            self.parts[self.sections[-1]].append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def part(self, identifier: str) -> str:
        """The text of one section."""
        return " ".join(" ".join(self.parts[identifier]).split())

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def sections(self) -> list[str]:
        return [attributes["id"] for attributes in self.all("section")]


def report(capsys, output: Path, *words: object) -> Page:
    """Runs the command as a user does; gives the page."""
    target = output.parent / "report.html"
    code = main(["report", str(output), "--out", str(target), *map(str, words)])
    captured = capsys.readouterr()
    assert code == ExitCode.OK, captured.err
    assert captured.out.startswith(f"report: {target} (")
    return Page(target.read_text("utf-8"))


def fails(capsys, *words: object) -> tuple[int, str]:
    code = main(["report", *map(str, words)])
    return code, capsys.readouterr().err


def failure(source: str, code: str = "truncated", page: int | None = None) -> dict:
    message = f"torn {source}: copy it again."
    row = {"source": source, "page": page, "sha256": None, "stage": "decode", "message": message}
    return row | {"code": code}


def form(source: str, fields: list[dict], sha256: str = "x", **changes) -> dict:
    """A page whose counts are those of its fields."""
    counts = {
        f"fields_{s}": sum(row["status"] == s for row in fields) for s in ("accepted", "review", "blank")
    }
    row = form_row(source, sha256) | counts | {"fields": len(fields), "width": 200, "height": 100}
    return row | {"characters": sum(len(one["text"]) for one in fields)} | changes


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Two pages, one of them with its scan, and one file that failed."""
    scan = tmp_path / "scans" / "a.png"
    scan.parent.mkdir()
    Image.fromarray(np.full((100, 200), 150, np.uint8)).save(scan)
    a, b = str(scan), str(tmp_path / "scans" / "b.png")
    fields = [
        field_row(a, "n", "12"),
        field_row(a, "m", "345", 0.5, runners_up=[{"text": "346", "confidence": 0.2}]),
        field_row(a, "up", "AB", 0.97, charset="upper"),
        field_row(a, "void", "", None),
        field_row(b, "n", "9", 0.7),
    ]
    of_a = [row for row in fields if row["source"] == a]
    forms = [
        form(a, of_a, hashlib.sha256(scan.read_bytes()).hexdigest(), decode_ms=10.0),
        form(b, fields[4:], decode_ms=30.0),
    ]
    characters = [character_row(b, "n", 70) | {"label": "9", "confidence": 0.4}]
    write_run(tmp_path / "out", fields, forms, [failure(str(scan.parent / "c.png"))], characters, run="r1")
    record = tmp_path / "out" / "_runs" / "r1.json"
    content = json.loads(record.read_text()) | {
        "version": "0.1.0",
        "started": "2026-01-31T23:00:00+00:00",
        "finished": "2026-01-31T23:59:00+00:00",
        "seconds": 12.5,
        "pages_per_second": 0.24,
        "pages_in": 3,
        "templates": {"tiny": "aaaa"},
        "model_sha256": "bbbb",
        "options": {"min_confidence": 0.9, "max_error_rate": None, "inputs": ["scans"]},
    }
    record.write_text(json.dumps(content))
    write_truth(tmp_path / "truth", "a.png", n="12", m="3145", up="AX", void="")
    return tmp_path / "out"


def test_a_report_without_truth(capsys, output):
    page = report(capsys, output)
    assert page.sections == [
        *("totals", "attention", "confidence", "examples", "pages", "fields", "failures", "parameters")
    ]
    links = [one["href"] for one in page.all("a")]
    assert all(f"#{name}" in links for name in page.sections)
    for words in (
        "2 pages of 2 files, 1 run",
        "2 pages read 1 could not be read 5 fields 40.0 % of fields accepted 8 characters",
        "1 file or page could not be read",
        "2 fields on 2 pages should be looked at",
        "decode: make pixels of the file 20.0 ms 20.0 ms",
        "r1 2026-01-31 23:00 UTC 12.5 s 3 0.24",
        "What to do: copy or scan it again.",
        "c.png : torn",
        "template tiny , SHA-256 aaaa",
        "model, SHA-256 bbbb",
        "option max_error_rate not set",
    ):
        assert words in page.text
    assert "accuracy" not in page.sections


def test_the_most_doubtful_fields_come_first_with_their_pictures(capsys, output):
    page = report(capsys, output)
    text = page.part("examples")
    assert 0 < text.index("or 346") < text.index("to review 50.0 % · m of a.png") < text.index("n of b.png")
    pictures = [one for one in page.all("img") if one["alt"].startswith("Field")]
    assert [one["alt"] for one in pictures] == [
        "Field m of a.png, page 1",
        "Field n of b.png, page 1, put together from its characters",
    ]
    from_scan, joined = (pixels(one["src"]) for one in pictures)
    assert (from_scan == 150).mean() > 0.9
    assert (joined == 185).all()
    assert "1 picture is put together from the characters" in page.text
    assert "1 page is not shown" in page.text


def pixels(address: str) -> np.ndarray:
    content = base64.b64decode(address.partition(",")[2])
    return np.array(Image.open(io.BytesIO(content)).convert("L"))


def test_a_page_is_drawn_with_its_boxes(capsys, output):
    page = report(capsys, output)
    (picture,) = [one for one in page.all("img") if one["alt"].startswith("Page")]
    assert picture["alt"] == (
        "Page 1 of a.png with a box around each field: 2 accepted, 1 to review, 1 blank"
    )
    content = base64.b64decode(picture["src"].partition(",")[2])
    image = Image.open(io.BytesIO(content)).convert("RGB")
    assert image.size == (200, 100)
    assert image.getpixel((190, 90)) == (150, 150, 150)
    assert image.getpixel((10, 30)) != (150, 150, 150)  # the left edge of the boxes
    assert [one for one in report(capsys, output, "--pages", 0).all("img") if "box" in one["alt"]] == []


def test_a_report_with_truth(capsys, output):
    page = report(capsys, output, "--truth", output.parent / "truth")
    assert {"accuracy", "confusions"} <= set(page.sections)
    for words in (
        "Compared with the truth: 4 fields of 1 page.",
        "digits 2 1 50.0 % 6 83.3 % 0 0 1",
        "upper 1 0 0.0 % 2 50.0 % 1 0 0",
        "empty 1 1 100.0 %",
        "all that are written 3 1 33.3 % 8 75.0 % 1 0 1",
        "accepted 2 1 50.0 %",
        "1 field (50.0 %) of 2 accepted ones is not as it is written",
        "pages read that have no truth: 1",
        "X read as B 1 ×",
    ):
        assert words in page.text, words
    wrong = page.part("examples")
    assert "digits: written and read written 0 1 2 3 4 5 6 7 8 9 none 0 · · " in page.part("confusions")
    assert " 1 · 1 · · · · · · · · 1 2 " in page.part("confusions")  # of two ones, one was missed
    assert wrong.index("up of a.png") < wrong.index("m of a.png")
    assert "Written: 3145. Read: 345." in wrong
    assert len(page.all("circle")) == 2  # 0.5, and 0.95 with 0.97


def test_data_never_becomes_markup(capsys, tmp_path):
    """Names, readings, messages, fields and records that try to be a script."""
    source = f"/s/{EVIL}.png"
    fields = [
        field_row(source, f"n{EVIL}", f'{EVIL}"\'&\x07', 0.4, charset=f"d{EVIL}",
                  runners_up=[{"text": f"<img src=x onerror={EVIL}>", "confidence": 0.1}]),
        field_row(source, "up", "A<B", 0.95),
    ]  # fmt: skip
    forms = [form(source, fields, template=f"t{EVIL}")]
    failures = [failure(f"/s/{EVIL}.pdf", code=f"c{EVIL}")]
    output = write_run(tmp_path / f"out{EVIL.replace('/', '')}", fields, forms, failures)
    record = output / "_runs" / "r1.json"
    evil = {
        *("version", "started", "seconds", "pages_in", "pages_per_second", "model_sha256", "templates"),
        *("options", "skipped"),
    }
    content = json.loads(record.read_text()) | dict.fromkeys(evil, EVIL)
    record.write_text(json.dumps(content))
    write_truth(tmp_path / "truth", f"{EVIL}.png".rpartition("/")[2], **{f"n{EVIL}": f"{EVIL}1", "up": EVIL})
    for words in ([], ["--truth", tmp_path / "truth"]):
        page = report(capsys, output, *words)  # whose parser refuses tags and addresses of other kinds
        assert page.text.count(EVIL) > 4
    content |= {"templates": {EVIL: EVIL}, "options": {EVIL: [EVIL]}, "skipped": {EVIL: EVIL}}
    record.write_text(json.dumps(content))
    assert "\x07" not in (tmp_path / "report.html").read_text("utf-8")
    assert report(capsys, output).text.count(EVIL) > 8


def test_the_page_needs_nothing_else(capsys, output):
    report(capsys, output)
    markup = (output.parent / "report.html").read_text("utf-8")
    assert markup.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert "default-src &#x27;none&#x27;" in markup
    outside = set(re.findall(r"https?://[^\"<\s]+", markup))
    assert outside <= {"http://www.w3.org/2000/svg"}  # a name, which nothing fetches
    assert "@import" not in markup
    assert "url(" not in markup


def test_every_picture_and_table_has_its_words(capsys, output):
    page = report(capsys, output, "--truth", output.parent / "truth")
    assert all(one.get("alt") for one in page.all("img"))
    assert len(page.all("caption")) == len(page.all("table"))
    assert {one["scope"] for one in page.all("th")} == {"col", "row"}
    assert all(one["role"] == "img" for one in page.all("svg"))


def test_a_run_in_which_everything_failed(capsys, tmp_path):
    output = tmp_path / "out"
    forms = [form("/s/x.png", [])]
    write_run(output, [], forms, [failure("/s/a.png"), failure("/s/b.png", "empty_file")])
    drop_rows(output / "forms")
    page = report(capsys, output)
    assert "Not one page was read" in page.text
    assert page.sections == ["totals", "attention", "confidence", "examples", "failures", "parameters"]
    write_truth(tmp_path / "truth", "a.png", n="1")
    code, error = fails(capsys, output, "--truth", tmp_path / "truth", "--out", tmp_path / "t.html")
    assert (code, "--truth" in error) == (ExitCode.NO_INPUT, True)


def drop_rows(folder: Path) -> None:
    import pyarrow.parquet as pq

    (path,) = folder.rglob("*.parquet")
    pq.write_table(pq.read_table(path, partitioning=None).slice(0, 0), path)


def test_blank_forms_only(capsys, tmp_path):
    fields = [field_row("/s/a.png", "n", "", None), field_row("/s/a.png", "m", "", None)]
    output = write_run(tmp_path / "out", fields, [form("/s/a.png", fields)])
    page = report(capsys, output)
    assert "Nothing: every page was read, and no field is doubtful." in page.text
    assert "No field has a confidence." in page.text
    assert "There is no field to review." in page.text
    write_truth(tmp_path / "truth", "a.png", n="", m="")
    page = report(capsys, output, "--truth", tmp_path / "truth")
    assert "Every compared field is right." in page.text
    assert "Not one character was confused." in page.text


def test_only_one_run_or_the_newest(capsys, output):
    source = str(output.parent / "scans" / "a.png")
    fields = [field_row(source, "n", "77")]
    write_run(output, fields, [form(source, fields)], run="r2")
    (output / "_runs" / "r2.json").write_text('{"run": "r2", "finished": "2026-02-01T00:00:00"}')
    assert "2 pages of 2 files, 2 runs, the newest finished 2026-02-01" in report(capsys, output).text
    assert "1 page of 1 file, 1 run" in report(capsys, output, "--run", "r2").text
    code, error = fails(capsys, output, "--run", "r9", "--out", output / "x.html")
    assert (code, "r1, r2" in error) == (ExitCode.NO_RESULTS, True)


def test_what_people_have_said(capsys, output):
    """Three verdicts: the reading was right, was wrong, and cannot be read by anybody."""
    said = [("n", "text", "1 2"), ("m", "text", "3145"), ("up", "unreadable", None)]
    page = report(capsys, write_corrections(output, said))
    assert "verified" in page.sections
    assert "accepted 2 2 1 1 100.0 %" in page.text
    assert "to review 2 1 0 0 0.0 %" in page.text
    assert "people have looked at 1 of them" in page.text
    assert "m of a.png" not in page.part("examples")
    assert "By status" not in report(capsys, write_corrections(output, [])).text


def write_corrections(output: Path, said: list[tuple[str, str, str | None]]) -> Path:
    from review.database import Database, sqlite_url
    from review.verified import database_path

    database_path(output).unlink(missing_ok=True)
    database = Database(sqlite_url(output))
    database.migrate()
    database.close()
    sha256 = hashlib.sha256((output.parent / "scans" / "a.png").read_bytes()).hexdigest()
    with sqlite3.connect(database_path(output)) as connection:
        for field, verdict, text in said:
            values = {"sha256": sha256, "page": 1, "template": "x", "field": field, "verdict": verdict}
            insert(connection, values | {"text": text, "read_text": "", "verifier": "v", "run": "r1"})
    return output


def insert(connection: sqlite3.Connection, values: dict) -> None:
    """A row of corrections; columns that the desk adds for itself get something of their kind."""
    for _, name, kind, required, default, key in connection.execute("PRAGMA table_info(corrections)"):
        if required and default is None and not key and name not in values:
            values[name] = 1 if "INT" in kind.upper() else f"{field_of(values)}-{name}"
    names = ", ".join(values)
    marks = ", ".join("?" * len(values))
    connection.execute(f"INSERT INTO corrections ({names}) VALUES ({marks})", list(values.values()))


def field_of(values: dict) -> str:
    return str(values["field"])


def test_wrong_use_names_the_flag(capsys, output, tmp_path):
    target = tmp_path / "x.html"
    other = write_truth(tmp_path / "other", "z.png", n="1")
    code, error = fails(capsys, output, "--truth", other, "--out", target)
    assert (code, "z.png" in error) == (ExitCode.NO_INPUT, True)
    assert fails(capsys, output, "--truth", tmp_path / "gone", "--out", target)[0] == ExitCode.NO_INPUT
    assert fails(capsys, tmp_path / "nowhere", "--out", target)[0] == ExitCode.NO_RESULTS
    assert fails(capsys, tmp_path, "--out", target)[0] == ExitCode.NO_RESULTS
    for flag, value in (("--worst", 201), ("--worst", -1), ("--pages", 21), ("--pages", -1)):
        code, error = fails(capsys, output, flag, value, "--out", target)
        assert (code, f"{flag} {value}" in error) == (ExitCode.USAGE, True)
    for bad in (tmp_path / "no" / "x.html", tmp_path, Path("/dev/null")):
        code, error = fails(capsys, output, "--out", bad)
        assert (code, f"--out {bad}" in error) == (ExitCode.OUTPUT_NOT_WRITABLE, True)
    assert not target.exists()


def test_a_report_is_complete_or_the_old_one_stays(capsys, output, monkeypatch):
    target = output.parent / "report.html"
    target.write_text("old")
    (target.parent / "same.html").hardlink_to(target)
    before = sorted(path.name for path in target.parent.iterdir())
    monkeypatch.setattr("jobs.report.pages_section", lambda *a: 1 / 0)
    assert main(["report", str(output), "--out", str(target)]) == ExitCode.INTERNAL_ERROR
    assert target.read_text() == "old"
    assert sorted(path.name for path in target.parent.iterdir()) == before
    monkeypatch.undo()
    report(capsys, output)
    assert sorted(path.name for path in target.parent.iterdir()) == before
    assert target.read_text().endswith("</html>\n")
    assert (target.parent / "same.html").read_text() == "old"  # it was put in the place of the old one, whole


def test_the_folder_gives_the_title_even_if_it_is_this_one(capsys, output, monkeypatch):
    monkeypatch.chdir(output)
    assert main(["report", ".", "--out", "../report.html"]) == ExitCode.OK
    assert "<title>Report on out</title>" in Path("../report.html").read_text("utf-8")


def test_a_disk_that_fills_up_is_told(capsys, output, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("jobs.report.os.fsync", full)
    code, error = fails(capsys, output, "--out", output.parent / "full.html")
    assert (code, "No space left" in error) == (ExitCode.OUTPUT_NOT_WRITABLE, True)
    assert not (output.parent / "full.html").exists()


def test_texts_are_escaped_and_markup_is_not():
    assert element("p", "<b>", element("i", "&"), title='"') == '<p title="&quot;">&lt;b&gt;<i>&amp;</i></p>'
    assert escape(None) == ""
    assert escape(Html("<b>")) == "<b>"
    assert escape("a\x00\x1b\ud800b\n") == "a���b\n"
    assert data_text("x" * 300, 10) == "<bdi>xxxxxxxxx…</bdi>"
    assert element("meta", charset="utf-8") == '<meta charset="utf-8">'


def test_a_table_names_its_rows_and_columns():
    markup = table("<c>", ["name", "n"], [["a", 1], ["b", None]], sums=(1,))
    assert '<th scope="col">name</th><th scope="col" class="n">n</th>' in markup
    assert '<tr><th scope="row">a</th><td class="n">1</td></tr>' in markup
    assert '<tr class="sum"><th scope="row">b</th><td class="n"></td></tr>' in markup
    assert "<caption>&lt;c&gt;</caption>" in markup
    assert 'aria-label="&lt;c&gt;"' in markup


def test_shares_are_never_rounded_to_all_or_nothing():
    shares = [None, 0.0, 0.0004, 0.0006, 0.5, 0.9994, 0.9996, 1.0]
    shown = ["–", "0.0 %", "< 0.1 %", "0.1 %", "50.0 %", "99.9 %", "> 99.9 %", "100.0 %"]
    assert [percent(share) for share in shares] == shown


def test_the_interval_of_a_share_is_that_of_wilson():
    """8 of 10: (8 + 1.92) / 13.84 ± sqrt(8 * 2 / 10 + 0.96) * 1.96 / 13.84, by hand."""
    assert wilson_interval(0.8, 10) == pytest.approx((0.4902, 0.9433), abs=5e-4)
    assert wilson_interval(1.0, 1)[1] == pytest.approx(1.0)
    assert wilson_interval(0.0, 5)[0] == 0.0


def test_the_reliability_diagram_places_its_dots():
    bins = [
        {"fields": 1, "confidence": 0.0, "right": 0.0},
        {"fields": 0, "confidence": 0.5, "right": 0.5},
        {"fields": 100, "confidence": 1.0, "right": 0.5},
    ]
    drawn = Page(f"<p>{reliability_diagram(bins)}</p>")
    dots = [(float(one["cx"]), float(one["cy"]), float(one["r"])) for one in drawn.all("circle")]
    grid = [one for one in drawn.all("line") if one["x1"] != one["x2"] and "dash" not in str(one)]
    left, right = float(grid[0]["x1"]), float(grid[0]["x2"])
    heights = sorted(float(one["y1"]) for one in grid)
    assert dots[0][:2] == (left, heights[-1])
    assert dots[1][:2] == (right, pytest.approx((heights[0] + heights[-1]) / 2))
    assert dots[0][2] < dots[1][2]
    assert "confidence 100.0 %: 50.0 % of 100 right" in drawn.text
    assert "No fields." in Page(f"<p>{reliability_diagram([])}</p>").text


def test_the_histogram_stacks_the_statuses():
    drawn = Page(f"<p>{confidence_histogram([{'review': 3}, {}, {'accepted': 6, 'blank': 4}])}</p>")
    bars = {"review": 3, "accepted": 6, "blank": 4}
    found = [(one["style"], float(one["y"]), float(one["height"])) for one in drawn.all("rect")]
    unit = found[1][2] / bars["accepted"]
    assert [round(height / unit) for _, _, height in found] == [3, 6, 4]
    assert found[2][1] + found[2][2] == pytest.approx(found[1][1], abs=0.2)  # one upon the other
    assert "0 to 33 %: 3; 67 to 100 %: 10" in drawn.text
    assert "No fields." in Page(f"<p>{confidence_histogram([])}</p>").text


def test_wrong_fields_that_nobody_would_have_checked_come_first():
    fields = [
        scored("1", "2", 0.8),
        scored("1", "2", 0.95),
        scored("1", "1", 0.99),
        scored("1", "", None),
        *[scored("1", "2", 0.7)] * 9,
    ]
    assert [one.confidence for one in worst_first(fields, 8)] == [None, 0.95, 0.8, 0.7]  # a quarter of 8
    assert [one.confidence for one in worst_first(fields, 2)] == [None, 0.95]


def test_pictures_stop_when_the_page_would_be_too_large():
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (100, 100), np.uint8))
    size = len(data_address(noise, 16))
    budget = Budget(2 * size)
    assert [budget.take(noise, 16, True) is not None for _ in range(3)] == [True, True, False]
    assert MOST_BYTES < 10_000_000


def test_every_failure_code_has_the_remedy_of_the_documentation():
    rows = re.findall(
        r"^\| `([a-z_]+)` \| .* \| (.*) \|$", (ROOT / "docs/failure-codes.md").read_text(), re.M
    )
    assert {code: remedy.replace("`", "") for code, remedy in rows} == REMEDIES


def test_a_report_loads_neither_beam_nor_the_desk():
    loaded = modules_loaded_by("import jobs.report")
    assert not loaded & {"apache_beam", "tensorflow", "matplotlib", "jinja2", "fastapi", "sqlalchemy"}
