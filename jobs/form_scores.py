"""Figures of forms whose truth is known: accuracy, rejection, calibration, confusions; pure functions.

White space is not compared: a reading has none that could be right or wrong. Everything else is, case and
punctuation included, so that an apostrophe, which no charset can spell, is a deletion.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.alignment import Alignment, EditCounts, add_counts, align
from model.evaluation import reliability_bins
from pipeline.schemas import BLANK, STATUSES
from segmentation.composed_text import composed

SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
TARGETS = (0.02, 0.01, 0.005, 0.001)
_LENGTHS = ((11, 20), (21, 40), (41, None))


@dataclass(frozen=True, slots=True)
class ScoredField:
    """A field that was read, beside what is written there.

    Attributes:
        source, page, name, charset, status: as in the table of fields.
        truth, read: without white space.
        confidence: 0..1 that the text is right, or that the field is blank; None if unknown.
        alignment: of truth and reading.
    """

    source: str
    page: int
    name: str
    charset: str
    status: str
    truth: str
    read: str
    confidence: float | None
    alignment: Alignment

    @property
    def right(self) -> bool:
        """Whether every character is right and none is missing or too many."""
        return self.truth == self.read

    def as_dict(self) -> dict[str, Any]:
        """The field for JSON."""
        confidence = None if self.confidence is None else round(self.confidence, 6)
        return {
            "source": self.source,
            "page": self.page,
            "field": self.name,
            "charset": self.charset,
            "truth": self.truth,
            "read": self.read,
            "confidence": confidence,
            "status": self.status,
        }


@dataclass(frozen=True, slots=True)
class GroupFigures:
    """Fields of one kind: how many, how many right, and the characters' fate."""

    fields: int
    right: int
    counts: EditCounts

    @property
    def accuracy(self) -> float | None:
        """Share of fields that are right, 0..1."""
        return self.right / self.fields if self.fields else None

    def as_dict(self) -> dict[str, Any]:
        """The figures for JSON; false positives as NIST lumps them together."""
        counts = self.counts
        return {
            "fields": self.fields,
            "fields_right": self.right,
            "field_accuracy": _rounded(self.accuracy),
            "characters": counts.characters,
            "characters_right": counts.hits,
            "substitutions": counts.substitutions,
            "insertions": counts.insertions,
            "deletions": counts.deletions,
            "false_positives": counts.substitutions + counts.insertions,
            "character_accuracy": _rounded(counts.accuracy),
            "character_error_rate": _rounded(counts.error_rate),
        }


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """What is left if the least confident fields are rejected.

    Attributes:
        rejected: share of the fields, 0..1.
        threshold: the least confidence of an accepted field; None if all that is left is blank.
        accepted, wrong: fields left, and how many of them are not all right.
        counts: of the characters left.
    """

    rejected: float
    threshold: float | None
    accepted: int
    wrong: int
    counts: EditCounts

    @property
    def error(self) -> float | None:
        """Share of wrong fields among the accepted ones."""
        return self.wrong / self.accepted if self.accepted else None

    def as_dict(self) -> dict[str, Any]:
        """The point for JSON."""
        return {
            "rejected": _rounded(self.rejected),
            "threshold": _rounded(self.threshold),
            "accepted": self.accepted,
            "wrong": self.wrong,
            "field_error": _rounded(self.error),
            "character_error_rate": _rounded(self.counts.error_rate),
        }


def score_field(row: dict[str, Any], truth: str) -> ScoredField:
    """Compares a row of the table of fields with the truth, each letter and its accent as one character."""
    written, read = ("".join(composed(text).split()) for text in (truth, row["text"]))
    return ScoredField(
        row["source"],
        row["page"],
        row["field"],
        row["charset"],
        row["status"],
        written,
        read,
        row["confidence"],
        align(written, read),
    )


def figures(fields: Iterable[ScoredField]) -> GroupFigures:
    """The figures of some fields."""
    fields = list(fields)
    counts = add_counts(one.alignment.counts for one in fields)
    return GroupFigures(len(fields), sum(one.right for one in fields), counts)


def group_by(
    fields: Sequence[ScoredField], key: Callable[[ScoredField], Any]
) -> dict[Any, list[ScoredField]]:
    """Fields by kind, kinds in order."""
    groups: dict[Any, list[ScoredField]] = {}
    for one in fields:
        groups.setdefault(key(one), []).append(one)
    return dict(sorted(groups.items()))


def length_range(length: int) -> tuple[int, int | None]:
    """The range of lengths that a field is counted under: itself up to 10, wider ones beyond."""
    return next(((a, b) for a, b in _LENGTHS if a <= length and (b is None or length <= b)), (length, length))


def by_confidence(fields: Iterable[ScoredField]) -> list[ScoredField]:
    """Fields that tell something about rejection, the surest first.

    A field that is empty and was read so is left out. One that was called blank although it is not comes
    first: whatever its confidence, it goes to no review, and cannot be rejected.
    """
    telling = [one for one in fields if one.truth or one.read]
    return sorted(telling, key=lambda one: -_sureness(one))


def _sureness(one: ScoredField) -> float:
    return 2.0 if one.status == BLANK or one.confidence is None else one.confidence


def rejection_curve(fields: Iterable[ScoredField], shares: Sequence[float] = SHARES) -> list[CurvePoint]:
    """Error among the accepted fields when at least given shares of them, the least confident, are rejected.

    Fields of one confidence are accepted or rejected together, as a threshold does, so more may be rejected
    than is asked for; less only where the others cannot be rejected at all, see ``by_confidence``.
    """
    ordered = by_confidence(fields)
    if not ordered:
        return []
    possible = np.flatnonzero(_ends(ordered)) + 1
    if _sureness(ordered[0]) <= 1:
        possible = np.append(0, possible)
    wanted = [len(ordered) - round(share * len(ordered)) for share in shares]
    places = np.searchsorted(possible, wanted, side="right") - 1
    return [_point(ordered, int(accepted)) for accepted in possible[places.clip(0)]]


def rejection_for(fields: Iterable[ScoredField], target: float) -> CurvePoint | None:
    """The fewest rejections that bring the error among accepted fields to ``target`` or below, if any do.

    Fields of one confidence are accepted or rejected together, as a threshold does.
    """
    ordered = by_confidence(fields)
    wrong = np.cumsum([not one.right for one in ordered])
    good = np.flatnonzero(_ends(ordered) & (wrong <= target * np.arange(1, len(ordered) + 1)))
    return _point(ordered, int(good[-1]) + 1) if len(good) else None


def _ends(ordered: Sequence[ScoredField]) -> NDArray[np.bool_]:
    """Whether each field is the last of its confidence, so that a threshold can lie below it."""
    return np.append(np.diff([_sureness(one) for one in ordered]) != 0, True)[: len(ordered)]


def _point(ordered: Sequence[ScoredField], accepted: int) -> CurvePoint:
    kept = ordered[:accepted]
    group = figures(kept)
    threshold = kept[-1].confidence if kept and kept[-1].status != BLANK else None
    return CurvePoint(1 - accepted / len(ordered), threshold, accepted, accepted - group.right, group.counts)


def calibration(fields: Iterable[ScoredField]) -> dict[str, Any]:
    """Expected calibration error of the fields' confidences, 0..1, and its bins (Naeini et al. 2015)."""
    sure = [one for one in fields if one.confidence is not None]
    confidence = np.array([one.confidence for one in sure], np.float64)
    bins = reliability_bins(confidence, np.array([one.right for one in sure], bool))
    error = float((bins[:, 0] * np.abs(bins[:, 1] - bins[:, 2])).sum() / max(len(sure), 1))
    return {
        "fields": len(sure),
        "expected_calibration_error": _rounded(error) if sure else None,
        "bins": [
            {"fields": int(count), "confidence": _rounded(mean), "right": _rounded(share)}
            for count, mean, share in bins
            if count
        ],
    }


def confusions(fields: Iterable[ScoredField]) -> list[tuple[str, str, int]]:
    """(written, read, how often), most frequent first; ``""`` stands for none."""
    pairs = Counter(pair for one in fields for pair in one.alignment.errors)
    return [
        (truth, read, count) for (truth, read), count in sorted(pairs.items(), key=lambda p: (-p[1], p[0]))
    ]


def decisions(fields: Sequence[ScoredField]) -> dict[str, GroupFigures]:
    """Figures by what the job decided: accepted, review, blank."""
    return {status: figures(one for one in fields if one.status == status) for status in STATUSES}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 6)
