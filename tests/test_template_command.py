"""`formscribe template new | check | preview`: what is written, what is told, and the exit codes."""

import re
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from own_forms import MEMBERSHIP, membership
from PIL import Image

from jobs import cli
from jobs.exit_codes import ExitCode
from jobs.template import page_dpi
from segmentation.checking import check_template
from segmentation.image_document import Page
from segmentation.registration import Registration, RegistrationError
from segmentation.rendering import render_blank
from segmentation.scanner import ScannerSettings, scan
from segmentation.templates import load_template

HEAD = '[form]\nname = "f"\ndpi = 300\nwidth = 2000\nheight = 2000\n'
TWO = '[[field]]\nname = "a"\nbox = [100, 100, 600, 90]\n[[field]]\nname = "b"\nbox = [100, 300, 600, 90]\n'


@pytest.fixture
def blank_page(tmp_path):
    path = tmp_path / "blank.png"
    Image.fromarray(render_blank(membership())).save(path, dpi=(200, 200))
    return path


def problems_of(text):
    return [str(problem) for problem in check_template(text.encode(), "my.toml")[1]]


def test_new_writes_a_template_that_loads_and_checks(blank_page, tmp_path, capsys):
    out = tmp_path / "my_form.toml"
    assert cli.main(["template", "new", str(blank_page), "--out", str(out)]) == ExitCode.OK
    told = capsys.readouterr().out
    assert "6 fields found at 200 dpi" in told
    assert "guessed" not in told
    assert re.search(r"checked: the draft is found on its own page, (\d+) of \1 lines", told)
    assert "next:   formscribe template preview" in told
    template = load_template(str(out))
    assert (template.name, template.dpi, template.width, template.height) == ("my_form", 200, 1700, 1400)
    assert [spec.cells for spec in template.fields] == [18, 7, 1, 1, 1, 1]
    assert cli.main(["template", "check", str(out)]) == ExitCode.OK
    assert "6 fields, nothing wrong" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("stated", "words", "told"),
    [
        (None, [], "no resolution is stated in the file: 150 dpi guessed; --dpi names it"),
        (72, [], "the file states 72 dpi, 19.4 inches for the shorter side of the page: 150 dpi guessed;"),
        (None, ["--dpi", "210"], None),
    ],
)
def test_new_says_when_it_guesses_the_resolution(stated, words, told, tmp_path, capsys):
    page = tmp_path / "blank.png"
    image = Image.fromarray(render_blank(membership()))
    image.save(page, **({"dpi": (stated, stated)} if stated else {}))
    assert cli.main(["template", "new", str(page), "--out", str(tmp_path / "x.toml"), *words]) == ExitCode.OK
    out = capsys.readouterr().out
    assert told in out if told else "guessed" not in out


def test_new_warns_of_a_draft_that_is_not_found_on_its_own_page(blank_page, tmp_path, monkeypatch, capsys):
    def not_found(gray, templates):
        raise RegistrationError("form_not_found", "form 'x' is not on this page")

    monkeypatch.setattr("jobs.template.find_form", not_found)
    out = tmp_path / "x.toml"
    assert cli.main(["template", "new", str(blank_page), "--out", str(out)]) == ExitCode.OK
    told = capsys.readouterr().out
    assert "warning: the draft is not found on its own page (form_not_found)" in told
    assert "checked" not in told
    assert out.exists()


def test_new_warns_of_a_draft_that_lies_otherwise_on_its_own_page(blank_page, tmp_path, monkeypatch, capsys):
    found = Registration(np.array([[-1.0, 0, 1700], [0, -1, 1400]]), 0.5, 30, 40)
    monkeypatch.setattr(
        "jobs.template.find_form", lambda gray, templates: SimpleNamespace(registration=found)
    )
    words = ["template", "new", str(blank_page), "--out", str(tmp_path / "x.toml")]
    assert cli.main(words) == ExitCode.OK
    assert "in another place, 30 of 40 lines" in capsys.readouterr().out


def test_new_never_replaces_an_edited_template_unasked(blank_page, tmp_path, capsys):
    out = tmp_path / "my_form.toml"
    out.write_text("mine")
    words = ["template", "new", str(blank_page), "--out", str(out)]
    assert cli.main(words) == ExitCode.USAGE
    assert "--overwrite" in capsys.readouterr().err
    assert out.read_text() == "mine"
    assert cli.main([*words, "--overwrite", "--name", "card"]) == ExitCode.OK
    assert load_template(str(out)).name == "card"


@pytest.mark.parametrize("skew", [0.0, 2.5, -6.0])
def test_new_writes_the_upright_page_on_which_its_boxes_lie(skew, tmp_path, capsys):
    page, _ = scan(
        render_blank(membership()), 200, ScannerSettings(skew_degrees=skew), np.random.default_rng(1)
    )
    Image.fromarray(page).save(tmp_path / "scan.png", dpi=(200, 200))
    out, upright = tmp_path / "x.toml", tmp_path / "upright.png"
    words = ["template", "new", str(tmp_path / "scan.png"), "--out", str(out), "--upright", str(upright)]
    assert cli.main(words) == ExitCode.OK
    assert f"upright page: {upright}" in capsys.readouterr().out
    with Image.open(upright) as picture:
        assert picture.info["dpi"] == pytest.approx((200, 200), abs=0.1)
        ink = np.asarray(picture) < 140
    template = load_template(str(out))
    assert ink.shape == (template.height, template.width)
    for spec in template.fields:
        top, bottom = round(spec.box.y), round(spec.box.bottom)
        left, right = round(spec.box.x), round(spec.box.right)
        for side in (ink[top : top + 6, left:right], ink[bottom - 6 : bottom, left:right]):
            assert side.any(axis=0).mean() > 0.95, spec.name
        for side in (ink[top:bottom, left : left + 6], ink[top:bottom, right - 6 : right]):
            assert side.any(axis=1).mean() > 0.95, spec.name
    assert cli.main([*words, "--out", str(tmp_path / "y.toml")]) == ExitCode.USAGE
    assert "--upright" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["new", "missing.png", "--out", "x.toml"], ExitCode.NO_INPUT, "missing.png"),
        (["new", "empty.png", "--out", "x.toml"], ExitCode.ALL_PAGES_FAILED, "no_boxes"),
        (["new", "no.png", "--out", "x.toml"], ExitCode.ALL_PAGES_FAILED, "not_an_image"),
        (["new", "blank.png", "--out", "nowhere/x.toml"], ExitCode.OUTPUT_NOT_WRITABLE, "--out"),
        (["new", "blank.png", "--out", "x.toml", "--page", "2"], ExitCode.USAGE, "--page 2"),
        (["new", "blank.png", "--out", "x.toml", "--dpi", "7"], ExitCode.USAGE, "--dpi 7"),
        (["new", "blank.png"], ExitCode.USAGE, "--out"),
        (["check", "missing.toml"], ExitCode.BAD_TEMPLATE, "missing.toml"),
        (["preview", "missing.toml", "blank.png", "--out", "o.png"], ExitCode.BAD_TEMPLATE, "missing.toml"),
        (["preview", "hsf", "blank.png", "--out", "nowhere/o.png"], ExitCode.OUTPUT_NOT_WRITABLE, "--out"),
        (["draw"], ExitCode.USAGE, "draw"),
        ([], ExitCode.USAGE, "ACTION"),
        (["check", "x.toml", "--strict"], ExitCode.USAGE, "--strict"),
    ],
)
def test_errors_name_the_culprit_and_have_their_code(
    words, code, told, blank_page, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.full((500, 500), 255, np.uint8)).save("empty.png")
    (tmp_path / "no.png").write_text("no picture")
    assert cli.main(["template", *words]) == code
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("size", "stated", "dpi"),
    [((1654, 2339), 96, 200), ((1654, 2339), None, 200), ((2480, 3508), 300, 300), ((1000, 700), 200, 200)],
)
def test_the_resolution_is_the_files_own_if_that_can_be(size, stated, dpi):
    gray = np.zeros(size[::-1], np.uint8)
    assert page_dpi(Page(gray, 1, stated), None) == dpi
    assert page_dpi(Page(gray, 1, stated), 240) == 240


def test_a_good_template_has_no_problem():
    assert problems_of(HEAD + TWO) == []
    assert problems_of(MEMBERSHIP.decode()) == []


def test_everything_wrong_is_told_at_once():
    text = HEAD.replace("300", '"high"') + (
        '[[field]]\nname = "a"\nbox = [100, 100, 600, 90]\ncharset = "roman"\nlength = [5, 2]\n'
        '[[field]]\nname = "a"\nbox = [1900, 300, 600, 90]\ncolour = "red"\n'
        '[[field]]\nbox = [100, 500, 600, 90]\nlayout = "comb"\n'
        '[[field]]\nname = "d"\nbox = [100, 700, 600, 90]\nlayout = "tick"\nframe = 1\n'
    )
    told = problems_of(text)
    for key in (
        "form dpi:",
        "field 'a' charset:",
        "field 'a' length:",
        "field 'a' 'colour':",
        "field 'a' box:",
        "field 'number 3, without a name' cells:",
        "field 2 name:",
        "field 'd' layout:",
        "field 'd' frame:",
        "field 'a':",
    ):
        assert any(line.startswith(f"my.toml: {key}") for line in told), (key, told)
    assert all(line.startswith("my.toml: ") and line.endswith(".") for line in told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEAD + TWO.replace("300,", "150,"), "field 'b' box: overlaps field 'a'"),
        (HEAD + TWO.replace('"b"', '"a"'), "field 'a': the name is used twice"),
        (HEAD + TWO.split('[[field]]\nname = "b"')[0], "landmarks: framed fields have 2 horizontal and 2"),
        (HEAD + TWO.replace("90]", "90]\nframe = false"), "landmarks: framed fields have 0 horizontal"),
        (
            HEAD + TWO.replace("90]", '90]\nlayout = "comb"\ncells = 40', 1),
            "field 'a' cells: the narrowest is 1.1",
        ),
        (HEAD + TWO.replace("600, 90]", "600, 30]", 1), "field 'a' box: leaves 1."),
        (HEAD, "[[field]]: the form has no field"),
        (TWO, "[form]: is missing"),
        ("[form", "is not valid TOML"),
        (HEAD + TWO + "[extra]\n", "'extra'"),
        (HEAD + "field = [3]\n", "field"),
        (HEAD + TWO.replace("90]", '90]\nlayout = "mark"\ngroup = "g"', 1), "group"),
    ],
)
def test_each_problem_has_its_key(text, told):
    assert any(told in line for line in problems_of(text)), problems_of(text)


def test_boxes_that_share_a_line_do_not_overlap_and_have_one_line_less():
    text = HEAD + TWO.replace("300, 600", "186, 600")
    (problem,) = problems_of(text)
    assert "landmarks: framed fields have 3 horizontal and 2 vertical" in problem
    assert problems_of(text + '[[field]]\nname = "c"\nbox = [900, 100, 600, 90]\n') == []


def test_check_prints_every_problem_and_leaves_with_its_code(tmp_path, capsys):
    path = tmp_path / "my.toml"
    path.write_text(HEAD + TWO.replace("90]", '90]\ncharset = "roman"'))
    assert cli.main(["template", "check", str(path)]) == ExitCode.BAD_TEMPLATE
    out, err = capsys.readouterr()
    assert out.count("'roman' is unknown") == 2
    assert "2 to correct" in err


def test_preview_draws_the_boxes_where_they_lie(tmp_path, capsys):
    template = membership()
    page, matrix = scan(
        render_blank(template), 200, ScannerSettings(skew_degrees=1.0), np.random.default_rng(1)
    )
    Image.fromarray(page).save(tmp_path / "scan.png")
    (tmp_path / "my.toml").write_bytes(MEMBERSHIP)
    out = tmp_path / "overlay.png"
    words = ["template", "preview", str(tmp_path / "my.toml"), str(tmp_path / "scan.png"), "--out", str(out)]
    assert cli.main(words) == ExitCode.OK
    told = capsys.readouterr().out
    assert "membership: residual" in told
    assert re.search(r"\b(\d+) of \1 rules matched", told)
    picture = np.asarray(Image.open(out)).astype(int)
    red = (picture[..., 0] > 150) & (picture[..., 1] < 100)
    near = cv2.dilate(red.astype(np.uint8), np.ones((9, 9), np.uint8))
    for spec in template.fields:
        x, y = matrix @ (spec.box.right, spec.box.bottom, 1)
        assert near[round(y), round(x)], spec.name


def test_preview_of_another_form_says_so_and_draws_all_the_same(blank_page, tmp_path, capsys):
    out = tmp_path / "overlay.png"
    words = ["template", "preview", "hsf", str(blank_page), "--out", str(out)]
    assert cli.main(words) == ExitCode.ALL_PAGES_FAILED
    assert "not registered, drawn as it is" in capsys.readouterr().out
    assert Image.open(out).size == (1700, 1400)
