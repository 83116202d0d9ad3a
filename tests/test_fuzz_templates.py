"""Templates as an enemy would write them: each is read, or refused in one line that names the file."""

import random
import re
from collections import Counter
from pathlib import Path

import pytest

from jobs.cli import main
from jobs.exit_codes import ExitCode
from segmentation.templates import TemplateError, parse_template

ROOT = Path(__file__).resolve().parent.parent
WHOLE = [
    (ROOT / "sample_forms" / "comb" / "membership.toml").read_text("utf-8"),
    (ROOT / "sample_forms" / "strip" / "strip.toml").read_text("utf-8"),
    (ROOT / "segmentation" / "forms" / "hsf.toml").read_text("utf-8"),
    """
    [form]
    name = "rules"
    dpi = 100
    width = 300
    height = 200

    [[field]]
    name = "a"
    box = [10, 10, 100, 20]
    charset = "alphanumeric"
    pattern = "[A-Z]{2}[0-9]{3}"

    [[field]]
    name = "b"
    box = [10, 50, 100, 20]
    charset = "digits"
    length = 8
    check_digit = "luhn"

    [[field]]
    name = "c"
    box = [10, 90, 100, 40]
    layout = "comb"
    cell_edges = [30, 50, 70]
    charset = "digits"
    """,
]
VALUES = (
    "-1", "0", "1", "3.9", "nan", "inf", "-inf", "1e308", "9" * 400, "9" * 5000, "0x7fffffffffffffff", '""',
    '"\\u0000"', "'''\n'''", "[]", "[[]]", "{}", "true", "1979-05-27", "[nan, nan, nan, nan]", "[0, 9999999]",
    '"(" ', '"((((a*)*)*)*)*"', '"[A-Z]{1,9999}"', '"(a|b){500}(c|d){500}"', '"a{1,1000}{1,1000}"', '"/"',
    '"/dev/zero"', '"/etc"', '"..\\n.."', '"\U0001f600"', "[" * 3000 + "]" * 3000, "[" + "9" * 400 + "]",
)  # fmt: skip
LINES = (
    "[form]", "[[form]]", "[[field]]", "[field]", "[[print]]", "field = 3", "form = []", "a.b.c = 1",
    "[[field.name]]", "x = {y = {z = [1]}}", "lexicon = '/dev/zero'", "lexicon = '.'", "lexicon = 'missing'",
    "cell_edges = [1e308, inf]", "cell_edges = [" + "9" * 400 + "]", "cells = 500", "length = [0, 10000]",
    "check_digit = 'mod11'", "permutation = true", "group = 'g'", "layout = 'mark'", "layout = 'paragraph'",
    ".".join("a" * 3000) + " = 1", "k = " + "[" * 5000, "\x00", "\x1b[31m", "\ufeff", "# \ud7ff",
)  # fmt: skip


def mutated(seed: int) -> bytes:
    """One of the templates with a few values, lines or bytes changed."""
    chance = random.Random(seed)
    text = chance.choice(WHOLE)
    for _ in range(chance.randint(1, 3)):
        kind = chance.randrange(6)
        lines = text.splitlines()
        place = chance.randrange(len(lines))
        if kind <= 1:
            values = [n for n, line in enumerate(lines) if "=" in line]
            if values:
                place = chance.choice(values)
                lines[place] = lines[place].partition("=")[0] + "= " + chance.choice(VALUES)
        elif kind == 2:
            lines.insert(place, chance.choice(LINES))
        elif kind == 3:
            del lines[place]
        elif kind == 4:
            lines[place:place] = lines[: chance.randrange(len(lines))]
        else:
            numbers = list(re.finditer(r"\d+", text))
            if numbers:
                found = chance.choice(numbers)
                text = text[: found.start()] + chance.choice(VALUES[:11]) + text[found.end() :]
            lines = text.splitlines()
        text = "\n".join(lines) or " "
    data = bytearray(text.encode("utf-8", "surrogatepass"))
    if chance.randrange(5) == 0:
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data)


def fate(data: bytes) -> str:
    """What becomes of a template; fails the test unless it is read or refused as it should be."""
    told = ""
    try:
        parse_template(data, "enemy.toml")
    except TemplateError as error:
        told = str(error)
    assert told.isprintable(), repr(told)
    assert len(told) < 1000
    if told:
        assert told.startswith("enemy.toml: ")
    return "refused" if told else "read"


def test_six_hundred_templates_are_read_or_refused():
    fates = Counter()
    for seed in range(600):
        try:
            fates[fate(mutated(seed))] += 1
        except Exception as error:
            raise AssertionError(f"template {seed}: {type(error).__name__}: {str(error)[:300]}") from error
    assert fates["refused"] > 200
    assert fates["read"] > 20


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ('lexicon = "/dev/zero"', "/dev/zero is no file"),
        ('lexicon = "/"', "/ is no file"),
        ('lexicon = "a\\u0000b"', "has a value that cannot be used"),
        ("check_digit = [1]", "[1] is unknown"),
        ("length = 0x" + "f" * 5000, "has a value that cannot be used"),
        ("x = " + "[" * 9999, "nested too deeply"),
        ("pattern = " + "[" * 60 + "]" * 60, "nested too deeply"),
        ("x = " + "9" * 9999, "is not valid TOML"),
        ('x"\u001b" = 1', "is not valid TOML"),
    ],
)
def test_what_was_found_by_such_templates(rule, told):
    field = '[[field]]\nname = "a"\nbox = [10, 10, 100, 20]\ncharset = "text"\n'
    form = '[form]\nname = "x"\ndpi = 100\nwidth = 300\nheight = 200\n'
    with pytest.raises(TemplateError) as caught:
        parse_template(f"{form}{field}{rule}\n".encode(), "enemy.toml")
    assert told in str(caught.value)
    assert str(caught.value).isprintable()


def test_cell_edges_beyond_any_page():
    edges = WHOLE[3].replace("[30, 50, 70]", "[30, 50, " + "9" * 400 + "]")
    with pytest.raises(TemplateError, match="cell_edges"):
        parse_template(edges.encode(), "enemy.toml")


def test_a_lexicon_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr("segmentation.field_rules.MAX_LEXICON_BYTES", 100)
    (tmp_path / "values.txt").write_text("value\n" * 50)
    text = WHOLE[3].replace('pattern = "[A-Z]{2}[0-9]{3}"', 'lexicon = "values.txt"')
    with pytest.raises(TemplateError, match="more than 100 bytes"):
        parse_template(text.encode(), str(tmp_path / "enemy.toml"))


def test_the_commands_refuse_them_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "a.png").write_bytes(b"x")
    refused = [seed for seed in range(60) if fate(mutated(seed)) == "refused"][:15]
    for seed in refused:
        (tmp_path / "enemy.toml").write_bytes(mutated(seed))
        for words in (
            ["template", "check", "enemy.toml"],
            ["run", "--input", "scans", "--output", "out", "--template", "enemy.toml"],
            ["preview", "scans/a.png", "--template", "enemy.toml", "--out", "o.png"],
        ):
            assert main(words) == ExitCode.BAD_TEMPLATE, (seed, words)
            told = "".join(capsys.readouterr())
            assert "enemy.toml" in told
            assert "Traceback" not in told
            assert "internal error" not in told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["folder", "fifo", "gone"])
def test_a_template_that_is_no_file(tmp_path, capsys, name):
    import os

    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    assert main(["template", "check", str(tmp_path / name)]) == ExitCode.BAD_TEMPLATE
    assert name in capsys.readouterr().err
