"""Pages to class probabilities: two looks at the writing of several pages, with three calls of the model.

The first look classifies connected bodies of ink as they are. What is not surely a whole character is cut,
and classified in the second. In fields of digits, what still may be two digits in one body is read as a pair.
Of what is doubtful even then, in fields of digits, several variants are read, and the mean counts.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from model.alphabets import CLASS_COUNT, only_digits
from model.classifier import Classifier
from model.crop_variants import averaged, doubtful, variants
from model.networks import Networks
from model.pairs import PairReader, doubtful_runs, mix_pairs, undecided
from model.settling import surely_whole
from pipeline.reading import check_log_probs
from pipeline.records import ClassifiedPage, Failure, PageToClassify
from segmentation.components import Components
from segmentation.looks import SecondLook, look_again
from segmentation.page import GLYPH_SIZE, GlyphLine
from segmentation.pairs import find_bodies, pair_crops, pair_windows
from segmentation.pieces import Pieces

LogProbs = NDArray[np.float32]
NOTHING = np.zeros((0, GLYPH_SIZE, GLYPH_SIZE), np.uint8)


def classify_pages(pages: Sequence[PageToClassify], networks: Networks) -> list[ClassifiedPage]:
    """Classifies several pages together, and page by page if that goes wrong.

    Rows that were not cut yet are cut where it is worth it, so the pages that come out hold other lines than
    those that went in.

    One page that a network cannot digest costs only itself: it comes out with a failure
    ``classification_failed`` (it raised) or ``invalid_model_output`` (NaN, a wrong shape).
    """
    try:
        return _classified(pages, networks)
    except Exception as error:
        if len(pages) == 1:
            return [_failed(pages[0], error)]
        return [one for page in pages for one in classify_pages([page], networks)]


@dataclass(frozen=True, slots=True)
class ClassifiedRow:
    """A row of writing after both looks.

    Attributes:
        line: its lattice.
        log_probs: float32 (N, 63) of its candidates.
        pieces: what the candidates are runs of, if the row was cut; None if its bodies are its pieces.
        crops: how many the model was asked for.
        cutting: milliseconds that the second look took, without the model.
    """

    line: GlyphLine
    log_probs: LogProbs
    pieces: Pieces | None
    crops: int
    cutting: float


def classify_rows(lines: Sequence[GlyphLine], networks: Networks) -> tuple[list[ClassifiedRow], float]:
    """Looks twice at rows of writing, of any number of pages, with three calls of each network at most.

    Args:
        lines: as ``segment_page`` gives them; what is cut already is classified as it is.
        networks: what reads crops.

    Returns:
        The rows in their order, and milliseconds that the networks took.

    Raises:
        InvalidOutputError: the model gave NaN or a wrong shape; whatever else it raises is passed on.
    """
    first, spent = _classify([line.crops for line in lines], networks.characters)
    begun = time.perf_counter()
    seconds = _look_again(lines, first)
    cutting = _shared_out(1000 * (time.perf_counter() - begun), seconds)
    fresh_crops = [NOTHING if one is None else one.line.crops[one.known < 0] for one in seconds]
    again, spent_again = _classify(fresh_crops, networks.characters)
    rows = []
    for line, known, second, fresh, took in zip(lines, first, seconds, again, cutting, strict=True):
        crops = len(known) + len(fresh)
        if second is None:  # the ink is not needed any more
            rows.append(ClassifiedRow(replace(line, uncut=None), known, None, crops, took))
            continue
        log_probs = known[second.known]
        log_probs[second.known < 0] = fresh
        rows.append(ClassifiedRow(second.line, log_probs, second.pieces, crops, took))
    begun = time.perf_counter()
    rows = _with_variants(lines, rows, networks.characters)
    if networks.pairs is None:
        return rows, spent + spent_again + 1000 * (time.perf_counter() - begun)
    rows = _with_pairs(lines, rows, networks.pairs)
    return rows, spent + spent_again + 1000 * (time.perf_counter() - begun)


def _with_variants(
    lines: Sequence[GlyphLine], rows: Sequence[ClassifiedRow], classifier: Classifier
) -> list[ClassifiedRow]:
    """The rows, where doubtful crops have been read in several variants; ``lines`` are their first looks."""
    together = zip(lines, rows, strict=True)
    asked = [np.flatnonzero(doubtful(row.log_probs, line.charset)) for line, row in together]
    crops = [variants(row.line.crops[chosen]) for row, chosen in zip(rows, asked, strict=True)]
    read, _ = _classify(crops, classifier)
    mixed = list(rows)
    for place, (row, chosen, of_variants) in enumerate(zip(rows, asked, read, strict=True)):
        if len(chosen):
            log_probs = row.log_probs.copy()
            log_probs[chosen] = averaged(log_probs[chosen], of_variants)
            mixed[place] = replace(row, log_probs=log_probs, crops=row.crops + len(of_variants))
    return mixed


def _with_pairs(
    lines: Sequence[GlyphLine], rows: Sequence[ClassifiedRow], reader: PairReader
) -> list[ClassifiedRow]:
    """The rows, where bodies of two digits have been read as such; ``lines`` are their first looks."""
    asked: list[tuple[int, NDArray[np.int32]]] = []
    crops = []
    for place, (line, row) in enumerate(zip(lines, rows, strict=True)):
        if line.uncut is None or row.pieces is None or not only_digits(line.uncut.charset):
            continue
        runs = _possible_pairs(row, row.pieces, line.uncut.parts)
        if len(runs):
            asked.append((place, runs))
            crops.append(pair_crops(row.pieces, runs))
    if not asked:
        return list(rows)
    bodies = np.concatenate(crops)
    read = reader.read(bodies)
    again = np.flatnonzero(undecided(read))
    if len(again):
        read[again] = averaged(read[again], reader.read(variants(bodies[again])))
    mixed, at = list(rows), 0
    for place, runs in asked:
        row, stop = rows[place], at + len(runs)
        log_probs = mix_pairs(row.line.starts, row.line.stops, row.log_probs, runs, read[at:stop])
        mixed[place] = replace(row, log_probs=log_probs)
        at = stop
    return mixed


def _possible_pairs(row: ClassifiedRow, pieces: Pieces, parts: Components) -> NDArray[np.int32]:
    """The runs of pieces, int32 (R, 2), that are not surely single digits and may be two."""

    def doubtful(runs: NDArray[np.int32]) -> NDArray[np.int32]:
        return runs[doubtful_runs(row.line.starts, row.line.stops, row.log_probs, runs)]

    return doubtful(pair_windows(pieces, doubtful(find_bodies(pieces, parts))))


def _look_again(lines: Sequence[GlyphLine], log_probs: Sequence[LogProbs]) -> list[SecondLook | None]:
    """The second look at each row; None where the first one is enough."""
    seconds: list[SecondLook | None] = [None] * len(lines)
    places = [place for place, line in enumerate(lines) if line.uncut is not None]
    uncut = [row for line in lines if (row := line.uncut) is not None]
    own = [log_probs[place] for place in places]
    settled = surely_whole(own, [row.charset for row in uncut], [row.most for row in uncut])
    for place, second in zip(places, look_again([lines[place] for place in places], settled), strict=True):
        seconds[place] = second
    # Too few for the field: something that looks like one character is two.
    short = [
        place
        for place, row, whole in zip(places, uncut, settled, strict=True)
        if _piece_count(seconds[place], len(whole)) < row.least
    ]
    nothing = [np.zeros(len(log_probs[place]), bool) for place in short]
    for place, second in zip(short, look_again([lines[place] for place in short], nothing), strict=True):
        seconds[place] = second
    return seconds


def _piece_count(second: SecondLook | None, bodies: int) -> int:
    """How many pieces a row has after the second look; ``bodies`` if there was none."""
    return bodies if second is None else second.line.piece_count


def _shared_out(spent: float, seconds: Sequence[SecondLook | None]) -> list[float]:
    """What was spent on all rows that were looked at again, shared among them by their candidates."""
    counts = [0 if second is None else len(second.known) for second in seconds]
    return [spent * count / max(sum(counts), 1) for count in counts]


def _classify(crops: Sequence[NDArray[np.uint8]], classifier: Classifier) -> tuple[list[LogProbs], float]:
    """Log-probabilities of the crops of each row, with one call; and milliseconds."""
    ends = np.cumsum([len(own) for own in crops], dtype=np.intp)
    if not len(ends) or not ends[-1]:  # pages of blank fields
        return [np.zeros((0, CLASS_COUNT), np.float32) for _ in crops], 0.0
    together = np.concatenate(crops)
    start = time.perf_counter()
    log_probs = np.asarray(classifier.classify(together))
    milliseconds = 1000 * (time.perf_counter() - start)
    problem = check_log_probs(log_probs, len(together))
    if problem:
        raise InvalidOutputError(problem)
    return np.split(log_probs, ends[:-1]), milliseconds


def _classified(pages: Sequence[PageToClassify], networks: Networks) -> list[ClassifiedPage]:
    lines = [line for page in pages for field in page.segmented.fields for line in field.lines]
    rows, spent = classify_rows(lines, networks)
    each = spent / max(sum(row.crops for row in rows), 1)
    left = iter(rows)
    return [
        _page(page, list(islice(left, sum(len(field.lines) for field in page.segmented.fields))), each)
        for page in pages
    ]


def _page(page: PageToClassify, rows: Sequence[ClassifiedRow], each: float) -> ClassifiedPage:
    """A page with its rows; ``each`` is milliseconds that the model took for a crop."""
    lines = iter([row.line for row in rows])
    fields = tuple(
        replace(field, lines=tuple(islice(lines, len(field.lines)))) for field in page.segmented.fields
    )
    times = dict(page.milliseconds)
    times["segment"] = times.get("segment", 0.0) + sum(row.cutting for row in rows)
    times["classify"] = each * sum(row.crops for row in rows)
    nothing = np.zeros((0, CLASS_COUNT), np.float32)
    log_probs = np.concatenate([nothing, *(row.log_probs for row in rows)])
    segmented = replace(page.segmented, fields=fields)
    return ClassifiedPage(replace(page, segmented=segmented, milliseconds=times), log_probs)


class InvalidOutputError(ValueError):
    """The model answered, but not with log-probabilities."""


def _failed(page: PageToClassify, error: Exception) -> ClassifiedPage:
    invalid = isinstance(error, InvalidOutputError)
    code = "invalid_model_output" if invalid else "classification_failed"
    message = str(error) if invalid else f"{type(error).__name__}: {error}"
    return ClassifiedPage(page, None, Failure(*page.key, page.sha256, "classify", code, message))
