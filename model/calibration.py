"""Confidences that mean what they say, and the threshold that follows from an error rate.

The decoder's probabilities are exact for its own model of a row, and that model is too sure of itself or too
modest. Of many fields whose truth is known, a monotone map from stated to true probability is fitted per type
of field and kept in the card of the model. It may depend on the length of the text, as what the decoder's
model leaves out counts once a character, and on the evidence for the reading (``model.evidence``), of which
the decoder's own probability takes too little notice. It never changes which reading is best.

Method: beta calibration (Kull, Silva Filho, Flach, "Beta calibration: a well-founded and easily implemented
improvement on logistic calibration for binary classifiers", AISTATS 2017). The maps are fitted by
``model.calibration_fit``.

What a map was fitted on are rows composed of held-out characters, not pages. Where hands, pens or scanners
are unlike those, so are the errors; check a sample of the accepted fields of one's own forms.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from model.evaluation import reliability_bins
from model.evidence import NONE, Evidence, evidence_of_rows
from model.lattice import CharacterReading, Lattice, Reading
from model.struck_out import StruckOutNetwork, shipped, struck_out
from model.unread_marks import unread_marks

CARD_KEY = "field_calibration"
# One map for charsets that err alike. Fields of "letters" mix both cases, and so have the doubts of "text".
FIELD_TYPES = {
    "digits": "digits",
    "upper": "upper",
    "lower": "lower",
    "letters": "text",
    "alphanumeric": "text",
    "text": "text",
}
DOUBT = 0.5  # what is left of the confidence of a reading that a mark, a stroke or its length makes doubtful
LEAST_LENGTH_SHARE = 0.25  # of what the ink may be, below which its length is in doubt
LEAST_PROBABILITY = 1e-7  # those stated are kept this far from 0 and 1
Others = tuple[tuple[str, float], ...]
Acceptance = tuple[tuple[float, float, float], ...]


class CalibrationError(ValueError):
    """The card of a model does not say what was asked for; the message names the remedy."""


@dataclass(frozen=True, slots=True)
class ConfidenceMap:
    """Stated to true probability.

    ``logit(true) = c + a log(p) - b log(1 - p) + d log(length) + margin * margin + left_out *
    sqrt(left_out) + touching * touching``, the last three being weights of what ``Evidence`` calls so: some
    ink left out counts for more than more of it. 1, 1 and five zeros are the identity.

    Raises:
        ValueError: ``a`` or ``b`` is negative, so that the map would fall, or a number is not finite.
    """

    a: float = 1.0
    b: float = 1.0
    c: float = 0.0
    d: float = 0.0
    margin: float = 0.0
    left_out: float = 0.0
    touching: float = 0.0

    def __post_init__(self) -> None:
        """Refuses maps that fall."""
        rising = 0 <= self.a < math.inf and 0 <= self.b < math.inf
        if not rising or not all(map(math.isfinite, self.weights[2:])):
            raise ValueError(f"no rising map is {self}")

    def __call__(self, probability: float, length: int = 1, evidence: Evidence = NONE) -> float:
        """Maps one probability, 0..1; 0 and 1 stay as near to themselves as the map allows.

        Args:
            probability: stated by the decoder.
            length: characters of the text it is about; none counts as one.
            evidence: for the reading.
        """
        return float(_mapped([self], [probability], [length], [evidence])[0])

    @property
    def weights(self) -> tuple[float, ...]:
        """Its seven numbers."""
        return self.a, self.b, self.c, self.d, self.margin, self.left_out, self.touching

    @property
    def asks_for_evidence(self) -> bool:
        """Whether the evidence changes anything."""
        return any(self.weights[4:])


IDENTITY = ConfidenceMap()


@dataclass(frozen=True)
class Calibration:
    """The maps of a model, by field type: of whole fields and of single characters; absent ones are none.

    Attributes:
        fields, characters: the maps.
        struck_out: what tells crossed-out digits from the answers of that model; None if nothing does.
    """

    fields: Mapping[str, ConfidenceMap] = field(default_factory=dict)
    characters: Mapping[str, ConfidenceMap] = field(default_factory=dict)
    struck_out: StruckOutNetwork | None = None

    @classmethod
    def of_card(cls, card: Mapping[str, Any]) -> Self:
        """What a model's card says; a card without calibration leaves confidences as they are.

        Raises:
            CalibrationError: the card's numbers are no maps.
        """
        types, network = card.get(CARD_KEY, {}).get("types", {}), shipped()
        try:
            return cls(
                {name: ConfidenceMap(**entry["field_map"]) for name, entry in types.items()},
                {name: ConfidenceMap(**entry["character_map"]) for name, entry in types.items()},
                network if network.classifier == card.get("sha256") else None,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CalibrationError(
                f"the model's card has no usable {CARD_KEY!r} ({error!r}); run `python -m jobs.calibrate`."
            ) from None

    def apply(self, reading: Reading, charset: str, lattice: Lattice | None = None) -> Reading:
        """A reading with calibrated confidences.

        The evidence for it is taken from ``lattice``, of which it was read; without one there is none.

        The best text's confidence is mapped; the runners-up share what it leaves in the same proportions as
        before. The same holds for each character and its alternatives.
        """
        return self.apply_all([reading], [charset], None if lattice is None else [lattice])[0]

    def apply_all(
        self, readings: Sequence[Reading], charsets: Sequence[str], lattices: Sequence[Lattice] | None = None
    ) -> list[Reading]:
        """Several readings, each as ``apply`` does; together they take a fraction of the time.

        Half of the confidence is left beside a mark that the charset does not have, where a digit seems
        crossed out, and where the ink rather speaks for another length than the field's: the template or the
        writer may have been wrong.

        Args:
            readings: of rows.
            charsets: of the field of each.
            lattices: of which each was read; None for no evidence.
        """
        kinds = [FIELD_TYPES[charset] for charset in charsets]
        known = [number for number, kind in enumerate(kinds) if kind in self.fields]
        own = [readings[number] for number in known]
        asking = [number for number in known if self.fields[kinds[number]].asks_for_evidence]
        evidence = dict.fromkeys(known, NONE)
        if lattices is not None:
            rows = [lattices[number] for number in asking], [readings[number] for number in asking]
            evidence.update(
                zip(asking, evidence_of_rows(*rows, [charsets[number] for number in asking]), strict=True)
            )
        lengths = [len(reading.characters) for reading in own]
        confidences = _mapped(
            [self.fields[kinds[number]] for number in known],
            [reading.confidence for reading in own],
            lengths,
            [evidence[number] for number in known],
        ).tolist()
        of_character = [self.characters[kinds[number]] for number in known]
        characters = iter(
            _calibrated([c for reading in own for c in reading.characters], of_character, lengths)
        )
        applied = list(readings)
        for number, reading, confidence, length in zip(known, own, confidences, lengths, strict=True):
            others = _scaled(reading.runners_up, reading.confidence, confidence)
            read = tuple(islice(characters, length))
            applied[number] = Reading(reading.text, confidence, read, others, reading.length_share)
        doubtful = set[int]()
        if lattices is not None:
            told = [unread_marks(lattices, applied, charsets)]
            if self.struck_out is not None:
                told.append(struck_out(self.struck_out, lattices, applied, charsets))
            doubtful.update(np.flatnonzero(np.any(told, axis=0)).tolist())
        doubtful.update(number for number in known if readings[number].length_share < LEAST_LENGTH_SHARE)
        for number in doubtful:
            applied[number] = replace(applied[number], confidence=DOUBT * applied[number].confidence)
        return applied


def _mapped(
    maps: Sequence[ConfidenceMap],
    stated: Sequence[float],
    lengths: Sequence[int] | None = None,
    evidence: Sequence[Evidence] | None = None,
    repeats: Sequence[int] | None = None,
) -> NDArray[np.float64]:
    """Probabilities, each by its own map; see ``ConfidenceMap``.

    Args:
        maps: R.
        stated: N probabilities.
        lengths: N, of the texts; None for ones.
        evidence: N; None for none.
        repeats: R, how many of the probabilities are mapped by each map; None for one.

    Returns:
        float64 (N,), 0..1.
    """
    weights = np.array([map_.weights for map_ in maps]).reshape(-1, len(IDENTITY.weights))
    weights = np.repeat(weights, 1 if repeats is None else repeats, axis=0)
    a, b, c, d = weights[:, :4].T
    p = np.clip(np.asarray(stated, np.float64), LEAST_PROBABILITY, 1.0 - LEAST_PROBABILITY)
    logits = c + a * np.log(p) - b * np.log1p(-p)
    if lengths is not None:
        logits += d * np.log(np.maximum(lengths, 1))
    if evidence is not None:
        logits += (weights[:, 4:] * evidence_features(evidence)).sum(axis=1)
    mapped: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-np.clip(logits, -700.0, 700.0)))
    return mapped


def evidence_features(evidence: Sequence[Evidence]) -> NDArray[np.float64]:
    """What the last three weights of a ``ConfidenceMap`` weigh, float64 (N, 3)."""
    said = np.array([(one.margin, one.left_out, one.touching) for one in evidence]).reshape(-1, 3)
    said[:, 1] = np.sqrt(said[:, 1])
    return said


def _calibrated(
    characters: Sequence[CharacterReading], maps: Sequence[ConfidenceMap], repeats: Sequence[int]
) -> list[CharacterReading]:
    """Characters of which ``repeats`` are of each of the ``maps``."""
    stated = [character.confidence for character in characters]
    after = _mapped(maps, stated, repeats=repeats)
    return [
        CharacterReading(label, confidence, candidate, others and _scaled(others, before, confidence))
        for (label, before, candidate, others), confidence in zip(characters, after.tolist(), strict=True)
    ]


def _scaled(others: Others, before: float, after: float) -> Others:
    """The others' probabilities where that of the first, which a rule may have chosen, changed.

    They share what it leaves. None passes it that did not stand above it before.
    """
    left = 1.0 - after
    factor, most = left / max(1.0 - before, LEAST_PROBABILITY), min(after, left)
    return tuple([(text, min(value * factor, left if value > before else most)) for text, value in others])


def calibration_error(stated: ArrayLike, right: ArrayLike) -> float:
    """Expected calibration error, 0..1 (Naeini et al., AAAI 2015); 0 of none."""
    confidence = np.asarray(stated, np.float64)
    bins = reliability_bins(confidence, np.asarray(right, bool))
    return float((bins[:, 0] * np.abs(bins[:, 1] - bins[:, 2])).sum() / max(len(confidence), 1))


def acceptance_table(confidences: ArrayLike, right: ArrayLike, rows: int = 60) -> Acceptance:
    """What accepting above a threshold means: (threshold, share accepted, error rate among accepted).

    The error rate counts one error more than was seen, so that few fields promise little. Rows are denser
    where little is sent to review; highest threshold first.

    Args:
        confidences: (N,) of fields, calibrated.
        right: (N,) whether the whole field was right.
        rows: at most so many.
    """
    confidence = np.asarray(confidences, np.float64)
    order = np.argsort(-confidence, kind="stable")
    ranked = confidence[order]
    errors = np.cumsum(~np.asarray(right, bool)[order])
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1) if len(ranked) else np.zeros(0, int)
    reviewed = np.concatenate([np.linspace(0, 0.2, rows // 2), np.linspace(0.2, 1, rows - rows // 2)])
    wanted = np.unique(
        np.searchsorted(ends, (1 - reviewed) * (len(ranked) - 1)).clip(max=max(len(ends) - 1, 0))
    )
    return tuple(
        (float(ranked[end]), (end + 1) / len(ranked), (int(errors[end]) + 1) / (end + 1))
        for end in (int(ends[i]) for i in (wanted if len(ends) else []))
    )


def review_share(confidences: ArrayLike, right: ArrayLike, max_error_rate: float) -> float:
    """Least share to check so that at most ``max_error_rate`` of the accepted are wrong, in hindsight."""
    confidence = np.asarray(confidences, np.float64)
    if not len(confidence):
        return 0.0
    order = np.argsort(-confidence, kind="stable")
    errors = np.cumsum(~np.asarray(right, bool)[order])
    counts = np.arange(1, len(order) + 1)
    ends = np.append(np.diff(confidence[order]) != 0, True)
    good = np.flatnonzero(ends & (errors <= max_error_rate * counts))
    return 1.0 - (int(good[-1]) + 1) / len(order) if len(good) else 1.0


def acceptance_threshold(card: Mapping[str, Any], charset: str, max_error_rate: float) -> float:
    """The least confidence at which fields of a charset may be accepted.

    Args:
        card: of the model.
        charset: of the field.
        max_error_rate: expected share of accepted fields that are wrong, 0..1.

    Returns:
        A confidence, 0..1; infinity if no threshold keeps this rate, so that all fields are to be reviewed.

    Raises:
        CalibrationError: the card has no table for such fields.
        ValueError: the rate is not within 0..1.
    """
    if not 0 <= max_error_rate <= 1:
        raise ValueError(f"an error rate of {max_error_rate} is not between 0 and 1")
    try:
        rows: Sequence[Sequence[float]] = card[CARD_KEY]["types"][FIELD_TYPES[charset]]["acceptance"]
        fitting = [threshold for threshold, _, error in rows if error <= max_error_rate]
    except (KeyError, TypeError, ValueError):
        raise CalibrationError(
            f"the model's card does not tell the errors of {charset!r} fields. Run "
            "`python -m jobs.calibrate` on the model, or choose a threshold with --min_confidence."
        ) from None
    return min(fitting, default=math.inf)
