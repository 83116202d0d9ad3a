"""Pure functions from the bytes of a file to the rows of its pages; no Beam, one file or page at a time."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.alphabets import CLASS_COUNT
from model.decoding import Constraint, Lattice, Reading
from pipeline.comb_text import with_empty_cells
from pipeline.limits import check_time
from pipeline.options import JobOptions
from pipeline.records import (
    ClassifiedPage,
    DecodedPage,
    Failure,
    PageKey,
    PageRows,
    PageToClassify,
    Row,
)
from pipeline.rules import constraint_of, obeys, with_values
from pipeline.schemas import ACCEPTED, BLANK, REVIEW, STATUSES
from pipeline.stages import OpenedDocument
from pipeline.tick_boxes import tick_rows
from segmentation.image_document import is_memory_error
from segmentation.page import GlyphLine, SegmentedField, SegmentedPage
from segmentation.templates import FieldSpec, FormTemplate

DOUBTFUL = 0.5  # times what else would be sure, where the scan may not show what was written
SURELY_BLANK = 0.75  # least confidence of a field without writing that nobody need look at
# Rows read in one go take less time than one by one; between such groups the clock is looked at.
_ROWS_TOGETHER = 64

Decode = Callable[[Sequence[Lattice], Sequence[Constraint]], list[Reading]]


def failure_of(
    error: BaseException, source: str, page: int | None, sha256: str | None, stage: str
) -> Failure:
    """The row that tells an exception.

    Errors with a ``code`` of their own keep it; want of memory is ``out_of_memory``; anything else is an
    ``internal_error`` with its type.
    """
    code = getattr(error, "code", None)
    if isinstance(code, str):
        plain = str.__str__(code)  # the value, where the code is a member of an enum
        return Failure(source, page, sha256, stage, plain, str(error))
    if is_memory_error(error):
        message = f"there was not enough memory ({error}): run fewer workers, or lower --max_pixels"
        return Failure(source, page, sha256, stage, "out_of_memory", message)
    return Failure(source, page, sha256, stage, "internal_error", f"{type(error).__name__}: {error}")


def decode_pages(
    source: str,
    data: bytes,
    sha256: str,
    open_document: Callable[[bytes], OpenedDocument],
    only: int | None = None,
) -> Iterator[DecodedPage | Failure]:
    """Yields every page of a file, decoded one at a time, or why it could not be.

    A file that cannot be opened yields one failure without a page number; a page that cannot be decoded costs
    only itself. Whatever happens, at least one item comes out.

    Args:
        source: the name of the file.
        data: all of it.
        sha256: of ``data``.
        open_document: gives its pages.
        only: the one page that is decoded, from 1; None is all.
    """
    try:
        document = open_document(data)
        count = document.page_count
    except Exception as error:
        yield failure_of(error, source, None, sha256, "decode")
        return
    wanted = range(1, count + 1)
    try:
        if count < 1:
            yield Failure(source, None, sha256, "decode", "no_pages", "the file holds no page")
        elif only is not None:
            wanted = wanted[only - 1 : only]
            if not wanted:
                text = f"the file has no page {only}, its last one is {count}"
                yield Failure(source, only, sha256, "decode", "page_out_of_range", text)
        for number in wanted:
            yield _decode_page(PageKey(source, number), document, sha256)
    finally:
        document.close()


def _decode_page(key: PageKey, document: OpenedDocument, sha256: str) -> DecodedPage | Failure:
    start = time.perf_counter()
    try:
        gray = document.read(key.page).gray
    except Exception as error:
        return failure_of(error, *key, sha256, "decode")
    return DecodedPage(key, sha256, gray, {"decode": _since(start)})


def segment_decoded(
    page: DecodedPage,
    segment_page: Callable[[NDArray[np.uint8], FormTemplate], SegmentedPage],
    template: FormTemplate,
    max_seconds: float | None = None,
) -> PageToClassify | Failure:
    """Finds the form on a page and cuts its fields into candidates, or says why it could not."""
    start = time.perf_counter()
    try:
        check_time(page.milliseconds, max_seconds)
        segmented = segment_page(page.gray, template)
        times = {**page.milliseconds, "segment": _since(start)}
        check_time(times, max_seconds)
    except Exception as error:
        return failure_of(error, *page.key, page.sha256, "segment")
    return PageToClassify(page.key, page.sha256, segmented, times)


def check_log_probs(log_probs: NDArray[np.float32], count: int) -> str | None:
    """What is wrong with a model's answer to ``count`` crops, or None."""
    if log_probs.shape != (count, CLASS_COUNT):
        return f"the model gave {log_probs.shape} for {count} crops, expected ({count}, {CLASS_COUNT})"
    if np.isnan(log_probs).any():
        return f"the model gave NaN for {int(np.isnan(log_probs).any(axis=1).sum())} of {count} crops"
    if log_probs.size and log_probs.max() > 1e-3:
        return f"the model gave a log-probability of {log_probs.max():.3g}, above 0"
    return None


def lattice_of(line: GlyphLine, log_probs: NDArray[np.float32]) -> Lattice:
    """A line with the classes of its candidates, as the decoder wants it.

    Args:
        line: N candidates.
        log_probs: float32 (N, 63), in the same order.
    """
    return Lattice(
        line.starts,
        line.stops,
        log_probs,
        line.bounds,
        line.piece_bounds,
        line.piece_ink,
        whole=line.whole,
    )


def read_classified(page: ClassifiedPage, options: JobOptions, decode: Decode) -> PageRows | Failure:
    """The rows of a page, or the one failure that says why it has none."""
    if page.failure is not None or page.log_probs is None:
        return page.failure or Failure(
            *page.page.key, page.page.sha256, "classify", "classification_failed", "the model gave nothing"
        )
    try:
        return page_rows(page.page, page.log_probs, options, decode)
    except Exception as error:
        return failure_of(error, *page.page.key, page.page.sha256, "read")


def page_rows(
    page: PageToClassify, log_probs: NDArray[np.float32], options: JobOptions, decode: Decode
) -> PageRows:
    """Decodes every field of a page.

    Args:
        page: the page, its fields in the template's order.
        log_probs: float32 (N, 63) of all its candidates, in the order of ``crops()``.
        options: template, threshold and provenance.
        decode: as ``model.constraints.read_rows``.
    """
    start = time.perf_counter()
    fields: list[Row] = []
    characters: list[Row] = []
    template = options.template_named(page.segmented.template)
    specs = {spec.name: (i, spec) for i, spec in enumerate(template.fields)}
    ticks = tick_rows(page.key, page.segmented.fields, template, options.min_confidence)
    lattices = _lattices(page, log_probs)
    constraints = [
        constraint_of(specs[found.name][1]) for found in page.segmented.fields for _ in _rows(found)
    ]
    every: list[Reading] = []
    for first in range(0, len(lattices), _ROWS_TOGETHER):
        check_time(page.milliseconds, options.max_page_seconds, _since(start))
        together = slice(first, first + _ROWS_TOGETHER)
        every += decode(lattices[together], constraints[together])
    readings = iter(every)
    for found in page.segmented.fields:
        if found.mark is not None:
            fields.extend([ticks[found.name]] if found.name in ticks else [])
            continue
        ordinal, spec = specs[found.name]
        read = [with_values(spec, with_empty_cells(next(readings), line)) for line in found.lines]
        reading = _FieldReading(spec, found.lines, read)
        fields.append(_field_row(page.key, ordinal, found, reading, options.threshold(spec.charset)))
        characters.extend(_character_rows(page.key, reading))
    times = {**page.milliseconds, "read": _since(start)}
    return PageRows(_form_row(page, fields, len(characters), times, options), fields, characters)


def _rows(found: SegmentedField) -> tuple[GlyphLine, ...]:
    """The rows of writing of a field."""
    return found.lines if found.mark is None else ()


def _lattices(page: PageToClassify, log_probs: NDArray[np.float32]) -> list[Lattice]:
    """All rows of a page in order."""
    lattices = []
    at = 0
    for found in page.segmented.fields:
        for line in _rows(found):
            stop = at + len(line.crops)
            lattices.append(lattice_of(line, log_probs[at:stop]))
            at = stop
    return lattices


class _FieldReading(NamedTuple):
    """A field's lines, top to bottom, with the reading of each."""

    spec: FieldSpec
    lines: Sequence[GlyphLine]
    readings: list[Reading]


def field_confidence(readings: Sequence[Reading]) -> float | None:
    """One number for a field: that of its line, or the mean over lines, weighted by their characters.

    The mean tells which paragraphs are worth a look; unlike a line's confidence it is not the probability
    that all of it is right.
    """
    if not readings:
        return None
    weights = [max(len(reading.characters), 1) for reading in readings]
    mean = sum(w * reading.confidence for w, reading in zip(weights, readings, strict=True)) / sum(weights)
    if not math.isfinite(mean):
        raise ValueError("the decoder gave a confidence that is no number")
    return float(min(max(mean, 0.0), 1.0))


def blank_confidence(largest: float, doubtful: bool = False) -> float:
    """Probability, 0..1, that a field is empty; its largest stroke is ``largest`` heights of its area long.

    Where the scan is ``doubtful``, see ``SegmentedField``, there may be writing as well as not.

    Dust is far from the size of a character, printed guide text comes near it. ``segmentation`` takes what is
    larger than ``MIN_WRITING`` for writing, so that the least it leaves blank is about 0.8 sure.
    """
    return (DOUBTFUL if doubtful else 1.0) / (1.0 + math.exp(25.0 * (largest - 0.28)))


def field_status(spec: FieldSpec, text: str, confidence: float | None, min_confidence: float) -> str:
    """``accepted``, ``review`` or ``blank``; a paragraph always goes to review."""
    if confidence is None:
        return BLANK
    if confidence < min_confidence or spec.layout == "paragraph":
        return REVIEW
    length = len("".join(text.split()))
    if length == 0:  # there was ink, and the decoder is sure that it is dirt
        return BLANK
    return ACCEPTED if obeys(spec, text) else REVIEW


def _field_row(
    key: PageKey, ordinal: int, found: SegmentedField, reading: _FieldReading, min_confidence: float
) -> Row:
    text = "\n".join(one.text for one in reading.readings)
    confidence, status = _verdict(found, reading, text, min_confidence)
    # Of several lines each has runners-up of its own; the field as a whole has none.
    runners_up = reading.readings[0].runners_up if len(reading.readings) == 1 else ()
    return {
        **key._asdict(),
        "field": found.name,
        "ordinal": ordinal,
        "text": text,
        "confidence": confidence,
        "status": status,
        "charset": reading.spec.charset,
        **_box(found.box),
        "ink_ratio": float(found.ink_ratio),
        "runners_up": [{"text": other, "confidence": float(c)} for other, c in runners_up],
    }


def _verdict(
    found: SegmentedField, reading: _FieldReading, text: str, min_confidence: float
) -> tuple[float, str]:
    """The confidence and the status of a field; without anything to read they are that it is blank."""
    confidence = field_confidence(reading.readings)
    if confidence is None:
        blank = blank_confidence(found.largest, found.doubtful)
        return blank, BLANK if blank >= SURELY_BLANK else REVIEW
    if found.doubtful:
        confidence *= DOUBTFUL
    return confidence, field_status(reading.spec, text, confidence, min_confidence)


def _character_rows(key: PageKey, reading: _FieldReading) -> list[Row]:
    rows: list[Row] = []
    common = {**key._asdict(), "field": reading.spec.name}
    for line, read in zip(reading.lines, reading.readings, strict=True):
        boxes = line.boxes[[character.candidate for character in read.characters]].tolist()
        for character, (x, y, width, height) in zip(read.characters, boxes, strict=True):
            label, confidence, candidate, alternatives = character
            rows.append(
                {
                    **common,
                    "position": len(rows),
                    "label": label,
                    "confidence": float(confidence),
                    "alternatives": [{"label": other, "confidence": float(c)} for other, c in alternatives],
                    "box_x": x,
                    "box_y": y,
                    "box_width": width,
                    "box_height": height,
                    "crop": line.crops[candidate].tobytes(),
                }
            )
    return rows


def _form_row(
    page: PageToClassify, fields: list[Row], characters: int, times: dict[str, float], options: JobOptions
) -> Row:
    statuses = Counter(row["status"] for row in fields)
    found = page.segmented.registration
    template = options.template_named(page.segmented.template)
    return {
        **page.key._asdict(),
        "sha256": page.sha256,
        "status": REVIEW if statuses[REVIEW] else ACCEPTED,
        "template": template.name,
        "template_sha256": template.sha256,
        "model_sha256": options.model_sha256,
        "transform": [float(v) for v in np.ravel(found.matrix)],
        "residual_px": float(found.residual),
        "landmarks_matched": found.matched,
        "landmarks": found.landmarks,
        "skew_degrees": found.skew,
        "width": page.segmented.width,
        "height": page.segmented.height,
        "fields": len(fields),
        **{f"fields_{status}": statuses[status] for status in STATUSES},
        "characters": characters,
        **{f"{stage}_ms": times.get(stage, 0.0) for stage in ("decode", "segment", "classify", "read")},
    }


def _box(box: NDArray[np.float32]) -> Row:
    return dict(zip(("box_x", "box_y", "box_width", "box_height"), box.tolist(), strict=True))


def _since(start: float) -> float:
    return 1000 * (time.perf_counter() - start)
