"""Pictures for a report: fields and pages cut from their scans, small enough to travel inside the page."""

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jobs.overlay import STATUS_COLORS
from jobs.worst_fields import FieldPlace, cut_from_scans, join_crops
from pipeline.schemas import BLANK

Row = dict[str, Any]

FIELD_SIZE = (720, 240)  # pixels, at most
PAGE_SIZE = (1000, 1400)
FIELD_GRAYS, PAGE_COLORS = 16, 32
MOST_BYTES = 8_000_000  # of all pictures together, as they stand in the page
_LABEL = 17  # pixels


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it stands in the page.

    Attributes:
        address: a data address.
        width, height: in pixels.
        from_scan: cut from the scan; otherwise put together from the crops of its characters.
    """

    address: str
    width: int
    height: int
    from_scan: bool


class Budget:
    """How many bytes of pictures the page may still take."""

    def __init__(self, left: int = MOST_BYTES) -> None:
        """``left`` bytes."""
        self.left = left

    def take(self, image: Image.Image, colors: int, from_scan: bool) -> Picture | None:
        """A picture as an address; None if it does not fit any more."""
        address = data_address(image, colors)
        if len(address) > self.left:
            return None
        self.left -= len(address)
        return Picture(address, image.width, image.height, from_scan)


def field_pictures(
    fields: Sequence[Row], crops_of: Callable[[Row], Sequence[bytes]], budget: Budget
) -> list[Picture | None]:
    """A picture of each field: from its scan, else from the crops of its characters, else none.

    Args:
        fields: rows with source, page, sha256 and box.
        crops_of: the crops of the characters of a field, 784 bytes each, ink = 255.
        budget: what may be used.
    """
    cuts = cut_from_scans([_place(row) for row in fields])
    pictures = []
    for row, cut in zip(fields, cuts, strict=True):
        gray = cut if cut is not None else join_crops(crops_of(row))
        image = None if gray is None else _fitted(Image.fromarray(gray), FIELD_SIZE)
        pictures.append(budget.take(image, FIELD_GRAYS, cut is not None) if image else None)
    return pictures


def page_picture(page: Row, fields: Sequence[Row], budget: Budget) -> Picture | None:
    """A page with a box in the colour of its status around each field, and what was read above it.

    None if the scan is gone or has changed, or the budget is used up.
    """
    (cut,) = cut_from_scans([_place(page | _whole(page))], margin=0.0)
    if cut is None:
        return None
    gray = Image.fromarray(np.ascontiguousarray(cut))
    scale = min(1.0, PAGE_SIZE[0] / gray.width, PAGE_SIZE[1] / gray.height)
    image = _fitted(gray, PAGE_SIZE).convert("RGB")
    draw = ImageDraw.Draw(image)
    for row in fields:
        _draw_label(draw, row, scale)
    for row in fields:
        x, y, width, height = (scale * row[f"box_{part}"] for part in ("x", "y", "width", "height"))
        draw.rectangle((x, y, x + width, y + height), outline=STATUS_COLORS[row["status"]], width=2)
    return budget.take(image, PAGE_COLORS, True)


def data_address(image: Image.Image, colors: int) -> str:
    """A picture as PNG of few colours, or as JPEG where that is smaller, as a data address."""
    found = []
    for kind, form in (("png", image.quantize(colors)), ("jpeg", image)):
        stream = io.BytesIO()
        form.save(stream, kind, optimize=True, **({"quality": 60} if kind == "jpeg" else {}))
        found.append((len(stream.getvalue()), kind, stream.getvalue()))
    _, kind, content = min(found)
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _place(row: Row) -> FieldPlace:
    box = (row["box_x"], row["box_y"], row["box_width"], row["box_height"])
    return FieldPlace(row["source"], row["sha256"], row["page"], box)


def _whole(page: Row) -> Row:
    return {"box_x": 0, "box_y": 0, "box_width": page["width"], "box_height": page["height"]}


def _fitted(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Not larger than a size, and not enlarged."""
    scale = min(1.0, size[0] / image.width, size[1] / image.height)
    target = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(target, Image.Resampling.LANCZOS)


def _draw_label(draw: ImageDraw.ImageDraw, row: Row, scale: float) -> None:
    """The reading on white, from the box upwards; cut where the next field may begin."""
    font = ImageFont.load_default(_LABEL)
    x, y = scale * row["box_x"], scale * row["box_y"]
    room = max(scale * row["box_width"], 8 * _LABEL)
    text = _reading(row)
    while len(text) > 1 and draw.textlength(text, font) > room:
        text = text[:-2].rstrip("… ") + "…"
    left, top, right, _ = draw.textbbox((x, y - 1), text, font, "ld")
    draw.rectangle((left - 1, top - 1, right + 1, y), fill="white")
    draw.text((x, y - 1), text, STATUS_COLORS[row["status"]], font, "ld")


def _reading(row: Row) -> str:
    if row["status"] == BLANK:
        return "blank"
    return " / ".join(row["text"].split("\n"))[:200] or "(nothing)"
