"""What verifiers said, as labelled crops to train and measure a model with.

A text that a verifier typed or confirmed is aligned with the characters that were read; those that surely
belong to each other give a crop with its right label, whether it was read right or not. A character that has
been marked by itself since then counts before that. Fields that are called blank or unreadable give nothing,
whatever was marked in them: what was read in a blank field is a speck or the rest of a printed line, and such
a rest has the very shape of a 1.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from model.alignment import certain_pairs
from model.alphabets import CHARACTERS, CHARSETS
from model.datasets.corrections import Corrections, make_corrections, page_name, save_corrections
from pipeline.results import ResultsError, open_results
from review.verified import DatabaseError, database_path, read_verified

_KNOWN = frozenset(CHARACTERS)
_NEWEST_TEXTS = """
    SELECT run, sha256, page, template, field, text FROM (
        SELECT DISTINCT ON (sha256, page, template, field) * FROM corrections ORDER BY id DESC
    ) WHERE verdict = 'text'
"""
_NEWEST_MARKS = """
    SELECT marks.run, sha256, page, template, field, position, read_label, marks.verdict, label FROM (
        SELECT DISTINCT ON (sha256, page, template, field, position) * FROM character_marks ORDER BY id DESC
    ) AS marks
    LEFT JOIN (
        SELECT DISTINCT ON (sha256, page, template, field) * FROM corrections ORDER BY id DESC
    ) AS said USING (sha256, page, template, field)
    WHERE said.verdict IS NULL OR said.verdict = 'undone'
       OR (said.verdict = 'text' AND said.created <= marks.created)
"""
_CHARACTERS = """
    SELECT run, sha256, page, template, field, position, label, crop, charset
    FROM (
        SELECT DISTINCT ON (run, sha256, page, template, field, position) *
        FROM characters
        JOIN (SELECT run, source, page, sha256, template FROM forms) USING (run, source, page)
        JOIN (SELECT run, source, page, field, charset FROM fields) USING (run, source, page, field)
        SEMI JOIN (
            SELECT run, sha256, page, template, field FROM corrections
            UNION SELECT run, sha256, page, template, field FROM character_marks
        ) USING (run, sha256, page, template, field)
        ORDER BY source
    )
    ORDER BY sha256, page, template, field, run, position
"""


class _Field(NamedTuple):
    """A field as one run has read it."""

    run: str
    sha256: str
    page: int
    template: str
    field: str


class _Read(NamedTuple):
    """A character as it was read."""

    position: int
    label: str
    crop: bytes
    charset: str


@dataclass(frozen=True, slots=True)
class LabelledCounts:
    """What became of what the verifiers said.

    Attributes:
        fields: with a text or a mark that still holds.
        crops: labelled characters of them.
        corrected: of these, read as something else.
        held_back: of these crops, kept to measure on.
        left_out: characters of these fields whose label is not certain, or that no model knows.
        settled: whether what is held back stays so whatever else is corrected.
    """

    fields: int
    crops: int
    corrected: int
    held_back: int
    left_out: int
    settled: bool


def labelled_crops(output: Path, database: str | None = None) -> tuple[Corrections, LabelledCounts]:
    """The labelled crops of a folder of results, in a fixed order, and what they were made of.

    Args:
        output: the folder that ``formscribe run`` wrote.
        database: the address of the desk's database; None is the file in the folder.

    Raises:
        ResultsError: there is no complete run, or nobody has said anything.
        DatabaseError: the database cannot be read.
    """
    verified = read_verified(output, database)
    if verified is None:
        raise ResultsError(
            f"{database_path(output)}: there are no corrections yet. Make some with `formscribe review "
            f"{output}`."
        )
    connection = open_results(output, all_runs=True, verified=verified)
    texts = {_Field(*row[:5]): str(row[5]) for row in connection.execute(_NEWEST_TEXTS).fetchall()}
    marks: dict[_Field, dict[int, tuple[str, str, str | None]]] = {}
    for *key, position, read_label, verdict, label in connection.execute(_NEWEST_MARKS).fetchall():
        marks.setdefault(_Field(*key), {})[position] = read_label, verdict, label
    fields: dict[_Field, list[_Read]] = {}
    for *key, position, label, crop, charset in connection.execute(_CHARACTERS).fetchall():
        fields.setdefault(_Field(*key), []).append(_Read(position, label, crop, charset))
    rows = []
    told = [field for field in fields if field in texts or field in marks]
    for field in told:
        labels = label_field(fields[field], texts.get(field), marks.get(field, {}))
        rows += [(field, read, labels[read.position]) for read in fields[field] if read.position in labels]
    corrections = _put_together(_without_repeats(rows))
    counts = LabelledCounts(
        len(told),
        len(corrections),
        int(corrections.corrected.sum()),
        int(corrections.held_back.sum()),
        sum(len(fields[field]) for field in told) - len(corrections),
        corrections.settled,
    )
    return corrections, counts


def label_field(
    characters: list[_Read], text: str | None, marks: dict[int, tuple[str, str, str | None]]
) -> dict[int, str]:
    """The certain labels of a field's characters, by position.

    Args:
        characters: as they were read, by position.
        text: what stands there; None if nobody said.
        marks: of characters by position: (label that was read, ``right``, ``wrong`` or ``label``, the label).
    """
    labels: dict[int, str] = {}
    if text is not None:
        truth, read = "".join(text.split()), "".join(one.label for one in characters)
        labels = {characters[j].position: truth[i] for i, j in certain_pairs(truth, read)}
    for one in characters:
        read_label, verdict, label = marks.get(one.position, ("", "", None))
        if read_label != one.label:  # no mark, or one of another reading
            continue
        if verdict == "label" and label is not None:
            labels[one.position] = label
        elif verdict == "right":
            labels[one.position] = one.label
        elif verdict == "wrong" and labels.get(one.position) == one.label:
            del labels[one.position]
    return {position: label for position, label in labels.items() if label in _KNOWN}


def write_crops(output: Path, database_url: str | None, path: Path) -> LabelledCounts:
    """Writes the labelled crops of a folder of results into an ``.npz`` file, whole or not at all.

    Args:
        output: the folder that ``formscribe run`` wrote.
        database_url: the address of the desk's database; None is the file in the folder.
        path: of the file; ``model.datasets.corrections.load_corrections`` reads it.

    Raises:
        ResultsError, DatabaseError: see ``labelled_crops``.
        OSError: the file cannot be written.
    """
    corrections, counts = labelled_crops(output, database_url)
    save_corrections(corrections, path)
    return counts


def _without_repeats(rows: list[tuple[_Field, _Read, str]]) -> list[tuple[_Field, _Read, str]]:
    """Leaves out a picture that two runs have cut alike from one field; the later run's label stays."""
    kept: dict[tuple[Any, ...], tuple[_Field, _Read, str]] = {}
    for field, read, label in rows:
        kept[(*field[1:], read.crop)] = field, read, label
    return list(kept.values())


def _put_together(rows: list[tuple[_Field, _Read, str]]) -> Corrections:
    # Punctuation is no class of the model: what was read so says nothing about it.
    known = [row for row in rows if row[1].charset in CHARSETS and row[1].label in _KNOWN]
    return make_corrections(
        np.frombuffer(b"".join(read.crop for _, read, _ in known), np.uint8).reshape(-1, 28, 28).copy(),
        np.array([label for _, _, label in known], np.str_),
        np.array([read.label for _, read, _ in known], np.str_),
        np.array([read.charset for _, read, _ in known], np.str_),
        np.array([page_name(field.sha256, field.page) for field, _, _ in known], np.str_),
        np.array([f"{field.template}/{field.field}" for field, _, _ in known], np.str_),
    )


__all__ = ["DatabaseError", "LabelledCounts", "ResultsError", "label_field", "labelled_crops", "write_crops"]
