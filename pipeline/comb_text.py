"""Puts the empty cells between the words of a comb back into its text."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from model.decoding import Reading
from segmentation.page import GlyphLine


def with_empty_cells(reading: Reading, line: GlyphLine) -> Reading:
    """The reading with a space for each empty cell between two characters; as it is for a line without cells.

    Other readings get the same spaces if they have a character for each of the best one's; a cell that one of
    them leaves out cannot be known.
    """
    if not len(line.cells) or not reading.characters:
        return reading
    places = [character.candidate for character in reading.characters]
    cells = line.cells[line.starts[places]]
    runners_up = tuple((_spaced(text, cells), confidence) for text, confidence in reading.runners_up)
    return replace(reading, text=_spaced(reading.text, cells), runners_up=runners_up)


def _spaced(text: str, cells: NDArray[np.int16]) -> str:
    characters = text.replace(" ", "")
    if len(characters) != len(cells):
        return text
    gaps = np.diff(cells, append=cells[-1] + 1) - 1
    return "".join(character + " " * int(gap) for character, gap in zip(characters, gaps, strict=True))
