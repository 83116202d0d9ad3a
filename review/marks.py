"""What people say about single characters; a field with a wrong one goes back to the queue."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import sqlalchemy as sa

from pipeline.options import utc_now
from review.database import Database
from review.intake import verdicts_of
from review.keys import CharacterKey, FieldKey
from review.queue import Queue
from review.readings import Readings, Row, key_of
from review.tables import character_marks


class Said(NamedTuple):
    """What somebody says about a character.

    Attributes:
        key: of the character.
        verdict: ``right``, ``wrong`` or ``label``.
        label: what it is, if the verdict is ``label``.
        read_label: what they were shown it was read as; None if they do not say.
        run: that has read it so; None if they do not say.
    """

    key: CharacterKey
    verdict: str
    label: str | None = None
    read_label: str | None = None
    run: str | None = None

    def is_of(self, read: Row) -> bool:
        """Whether this is the reading that they were shown; ``read`` has ``label`` and ``run``.

        Another run may have cut the field otherwise, even if it read the same there.
        """
        return self.read_label in (None, read["label"]) and self.run in (None, read["run"])


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of marks.

    Attributes:
        saved: marks that are on the disk.
        returned: ids of fields that are in the queue again.
        lost: ids of characters that no run has read; their marks are not kept.
        changed: ids of those that have been read anew since they were shown; neither are theirs.
    """

    saved: int
    returned: list[str]
    lost: list[str]
    changed: list[str]


class Marks:
    """The marks of one desk; safe to use from many threads and processes."""

    def __init__(self, database: Database, desk: str, readings: Readings, queue: Queue) -> None:
        """Touches nothing yet."""
        self._database, self._desk, self._readings, self._queue = database, desk, readings, queue

    def latest(self, keys: Sequence[CharacterKey]) -> dict[CharacterKey, Row]:
        """What was last said about characters."""
        with self._database.reading() as connection:
            return _latest(connection, keys)

    def save(self, verifier: str, said: Sequence[Said]) -> Kept:
        """Keeps marks, and sends the fields with wrong characters back to the queue.

        A field of which somebody has since written another text than was read is not asked for again.
        """
        read = self._readings.characters_of([one.key for one in said])
        lost = [one.key.id for one in said if one.key not in read]
        found = [one for one in said if one.key in read]
        good = [one for one in found if one.is_of(read[one.key])]
        changed = [one.key.id for one in found if not one.is_of(read[one.key])]
        if good:
            with self._database.writing() as connection:
                entries = [_entry(one, read[one.key], verifier) for one in good]
                connection.execute(sa.insert(character_marks), entries)
        returned = self._return_fields([one.key.field for one in good if one.verdict != "right"])
        return Kept(len(good), returned, lost, changed)

    def _return_fields(self, keys: Sequence[FieldKey]) -> list[str]:
        unique = list(dict.fromkeys(keys))
        rows = {key: self._queue.find(key) for key in unique}
        absent = self._readings.fields_of([key for key, row in rows.items() if row is None])
        with self._database.reading() as connection:
            said = verdicts_of(connection, unique)
        returned = []
        for key in unique:
            verdict = said.get(key)
            if verdict and (verdict["verdict"] != "text" or verdict["text"] != verdict["read_text"]):
                continue  # what was read does not stand any more
            if rows[key] is None:
                self._queue.put(absent.get(key), "mark")
            if self._queue.reopen(key):
                returned.append(key.id)
        return returned


def _latest(connection: sa.Connection, keys: Sequence[CharacterKey]) -> dict[CharacterKey, Row]:
    c = character_marks.c
    wanted = set(keys)
    found = {}
    pages = sorted({(key.field.sha256, key.field.page) for key in wanted})
    for start in range(0, len(pages), 500):
        chosen = sa.tuple_(c.sha256, c.page).in_(pages[start : start + 500])
        for row in connection.execute(sa.select(character_marks).where(chosen).order_by(c.id)).mappings():
            key = CharacterKey(key_of(dict(row)), row["position"])
            if key in wanted:
                found[key] = dict(row)
    return found


def _entry(said: Said, read: Row, verifier: str) -> Row:
    return {
        **said.key.field._asdict(),
        "position": said.key.position,
        "read_label": read["label"],
        "verdict": said.verdict,
        "label": said.label,
        "verifier": verifier,
        "created": utc_now(),
        "run": read["run"],
    }
