"""The seeded renderer: what it draws lies where the template says, and is the same every time."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from segmentation.handwriting import HAND_FONTS, Hand, draw_glyph, random_hand
from segmentation.rendering import fill_form, frame_thickness, render_blank, writing_area
from segmentation.sample_texts import ALPHABETS, random_texts
from segmentation.scanner import NOISE_LEVELS, ScannerSettings, random_settings, scan
from segmentation.templates import load_template, parse_template

HSF = load_template("hsf")
SMALL = parse_template(
    b"""
[form]
name = "small"
dpi = 200
width = 800
height = 500
[[field]]
name = "number"
box = [50, 150, 300, 60]
charset = "digits"
length = [3, 6]
[[field]]
name = "unframed"
box = [400, 150, 300, 60]
charset = "upper"
length = 4
frame = false
[[field]]
name = "remarks"
box = [50, 300, 700, 180]
layout = "paragraph"
""",
    "small.toml",
)
PROSE = "The quick brown fox jumps over the lazy dog, and then once more over all the others."


def rng(seed=1):
    return np.random.default_rng(seed)


def plain_hand(**changes) -> Hand:
    hand = Hand("schoolbell", 56, 1.0, 0, 6.5, 0.3, 0.8, 0, touching=0, crossing=0)
    return replace(hand, **changes)


def handwriting(template, texts, hand, seed=1):
    """What the hand added to the printed form, as bool ink."""
    page, truth = fill_form(template, texts, hand, rng(seed))
    prompts = {
        name: text for name, text in truth.items() if text and template.field(name).charset in ALPHABETS
    }
    return (page < 128) & (render_blank(template, prompts) >= 128)


def test_a_blank_form_has_every_frame_and_nothing_inside():
    page = render_blank(HSF)
    assert page.shape == (3300, 2560)
    assert page.dtype == np.uint8
    assert frame_thickness(HSF) in (5, 6)
    for spec in HSF.fields:
        x, y, right, bottom = (int(v) for v in (spec.box.x, spec.box.y, spec.box.right, spec.box.bottom))
        border = np.concatenate([page[y, x:right], page[bottom - 1, x:right], page[y:bottom, x]])
        assert (border == 0).all(), spec.name
        area = writing_area(HSF, spec)
        inside = page[int(area.y) : int(area.bottom), int(area.x) : int(area.right)]
        assert (inside == 255).all(), spec.name


def test_a_field_without_a_frame_prints_none():
    box = SMALL.field("unframed").box
    page = render_blank(SMALL)
    assert (page[int(box.y) : int(box.bottom), int(box.x) : int(box.right)] == 255).all()


def test_prompts_stand_above_their_boxes():
    difference = render_blank(HSF, {"fld_07": "899"}) != render_blank(HSF)
    ys, xs = np.nonzero(difference)
    box = HSF.field("fld_07").box
    assert box.y - 50 < ys.min() < ys.max() < box.y
    assert box.x < xs.min() < xs.max() < box.right
    with pytest.raises(KeyError):
        render_blank(HSF, {"no_such_field": "1"})


@pytest.mark.parametrize("font", HAND_FONTS)
def test_writing_lies_in_its_box(font):
    texts = random_texts(HSF, rng(3))
    hand = plain_hand(font=font)
    ink = handwriting(HSF, texts, hand)
    elsewhere = ink.copy()
    for spec in HSF.fields:
        area, box = writing_area(HSF, spec), spec.box
        top, bottom = int(box.y - 0.3 * 106), int(box.bottom + 0.3 * 106)
        around = ink[top:bottom, int(box.x) - 12 : int(box.right) + 12]
        inside = ink[int(area.y) : int(area.bottom), int(area.x) : int(area.right)]
        assert bool(texts[spec.name]) == bool(inside.any()), spec.name
        if texts[spec.name]:
            assert inside.sum() > 0.85 * around.sum(), spec.name
        elsewhere[top:bottom, int(box.x) - 12 : int(box.right) + 12] = False
    assert not elsewhere.any()


def test_as_many_separate_characters_as_were_asked_for():
    ink = handwriting(HSF, {"fld_14": "116213"}, plain_hand())
    count, _, stats, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8))
    assert count - 1 == 6
    heights = stats[1:, cv2.CC_STAT_HEIGHT]
    assert (heights > 40).all()
    assert (heights < 76).all()


def test_equal_letters_differ():
    hand = plain_hand()
    chance = rng()
    first, second = (draw_glyph("8", hand, 60, 6, 1, chance).ink for _ in range(2))
    assert first.shape != second.shape or (first != second).any()


@pytest.mark.parametrize("font", HAND_FONTS)
def test_a_font_can_write_all_printable_characters_with_the_pen_asked_for(font):
    thickness = {}
    for stroke in (6, 9):
        hand, chance = plain_hand(font=font), rng()
        glyphs = [draw_glyph(chr(code), hand, 60, stroke, 1, chance).ink for code in range(33, 127)]
        assert min(ink.sum() for ink in glyphs) > 10
        padded = [np.pad(ink.astype(np.uint8), 2) for ink in glyphs]
        distance = np.concatenate(
            [d[d > 0] for d in (cv2.distanceTransform(g, cv2.DIST_L2, 5) for g in padded)]
        )
        thickness[stroke] = 4 * distance.mean()
    assert thickness[9] > thickness[6] + 0.8  # heavy fonts are thinned less than asked, so that none breaks
    assert 7.5 < thickness[9] < 10.5


def test_upper_and_lower_case_differ_in_every_font():
    for font in HAND_FONTS:
        hand = plain_hand(font=font, unevenness=0)
        for letter in "abdeghnqrt":
            small = draw_glyph(letter, hand, 60, 6, 1, rng()).ink
            large = draw_glyph(letter.upper(), hand, 60, 6, 1, rng()).ink
            size = (24, 24)
            a, b = (
                cv2.resize(i.astype(np.float32), size, interpolation=cv2.INTER_AREA) for i in (small, large)
            )
            assert np.abs(a - b).mean() > 0.12, (font, letter)


def test_a_hand_that_crosses_touches_frames():
    texts = {spec.name: "8" * spec.max_length for spec in HSF.fields if spec.charset == "digits"}

    def touched(hand):
        ink = handwriting(HSF, texts, hand)
        found = 0
        for name in texts:
            area = writing_area(HSF, HSF.field(name))
            left, right = int(area.x), int(area.right)
            ring = (
                ink[int(area.bottom) - 2, left:right],
                ink[int(area.y) : int(area.bottom), [left, right - 1]],
            )
            found += any(part.any() for part in ring)
        return found

    assert touched(plain_hand(crossing=1)) > 20
    assert touched(plain_hand(crossing=0, height=46)) < 4


def test_touching_letters_are_joined():
    ink = handwriting(HSF, {"fld_10": "808080"}, plain_hand(touching=1, unevenness=0.3)).astype(np.uint8)
    count = cv2.connectedComponents(cv2.dilate(ink, np.ones((3, 3), np.uint8)))[0] - 1
    assert count <= 2


def test_the_truth_covers_every_field_and_equal_seeds_give_equal_pages():
    texts = {"number": "1234", "remarks": f"  {PROSE} \n {PROSE}"}
    page, truth = fill_form(SMALL, texts, random_hand(rng(5)), rng(6))
    again, _ = fill_form(SMALL, texts, random_hand(rng(5)), rng(6))
    other, _ = fill_form(SMALL, texts, random_hand(rng(5)), rng(7))
    assert truth == {"number": "1234", "unframed": "", "remarks": f"{PROSE} {PROSE}"}
    assert (page == again).all()
    assert (page != other).any()


def test_a_long_paragraph_stays_in_its_box():
    ink = handwriting(SMALL, {"remarks": " ".join([PROSE] * 5)}, plain_hand())
    ys, xs = np.nonzero(ink)
    box = SMALL.field("remarks").box
    assert box.x < xs.min() < xs.max() < box.right
    assert box.y < ys.min() < ys.max() < box.bottom + 10


@pytest.mark.parametrize(("name", "text", "error"), [("number", "1²", ValueError), ("nope", "1", KeyError)])
def test_what_cannot_be_written_is_refused(name, text, error):
    with pytest.raises(error):
        fill_form(SMALL, {name: text}, plain_hand(), rng())


def test_invented_texts_obey_the_template():
    for seed in range(20):
        for spec in (*HSF.fields, *SMALL.fields):
            text = random_texts(HSF if spec in HSF.fields else SMALL, rng(seed))[spec.name]
            letters = text.replace(" ", "")
            assert len(letters) <= spec.max_length
            if spec.charset in ALPHABETS:
                assert spec.min_length <= len(text)
                assert set(text) <= set(ALPHABETS[spec.charset])
                assert len(text) != len(ALPHABETS[spec.charset]) or len(set(text)) == len(text)


@pytest.mark.parametrize("dpi", [200, 300, 400])
def test_the_matrix_says_where_a_point_went(dpi):
    page = np.full((900, 700), 255, np.uint8)
    points = [(100, 120), (600, 100), (350, 450), (120, 800), (590, 780)]
    for point in points:
        cv2.circle(page, point, 6, 0, -1)
    before = page.copy()
    settings = ScannerSettings(skew_degrees=4, dpi=dpi, shift=(12, -20), stretch=0.01)
    image, matrix = scan(page, 300, settings, rng())
    assert (page == before).all()
    assert image.shape == (900 * dpi // 300, round(700 * dpi / 300))
    assert set(np.unique(image)) == {0, 255}
    _, _, _, centres = cv2.connectedComponentsWithStats(255 - image)
    expected = np.array([matrix @ (x, y, 1) for x, y in points])
    nearest = np.linalg.norm(centres[1:, None] - expected[None], axis=2).min(axis=0)
    assert len(centres) - 1 == len(points)
    assert nearest.max() < 0.7
    assert np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])) == pytest.approx(4)


def test_noise_levels():
    page, _ = fill_form(SMALL, {"number": "123"}, plain_hand(), rng())
    images = {}
    for level in NOISE_LEVELS:
        image, _ = scan(page, 200, random_settings(level, rng(2)), rng(3))
        repeated, _ = scan(page, 200, random_settings(level, rng(2)), rng(3))
        assert (image == repeated).all()
        images[level] = image
    assert ((images["clean"] < 128) == (page < 128)).mean() > 0.995
    pieces = [cv2.connectedComponents(255 - images[level])[0] for level in NOISE_LEVELS]
    assert pieces[0] < pieces[1] < pieces[2]
    with pytest.raises(ValueError, match="clean, normal, hard"):
        random_settings("loud", rng())


def test_each_defect_shows():
    page = render_blank(SMALL)
    plain, _ = scan(page, 200, ScannerSettings(), rng())
    ink = (plain == 0).sum()

    def inked(**defect):
        return (scan(page, 200, ScannerSettings(**defect), rng())[0] < 128).sum()

    assert inked(rule_breaks=60) < 0.95 * ink
    assert inked(fading=0.4) < ink < inked(fading=-0.4)
    assert inked(black_edge=60) > ink + 2000
    assert inked(specks=100) > ink + 100
    assert inked(salt_and_pepper=0.02) == pytest.approx(ink + 0.01 * page.size, rel=0.1)
    gray, _ = scan(page, 200, ScannerSettings(binary=False), rng())
    assert len(np.unique(gray)) > 20
