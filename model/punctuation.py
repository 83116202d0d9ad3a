"""Commas, full stops, hyphens and slashes of free text, told by their size and place.

The network does not know them: they are no classes of the data sets that it is trained on, and a crop brought
to size has lost what tells a comma from a 9. In a row whose lines of writing are known, a mark that stands by
itself, low and small, is hardly anything else. A slash is told from 1, l and I by how far it reaches and how
far it leans, less surely. Each candidate's probability is shared out among what it may be as a letter, as
dirt and as punctuation.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from model.alphabets import PUNCTUATION
from model.writing_lines import Lines

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Mark:
    """Top, bottom, from the cap line down, and width of a mark, all in cap heights, and their spreads."""

    top: tuple[float, float]
    bottom: tuple[float, float]
    width: tuple[float, float]


# As pens of a fifteenth to a sixth of a capital's height draw them.
_MARKS = {
    ",": _Mark((0.72, 0.12), (1.17, 0.12), (0.3, 0.12)),
    ".": _Mark((0.77, 0.12), (0.99, 0.08), (0.2, 0.1)),
    "-": _Mark((0.4, 0.13), (0.6, 0.13), (0.5, 0.2)),
}
# Height by width, at most: what is higher is no hyphen, and a comma rather than a full stop.
_HIGHEST = {"-": 0.45, ".": 1.4}
_SHARE = 0.5  # of what stands there as a mark would and as a letter would, those that are punctuation
_SHARPER = 2  # letters keep to their lines better than what they are weighed by says
_DIRT = 0.1  # how well whatever is no character fits any place
# Of a stroke that is read 1, l or I: the logarithm of the odds that it is a slash, by top, bottom and width.
# Fitted (logistic regression) on 1,385 such strokes of UNIPEN's hands and 410 drawn slashes, then made half
# as likely: fewer rows of digits are dates than there.
_SLASH = -11.4, -15.9, 9.4, 2.5
_STROKES = "1lI"
_MOST_SLASH = 4.0  # of these odds' logarithm


_Number = TypeVar("_Number", float, Floats)


def slash_log_odds(top: _Number, bottom: _Number, width: _Number) -> _Number:
    """The logarithm of the odds that a stroke which is read 1, l or I is a slash.

    Args:
        top, bottom, width: of the stroke, from the cap line down, in cap heights.
    """
    return _SLASH[0] + _SLASH[1] * top + _SLASH[2] * bottom + _SLASH[3] * width


def add_punctuation(
    labels: Floats,
    rejection: Floats,
    whole: NDArray[np.bool_],
    bounds: Floats,
    characters: str,
    lines: Lines,
) -> tuple[Floats, Floats, Floats]:
    """Label probabilities that include ``PUNCTUATION``.

    Args:
        labels: float64 (N, C) probability of each label of each candidate, rows summing to 1.
        rejection: float64 (N,) probability that it is no character.
        whole: bool (N,) see ``Lattice``; nothing that was cut or joined is punctuation.
        bounds: float64 (N, 4) left, top, right, bottom in heights of the writing area.
        characters: the C labels.
        lines: of writing, of the rows that the candidates are of.

    Returns:
        float64 (N, C + len(PUNCTUATION)) labels; float64 (N,) rejection; float64 (N,) probability that the
        candidate is punctuation.
    """
    top, bottom = lines.places(bounds[:, 1]), lines.places(bounds[:, 3])
    width = (bounds[:, 2] - bounds[:, 0]) / lines.height
    letter = (1.0 - rejection) * lines.fit**_SHARPER
    found = np.zeros((len(labels), len(PUNCTUATION)))
    for place, mark in enumerate(PUNCTUATION):
        if mark == "/":
            strokes = labels[:, [characters.index(stroke) for stroke in _STROKES]].sum(axis=1)
            odds = np.clip(slash_log_odds(top, bottom, width), -_MOST_SLASH, _MOST_SLASH)
            found[:, place] = letter * strokes * np.exp(odds)
            continue
        sizes = _MARKS[mark]
        off = np.zeros(len(labels))
        for value, (mean, spread) in ((top, sizes.top), (bottom, sizes.bottom), (width, sizes.width)):
            off += ((value - mean) / spread) ** 2
        found[:, place] = _SHARE * np.exp(-0.5 * off)
        if mark in _HIGHEST:
            found[bottom - top > _HIGHEST[mark] * width, place] = 0.0
    found[~(whole & lines.known)] = 0.0
    marked = found.sum(axis=1)
    marked /= letter + rejection * _DIRT + marked + 1e-12
    found /= np.maximum(found.sum(axis=1, keepdims=True), 1e-300)
    readable = np.maximum((1.0 - marked) * (1.0 - rejection), 1e-12)
    share = (marked / (marked + readable))[:, None]
    extended = np.hstack([(1.0 - share) * labels, share * found])
    return extended / extended.sum(axis=1, keepdims=True), (1.0 - marked) * rejection, marked
