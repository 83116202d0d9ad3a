"""Pencil and pale pens are read on a page of black print; what is paler yet is doubted, not called blank."""

import cv2
import numpy as np
import pytest

from model.constraints import read_rows
from model.networks import load_networks
from pipeline.classifying import classify_pages
from pipeline.options import JobOptions
from pipeline.reading import SURELY_BLANK, blank_confidence, page_rows
from pipeline.records import PageKey, PageToClassify
from segmentation.faint_ink import ink_levels
from segmentation.finding import register_best
from segmentation.illumination import ink_threshold
from segmentation.page import EMPTY, MARKED
from segmentation.rendering import render_blank
from segmentation.segmenting import segment_page
from segmentation.templates import load_template, parse_template

HSF = load_template("hsf")
TICKS = parse_template(
    (
        '[form]\nname = "ticks"\ndpi = 300\nwidth = 1700\nheight = 1200\n'
        + "".join(
            f'[[field]]\nname = "{name}"\nbox = {box}\n{rest}\n'
            for name, box, rest in (
                ("yes", [200, 200, 70, 70], 'layout = "mark"'),
                ("no", [500, 200, 70, 70], 'layout = "mark"'),
                ("top", [200, 400, 900, 100], 'charset = "digits"'),
                ("low", [300, 800, 1100, 200], 'charset = "digits"'),
            )
        )
    ).encode(),
    "ticks.toml",
)
PAPER, PRINT = 245, 25


def scanned(template, writing, noise=4.0, blur=0.8, tick=5):
    """A page on paper of 245 with print of 25; ``writing`` is pairs of a field and its grey level."""
    page = PRINT + render_blank(template) * ((PAPER - PRINT) / 255)
    for name, level in writing:
        box = template.field(name).box
        mask = np.zeros(page.shape, np.uint8)
        place = (round(box.x + 0.12 * box.width), round(box.y + 0.75 * box.height))
        if template.field(name).layout == "mark":
            left, right, top, bottom = (
                round(side) for side in (box.x + 12, box.right - 12, box.y + 12, box.bottom - 12)
            )
            cv2.line(mask, (left, bottom), (right, top), 255, tick)
            cv2.line(mask, (left, top), (right, bottom), 255, tick)
        else:
            cv2.putText(mask, "25", place, 0, box.height / 50, 255, 5)
        page[mask > 0] = level
    page = cv2.GaussianBlur(page, (0, 0), blur)
    page += np.random.default_rng(1).normal(0, noise, page.shape)
    return np.clip(np.rint(page), 0, 255).astype(np.uint8)


def written(page, template=HSF):
    found = segment_page(page, template).fields
    return [one.name for one in found if one.lines], [one.name for one in found if one.doubtful]


@pytest.mark.parametrize("level", [40, 120, 150, 175, 190])
@pytest.mark.parametrize("noise", [0.0, 6.0])
def test_writing_paler_than_print_is_found(level, noise):
    assert written(scanned(HSF, [("fld_03", level), ("fld_12", level)], noise)) == (["fld_03", "fld_12"], [])


def test_faint_writing_beside_black_is_read_and_doubted():
    """It may be guide text."""
    page = scanned(HSF, [("fld_03", 25), ("fld_12", 170)])
    assert written(page) == (["fld_03", "fld_12"], ["fld_12"])
    options = JobOptions(inputs=("a",), output="o", template=HSF)
    (classified,) = classify_pages(
        [PageToClassify(PageKey("a", 1), "h", segment_page(page, HSF), {})], load_networks()
    )
    read = page_rows(classified.page, classified.log_probs, options, read_rows)
    rows = {row["field"]: row for row in read.fields}
    assert (rows["fld_12"]["text"], rows["fld_12"]["status"]) == ("25", "review")
    assert rows["fld_12"]["confidence"] <= 0.5
    assert (rows["fld_20"]["text"], rows["fld_20"]["status"]) == ("", "blank")


def test_black_and_pale_writing_on_one_page_are_both_cut_like_black_alone():
    black = segment_page(scanned(HSF, [("fld_03", 25), ("fld_12", 25)]), HSF)
    mixed = segment_page(scanned(HSF, [("fld_03", 25), ("fld_12", 170)]), HSF)
    assert mixed.crops().shape == black.crops().shape
    assert np.abs(mixed.crops().astype(int) - black.crops()).mean() < 6


def test_what_is_paler_yet_is_doubted():
    fields = segment_page(scanned(HSF, [("fld_03", 25), ("fld_12", 205)], noise=2), HSF).fields
    [doubted] = [one for one in fields if one.doubtful]
    assert (doubted.name, doubted.lines) == ("fld_12", ())
    assert (
        blank_confidence(doubted.largest, doubted.doubtful) < SURELY_BLANK < blank_confidence(doubted.largest)
    )


def test_the_other_side_of_the_sheet_is_not_read():
    page = scanned(HSF, [("fld_03", 25)], noise=2)
    through = np.fliplr(scanned(HSF, [("fld_12", 25), ("fld_20", 25)], noise=0)).astype(float)
    shown = np.clip(page - 0.08 * (PAPER - through), 0, 255).astype(np.uint8)
    assert written(shown) == (["fld_03"], [])


@pytest.mark.parametrize("depth", [50, 80])
@pytest.mark.parametrize("name", ["fld_03", "fld_12"])
def test_the_shade_of_a_fold_is_no_ink(depth, name):
    """Through a written field and, above all, through blank ones."""
    page = scanned(HSF, [(name, 25)], noise=2).astype(float)
    x = HSF.field("fld_03").box.x + 250
    y = HSF.field("fld_12").box.y + 45
    rows, columns = np.mgrid[0 : page.shape[0], 0 : page.shape[1]]
    page -= depth * np.exp(-(((columns - x) / 8) ** 2)) + depth * np.exp(-(((rows - y) / 8) ** 2))
    assert written(np.clip(page, 0, 255).astype(np.uint8)) == ([name], [])


@pytest.mark.parametrize("noise", [0, 15, 40])
@pytest.mark.parametrize("paper", [255, 245, 200])
def test_noise_is_no_ink(noise, paper):
    page = scanned(HSF, [("fld_03", 25)], noise=0).astype(float) * paper / PAPER
    page = np.clip(page + np.random.default_rng(1).normal(0, noise, page.shape), 0, 255).astype(np.uint8)
    threshold = ink_threshold(page)
    levels = ink_levels(page, threshold, register_best(page, [HSF])[1], HSF.fields, HSF.dpi)
    assert (levels.thresholds == threshold).all()
    assert not levels.pale.any()


def test_a_page_of_two_colours_has_one_threshold():
    page = np.where(scanned(HSF, [("fld_03", 25)]) > 128, np.uint8(255), np.uint8(0))
    levels = ink_levels(page, 64.0, register_best(page, [HSF])[1], HSF.fields, HSF.dpi)
    assert (levels.thresholds == 64).all()
    assert not levels.pale.any()


@pytest.mark.parametrize("tick", [4, 9])
@pytest.mark.parametrize(("level", "state"), [(25, MARKED), (170, MARKED), (206, EMPTY)])
def test_a_tick_in_pencil_counts_and_a_paler_one_is_doubted(level, state, tick):
    page = scanned(TICKS, [("yes", level)], noise=2, tick=tick)
    yes, no = (one.mark for one in segment_page(page, TICKS).fields[:2])
    assert yes.state == state
    assert (yes.confidence > 0.9) == (state == MARKED)
    assert (no.state, no.confidence > 0.9) == (EMPTY, True)


def test_a_tick_in_pencil_beside_writing_in_black_is_doubted():
    fields = segment_page(scanned(TICKS, [("yes", 170), ("top", 25)], noise=2), TICKS).fields
    assert (fields[0].mark.state, fields[0].mark.confidence) == (MARKED, 0.5)
    assert fields[1].mark.confidence > 0.9


@pytest.mark.parametrize("contrast", [25, 40, 60, 120])
def test_a_page_on_which_all_is_faint_is_read_like_a_black_one(contrast):
    page = scanned(HSF, [("fld_03", 25)], noise=0).astype(float)
    faint = 250 - (PAPER - page) * contrast / (PAPER - PRINT)
    faint += np.random.default_rng(1).normal(0, 2, page.shape)
    assert written(np.clip(faint, 0, 255).astype(np.uint8)) == (["fld_03"], [])


@pytest.mark.parametrize("noise", [3, 12])
def test_the_grain_of_blank_paper_is_no_ink(noise):
    paper = np.random.default_rng(1).normal(240, noise, (1650, 1280))
    assert ink_threshold(np.clip(paper, 0, 255).astype(np.uint8)) <= 208
