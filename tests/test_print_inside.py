"""Print inside fields: told of when a template is drafted or checked, and left out of the reading."""

import tomllib

import numpy as np
import pytest
from PIL import Image, ImageDraw

from jobs import cli
from jobs.exit_codes import ExitCode
from segmentation.field_print import find_print
from segmentation.finding import find_form
from segmentation.handwriting import load_font
from segmentation.print_inside import remove_print
from segmentation.scanner import ScannerSettings, scan
from segmentation.segmenting import segment_page
from segmentation.templates import Box, TemplateError, load_template, parse_template

DPI = 300
MM = DPI / 25.4
BOXES = [(20, 20, 85, 12), (105, 20, 85, 12), (20, 40, 60, 10), (20, 60, 170, 40), (110, 40, 60, 8)]
WORDS = ["Miller", "Jane", "1250", "none so far"]
CELLS = (20, 110, 6, 8)


def blank_form():
    image = Image.new("L", (round(210 * MM), round(148 * MM)), 255)
    draw = ImageDraw.Draw(image)
    for (x, y, width, height), text in zip(
        BOXES, ["Name", "First name", "Amount", "Remarks", ""], strict=True
    ):
        draw.rectangle([x * MM, y * MM, (x + width) * MM, (y + height) * MM], None, 0, 4)
        draw.text(((x + 1) * MM, (y + 2.6) * MM), text, 0, load_font("tinos", 27), "ls")
    draw.text((73 * MM, 48 * MM), "EUR", 0, load_font("tinos", 33), "ls")
    x, y, width, height = CELLS
    for place, letter in enumerate("DDMMYYYY"):
        left = (x + place * width) * MM
        draw.rectangle([left, y * MM, left + width * MM, (y + height) * MM], None, 0, 4)
        draw.text((left + width * MM / 2, (y + 5) * MM), letter, 0, load_font("tinos", 25), "ms")
    return image


def filled_form():
    image = blank_form()
    draw, font = ImageDraw.Draw(image), load_font("architects-daughter", 80)
    for (x, y, _, height), text in zip(BOXES, WORDS, strict=False):
        draw.text(((x + 6) * MM, (y + min(height, 20) - 2) * MM), text, 0, font, "ls")
    x, y, width, _ = CELLS
    for place, digit in enumerate("03041985"):
        draw.text(((x + (place + 0.5) * width) * MM, (y + 7) * MM), digit, 0, font, "ms")
    return image


def scanned(image, skew):
    return scan(np.array(image), DPI, ScannerSettings(skew_degrees=skew), np.random.default_rng(1))[0]


@pytest.fixture
def pages(tmp_path):
    for name, image, skew in (("blank", blank_form(), 0.7), ("filled", filled_form(), -1.1)):
        Image.fromarray(scanned(image, skew)).save(tmp_path / f"{name}.png", dpi=(DPI, DPI))
    return tmp_path


def draft(pages, page):
    out = pages / f"{page}.toml"
    assert cli.main(["template", "new", str(pages / f"{page}.png"), "--out", str(out)]) == ExitCode.OK
    return out


def test_a_draft_names_the_fields_with_print_inside_and_ignores_it(pages, capsys):
    template = load_template(str(draft(pages, "blank")))
    told = capsys.readouterr().out
    assert "warning: print inside 5 fields, which `ignore` in the template leaves out" in told
    assert "field_01, field_02, field_03, field_05, field_06. Delete" in told
    assert [len(spec.ignored) for spec in template.fields] == [1, 1, 2, 0, 1, 8]
    name = template.fields[0].ignored[0]
    assert (name.width, name.height) == pytest.approx((5.2 * MM, 1.6 * MM), abs=0.6 * MM)


def test_a_draft_from_a_filled_page_ignores_nothing_unasked(pages, capsys):
    out = draft(pages, "filled")
    assert "warning: ink inside 5 fields: field_01," in capsys.readouterr().out
    assert all(not spec.ignored for spec in load_template(str(out)).fields)
    commented = out.read_text().replace("# ignore =", "ignore =")
    assert [len(entry.get("ignore", [])) > 0 for entry in tomllib.loads(commented)["field"]] == [
        True,
        True,
        True,
        False,
        True,
        True,
    ]


def test_check_warns_of_print_that_is_not_ignored(pages, capsys):
    out = draft(pages, "blank")
    blank = str(pages / "blank.png")
    capsys.readouterr()
    assert cli.main(["template", "check", str(out), "--blank", blank]) == ExitCode.OK
    assert "no field has print inside that is not ignored" in capsys.readouterr().out
    text = out.read_text()
    line = next(line for line in text.splitlines() if line.startswith("ignore"))
    out.write_text(text.replace(line, "", 1))
    assert cli.main(["template", "check", str(out), "--blank", blank]) == ExitCode.OK
    told = capsys.readouterr().out
    assert told.count("warning") == 1
    assert "field 'field_01': print inside, which will be read as writing" in told
    assert line.split("  #")[0] in told


def test_check_of_another_page_says_that_the_form_is_not_there(pages, capsys):
    out = draft(pages, "blank")
    Image.fromarray(np.full((1700, 2400), 255, np.uint8)).save(pages / "other.png")
    words = ["template", "check", str(out), "--blank", str(pages / "other.png")]
    assert cli.main(words) == ExitCode.ALL_PAGES_FAILED
    assert "form_not_found" in capsys.readouterr().err


@pytest.mark.parametrize("skew", [-2.0, 0.4, 3.0])
def test_what_is_written_beside_the_print_is_all_that_is_cut(pages, skew):
    template = load_template(str(draft(pages, "blank")))
    told = segment_page(scanned(blank_form(), skew), template)
    assert [field.largest for field in told.fields] == [0.0] * 6
    told = segment_page(scanned(filled_form(), skew), template)
    high = 80 * 0.7 / MM
    for field, (_, _, _, height) in zip(told.fields[:3], BOXES, strict=False):
        assert field.largest >= 0.6 * high / height
        (line,) = field.lines
        assert line.piece_bounds[:, 1].min() > 0.25, field.name  # below the caption
        assert line.piece_bounds[:, 2].max() < 4, field.name  # before the unit


def test_no_print_is_found_on_a_form_without(pages):
    template = load_template(str(draft(pages, "blank")))
    found = find_form(scanned(blank_form(), 1.0), [template])
    assert find_print(found).areas == {}


def raster(*boxes):
    ink = np.zeros((90, 200), bool)
    for x, y, width, height in boxes:
        ink[y : y + height, x : x + width] = True
    return ink


def test_only_components_that_lie_whole_in_an_area_go():
    ink = raster((20, 10, 8, 12), (32, 10, 8, 12), (60, 30, 20, 40))
    remove_print(ink, [Box(20, 10, 20, 12)])
    assert np.array_equal(ink, raster((60, 30, 20, 40)))


def test_writing_that_reaches_over_print_stays_whole():
    ink = raster((20, 10, 8, 12), (32, 10, 8, 12), (34, 4, 5, 60))
    remove_print(ink, [Box(20, 10, 20, 12)])
    assert np.array_equal(ink, raster((32, 10, 8, 12), (34, 4, 5, 60)))


def test_print_may_lie_a_little_off():
    ink = raster((25, 14, 8, 12))
    remove_print(ink, [Box(20, 10, 8, 12)])
    assert not ink.any()


def test_areas_beyond_the_raster_are_no_matter():
    ink = raster((0, 0, 8, 12))
    remove_print(ink, [Box(-50, -50, 20, 20), Box(300, 10, 20, 20)])
    assert np.array_equal(ink, raster((0, 0, 8, 12)))


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("[[110, 110, 30, 20]]", None),
        ("5", "is no list"),
        ("[5]", "is not four numbers"),
        ("[[1, 1, 20, 20]]", "outside the field's box"),
        ("[[110, 110, 30000, 20]]", "outside the page"),
        ("[[110, 110, 0, 20]]", "outside the page"),
    ],
)
def test_the_key_of_a_template(value, told):
    text = '[form]\nname = "f"\ndpi = 300\nwidth = 900\nheight = 900\n'
    text += f'[[field]]\nname = "a"\nbox = [100, 100, 600, 90]\nignore = {value}\n'
    if told is None:
        assert parse_template(text.encode(), "f.toml").fields[0].ignored == (Box(110, 110, 30, 20),)
    else:
        with pytest.raises(TemplateError, match=told):
            parse_template(text.encode(), "f.toml")
