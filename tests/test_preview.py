"""`formscribe preview`: what is drawn where, what is printed, and what goes wrong with which exit code."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pipeline_fakes import KINDS, STAGES, TEMPLATE, TEMPLATE_TOML, fake_networks, options_for, write_forms
from test_walls import modules_loaded_by

from jobs import overlay, preview
from jobs.cli import main
from jobs.exit_codes import CommandError, ExitCode
from segmentation.registration import Registration
from segmentation.rendering import render_blank
from segmentation.templates import Box, load_template

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "sample_forms" / "hsf" / "form_0001.png"


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """The command with fakes for segmentation and model; calls it on a fake file of some kinds of pages."""
    (tmp_path / "tiny.toml").write_bytes(TEMPLATE_TOML)
    monkeypatch.setattr(preview, "real_stages", lambda options: STAGES)

    def call(kinds: str, *words: str) -> int:
        write_forms(tmp_path, a=kinds)
        paths = [str(tmp_path / name) for name in ("a.png", "tiny.toml", "over.png")]
        return main(["preview", paths[0], "--template", paths[1], "--out", paths[2], *words])

    return call


def colors(picture: Image.Image) -> set[tuple[int, int, int]]:
    return {color for _, color in picture.convert("RGB").getcolors(1 << 24)}


def read(kind: str) -> preview.ReadPage:
    gray = np.full((200, 300), KINDS.index(kind), np.uint8)
    options = options_for(Path("scans"), Path("out"))
    return preview.read_page("a.png", 1, gray, options, STAGES, fake_networks())


def drawn(page: preview.ReadPage, *names: str) -> Image.Image:
    white = np.full_like(page.gray, 255)
    wanted = names or tuple(spec.name for spec in TEMPLATE.fields)
    return overlay.draw_page(white, page.segmented, page.rows, TEMPLATE, wanted, "title")


def test_the_table_shows_what_the_job_would_write(tiny, tmp_path, capsys):
    assert tiny("good") == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["field", "text", "confidence", "status"]
    assert [line.split() for line in lines[2:5]] == [
        ["number", "12", "0.95", "accepted"],
        ["unused", "0.9991", "blank"],
        ["story", "12\\n12", "0.95", "review"],
    ]
    assert lines[-1] == f"picture: {tmp_path / 'over.png'}"
    assert Image.open(tmp_path / "over.png").mode == "RGB"


def test_another_page_another_threshold_and_fewer_fields(tiny, capsys):
    assert tiny("nan good", "--page", "2", "--min_confidence", "0.96", "--field", "number") == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ["number", "12", "0.95", "review"]
    assert lines[3] == "(1 row)"


@pytest.mark.parametrize(
    ("kinds", "words", "code", "parts"),
    [
        ("undecodable", [], ExitCode.ALL_PAGES_FAILED, ["a.png", "truncated"]),
        ("elsewhere", [], ExitCode.ALL_PAGES_FAILED, ["a.png, page 1", "form_not_found", "--template"]),
        ("explode", [], ExitCode.ALL_PAGES_FAILED, ["internal_error", "report"]),
        ("unread", [], ExitCode.ALL_PAGES_FAILED, ["internal_error", "confused"]),
        ("nan", [], ExitCode.BAD_MODEL, ["--model", "NaN"]),
        ("good", ["--page", "2"], ExitCode.USAGE, ["--page 2", "1 page"]),
        ("good", ["--page", "0"], ExitCode.USAGE, ["--page 0"]),
        ("good", ["--field", "nummer"], ExitCode.USAGE, ["--field nummer", "number, unused, story"]),
        ("good", ["--min_confidence", "2"], ExitCode.USAGE, ["--min_confidence"]),
        ("good", ["--out", "/nowhere/x.png"], ExitCode.OUTPUT_NOT_WRITABLE, ["--out /nowhere/x.png"]),
        ("good", ["--out", "/tmp/x.nothing"], ExitCode.OUTPUT_NOT_WRITABLE, ["--out /tmp/x.nothing"]),
        ("good", ["--template", "missing.toml"], ExitCode.BAD_TEMPLATE, ["missing.toml"]),
    ],
)
def test_errors_name_the_cause_and_have_their_code(tiny, capsys, kinds, words, code, parts):
    assert tiny(kinds, *words) == code
    error = capsys.readouterr().err
    assert [part for part in parts if part not in error] == []


def test_a_file_that_is_not_there_or_no_picture(capsys, tmp_path):
    words = ["--template", "hsf", "--out", str(tmp_path / "x.png")]
    assert main(["preview", str(tmp_path / "gone.png"), *words]) == ExitCode.NO_INPUT
    assert "gone.png" in capsys.readouterr().err
    (tmp_path / "text.png").write_text("hello")
    assert main(["preview", str(tmp_path / "text.png"), *words]) == ExitCode.ALL_PAGES_FAILED
    assert "not_an_image" in capsys.readouterr().err
    (tmp_path / "no.tflite").write_bytes(b"nothing")
    model = ["--model", str(tmp_path / "no.tflite")]
    assert main(["preview", str(SAMPLE), *words, *model]) == ExitCode.BAD_MODEL
    assert not (tmp_path / "x.png").exists()


def page_colors(kind: str) -> set[tuple[int, int, int]]:
    """Colours below the title, which shows all of them as a key."""
    picture = drawn(read(kind))
    return colors(picture.crop((0, picture.height - 200, 300, picture.height)))


def test_fields_are_drawn_in_the_color_of_their_status():
    assert set(overlay.STATUS_COLORS.values()) <= page_colors("good")
    assert overlay.STATUS_COLORS["accepted"] not in page_colors("doubtful")
    assert page_colors("good") & {overlay.CUT_COLOR, overlay.CHARACTER_COLOR} == {
        overlay.CUT_COLOR,
        overlay.CHARACTER_COLOR,
    }


def test_doubtful_characters_stand_out():
    assert overlay.DOUBTFUL_COLOR not in page_colors("good")
    assert overlay.DOUBTFUL_COLOR in page_colors("doubtful")


def test_only_the_fields_asked_for_are_drawn():
    picture = drawn(read("good"), "unused")
    found = colors(picture.crop((0, picture.height - 20, 20, picture.height)))
    assert overlay.STATUS_COLORS["accepted"] not in found
    assert picture.height < drawn(read("good")).height


def test_a_field_box_lies_where_the_form_lies():
    turn = np.array([[0.0, -1.0, 100.0], [1.0, 0.0, 7.0]])  # a quarter clockwise, and shifted
    corners = overlay.field_corners(Box(10, 20, 30, 5), Registration(turn, 0.0, 1, 1))
    assert corners == [(80, 17), (80, 47), (75, 47), (75, 17)]


def test_labels_show_reading_and_confidence():
    row = {"field": "n", "text": "12", "confidence": 0.9876, "status": "accepted"}
    assert overlay.field_label(row) == "12 · 98.8 %"
    assert overlay.field_label(row | {"text": "a\nb"}) == "a / b · 98.8 %"
    assert overlay.field_label(row | {"text": "", "confidence": None, "status": "blank"}) == "blank"
    assert overlay.field_label(row | {"text": "", "status": "review"}) == "(nothing) · 98.8 %"


def test_the_title_tells_how_the_form_lies():
    title = overlay.page_title("a.png", read("good").rows.form)
    assert " ".join(title.split()) == "a.png page 1 tiny skew +0.00° residual 0.5 px 9 of 10 rules"


def test_read_page_gives_every_field_and_raises_what_failed():
    page = read("good")
    assert [row["field"] for row in page.rows.fields] == ["number", "unused", "story"]
    with pytest.raises(CommandError, match="form_not_found"):
        read("elsewhere")


def test_preview_loads_neither_beam_nor_training_libraries():
    loaded = modules_loaded_by("import jobs.preview, jobs.overlay, segmentation.segmenting")
    assert not loaded & {"apache_beam", "tensorflow", "keras", "matplotlib"}


def test_a_group_of_tick_boxes_is_drawn_and_asked_for_by_its_name(capsys, tmp_path):
    fields = [("yes", [200, 200, 70, 70]), ("no", [500, 200, 70, 70]), ("perhaps", [800, 200, 70, 70])]
    text = '[form]\nname = "ticks"\ndpi = 300\nwidth = 1700\nheight = 1200\n'
    for name, box in fields:
        text += f'[[field]]\nname = "{name}"\nbox = {box}\nlayout = "mark"\n'
        text += f'group = "answer"\nvalue = "{name}"\n'
    text += '[[field]]\nname = "amount"\nbox = [200, 400, 900, 100]\ncharset = "digits"\n'
    (tmp_path / "ticks.toml").write_text(text)
    page = render_blank(load_template(str(tmp_path / "ticks.toml"))).copy()
    page[225:245, 510:560] = 0
    Image.fromarray(page).save(tmp_path / "ticks.png", dpi=(300, 300))
    words = ["preview", str(tmp_path / "ticks.png"), "--template", str(tmp_path / "ticks.toml")]
    words += ["--out", str(tmp_path / "over.png")]
    assert main(words) == ExitCode.OK
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown[2:4]] == ["answer", "amount"]
    assert colors(Image.open(tmp_path / "over.png")) >= {overlay.STATUS_COLORS["accepted"]}
    assert main([*words, "--field", "answer"]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines if line.startswith(("answer", "amount"))] == [["answer", "no"]]
    assert main([*words, "--field", "perhaps"]) == ExitCode.OK
    assert "answer" in capsys.readouterr().out
    assert main([*words, "--field", "maybe"]) == ExitCode.USAGE


def test_a_sample_form_with_the_shipped_model(capsys, tmp_path):
    out = tmp_path / "over.png"
    words = ["--template", "hsf", "--out", str(out), "--field", "fld_06", "fld_15"]
    assert main(["preview", str(SAMPLE), *words]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:4]] == ["fld_06", "fld_15"]
    assert all(len(line.split()[1]) == 2 for line in lines[2:4])
    assert Image.open(out).size < (2560, 3300)
