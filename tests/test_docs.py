"""The documentation against the code: commands, SQL, tables, codes, links."""

import ast
import importlib
import importlib.util
import json
import re
import shlex
import shutil
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest

from jobs import cli
from jobs.beam_flags import beam_options
from jobs.exit_codes import MEANINGS, ExitCode
from jobs.query import execute, open_results
from pipeline.options import MAX_PIXELS, MIN_CONFIDENCE
from pipeline.schemas import STAGES, STATUSES, TABLES
from pipeline.writing import ROW_GROUP_ROWS, SHARD_BYTES
from segmentation import templates
from segmentation.finding import MOST_SKEW
from segmentation.image_document import ImageErrorCode, ImageLimits
from segmentation.registration import MAX_SKEW
from segmentation.templates import parse_template

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]
PAGES += [ROOT / "sample_forms" / "README.md"]
OPERATORS = {"&&", "||", "|", ";"}


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def split_commands(text: str) -> list[list[str]]:
    """The commands of shell lines as words: lines joined at backslashes, split at && and the like."""
    commands: list[list[str]] = []
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;")
        lexer.whitespace_split = True
        command: list[str] = []
        for word in [*lexer, "&&"]:
            if word not in OPERATORS:
                command.append(word)
            elif command:
                commands.append(command)
                command = []
    return commands


def formscribe_commands(path: Path) -> list[list[str]]:
    """The words after ``formscribe`` of every command on a page: in blocks, indented, or inline in tables."""
    text = path.read_text("utf-8")
    lines = blocks(path, "bash") + re.findall(r"^ {2,4}(formscribe (?:.*\\\n)*.*)$", text, re.MULTILINE)
    if path.name != "cli.md":  # whose help texts name flags, not commands
        lines += re.findall(r"`(formscribe [^`]*)`", text)
    commands = [words for line in lines for words in split_commands(line)]
    return [words[1:] for words in commands if Path(words[0]).name == "formscribe" and "COMMAND" not in words]


def check_command(words: list[str]) -> None:
    """Parses a command as it would be parsed; a bare ``formscribe train`` is only a name.

    Raises:
        CommandError: a command or flag that does not exist.
    """
    module = importlib.import_module(f"jobs.{words[0]}")
    if len(words) == 1:
        return
    parser = cli._command_parser(words[0], module)
    _, rest = parser.parse_known_args(words[1:])
    if words[0] == "run":
        beam_options(rest, list(parser._option_string_actions))
    else:
        assert rest == []


COMMANDS = sorted({(path.name, shlex.join(words)) for path in PAGES for words in formscribe_commands(path)})


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=[" ".join(pair)[:70] for pair in COMMANDS])
def test_every_command_in_the_documentation_is_one(page: str, command: str):
    check_command(shlex.split(command))


def test_the_walk_finds_the_commands_and_sees_wrong_ones():
    assert len(COMMANDS) > 15
    assert split_commands("a 'b && c' && x/d \\\n e; f") == [["a", "b && c"], ["x/d", "e"], ["f"]]
    with pytest.raises(cli.CommandError, match="--ouput"):
        check_command(["run", "--input", "a", "--output", "b", "--template", "hsf", "--ouput", "c"])
    with pytest.raises(cli.CommandError, match="--template"):
        check_command(["run", "--input", "a", "--output", "b"])


def test_every_python_command_has_its_file():
    words = [w for page in PAGES for block in blocks(page, "bash") for w in split_commands(block)]
    python = [w[1:] for w in words if Path(w[0]).name == "python"]
    scripts = [Path(*w[1].split(".")).with_suffix(".py") if w[0] == "-m" else Path(w[0]) for w in python]
    absent = [path for path in scripts if path != Path("pytest.py") and not (ROOT / path).is_file()]
    assert scripts
    assert absent == []


def test_every_command_of_the_program_is_in_the_readme():
    shown = {words[0] for words in formscribe_commands(README)}
    assert shown == set(cli.COMMANDS)


def test_the_command_reference_is_current():
    spec = importlib.util.spec_from_file_location("generate_cli", DOCS / "generate_cli.py")
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    assert (DOCS / "cli.md").read_text("utf-8") == generator.reference(), "run: python docs/generate_cli.py"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the README's first command has been run, with one file more that cannot be read."""
    folder = tmp_path_factory.mktemp("readme")
    forms = folder / "sample_forms" / "hsf"
    forms.mkdir(parents=True)
    for page in ("form_0001.png", "form_0006.png"):
        shutil.copy(ROOT / "sample_forms" / "hsf" / page, forms)
        shutil.copy(ROOT / "sample_forms" / "hsf" / page.replace(".png", ".truth.json"), forms)
    (forms / "notes.png").write_text("not a picture")
    digit = np.full((200, 150), 255, np.uint8)
    cv2.putText(digit, "7", (30, 160), cv2.FONT_HERSHEY_SIMPLEX, 5, 0, 12)
    cv2.imwrite(str(folder / "digit.png"), digit)
    run_command, _ = first_line_commands()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert cli.main(run_command) == ExitCode.OK
    return folder


def first_line_commands() -> list[list[str]]:
    """The two ``formscribe`` commands of the README's first line."""
    line = next(line for line in README.read_text("utf-8").splitlines() if "formscribe run" in line)
    return [words[1:] for words in split_commands(line) if words[0].endswith("formscribe")]


def test_the_first_line_of_the_readme_ends_with_rows(
    results: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(results)
    assert cli.main(first_line_commands()[1]) == ExitCode.OK
    shown = capsys.readouterr().out
    assert shown.split()[:6] == ["source", "page", "field", "text", "confidence", "status"]
    assert "(20 rows)" in shown


def test_the_readme_has_two_lines_to_paste():
    lines = [line for line in README.read_text("utf-8").splitlines() if line.startswith("python3 -m venv ")]
    assert len(lines) == 2  # .ci/run takes them from there
    assert lines[0].split("&&")[0] != lines[1].split("&&")[0]  # each has an environment of its own
    assert lines[1].endswith("-m pytest")


@pytest.mark.parametrize(
    "sql", [sql for page in PAGES for sql in blocks(page, "sql")], ids=lambda sql: sql[:40]
)
def test_the_questions_of_the_documentation_have_answers(results: Path, sql: str):
    columns, rows = execute(open_results(results / "out"), sql)
    assert columns
    assert list(rows)


@pytest.mark.parametrize(
    "words", [w for p in PAGES for w in formscribe_commands(p) if w[:2] == ["query", "out"]]
)
def test_the_queries_of_the_documentation_run(
    results: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(results)
    assert cli.main(words) == ExitCode.OK


CHEAP = [w for w in formscribe_commands(README) if w[0] in ("preview", "predict") or "--truth" in w]


@pytest.mark.parametrize("words", CHEAP, ids=lambda words: words[0])
def test_the_other_commands_of_the_readme_run(
    results: Path, words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(results)
    assert cli.main(words) == ExitCode.OK
    assert capsys.readouterr().out
    if words[0] == "preview":
        assert (results / words[words.index("--out") + 1]).stat().st_size > 10_000


def test_the_cheap_commands_are_three():
    assert sorted(words[0] for words in CHEAP) == ["evaluate", "predict", "preview"]


def test_the_outputs_record_is_as_documented(results: Path):
    (record,) = (results / "out" / "_runs").glob("*.json")
    content = json.loads(record.read_text())
    section = (DOCS / "output.md").read_text("utf-8").partition("## `_runs/ID.json`")[2]
    documented = set(re.findall(r"`([a-z_0-9]+)`", section))
    assert set(content) <= documented
    assert content["pages_in"] == content["forms"] + content["failures"] == 3


def table_after(path: Path, heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, without its head, cells without backquotes."""
    lines = path.read_text("utf-8").partition(f"{heading}\n")[2].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|"))
    stop = next((i for i in range(start, len(lines)) if not lines[i].startswith("|")), len(lines))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start + 2 : stop]]
    return [[cell.strip("`") for cell in row] for row in rows]


@pytest.mark.parametrize("table", TABLES)
def test_the_columns_are_as_documented(table: str):
    rows = table_after(DOCS / "output.md", f"## `{table}`")
    documented = [(name, kind, null != "never") for name, kind, _, null, _ in rows]
    assert documented == [(f.name, plain_type(f.type), f.nullable) for f in TABLES[table]]


def plain_type(kind: pa.DataType) -> str:
    """An Arrow type as the documentation writes it: parts of nested types are never null."""
    return str(kind).replace(" not null", "")


def test_what_the_output_page_says_in_numbers_and_words():
    text = (DOCS / "output.md").read_text("utf-8")
    assert f"{ROW_GROUP_ROWS:,} rows" in text
    assert f"{SHARD_BYTES // 2**20} MB" in text
    assert str(MIN_CONFIDENCE) in text
    assert all(f"`{status}`" in text for status in (*STATUSES, "match", "open", *STAGES))


def test_the_exit_codes_are_as_documented():
    rows = table_after(DOCS / "exit-codes.md", "# Exit codes")
    expected = [[str(code.value), code.name, MEANINGS[code].replace("`", "")] for code in ExitCode]
    assert [[cell.replace("`", "") for cell in row] for row in rows] == expected


def codes_in_source() -> set[str]:
    """Every code that can come into the table ``failures``, found in the source."""
    found = {code.value for code in ImageErrorCode}
    for room in ("segmentation", "model", "pipeline"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                found |= codes_of_node(node)
    return found


def codes_of_node(node: ast.AST) -> set[str]:
    """Codes that a piece of source gives to a failure."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.func.id == "Failure" and len(node.args) > 1:
            return constants(node.args[-2])
        if node.func.id == "RegistrationError":
            return constants(node.args[0])
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = {target.id for target in targets if isinstance(target, ast.Name)}
        if names & {"code", "_OPEN_CODES"}:
            return constants(node.value)
    return set()


def constants(node: ast.AST) -> set[str]:
    """Texts in an expression that look like a code."""
    values = {child.value for child in ast.walk(node) if isinstance(child, ast.Constant)}
    return {v for v in values if isinstance(v, str) and re.fullmatch(r"[a-z]+(_[a-z]+)+|truncated", v)}


def test_the_failure_codes_are_as_documented():
    text = (DOCS / "failure-codes.md").read_text("utf-8")
    documented = set(re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE))
    assert documented == codes_in_source()
    known = documented
    for page in PAGES:
        rows = re.findall(r"^\| `([a-z]+(?:_[a-z]+)+)` \|", page.read_text("utf-8"), re.MULTILINE)
        if page == README:
            assert set(rows) <= known


def test_the_limits_are_as_documented():
    limits = ImageLimits()
    values = (limits.max_pixels, limits.max_side, limits.max_pages, limits.max_bytes)
    assert limits.max_pixels == MAX_PIXELS
    for value in values:
        assert f"{value:,}" in (DOCS / "formats.md").read_text("utf-8")
    for value in values[1:]:
        assert f"{value:,}" in (DOCS / "failure-codes.md").read_text("utf-8")
    formats = (DOCS / "formats.md").read_text("utf-8")
    assert f"up to {MAX_SKEW:g} degrees of skew" in formats
    assert f"up to {MOST_SKEW:g} degrees of skew" in formats
    assert f"skewed by more than {MOST_SKEW:g} degrees" in (DOCS / "failure-codes.md").read_text("utf-8")


def test_the_template_page_is_true():
    (example,) = blocks(DOCS / "templates.md", "toml")
    layouts = {spec.layout for spec in parse_template(example.encode(), "docs/templates.md").fields}
    assert layouts == set(templates.LAYOUTS)
    form = {row[0] for row in table_after(DOCS / "templates.md", "## `[form]`")}
    rows = table_after(DOCS / "templates.md", "## `[[field]]`, one for each field, in reading order")
    assert form == templates._FORM_KEYS
    assert {row[0] for row in rows} == templates._FIELD_KEYS
    values = {row[0]: set(re.findall(r"[a-z]+", row[1])) for row in rows}
    assert values["layout"] == set(templates.LAYOUTS)
    assert values["charset"] == set(templates.CHARSETS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target
