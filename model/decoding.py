"""Types of the decoder; see ``decode``."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Lattice:
    """Candidates of one row of writing with their class log-probabilities.

    Attributes:
        starts, stops: int (N,). Candidate i covers pieces ``starts[i] <= p < stops[i]``.
        log_probs: float32 (N, 63) natural logarithms over ``alphabets.CHARACTERS`` and not-a-character.
        bounds: float32 (N, 4) left, top, right, bottom of the candidate's ink, in units of the height of the
            writing area (top 0 = its upper edge, bottom 1 = its lower edge).
        piece_bounds: float32 (P, 4) the same for single pieces.
        piece_ink: float32 (P,) ink area of the pieces, in units of that height squared.
    """

    starts: NDArray[np.integer]
    stops: NDArray[np.integer]
    log_probs: NDArray[np.float32]
    bounds: NDArray[np.float32]
    piece_bounds: NDArray[np.float32]
    piece_ink: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Constraint:
    """What may stand in a field: a charset by name and a range of lengths (spaces not counted)."""

    charset: str
    min_length: int
    max_length: int


@dataclass(frozen=True, slots=True)
class CharacterReading:
    """One character of a reading.

    ``candidate`` indexes the lattice; ``alternatives`` are the next characters with their posterior, best
    first, without the label itself.
    """

    label: str
    confidence: float
    candidate: int
    alternatives: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """The best reading of a line: text, probability that all of it is right (0..1), its characters, and the
    next best texts with their probabilities, best first.
    """

    text: str
    confidence: float
    characters: tuple[CharacterReading, ...]
    runners_up: tuple[tuple[str, float], ...]
