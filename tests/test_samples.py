"""The command ``formscribe samples``, and the sample forms it made."""

import io
import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jobs.cli import main
from jobs.exit_codes import ExitCode
from jobs.samples import SampleOptions, _with_progress, render_sample
from segmentation.templates import load_template

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "sample_forms"
HSF = load_template("hsf")


def test_pages_and_truth(tmp_path, capsys):
    assert main(["samples", "--out", str(tmp_path / "new"), "--count", "2", "--seed", "9"]) == ExitCode.OK
    assert "2 pages" in capsys.readouterr().out
    names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert names == [f"form_000{n}.{end}" for n in (1, 2) for end in ("png", "truth.json")]
    with Image.open(tmp_path / "new" / "form_0001.png") as image:
        assert (image.size, image.mode) == ((2560, 3300), "1")
    truth = json.loads((tmp_path / "new" / "form_0001.truth.json").read_text())
    assert (truth["source"], truth["template"]) == ("form_0001.png", "hsf")
    assert list(truth["fields"]) == [spec.name for spec in HSF.fields]
    assert len(truth["fields"]["fld_08"]) == 4
    assert sorted(truth["fields"]["fld_32"]) == sorted("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def test_a_page_is_the_same_bytes_however_it_was_made(tmp_path, monkeypatch):
    monkeypatch.setattr("jobs.samples.WORTH_A_POOL", 2)
    common = ["samples", "--seed", "4", "--noise", "hard", "--dpi", "150"]
    assert main([*common, "--out", str(tmp_path / "a"), "--count", "3", "--workers", "2"]) == ExitCode.OK
    assert main([*common, "--out", str(tmp_path / "b"), "--count", "1", "--first", "3"]) == ExitCode.OK
    for name in ("form_0003.png", "form_0003.truth.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert (tmp_path / "a" / "form_0001.png").read_bytes() != (tmp_path / "a" / "form_0002.png").read_bytes()


@pytest.mark.parametrize(
    ("file_format", "name", "mode"), [("tiff", "form_0001.tif", "1"), ("jpeg", "form_0001.jpg", "L")]
)
def test_formats(tmp_path, file_format, name, mode):
    argv = ["samples", "--out", str(tmp_path), "--count", "1", "--format", file_format, "--dpi", "200"]
    assert main(argv) == ExitCode.OK
    with Image.open(tmp_path / name) as image:
        assert image.mode == mode
        assert image.size == (1707, 2200)
        assert image.info["dpi"][0] == pytest.approx(200, abs=1)
        if file_format == "tiff":
            assert image.info["compression"] == "group4"


def test_noise_and_format_change_neither_text_nor_hand():
    clean = render_sample(SampleOptions(HSF, noise="clean"), 1)
    gray = render_sample(SampleOptions(HSF, noise="hard", file_format="jpeg", skew=2.0), 1)
    assert (clean.truth, clean.hand) == (gray.truth, gray.hand)
    assert gray.settings.skew_degrees == 2.0
    assert len({render_sample(SampleOptions(HSF, seed=s), 1).truth["fld_03"] for s in (1, 2, 3)}) == 3


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (["--count", "0"], ExitCode.USAGE, "whole number from 1 up"),
        (["--dpi", "9000"], ExitCode.USAGE, "from 100 to 600"),
        (["--skew", "nan"], ExitCode.USAGE, "from -10 to 10"),
        (["--noise", "loud"], ExitCode.USAGE, "hard"),
        (["--template", "no_such.toml"], ExitCode.BAD_TEMPLATE, "no_such.toml"),
    ],
)
def test_wrong_flags(tmp_path, capsys, flags, code, said):
    assert main(["samples", "--out", str(tmp_path / "out"), *flags]) == code
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert main(["samples", "--out", str(tmp_path / "file"), "--count", "1"]) == ExitCode.OUTPUT_NOT_WRITABLE
    assert "--out" in capsys.readouterr().err


KINDS = {"hsf": "hsf", "comb": "sample_forms/comb/membership.toml", "strip": "sample_forms/strip/strip.toml"}


def sample_images(kind):
    return sorted(path for path in (SAMPLES / kind).iterdir() if path.suffix in (".png", ".tif", ".jpg"))


def answers(template):
    """What a page's truth names: the fields, and a group of tick boxes as one."""
    return list(dict.fromkeys(spec.row for spec in template.fields))


@pytest.mark.parametrize("kind", KINDS)
def test_the_sample_forms_have_all_of_their_truth(kind, monkeypatch):
    monkeypatch.chdir(ROOT)
    template = load_template(KINDS[kind])
    assert len(sample_images(kind)) >= 4
    for path in sample_images(kind):
        assert path.stat().st_size < 150_000, path.name
        truth = json.loads(path.with_name(f"{path.stem}.truth.json").read_text())
        assert (truth["source"], truth["template"]) == (path.name, template.name)
        assert list(truth["fields"]) == answers(template)


def test_the_sample_forms_are_many_sided():
    images = sample_images("hsf")
    assert len(images) >= 6
    assert {path.suffix for path in images} == {".png", ".tif", ".jpg"}
    hands = set()
    for path in images:
        truth = json.loads(path.with_name(f"{path.stem}.truth.json").read_text())
        hands.add(truth["note"].split("hand ")[1].split(",")[0])
    assert len(hands) >= 6


def test_the_commands_in_their_readme_make_the_sample_forms_again(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    readme = (SAMPLES / "README.md").read_text()
    commands = [
        shlex.split(line) for line in readme.splitlines() if line.strip().startswith("formscribe samples")
    ]
    for command in commands:
        place = command.index("--out") + 1
        command[place] = str(tmp_path / Path(command[place]).name)
        assert main(command[1:]) == ExitCode.OK
    assert len(commands) >= 3
    for path in (path for kind in KINDS for path in sample_images(kind)):
        again = tmp_path / path.parent.name / path.name
        truth = f"{path.stem}.truth.json"
        assert again.with_name(truth).read_text() == path.with_name(truth).read_text()
        with Image.open(path) as golden, Image.open(again) as image:
            a, b = np.asarray(golden.convert("L")) < 128, np.asarray(image.convert("L")) < 128
        # Another version of a font or image library may round a few edge pixels differently.
        assert a.shape == b.shape
        assert (a == b).mean() > 0.999, path.name


@pytest.mark.parametrize(("on_terminal", "expected"), [(True, "200/200 pages"), (False, "\n200/200 pages")])
def test_progress_goes_to_stderr(on_terminal, expected):
    stream = io.StringIO()
    stream.isatty = lambda: on_terminal
    passed_on = list(_with_progress(iter([Path("a.png")] * 200), 200, stream))
    assert len(passed_on) == 200
    assert expected in stream.getvalue()
    assert stream.getvalue().count("\n") == (1 if on_terminal else 10)
