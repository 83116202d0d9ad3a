"""What ticks say: one box is ticked or not, a group of boxes gives one value or goes to review."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.records import PageKey, Row
from pipeline.schemas import ACCEPTED, BLANK, REVIEW
from segmentation.page import EMPTY, MARKED, STRUCK_OUT, Mark, SegmentedField
from segmentation.templates import FieldSpec, FormTemplate

TICKED = "x"


@dataclass(frozen=True, slots=True)
class Answer:
    """The reading of one tick box or group.

    Attributes:
        text: ``TICKED`` or the value chosen; "" if nothing is.
        confidence: probability, 0..1, that this is what the writer meant.
        status: accepted, review or blank.
        others: other values that may have been meant, with their probability, best first.
    """

    text: str
    confidence: float
    status: str
    others: tuple[tuple[str, float], ...] = ()


def read_tick(mark: Mark, min_confidence: float) -> Answer:
    """One box: ``TICKED`` or blank; struck out or doubtful goes to review.

    What is struck out may have been filled to mark it.

    Args:
        mark: what stands in the box.
        min_confidence: below it the box goes to review, 0..1.
    """
    if mark.state == STRUCK_OUT:
        share = mark.confidence / 2
        return Answer("", share, REVIEW, ((TICKED, share),))
    text = TICKED if mark.state == MARKED else ""
    if mark.state not in (MARKED, EMPTY) or mark.confidence < min_confidence:
        return Answer(text, mark.confidence, REVIEW)
    return Answer(text, mark.confidence, ACCEPTED if text else BLANK)


def read_choice(boxes: Sequence[tuple[FieldSpec, Mark]], min_confidence: float) -> Answer:
    """A group: the value of its only mark, or blank.

    A box struck out beside one marked is a correction, and the mark holds. Several marks, or a doubt about
    any box: review, with the surest mark's value as the text. Struck out and nothing else: review; it may
    have been filled to mark it.

    Args:
        boxes: the boxes of the group, in the template's order.
        min_confidence: below it the group goes to review, 0..1.
    """
    confidence = 1.0
    for _, mark in boxes:
        confidence *= mark.confidence
    marked = sorted((box for box in boxes if box[1].state == MARKED), key=lambda box: -box[1].confidence)
    if len(marked) > 1:
        # Which of them is meant, the ink does not say.
        share = confidence / len(marked)
        values = [spec.value for spec, _ in marked]
        return Answer(values[0], share, REVIEW, tuple((value, share) for value in values[1:]))
    if not marked:
        filled = [spec.value for spec, mark in boxes if mark.state == STRUCK_OUT]
        if filled:
            share = confidence / (len(filled) + 1)
            return Answer("", share, REVIEW, tuple((value, share) for value in filled))
        return Answer("", confidence, BLANK if confidence >= min_confidence else REVIEW)
    return Answer(marked[0][0].value, confidence, ACCEPTED if confidence >= min_confidence else REVIEW)


def tick_rows(
    key: PageKey, fields: Sequence[SegmentedField], template: FormTemplate, min_confidence: float
) -> dict[str, Row]:
    """The rows of the table ``fields`` for all tick boxes of a page.

    Args:
        key: the page.
        fields: its fields, ticks and others.
        template: its form.
        min_confidence: below it an answer goes to review, 0..1.

    Returns:
        Name of a field -> its row. A group has one row, under the name of its first box; the row itself bears
        the name of the group and the box around all of its boxes.
    """
    ordinals = {spec.name: i for i, spec in enumerate(template.fields)}
    ticks = [(template.fields[ordinals[found.name]], found) for found in fields if found.mark is not None]
    groups: dict[str, list[tuple[FieldSpec, SegmentedField]]] = {}
    for spec, found in ticks:
        groups.setdefault(spec.row, []).append((spec, found))
    rows = {}
    for name, boxes in groups.items():
        marks = [(spec, found.mark) for spec, found in boxes if found.mark is not None]
        spec = boxes[0][0]
        answer = read_choice(marks, min_confidence) if spec.group else read_tick(marks[0][1], min_confidence)
        rows[spec.name] = _row(key, name, ordinals[spec.name], [found for _, found in boxes], answer)
    return rows


def _row(key: PageKey, name: str, ordinal: int, boxes: Sequence[SegmentedField], answer: Answer) -> Row:
    corners = np.array([found.box for found in boxes], np.float64)
    left, top = corners[:, :2].min(axis=0)
    right, bottom = (corners[:, :2] + corners[:, 2:]).max(axis=0)
    return {
        **key._asdict(),
        "field": name,
        "ordinal": ordinal,
        "text": answer.text,
        "confidence": answer.confidence,
        "status": answer.status,
        "charset": "mark",
        "box_x": float(left),
        "box_y": float(top),
        "box_width": float(right - left),
        "box_height": float(bottom - top),
        "ink_ratio": float(np.mean([found.ink_ratio for found in boxes])),
        "runners_up": [{"text": text, "confidence": confidence} for text, confidence in answer.others],
    }
