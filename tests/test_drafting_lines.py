"""Lines to write on, "Name: ________", are drafted beside boxes; other lines are not."""

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from jobs import cli
from jobs.exit_codes import ExitCode
from segmentation.drafting import DraftingError, draft_template, template_text
from segmentation.handwriting import load_font
from segmentation.scanner import ScannerSettings, scan
from segmentation.segmenting import segment_page
from segmentation.templates import parse_template

DPI = 300
MM = DPI / 25.4
BOXES = [(20, 150, 80, 8), (110, 150, 80, 8), (20, 165, 170, 8)]
CAPTIONED = [(42, 50, 105), (130, 50, 190), (42, 61, 105), (130, 61, 190)]


def paper(boxes=BOXES):
    image = Image.new("L", (round(210 * MM), round(190 * MM)), 255)
    write(image, 20, 25, "MEMBERSHIP", 20)
    for x, y, width, height in boxes:
        ends = [x * MM, y * MM, (x + width) * MM, (y + height) * MM]
        ImageDraw.Draw(image).rectangle(ends, None, 0, 4)
    return image


def write(image, x, y, text, points):
    ImageDraw.Draw(image).text(
        (x * MM, y * MM), text, 0, ImageFont.load_default(round(points / 72 * DPI)), "ls"
    )


def line(image, left, y, right, thickness=3):
    ImageDraw.Draw(image).line([left * MM, y * MM, right * MM, y * MM], 0, thickness)


def captioned(boxes=BOXES):
    image = paper(boxes)
    for (left, y, right), text in zip(CAPTIONED, ["Name", "First name", "Street", "Number"], strict=True):
        write(image, left - 22, y, text, 10)
        line(image, left, y + 0.3, right)
    return image


def scanned(image, skew):
    return scan(np.array(image), DPI, ScannerSettings(skew_degrees=skew), np.random.default_rng(1))[0]


def lines_of(page):
    return [field for field in draft_template(page, DPI).fields if not field.framed]


@pytest.mark.parametrize("skew", [None, 1.2])
def test_lines_with_a_caption_before_them(skew):
    image = captioned()
    page = np.array(image) if skew is None else scanned(image, skew)
    fields = lines_of(page)
    assert [field.layout for field in fields] == ["line"] * 4
    for field, (left, y, right) in zip(fields, CAPTIONED, strict=True):
        assert field.box.bottom / MM == pytest.approx(y + 1.5, abs=1.5)
        assert 5 <= field.box.height / MM <= 11
        if skew is None:
            assert (field.box.x / MM, field.box.right / MM) == pytest.approx((left, right), abs=0.5)


def test_captions_below_lines():
    image = paper()
    for left, right, text in ((20, 90, "Place, date"), (110, 190, "Signature")):
        line(image, left, 100, right)
        write(image, left + 5, 103.4, text, 7)
    assert len(lines_of(np.array(image))) == 2


def test_ruled_paper_without_a_caption():
    image = paper()
    for row in range(4):
        line(image, 20, 60 + 8 * row, 190)
    fields = lines_of(scanned(image, -0.7))
    assert len(fields) == 4
    for above, below in pairwise(fields):
        assert above.box.bottom <= below.box.y + 0.5 * MM


def test_other_lines_are_no_fields():
    image = paper()
    line(image, 20, 27, 75)  # under the title
    line(image, 15, 35, 195)  # parts the page
    write(image, 20, 41, "1. Personal data", 11)
    line(image, 15, 100, 195)
    write(image, 15, 103.4, "Form 12", 7)
    write(image, 20, 120, "Please read the small print", 11)
    line(image, 20, 121, 75)
    for left in range(42, 100, 2):  # dashes
        line(image, left, 135, left + 1.3)
    write(image, 20, 135, "Name", 10)
    for page in (np.array(image), scanned(image, 0.8)):
        assert lines_of(page) == []


def test_lines_inside_a_box_belong_to_it():
    image = paper([*BOXES, (20, 50, 170, 40)])
    for row in range(4):
        line(image, 24, 58 + 8 * row, 186)
    assert lines_of(np.array(image)) == []


@pytest.mark.parametrize("skew", [-1.0, 2.0])
def test_drafted_lines_are_read(skew):
    image = captioned()
    text = template_text(draft_template(np.array(image), DPI), "lines", "lines.png")
    template = parse_template(text.encode(), "lines.toml")
    told = segment_page(scanned(image, skew), template)
    assert [field.largest for field in told.fields] == [0.0] * 7
    font = load_font("architects-daughter", 80)
    ImageDraw.Draw(image).text((46 * MM, 49.6 * MM), "Miller", 0, font, "ls")
    told = segment_page(scanned(image, skew), template)
    assert [len(field.lines) for field in told.fields] == [1, 0, 0, 0, 0, 0, 0]


def test_a_form_of_lines_alone_says_what_to_do(tmp_path, capsys):
    page = np.array(captioned(boxes=[]))
    with pytest.raises(DraftingError, match="4 lines to write on, but no closed box") as told:
        draft_template(page, DPI)
    assert told.value.code == "only_lines"
    Image.fromarray(page).save(tmp_path / "lines.png", dpi=(DPI, DPI))
    words = ["template", "new", str(tmp_path / "lines.png"), "--out", str(tmp_path / "x.toml")]
    assert cli.main(words) == ExitCode.ALL_PAGES_FAILED
    told = capsys.readouterr().err
    assert "only_lines" in told
    assert "print at least two on it" in told
    assert not (tmp_path / "x.toml").exists()
