"""docs/your-own-form.md, step by step: every command runs, every edit is made as the guide says."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from own_forms import CAREFUL, membership
from PIL import Image

from jobs import cli
from jobs.exit_codes import ExitCode
from jobs.query import execute, open_results
from segmentation.rendering import fill_form, render_blank
from segmentation.scanner import ScannerSettings, scan
from segmentation.templates import load_template

GUIDE = Path(__file__).parent.parent / "docs" / "your-own-form.md"
TOML = r"^```toml\n(.*?)^```"
TEXTS = [
    {
        "surname": "MILLER",
        "number": "4071852",
        "year": "1974",
        "new_member": "x",
        "remarks": "moved in spring",
    },
    {"surname": "VAN DYKE", "number": "2093316", "year": "1981", "moved": "x"},
]


def commands():
    """The words after ``formscribe`` of each command of the guide, in order."""
    blocks = re.findall(r"^```bash\n(.*?)^```", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [shlex.split(line)[1:] for block in blocks for line in block.splitlines()]


def edits():
    """The rows of the guide's table: name in the draft, name, charset, length."""
    rows = re.findall(r"^\| `(field_\d+)` \|(.*)\|(.*)\|(.*)\|$", GUIDE.read_text("utf-8"), re.MULTILINE)
    return [[cell.strip().strip("`") for cell in row] for row in rows]


def edit(text):
    """The draft with what the table says put in, field by field."""
    head, *tables = re.split(r"(?=^\[\[field\]\])", text, flags=re.MULTILINE)
    for old, new, charset, length in edits():
        (at,) = (i for i, table in enumerate(tables) if f'name = "{old}"' in table)
        table = tables[at].replace(f'name = "{old}"', f'name = "{new}"')
        if charset:
            table = table.replace('charset = "text"', f'charset = "{charset}"')
        tables[at] = table.rstrip("\n") + (f"\nlength = {length}\n\n" if length else "\n\n")
    return head + "".join(tables)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder as the reader of the guide has it: blank.png and scans/."""
    root = tmp_path_factory.mktemp("own")
    (root / "scans").mkdir()
    template = membership()
    Image.fromarray(render_blank(template)).save(root / "blank.png", dpi=(200, 200))
    chance = np.random.default_rng(7)
    for number, texts in enumerate(TEXTS, 1):
        page, truth = fill_form(template, texts, CAREFUL, chance)
        settings = ScannerSettings(skew_degrees=0.8 * (-1) ** number, shift=(12, -9))
        image, _ = scan(page, 200, settings, chance)
        Image.fromarray(image).save(root / "scans" / f"card_{number}.png")
        (root / f"truth_{number}.json").write_text(json.dumps(truth))
    return root


def test_the_guide_from_the_first_command_to_the_last(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    steps = commands()
    assert [words[:2] for words in steps[:4]] == [
        ["template", "new"],
        ["template", "preview"],
        ["template", "check"],
        ["template", "preview"],
    ]
    for number, words in enumerate(steps):
        assert cli.main(words) == ExitCode.OK, (words, capsys.readouterr())
        told = capsys.readouterr().out
        if words[:2] == ["template", "new"]:
            draft = Path("membership.toml")
            before, after = re.findall(TOML, GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
            assert before in draft.read_text()
            draft.write_text(edit(draft.read_text()))
            assert after in draft.read_text()
        elif words[0] == "query":
            assert ("surname" if number < len(steps) - 1 else "membership") in told

    edited = load_template("membership.toml")
    for made, meant in zip(edited.fields, membership().fields, strict=True):
        assert (made.name, made.layout, made.charset) == (meant.name, meant.layout, meant.charset)
        assert (made.cells, made.max_length) == (meant.cells, meant.max_length) or made.layout == "mark"

    sql = "SELECT source, field, text, status FROM fields"
    rows = query(folder / "out", sql)
    read = {(Path(source).name, field): (text, status) for source, field, text, status in rows}
    characters = right = 0
    for number in (1, 2):
        truth = json.loads((folder / f"truth_{number}.json").read_text())
        for name in ("new_member", "moved"):
            assert read[f"card_{number}.png", name][0] == truth[name]
        for name in ("number", "year", "surname"):
            text = read[f"card_{number}.png", name][0]
            characters += len(truth[name])
            right += sum(a == b for a, b in zip(text, truth[name], strict=False))
    assert right >= 0.8 * characters
    assert read["card_2.png", "remarks"] == ("", "blank")


def query(output, sql):
    """Rows of a query over the results."""
    return list(execute(open_results(output), sql)[1])
