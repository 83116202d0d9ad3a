"""Forms drawn from their template: blank, or filled in by a seeded hand.

Pages are uint8 (H, W), 0 = ink, 255 = paper, in template pixels, origin at the top left. What a scanner does
to them is another module: ``segmentation.scanner``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from segmentation.form_print import PRINT_FONT, draw_print
from segmentation.handwriting import Glyph, Hand, draw_glyph, load_font, natural_width
from segmentation.templates import Box, FieldSpec, FormTemplate

RULE = 5.5  # thickness of a printed frame at 300 dpi, px
CELL_RULE = 0.6  # thickness of the lines between cells, in thicknesses of the frame
PROMPT_SIZE, TITLE_SIZE = 46, 66  # em of the printed texts at 300 dpi, px
PROMPTED = ("digits", "upper", "lower", "letters", "alphanumeric")


@dataclass(frozen=True, slots=True)
class _Row:
    """Where one row of writing goes.

    ``unit`` is px of the page per px at 300 dpi, ``baseline`` the y of the row's left end, ``fall`` its
    slope. Letters turn out wider or narrower than planned: the point at the share ``anchor`` of the planned
    ``length`` from ``start`` stays where it is.
    """

    area: Box
    unit: float
    height: float
    baseline: float
    start: float
    length: float
    anchor: float
    gap: float
    squeeze: float
    fall: float


def render_blank(template: FormTemplate, prompts: Mapping[str, str] | None = None) -> NDArray[np.uint8]:
    """Prints an empty form: frames, title, and what to write above the boxes that have room for it.

    Args:
        template: any form.
        prompts: field name -> text printed above that field's box; none by default.

    Returns:
        uint8 (template.height, template.width), 0 = ink, 255 = paper, anti-aliased text.

    Raises:
        KeyError: a prompt names a field that the form has not.
    """
    page = np.full((template.height, template.width), 255, np.uint8)
    for spec in template.fields:
        if spec.framed:
            _draw_frame(page, spec.box, frame_thickness(template))
            _draw_cell_lines(page, spec, frame_thickness(template))
    image = Image.fromarray(draw_print(page, template.printed))
    draw = ImageDraw.Draw(image)
    _print_title(draw, template)
    for name, text in (prompts or {}).items():
        _print_prompt(draw, template, template.field(name), text)
    return np.array(image)


def fill_form(
    template: FormTemplate, texts: Mapping[str, str], hand: Hand, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], dict[str, str]]:
    """Prints a form and writes on it.

    A text whose field asks for a code (digits or letters, not free text) is also printed above its box, as
    on forms that tell the writer what to copy. A paragraph is broken into rows at its spaces, a comb gets one
    character a cell; any text crosses a tick box.

    Args:
        template: any form.
        texts: field name -> text in printable ASCII; fields not named stay blank.
        hand: the writer.
        rng: the only source of chance: equal arguments give an equal page.

    Returns:
        The page, uint8 (template.height, template.width), 0 = ink, 255 = paper; and its truth, the text of
        every field of the form in its order, runs of blanks made one, "" for a blank field. Tick boxes of a
        group have one truth together, under the name of the group: the value that was ticked.

    Raises:
        KeyError: a text names a field that the form has not.
        ValueError: a text has a character that is not printable ASCII.
    """
    for name, text in texts.items():
        template.field(name)
        if not (text.isascii() and text.replace("\n", " ").isprintable()):
            raise ValueError(f"{name}: {text!r} cannot be written: only printable ASCII can")
    truth = {
        spec.name: _fitting(spec, " ".join(texts.get(spec.name, "").split())) for spec in template.fields
    }
    prompts = {s.name: truth[s.name] for s in template.fields if _is_prompted(s) and truth[s.name]}
    page = render_blank(template, prompts)
    for spec in template.fields:
        if truth[spec.name]:
            _write_field(page, template, spec, truth[spec.name], hand, rng)
    return page, _answers(template, truth)


def _is_prompted(spec: FieldSpec) -> bool:
    return spec.charset in PROMPTED and spec.layout not in ("comb", "mark")


def _answers(template: FormTemplate, texts: Mapping[str, str]) -> dict[str, str]:
    """What the fields say, groups of tick boxes as one."""
    answers: dict[str, str] = {}
    for spec in template.fields:
        if spec.group:
            ticked = spec.value if texts[spec.name] else ""
            answers[spec.group] = answers.get(spec.group) or ticked
        else:
            answers[spec.name] = texts[spec.name]
    return answers


def _fitting(spec: FieldSpec, text: str) -> str:
    """What of a text finds room: a comb has so many cells, of which a space takes one too."""
    return text[: spec.cells].rstrip() if spec.layout == "comb" else text


def frame_thickness(template: FormTemplate) -> int:
    """Thickness of the printed frames in template pixels."""
    return max(1, round(RULE * template.dpi / 300))


def writing_area(template: FormTemplate, spec: FieldSpec) -> Box:
    """The part of a field's box that is free for writing, in template pixels."""
    edge = frame_thickness(template) if spec.framed else 0
    box = spec.box
    return Box(box.x + edge, box.y + edge, box.width - 2 * edge, box.height - 2 * edge)


def _draw_frame(page: NDArray[np.uint8], box: Box, thickness: int) -> None:
    left, top = round(box.x), round(box.y)
    right, bottom = round(box.right), round(box.bottom)
    page[top:bottom, left : left + thickness] = 0
    page[top:bottom, right - thickness : right] = 0
    page[top : top + thickness, left:right] = 0
    page[bottom - thickness : bottom, left:right] = 0


def _draw_cell_lines(page: NDArray[np.uint8], spec: FieldSpec, thickness: int) -> None:
    """The lines between the cells of a comb, thinner than its frame."""
    thin = max(1, round(CELL_RULE * thickness))
    top, bottom = round(spec.box.y), round(spec.box.bottom)
    for x in spec.cell_lines:
        if spec.gap:
            left, right = round(x - spec.gap / 2), round(x + spec.gap / 2)
            page[top:bottom, left - thickness : right + thickness] = 0
            page[top:bottom, left:right] = 255
            continue
        left = round(x - thin / 2)
        page[top:bottom, left : left + thin] = 0


def _print_title(draw: ImageDraw.ImageDraw, template: FormTemplate) -> None:
    """Sets the title in the middle of what is free above the first field; leaves it out if too little is."""
    free = min(spec.box.y for spec in template.fields)
    size = min(TITLE_SIZE * template.dpi / 300, free / 2)
    if size < 12:
        return
    font = load_font(PRINT_FONT, size)
    longest = draw.textlength(template.title, font=font)
    if longest > 0.9 * template.width:
        font = load_font(PRINT_FONT, size * 0.9 * template.width / longest)
    draw.text((template.width / 2, free * 0.65), template.title, font=font, fill=0, anchor="mm")


def _print_prompt(draw: ImageDraw.ImageDraw, template: FormTemplate, spec: FieldSpec, text: str) -> None:
    unit = template.dpi / 300
    others = [s.box for s in template.fields if s.box.bottom <= spec.box.y]
    above = max((b.bottom for b in others if b.x < spec.box.right and b.right > spec.box.x), default=0.0)
    size = min(PROMPT_SIZE * unit, 0.85 * (spec.box.y - above))
    if size < 12:
        return
    font = load_font(PRINT_FONT, size, 700)
    spaced = " ".join(text) if len(text) >= 10 else text
    while len(spaced) > 1 and draw.textlength(spaced, font=font) > spec.box.width:
        spaced = spaced[:-1]
    room = spec.box.width - draw.textlength(spaced, font=font)
    x = spec.box.x + min(86 * unit, room / 2)
    draw.text((x, spec.box.y - 11 * unit), spaced, font=font, fill=0, anchor="ls")


def _write_field(
    page: NDArray[np.uint8],
    template: FormTemplate,
    spec: FieldSpec,
    text: str,
    hand: Hand,
    rng: np.random.Generator,
) -> None:
    area, unit = writing_area(template, spec), template.dpi / 300
    if spec.layout == "paragraph":
        _write_paragraph(page, text, area, hand, unit, rng)
        return
    if spec.layout == "comb":
        _write_cells(page, text, spec, area, unit, hand, rng)
        return
    if spec.layout == "mark":
        _write_tick(page, area, unit, hand, rng)
        return
    height = min(hand.height * unit, 0.74 * area.height)
    row = _plan_row(text, area, height, unit, hand, rng)
    if rng.random() < hand.crossing:
        row = _run_over(row, text, hand, rng)
    _write_row(page, text, row, hand, rng)


def _write_cells(
    page: NDArray[np.uint8],
    text: str,
    spec: FieldSpec,
    area: Box,
    unit: float,
    hand: Hand,
    rng: np.random.Generator,
) -> None:
    """A character in each cell from the left, an empty one for a space; what finds no cell is left out."""
    edges = [area.x, *spec.cell_lines, area.right]
    height = min(hand.height * unit, 0.74 * area.height)
    for char, left, right in zip(text, edges[:-1], edges[1:], strict=False):
        if char != " ":
            cell = Box(left, area.y, right - left, area.height)
            start = float(rng.uniform(0.35, 0.65))
            _write_row(page, char, _plan_row(char, cell, height, unit, hand, rng, start), hand, rng)


def _write_tick(
    page: NDArray[np.uint8], area: Box, unit: float, hand: Hand, rng: np.random.Generator
) -> None:
    """A cross whose ends lie anywhere near the corners of its box."""
    low, high = rng.uniform(0.02, 0.25, 4), rng.uniform(0.75, 0.98, 4)
    strokes = [((low[0], low[1]), (high[0], high[1])), ((low[2], high[2]), (high[3], low[3]))]
    for ends in strokes:
        (x0, y0), (x1, y1) = ((area.x + x * area.width, area.y + y * area.height) for x, y in ends)
        start, stop = (round(x0), round(y0)), (round(x1), round(y1))
        cv2.line(page, start, stop, 0, max(1, round(hand.stroke * unit)), cv2.LINE_8)


def _write_paragraph(
    page: NDArray[np.uint8], text: str, area: Box, hand: Hand, unit: float, rng: np.random.Generator
) -> None:
    height = min(0.85 * hand.height * unit, 0.5 * area.height)
    lines = _wrap(text, area.width * 0.92 / height, hand)
    while len(lines) * 1.75 * height > area.height:
        height *= 0.94
        lines = _wrap(text, area.width * 0.92 / height, hand)
    pitch = min(area.height / len(lines), 2.1 * height)
    for i, line in enumerate(lines):
        strip = Box(area.x + 0.03 * area.width, area.y + i * pitch, area.width * 0.94, pitch)
        _write_row(page, line, _plan_row(line, strip, height, unit, hand, rng, start=0.0), hand, rng)


def _wrap(text: str, width: float, hand: Hand) -> list[str]:
    """Breaks at spaces into lines at most ``width`` wide, in units of the height of a capital."""
    lines: list[str] = []
    for word in text.split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and _natural_length(joined, hand, hand.gap * 0.5) <= width:
            lines[-1] = joined
        else:
            lines.append(word)
    return lines


def _natural_length(text: str, hand: Hand, gap: float) -> float:
    return sum(natural_width(char, hand) for char in text) + gap * (len(text) - 1)


def _plan_row(
    text: str,
    area: Box,
    height: float,
    unit: float,
    hand: Hand,
    rng: np.random.Generator,
    start: float | None = None,
) -> _Row:
    """Fits a text into an area: narrower gaps first, then narrower letters, then smaller ones."""
    room, comfort = 0.94 * area.width, 0.86 * area.width
    letters = _natural_length(text, hand, 0) * height
    count = max(len(text) - 1, 1)
    is_prose = " " in text
    gap = min(hand.gap * height * (0.5 if is_prose else 1), max((comfort - letters) / count, 0.1 * height))
    squeeze = min(1.0, max((room - gap * count) / letters, 0.75))
    length = letters * squeeze + gap * count
    if length > room:
        height, gap, length = height * room / length, gap * room / length, room
    slack = area.width - length
    if start is None:  # short boxes are filled from the middle, long ones from the left
        start = rng.uniform(0.3, 0.7) if length > 0.5 * area.width else rng.uniform(0.04, 0.4)
    left = area.x + start * slack
    baseline = area.y + (area.height + height) / 2 + rng.normal(0, 0.04) * height
    fall = np.tan(np.radians(hand.slope + 0.25 * rng.normal()))
    fall = float(np.clip(fall, -0.1, 0.1)) * min(1.0, 0.12 * area.height / (abs(fall) * length + 1e-6))
    baseline -= fall * length / 2
    return _Row(area, unit, height, baseline, left, length, min(start, 0.5), gap, squeeze, fall)


def _run_over(row: _Row, text: str, hand: Hand, rng: np.random.Generator) -> _Row:
    """Makes a row touch or cross its frame: below, on the left, or with the last letter over the right edge.

    A narrow letter such as 1 would vanish in an upright rule: then the row runs over below.
    """
    widths = [natural_width(char, hand) * row.height * row.squeeze for char in text]
    sides = ["bottom"]
    sides += ["left"] if widths[0] > 0.35 * row.height else []
    sides += ["right", "right"] if widths[-1] > 0.35 * row.height else []
    side = sides[int(rng.integers(len(sides)))]
    if side == "bottom":
        drop = max(row.fall, 0.0) * row.length
        return replace(row, baseline=row.area.bottom + rng.uniform(-2, 7) * row.unit - drop)
    if side == "left":
        return replace(row, start=row.area.x - rng.uniform(0, 0.15) * widths[0], anchor=0.0)
    end = row.area.right + rng.uniform(0.05, 0.6) * widths[-1]
    count = max(len(text) - 1, 1)
    gap = min(max((end - row.start - sum(widths)) / count, row.gap), 1.1 * row.height)
    length = sum(widths) + gap * (len(text) - 1)
    return replace(row, start=end - length, length=length, anchor=1.0, gap=gap)


def _write_row(page: NDArray[np.uint8], text: str, row: _Row, hand: Hand, rng: np.random.Generator) -> None:
    # A small writer on a coarse page cannot use a pen that would fill the loops.
    stroke = min(hand.stroke * row.unit, 0.135 * row.height)
    placed: list[tuple[Glyph, int, int]] = []
    x, drift, after_space = 0.0, 0.0, True
    for char in text:
        if char == " ":
            x += natural_width(char, hand) * row.height + row.gap
            after_space = True
            continue
        glyph = draw_glyph(char, hand, row.height, stroke, row.squeeze, rng)
        drift = 0.7 * drift + 0.03 * hand.unevenness * row.height * rng.normal()
        y = round(row.baseline + row.fall * x + drift) + glyph.top
        if rng.random() < hand.touching and not after_space:
            x = _touch(placed[-1], glyph, y)
        placed.append((glyph, round(x), y))
        x += glyph.ink.shape[1] + max(row.gap * (1 + 0.3 * hand.unevenness * rng.normal()), 0.03 * row.height)
        after_space = False
    length = placed[-1][1] + placed[-1][0].ink.shape[1]
    start = round(row.start + row.anchor * (row.length - length))
    for glyph, left, top in placed:
        _put(page, glyph.ink, start + left, top)


def _touch(before: tuple[Glyph, int, int], glyph: Glyph, y: int) -> float:
    """The x at which a glyph at row ``y`` just overlaps the one before it; beside it if no row is shared."""
    left, left_x, left_y = before
    top, bottom = max(left_y, y), min(left_y + left.ink.shape[0], y + glyph.ink.shape[0])
    beside = left_x + left.ink.shape[1]
    if top >= bottom:
        return beside
    a, b = left.ink[top - left_y : bottom - left_y], glyph.ink[top - y : bottom - y]
    both = a.any(axis=1) & b.any(axis=1)
    if not both.any():
        return beside
    reach = a.shape[1] - np.argmax(a[:, ::-1], axis=1)
    distance = (np.argmax(b, axis=1) - reach)[both].min()
    # A hook that reaches under its neighbour may not pull the letters into each other.
    return max(left_x - int(distance) - 1, beside - 0.3 * min(left.ink.shape[1], glyph.ink.shape[1]))


def _put(page: NDArray[np.uint8], ink: NDArray[np.bool_], x: int, y: int) -> None:
    """Inks a glyph onto the page; what lies beyond the page's edge is lost."""
    height, width = page.shape
    top, left = max(y, 0), max(x, 0)
    bottom, right = min(y + ink.shape[0], height), min(x + ink.shape[1], width)
    if top < bottom and left < right:
        page[top:bottom, left:right][ink[top - y : bottom - y, left - x : right - x]] = 0
