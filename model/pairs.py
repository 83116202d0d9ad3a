"""Two digits in one body of ink: the network that reads both, and how its reading joins the lattice.

Where two digits share ink no cut between them is right, so single characters cannot be read there. A second
network reads the whole body as one of a hundred pairs, or as something else. What it reads is mixed into the
class probabilities of the two candidates that the best cut makes, so that the decoder, its confidences and
boxes stay as they are.

Holistic reading of touching digits: A. G. Hochuli, L. S. Oliveira, A. S. Britto Jr, R. Sabourin, "Handwritten
digit segmentation: Is it still necessary?", Pattern Recognition 78 (2018).
"""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.alphabets import NOT_A_CHARACTER
from model.classifier import CropNetwork, ModelFile, read_model

DIGITS = 10
OTHER = DIGITS * DIGITS
PAIR_CLASSES = OTHER + 1
PAIR_SHAPE = (28, 44)
SHIPPED_PAIRS = "pairs"
SURE = 0.95  # of one digit, where its ink is not asked about
SURE_PAIR = 0.99  # of a pair, and of its digits, where it is not asked about again
_LEAST = 1e-30  # keeps logarithms finite


@dataclass(frozen=True, slots=True)
class PairOptions:
    """When a pair is looked for, and how far its reading is trusted.

    Chosen on composed fields (``python -m benchmarks.pairs --half calibration``).

    Attributes:
        odds: natural logarithm added to the log-odds of being a pair: of hands that it was trained on the
            network knows better than of others what is none.
        least: a pair less probable than this changes nothing.
        support: weight of the single characters of the chosen cut in the choice of the two digits; 0 leaves
            it to the reader of pairs, 1 takes both for independent witnesses.
        doubt: share that a witness of single characters leaves to every digit.
    """

    odds: float = -1.0
    least: float = 0.02
    support: float = 0.5
    doubt: float = 0.01


DEFAULT_PAIR_OPTIONS = PairOptions()


def surely_one(log_probs: NDArray[np.float32], sure: float = SURE) -> NDArray[np.bool_]:
    """Which inks, log-probabilities float32 (N, 63) of each as one character, surely are one digit."""
    of_digits: NDArray[np.float32] = log_probs[:, :DIGITS]
    return of_digits.max(axis=1, initial=-np.inf) > np.log(sure)


def doubtful_runs(
    starts: NDArray[np.integer],
    stops: NDArray[np.integer],
    log_probs: NDArray[np.float32],
    runs: NDArray[np.integer],
) -> NDArray[np.bool_]:
    """Which runs of pieces the reader of pairs is worth asking for: bool (B,).

    Those of at least two pieces that cannot be covered from end to end by candidates of which each surely is
    one digit.

    Args:
        starts, stops: int (N,). Candidate i covers pieces ``starts[i] <= p < stops[i]``.
        log_probs: float32 (N, 63) natural logarithms over ``alphabets.CHARACTERS`` and not-a-character.
        runs: int (B, 2) first and past-last piece.
    """
    sure = surely_one(log_probs)
    reach: dict[int, list[int]] = {}
    for start, stop in sorted(zip(starts[sure].tolist(), stops[sure].tolist(), strict=True)):
        reach.setdefault(start, []).append(stop)
    return np.array([b - a > 1 and not _covered(reach, a, b) for a, b in runs.tolist()], bool)


def _covered(reach: dict[int, list[int]], first: int, last: int) -> bool:
    """Whether steps from piece to piece lead from the first to the past-last one."""
    reached = {first}
    for piece in range(first, last):
        if piece in reached:
            reached.update(reach.get(piece, ()))
    return last in reached


@dataclass(frozen=True, slots=True)
class _Claim:
    """That a run of pieces is two digits.

    Attributes:
        span: first and past-last piece.
        weight: how probable that is.
        cut: the candidates left and right of the best cut.
        digits: float64 (2, 10) probabilities of the left and the right digit, if it is.
    """

    span: tuple[int, int]
    weight: float
    cut: tuple[int, int]
    digits: NDArray[np.float64]

    def agrees_with(self, other: "_Claim") -> bool:
        """Whether both may be true: they share no ink, or one digit as the same candidate."""
        apart = self.span[1] <= other.span[0] or other.span[1] <= self.span[0]
        return apart or self.cut[1] == other.cut[0] or other.cut[1] == self.cut[0]


def undecided(
    pair_log_probs: NDArray[np.float32], options: PairOptions = DEFAULT_PAIR_OPTIONS
) -> NDArray[np.bool_]:
    """Which readings are worth a second one: bool (R,).

    Those that are not sure to be of no pair, nor of two certain digits.

    Args:
        pair_log_probs: float32 (R, 101) natural logarithms over "00".."99" and anything else.
        options: how far pairs are trusted.
    """
    readings = np.exp(pair_log_probs, dtype=np.float64)
    weights = _pair_weights(readings, options.odds)
    digits = readings[:, :OTHER].max(axis=1, initial=0.0)
    sure = (weights > SURE_PAIR) & (digits > SURE_PAIR * readings[:, :OTHER].sum(axis=1))
    return (weights > options.least / 10) & ~sure


def mix_pairs(
    starts: NDArray[np.integer],
    stops: NDArray[np.integer],
    log_probs: NDArray[np.float32],
    runs: NDArray[np.integer],
    pair_log_probs: NDArray[np.float32],
    options: PairOptions = DEFAULT_PAIR_OPTIONS,
) -> NDArray[np.float32]:
    """Mixes readings of runs of pieces as two digits into the class probabilities of a row's candidates.

    For a run that is a pair with probability w, the cut is chosen on which both networks agree best. Its two
    candidates get (1 - w) of their own probabilities and w of the digits that the pair has there; every other
    candidate that shares ink with the run is a character with 1 - w of its probability. Of runs that cannot
    all be pairs the most probable one counts.

    Args:
        starts, stops: int (N,). Candidate i covers pieces ``starts[i] <= p < stops[i]``.
        log_probs: float32 (N, 63) natural logarithms over ``alphabets.CHARACTERS`` and not-a-character.
        runs: int (R, 2) first and past-last piece. One without a cut between two candidates changes nothing.
        pair_log_probs: float32 (R, 101) natural logarithms over "00".."99" and anything else.
        options: when and how far the pairs are trusted.

    Returns:
        float32 (N, 63), natural logarithms, a new array; not finite nowhere.
    """
    readings = np.exp(pair_log_probs, dtype=np.float64)
    weights = _pair_weights(readings, options.odds)
    likely = weights >= options.least
    if not likely.any():  # as in most rows, which need not be touched
        return log_probs.copy()
    probs = np.exp(log_probs, dtype=np.float64)
    places = {span: i for i, span in enumerate(zip(starts.tolist(), stops.tolist(), strict=True))}
    claims = []
    rows = zip(runs[likely].tolist(), weights[likely].tolist(), readings[likely], strict=True)
    for (start, stop), weight, reading in rows:
        claim = _claim(places, probs[:, :DIGITS], (start, stop), weight, reading, options)
        if claim is not None:
            claims.append(claim)
    accepted: list[_Claim] = []
    for claim in sorted(claims, key=lambda claim: -claim.weight):
        if all(claim.agrees_with(other) for other in accepted):
            accepted.append(claim)
    unused = np.ones(len(probs), bool)
    unused[[place for claim in accepted for place in claim.cut]] = False
    for claim in accepted:
        start, stop = claim.span
        beside = np.flatnonzero((starts < stop) & (stops > start) & unused)
        probs[beside] *= 1 - claim.weight
        probs[beside, NOT_A_CHARACTER] += claim.weight
        for place, digits in zip(claim.cut, claim.digits, strict=True):
            probs[place] *= 1 - claim.weight
            probs[place, :DIGITS] += claim.weight * digits
    mixed: NDArray[np.float32] = np.log(np.maximum(probs, _LEAST)).astype(np.float32)
    return mixed


def _pair_weights(readings: NDArray[np.float64], odds: float) -> NDArray[np.float64]:
    """How probable it is, (R,), that each reading, (R, 101), is of a pair, with a prior in log-odds."""
    is_pair, other = readings[:, :OTHER].sum(axis=1), readings[:, OTHER]
    weights: NDArray[np.float64] = 1 / (1 + np.exp(-odds) * (other + _LEAST) / (is_pair + _LEAST))
    return weights


def _claim(
    places: dict[tuple[int, int], int],
    singles: NDArray[np.float64],
    span: tuple[int, int],
    weight: float,
    reading: NDArray[np.float64],
    options: PairOptions,
) -> _Claim | None:
    """What a reading, float64 (101,), claims of a run that is a pair so probably; None if it has no cut."""
    joint = reading[:OTHER].reshape(DIGITS, DIGITS)
    cut = _best_cut(places, singles, span, joint)
    if cut is None:
        return None
    left, right = (singles[place] + options.doubt for place in cut)
    joint = joint * np.outer(left, right) ** options.support + _LEAST
    joint /= joint.sum()
    return _Claim(span, weight, cut, np.stack([joint.sum(axis=1), joint.sum(axis=0)]))


def _best_cut(
    places: dict[tuple[int, int], int],
    singles: NDArray[np.float64],
    span: tuple[int, int],
    joint: NDArray[np.float64],
) -> tuple[int, int] | None:
    """The candidates left and right of the cut through a run on which the two networks agree best.

    Agreement is the probability that both candidates are digits and the same ones as the pair, so it is
    little where either is no character.
    """
    best, chosen = -1.0, None
    start, stop = span
    for middle in range(start + 1, stop):
        left, right = places.get((start, middle)), places.get((middle, stop))
        if left is None or right is None:
            continue
        agreement = float(singles[left] @ joint @ singles[right])
        if agreement > best:
            best, chosen = agreement, (left, right)
    return chosen


class PairReader(CropNetwork):
    """The exported network of pairs."""

    shape = PAIR_SHAPE
    classes = PAIR_CLASSES
    batch = 8  # a page asks for a handful

    def read(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Log-probabilities of crops.

        Args:
            crops: uint8 (N, 28, 44), ink = 255 on 0, as ``normalize_pair`` makes them; N may be 0.

        Returns:
            float32 (N, 101), natural logarithms over "00".."99" and anything else.

        Raises:
            ClassifierError: another shape or dtype.
        """
        return self.log_probs(crops)


def load_pairs(path: str | Path | None = None, threads: int = 1) -> PairReader:
    """Loads an exported reader of pairs; None is the one that ships.

    Raises:
        ClassifierError: the file is missing, is no LiteRT model, or takes or gives other shapes.
    """
    model = _read(path)
    calibration = model.card.get("calibration", {})
    return PairReader(model.name, model.content, float(calibration.get("temperature", 1.0)), threads)


def pairs_card(path: str | Path | None = None) -> dict[str, Any]:
    """The card of a reader of pairs: data, scores, training, hash; None is the one that ships."""
    return _read(path).card


def _read(path: str | Path | None) -> ModelFile:
    if path is not None:
        return read_model(path)
    with resources.as_file(resources.files("model") / "weights" / f"{SHIPPED_PAIRS}.tflite") as shipped:
        return read_model(shipped)
