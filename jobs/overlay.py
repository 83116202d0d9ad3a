"""Drawing over a page: fields by status, characters and cuts, and the reading above each field."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipeline.records import PageRows, Row
from pipeline.schemas import ACCEPTED, BLANK, REVIEW
from segmentation.page import SegmentedField, SegmentedPage
from segmentation.registration import Registration
from segmentation.templates import Box, FormTemplate

Color = tuple[int, int, int]
Corners = list[tuple[float, float]]

STATUS_COLORS: dict[str, Color] = {ACCEPTED: (0, 130, 50), REVIEW: (200, 105, 0), BLANK: (130, 130, 130)}
CHARACTER_COLOR: Color = (30, 90, 230)
DOUBTFUL_COLOR: Color = (215, 25, 40)
CUT_COLOR: Color = (150, 175, 240)
DOUBTFUL = 0.9  # characters below are drawn in another colour
LABEL_HEIGHT = 0.115  # inches: 34 pixels at 300 dpi, read at half size without effort
MARGIN = 0.25  # inches around the fields that were asked for


def page_title(name: str, form: Row) -> str:
    """The line above a page: which it is, how it lies, and how many fields are in which state."""
    return (
        f"{name}  page {form['page']}   {form['template']}   skew {form['skew_degrees']:+.2f}°   "
        f"residual {form['residual_px']:.1f} px   {form['landmarks_matched']} of {form['landmarks']} rules"
    )


def draw_page(
    gray: NDArray[np.uint8],
    segmented: SegmentedPage,
    rows: PageRows,
    template: FormTemplate,
    names: Sequence[str],
    title: str,
) -> Image.Image:
    """Draws fields, cuts and readings over a page.

    Args:
        gray: uint8 (H, W), 0 = black.
        segmented: the page cut into fields.
        rows: what was read.
        template: the form.
        names: the fields to draw; if they are not all, the picture is the part of the page around them. A box
            of a group is drawn as the group was read.
        title: written above the page, with the key to the colours.

    Returns:
        RGB; the page begins below the title.
    """
    inch = template.dpi * segmented.registration.scale  # page pixels
    picture = Image.fromarray(gray).convert("RGB")
    painter = _Painter(ImageDraw.Draw(picture), inch)
    characters = defaultdict(list)
    for row in rows.characters:
        characters[row["field"]].append(row)
    by_row = {row["field"]: row for row in rows.fields}
    readings = {spec.name: by_row[spec.row] for spec in template.fields}
    chosen = [found for found in segmented.fields if found.name in names]
    labelled = {template.field(f.name).row: f for f in reversed(chosen)}.values()  # of a group, its first box
    places = {f.name: field_corners(template.field(f.name).box, segmented.registration) for f in chosen}
    for found in labelled:  # before all boxes: where fields lie close together, these may cross a label
        painter.label(places[found.name], readings[found.name])
    for found in chosen:
        painter.field(found, places[found.name], readings[found.name], characters[found.name])
    if len(set(names)) < len(template.fields):
        boxes = np.array([field.box for field in segmented.fields if field.name in names])
        picture = picture.crop(_around(boxes, MARGIN * inch, picture.size))
    return _with_title(picture, title, readings, names, inch)


def field_corners(box: Box, registration: Registration) -> Corners:
    """The corners of a template box on the page, in page pixels, clockwise from its own top left."""
    corners = [(box.x, box.y), (box.right, box.y), (box.right, box.bottom), (box.x, box.bottom)]
    placed = np.column_stack([corners, np.ones(4)]) @ registration.near(box).matrix.T
    return [(float(x), float(y)) for x, y in placed]


def field_label(row: Row) -> str:
    """What is written above a field: its reading and the confidence."""
    if row["status"] == BLANK:
        return "blank"
    text = row["text"].replace("\n", " / ")
    return f"{text or '(nothing)'} · {100 * row['confidence']:.1f} %"


class _Painter:
    """Draws on one page; lengths follow its resolution."""

    def __init__(self, draw: ImageDraw.ImageDraw, inch: float) -> None:
        self._draw = draw
        self._size = max(10, round(LABEL_HEIGHT * inch))
        self._font = ImageFont.load_default(self._size)
        self._small = ImageFont.load_default(max(9, round(0.6 * self._size)))
        self._line = max(1, round(inch / 150))

    def field(self, found: SegmentedField, corners: Corners, row: Row, characters: Sequence[Row]) -> None:
        color = STATUS_COLORS[row["status"]]
        self._draw.polygon(corners, outline=color, width=2 * self._line)
        self._cuts(found)
        for character in characters:
            doubtful = character["confidence"] < DOUBTFUL
            self._box(character, DOUBTFUL_COLOR if doubtful else CHARACTER_COLOR)
        if len(found.lines) > 1:
            for character in characters:
                x, y = character["box_x"] + character["box_width"] / 2, character["box_y"]
                self._draw.text((x, y), character["label"], CHARACTER_COLOR, self._small, "mb")

    def label(self, corners: Corners, row: Row) -> None:
        """The reading on white, from the box upwards; cut where the next field may begin."""
        left, top = min(corners, key=sum)
        room = max(max(x for x, _ in corners) - left, 12 * self._size)
        room = min(room, self._draw.im.size[0] - left)
        text = field_label(row)
        while len(text) > 1 and self._draw.textlength(text, self._font) > room:
            text = text[:-2].rstrip("… ") + "…"
        place = (left, top - 3 * self._line)
        x0, y0, x1, _ = self._draw.textbbox(place, text, self._font, "ld")
        self._draw.rectangle((x0 - 2, y0 - 2, x1 + 4, top), fill="white")
        self._draw.text(place, text, STATUS_COLORS[row["status"]], self._font, "ld")

    def _cuts(self, found: SegmentedField) -> None:
        """The pieces between neighbouring cuts, of which the characters are made."""
        for line in found.lines:
            for i in np.flatnonzero(line.stops - line.starts == 1):
                x, y, width, height = (float(v) for v in line.boxes[i])
                self._draw.rectangle((x, y, x + width, y + height), outline=CUT_COLOR, width=self._line)

    def _box(self, row: Row, color: Color) -> None:
        x, y = row["box_x"], row["box_y"]
        edges = (x, y, x + row["box_width"], y + row["box_height"])
        self._draw.rectangle(edges, outline=color, width=self._line)


def _around(boxes: NDArray[np.float32], margin: float, size: tuple[int, int]) -> tuple[int, int, int, int]:
    left, top = boxes[:, :2].min(axis=0) - margin
    right, bottom = (boxes[:, :2] + boxes[:, 2:]).max(axis=0) + margin
    x0, y0 = max(0, int(left)), max(0, int(top))
    return x0, y0, max(x0 + 1, min(size[0], int(right))), max(y0 + 1, min(size[1], int(bottom)))


def _with_title(
    picture: Image.Image, title: str, readings: dict[str, Row], names: Sequence[str], inch: float
) -> Image.Image:
    """The picture below two lines: the title, and how many fields are of each colour."""
    read = {row["field"]: row for row in (readings[name] for name in names)}
    statuses = [row["status"] for row in read.values()]
    key = [(f"{statuses.count(s)} {s}", STATUS_COLORS[s]) for s in STATUS_COLORS]
    key += [("characters", CHARACTER_COLOR), (f"below {DOUBTFUL:.0%}", DOUBTFUL_COLOR), ("cuts", CUT_COLOR)]
    gap = "   "
    longest = max(title, gap.join(text for text, _ in key), key=len)
    size = max(10, round(LABEL_HEIGHT * inch))
    while size > 10 and ImageFont.load_default(size).getlength(longest) > picture.width - 2 * size:
        size -= 1
    font = ImageFont.load_default(size)
    width = max(picture.width, round(font.getlength(longest)) + 2 * size)
    height = round(3.4 * size)
    canvas = Image.new("RGB", (width, picture.height + height), "white")
    draw = ImageDraw.Draw(canvas)
    draw.text((size, 0.5 * size), title, "black", font)
    x = float(size)
    for text, color in key:
        draw.text((x, 1.9 * size), text, color, font)
        x += draw.textlength(text + gap, font)
    canvas.paste(picture, (0, height))
    return canvas
