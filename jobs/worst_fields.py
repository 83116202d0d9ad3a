"""A picture of fields that were read wrongly: the ink, what is written there, and what was read."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from jobs.form_scores import ScoredField
from jobs.remote_results import read_scan
from model.alignment import Alignment
from segmentation.images import ImageError, open_document

Box = tuple[float, float, float, float]
Gray = NDArray[np.uint8]

WIDTH = 1400
INK_HEIGHT, INK_WIDTH = 90, WIDTH - 40
MOST_CHARACTERS = 60  # of an alignment; a paragraph is cut here
BAD, PALE = (200, 20, 40), (110, 110, 110)


@dataclass(frozen=True, slots=True)
class FieldPlace:
    """Where a field lies: the scan's path and hash, the page from 1, and the box x, y, width, height."""

    source: str
    sha256: str
    page: int
    box: Box


def worst(fields: Iterable[ScoredField], count: int) -> list[ScoredField]:
    """Wrong fields, those that nobody would have checked first: blank ones, then by falling confidence."""
    wrong = [one for one in fields if not one.right]
    return sorted(wrong, key=lambda one: -(2.0 if one.confidence is None else one.confidence))[:count]


def cut_from_scans(places: Sequence[FieldPlace], margin: float = 0.15) -> list[Gray | None]:
    """Cuts fields from their scans, each scan opened once.

    Args:
        places: of the fields.
        margin: around the box, in heights of it.

    Returns:
        uint8 (H, W), 0 = black, for each; None where the scan is gone, has changed or cannot be read.
    """
    cuts: list[Gray | None] = [None] * len(places)
    pages: dict[tuple[str, str, int], list[int]] = {}
    for i, place in enumerate(places):
        pages.setdefault((place.source, place.sha256, place.page), []).append(i)
    for key, members in pages.items():
        gray = _read_scan(*key)
        for i in members if gray is not None else ():
            cuts[i] = _cut(gray, places[i].box, margin)  # type: ignore[arg-type]
    return cuts


def join_crops(crops: Sequence[bytes]) -> Gray | None:
    """Crops of characters (28x28, ink = 255) side by side, black on white; None for none."""
    if not crops:
        return None
    return np.hstack([255 - np.frombuffer(crop, np.uint8).reshape(28, 28) for crop in crops])


def draw_worst(
    fields: Sequence[ScoredField], ink_of: Callable[[int], Gray | None], title: str
) -> Image.Image:
    """Draws fields below each other.

    Args:
        fields: what to draw, in order.
        ink_of: the ink of the i-th, uint8 (H, W), 0 = black; None if there is no picture of it.
        title: the first line.

    Returns:
        RGB.
    """
    strips = [_strip(one, ink_of(i)) for i, one in enumerate(fields)]
    picture = Image.new("RGB", (WIDTH, 60 + sum(strip.height for strip in strips)), "white")
    ImageDraw.Draw(picture).text((20, 16), title, "black", ImageFont.load_default(24))
    y = 60
    for strip in strips:
        picture.paste(strip, (0, y))
        y += strip.height
    return picture


def _strip(one: ScoredField, ink: Gray | None) -> Image.Image:
    small, large = ImageFont.load_default(18), ImageFont.load_default(26)
    shown = _fitted(ink) if ink is not None else None
    top = 36 + (shown.height if shown else 0)
    strip = Image.new("RGB", (WIDTH, top + 88), "white")
    draw = ImageDraw.Draw(strip)
    draw.line((20, 2, WIDTH - 20, 2), (200, 200, 200))
    sure = "no confidence" if one.confidence is None else f"{100 * one.confidence:.1f} %"
    place = f"{_short(one.source)}  page {one.page}  {one.name}   {one.status}, {sure}"
    draw.text((20, 8), place + ("" if shown else "   (no picture)"), PALE, small)
    if shown:
        strip.paste(shown, (20, 34))
    _draw_alignment(draw, one.alignment, top, large, small)
    return strip


def _draw_alignment(
    draw: ImageDraw.ImageDraw, alignment: Alignment, top: int, large: Any, small: Any
) -> None:
    draw.text((20, top + 8), "written", PALE, small)
    draw.text((20, top + 44), "read", PALE, small)
    x = 110.0
    for pair in _around_first_error(alignment.pairs):
        width = max(draw.textlength(c or "·", large) for c in pair) + 6
        for row, character in enumerate(pair):
            color = "black" if pair[0] == pair[1] else BAD
            draw.text((x + width / 2, top + 4 + 36 * row), character or "·", color, large, "ma")
        x += width


def _around_first_error(pairs: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    """As much of an alignment as fits, with its first error in it."""
    first = next((i for i, pair in enumerate(pairs) if pair[0] != pair[1]), 0)
    start = max(0, min(first - MOST_CHARACTERS // 4, len(pairs) - MOST_CHARACTERS))
    return pairs[start : start + MOST_CHARACTERS]


def _fitted(ink: Gray) -> Image.Image:
    image = Image.fromarray(ink).convert("RGB")
    scale = min(INK_WIDTH / image.width, max(INK_HEIGHT / image.height, 0.5))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS)


def _short(source: str) -> str:
    return source if len(source) <= 70 else "…" + source[-69:]


def _read_scan(source: str, sha256: str, page: int) -> Gray | None:
    try:
        data = read_scan(source)
        if hashlib.sha256(data).hexdigest() != sha256:
            return None
        document = open_document(data)
        try:
            return document.read(page).gray
        finally:
            document.close()
    except (OSError, ImageError):
        return None


def _cut(gray: Gray, box: Box, margin: float) -> Gray | None:
    x, y, width, height = box
    border = margin * height
    left, top = max(0, int(x - border)), max(0, int(y - border))
    cut = gray[top : int(y + height + border) + 1, left : int(x + width + border) + 1]
    return cut if cut.size else None
