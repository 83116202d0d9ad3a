"""Contact sheets of composed fields that were read wrong."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jobs.composed_fields import compose_field
from jobs.composing import LineComposer
from model.calibration import FIELD_TYPES

if TYPE_CHECKING:
    from jobs.composed import Outcome

COLUMNS, ROWS = 4, 15
CELL_WIDTH, INK_HEIGHT, TEXT_HEIGHT = 380, 60, 34


def draw_worst(composer: LineComposer, outcomes: Sequence["Outcome"], seed: int, folder: Path) -> list[Path]:
    """Draws, per field type, the wrong readings of highest confidence, with truth, reading and cause.

    Args:
        composer: that made the fields; the pictures are made again.
        outcomes: of all fields.
        seed: of the fields.
        folder: where the sheets ``worst_TYPE.png`` are written; made if absent.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name in dict.fromkeys(FIELD_TYPES.values()):
        wrong = [o for o in outcomes if not o.right and FIELD_TYPES[o.field.kind.charset] == name]
        wrong.sort(key=lambda outcome: -outcome.reading.confidence)
        if wrong:
            path = folder / f"worst_{name}.png"
            _sheet(composer, wrong[: COLUMNS * ROWS], seed).save(path)
            paths.append(path)
    return paths


def _sheet(composer: LineComposer, outcomes: Sequence["Outcome"], seed: int) -> Image.Image:
    rows = -(-len(outcomes) // COLUMNS)
    sheet = Image.new("L", (COLUMNS * CELL_WIDTH, rows * (INK_HEIGHT + TEXT_HEIGHT)), 255)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for place, outcome in enumerate(outcomes):
        field = outcome.field
        x, y = place % COLUMNS * CELL_WIDTH, place // COLUMNS * (INK_HEIGHT + TEXT_HEIGHT)
        row, *_ = compose_field(composer, field.kind, field.number, seed)
        used = np.argwhere(row.ink)
        if len(used):
            (top, left), (bottom, right) = used.min(axis=0), used.max(axis=0) + 1
            picture = Image.fromarray(np.where(row.ink[top:bottom, left:right], 0, 255).astype(np.uint8))
            picture.thumbnail((CELL_WIDTH - 10, INK_HEIGHT - 6), Image.Resampling.LANCZOS)
            sheet.paste(picture, (x + 4, y + 4))
        texts = (
            f"{field.truth}  {field.source} {field.spacing} {field.number}",
            f"{outcome.reading.text}  {outcome.reading.confidence:.3f} {outcome.cause}",
        )
        for line, text in enumerate(texts):
            draw.text((x + 4, y + INK_HEIGHT + 15 * line), text, 0, font)
        draw.rectangle((x, y, x + CELL_WIDTH, y + INK_HEIGHT + TEXT_HEIGHT), outline=200)
    return sheet
