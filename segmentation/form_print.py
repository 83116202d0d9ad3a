"""What else is printed on a form beside its fields: headings, labels, paragraphs of print.

Reading a form needs none of it. It makes rendered pages look like forms, and puts print where a reader may
take it for rules or writing.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from segmentation.handwriting import load_font
from segmentation.templates import PrintedText

PRINT_FONT = "tinos"
LEADING = 1.25  # distance of two rows, in heights of the font


def draw_print(page: NDArray[np.uint8], texts: Sequence[PrintedText]) -> NDArray[np.uint8]:
    """The page, uint8 (H, W), 0 = ink, with texts printed on it, broken into rows at their spaces."""
    if not texts:
        return page
    image = Image.fromarray(page)
    draw = ImageDraw.Draw(image)
    for text in texts:
        font = load_font(PRINT_FONT, text.size)
        for i, row in enumerate(_rows(draw, text, font)):
            draw.text((text.box.x, text.box.y + i * LEADING * text.size), row, font=font, fill=0)
    return np.array(image)


def _rows(draw: ImageDraw.ImageDraw, text: PrintedText, font: ImageFont.FreeTypeFont) -> list[str]:
    rows: list[str] = []
    for paragraph in text.text.splitlines():
        rows.append("")
        for word in paragraph.split():
            longer = f"{rows[-1]} {word}".strip()
            if rows[-1] and draw.textlength(longer, font=font) > text.box.width:
                rows.append(word)
            else:
                rows[-1] = longer
    return rows
