"""Commas, full stops, hyphens, apostrophes and slashes in fields whose charset has none of them.

``12,50`` is read 12150, or 1250: the comma as a digit, or left out as dirt, or as the foot of the 2 before.
No text of the charset is right then, and the probability of the text that was read knows nothing of it. Marks
are told by size and place, as characters of these charsets all reach from the cap line to the base line, and
no farther.
"""

from collections.abc import Sequence

from model.alphabets import only_digits
from model.lattice import Lattice, Reading
from model.punctuation import slash_log_odds

CHARSETS = ("digits", "upper", "alphanumeric")
SMALL = 0.55  # height of a mark, at most, in heights of a character
LOW = 0.45  # top of a comma, from the cap line down, in such heights ...
DOWN = 0.85, 1.5  # ... and its bottom
HIGH = 0.55  # bottom of an apostrophe
MIDDLE = 0.25, 0.8  # between which a hyphen lies
HYPHEN = 0.2, 1.0  # its width
FLAT = 0.65  # its height by its width, at most
LEAST, WIDEST = 0.2, 0.5  # longer side of a comma, and its width
POINT, ROUND = 0.12, 0.5  # longer side of a full stop, and the shorter one by it, at least
ABOVE = 1.2  # bottom of a full stop
SLASH = 2.0  # logarithm of the odds that what was read as 1 is a slash
ASIDE = 0.25  # of its width that a mark stands under or over something else, at most

Rectangle = list[float]  # left, top, right, bottom


def unread_marks(
    lattices: Sequence[Lattice], readings: Sequence[Reading], charsets: Sequence[str]
) -> list[bool]:
    """Whether there is a mark in each row that its charset does not have.

    Told of rows in which at least two characters were read; never of charsets of small letters, in which
    characters are as small as marks, nor of free text, of which ``model.punctuation`` reads them.

    Args:
        lattices: the rows.
        readings: what was read of each.
        charsets: of its field.
    """
    rows = zip(lattices, readings, charsets, strict=True)
    return [charset in CHARSETS and _has_mark(row, read, only_digits(charset)) for row, read, charset in rows]


def _has_mark(lattice: Lattice, reading: Reading, digits: bool) -> bool:
    if len(reading.characters) < 2:
        return False
    bounds: list[Rectangle] = lattice.bounds.tolist()
    chosen = [character.candidate for character in reading.characters]
    read = [bounds[candidate] for candidate in chosen]
    if digits and "1" in reading.text and _has_slash(reading, read):
        return True
    # A body that was read, or joined with what was read, is looked at as well as one that was left out.
    bodies = [k for k, whole in enumerate(lattice.whole.tolist()) if whole]
    # Of two characters the larger one may be the only other.
    usual = SMALL * max(_median([box[3] - box[1] for box in read]), max(box[3] - box[1] for box in read[:2]))
    if usual <= 0.0 or all(bounds[k][3] - bounds[k][1] > usual for k in (*chosen, *bodies)):
        return False
    for place, box in enumerate(read):
        others = read[:place] + read[place + 1 :]
        top, bottom = _places(box, others)
        if bottom - top < SMALL and (top > LOW or (bottom < HIGH and not digits)):
            return True
    return any(_is_mark(k, bodies, bounds, read) for k in bodies if k not in chosen)


def _has_slash(reading: Reading, read: list[Rectangle]) -> bool:
    """Whether a 1 is long, and leans, as a slash does; ``read`` are the places of all characters."""
    height = max(_median([box[3] - box[1] for box in read]), 1e-6)
    for place, (character, box) in enumerate(zip(reading.characters, read, strict=True)):
        if character.label == "1":
            top, bottom = _places(box, read[:place] + read[place + 1 :])
            if slash_log_odds(top, bottom, (box[2] - box[0]) / height) > SLASH:
                return True
    return False


def _is_mark(body: int, bodies: list[int], bounds: list[Rectangle], read: list[Rectangle]) -> bool:
    """Whether a body that was not read by itself is a comma, a full stop or a hyphen."""
    left, _, right, _ = bounds[body]
    for other in bodies:
        beside = bounds[other]
        if other != body and min(right, beside[2]) - max(left, beside[0]) > ASIDE * (right - left):
            return False
    top, bottom = _places(bounds[body], read)
    height = _median([box[3] - box[1] for box in read])
    width = (right - left) / max(height, 1e-6)
    if MIDDLE[0] < top and bottom < MIDDLE[1]:
        return HYPHEN[0] < width < HYPHEN[1] and bottom - top < FLAT * width
    longer, shorter = max(width, bottom - top), min(width, bottom - top)
    if top <= LOW or not DOWN[0] < bottom < DOWN[1]:
        return False
    if LEAST <= longer < SMALL and width < WIDEST:
        return True
    return POINT <= longer < LEAST and shorter >= ROUND * longer and bottom < ABOVE


def _places(box: Rectangle, others: list[Rectangle]) -> tuple[float, float]:
    """Top and bottom of a box, from the usual top of others down, in their usual heights."""
    top, bottom = _median([other[1] for other in others]), _median([other[3] for other in others])
    height = max(bottom - top, 1e-6)
    return (box[1] - top) / height, (box[3] - top) / height


def _median(values: list[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
