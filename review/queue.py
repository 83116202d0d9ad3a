"""Who looks at which field, and what they say about it: leases, answers, undoing, progress.

A field is leased to one person at a time; whoever leases takes the rows under a lock, so two never get the
same. Answers are added to ``corrections``; the queue only remembers what is left.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from pipeline.options import utc_now
from review.database import Database
from review.intake import queue_values, verdicts_of
from review.keys import FieldKey
from review.problems import ProblemError
from review.readings import Readings, Row, key_of
from review.tables import corrections, kinds, queue, verifiers

LEASE_SECONDS = 300.0
_q, _k = queue.c, kinds.c


@dataclass(frozen=True)
class Lease:
    """Fields that are now somebody's, the worst first, and which of those held before were lost."""

    fields: list[Row]
    lost: list[str]


@dataclass(frozen=True)
class Saved:
    """An answer that is on the disk."""

    id: str
    verdict: str
    verified_text: str | None
    saved_at: str


class Queue:
    """The queue of one desk; safe to use from many threads and processes."""

    def __init__(
        self, database: Database, desk: str, readings: Readings, lease_seconds: float = LEASE_SECONDS
    ) -> None:
        """Touches nothing yet."""
        self._database, self._desk, self._readings = database, desk, readings
        self._lease_seconds = lease_seconds
        self._mine = _q.desk == desk

    def lease(self, verifier: str, count: int, kind: str | None, held: Sequence[str]) -> Lease:
        """Gives out open fields, the worst first, all of one kind; renews the leases of those held.

        Args:
            verifier: who asks.
            count: at most so many.
            kind: only of this one; None stays with the kind of the last batch while there is some.
            held: ids of fields that they have on the screen.
        """
        now = time.time()
        with self._database.writing(durable=False) as connection:
            kept = self._renew(connection, verifier, held, now)
            ids: list[str] = []
            for candidate in [kind] if kind is not None else self._kinds_for(connection, verifier):
                ids = self._free(connection, verifier, count, candidate, held, now) if count else []
                if ids:
                    self._remember(connection, verifier, candidate)
                    break
            if ids:
                until = {"leased_to": verifier, "leased_until": now + self._lease_seconds}
                connection.execute(sa.update(queue).where(self._mine, _q.id.in_(ids)).values(until))
            rows = connection.execute(
                sa.select(queue).where(self._mine, _q.id.in_(ids)).order_by(_q.rank, _q.id)
            )
            fields = [dict(row) for row in rows.mappings()]
        return Lease(fields, [field for field in held if field not in kept])

    def _renew(self, connection: sa.Connection, verifier: str, held: Sequence[str], now: float) -> set[str]:
        if not held:
            return set()
        mine = sa.and_(self._mine, _q.id.in_(held), _q.leased_to == verifier, _q.state == "open")
        connection.execute(sa.update(queue).where(mine).values(leased_until=now + self._lease_seconds))
        return set(connection.scalars(sa.select(_q.id).where(mine)))

    def _kinds_for(self, connection: sa.Connection, verifier: str) -> Iterator[str]:
        """Yields kinds: that of the last batch, those of its charset, those in which the worst fields are."""
        own = sa.and_(verifiers.c.desk == self._desk, verifiers.c.verifier == verifier)
        last = connection.scalar(sa.select(verifiers.c.kind).where(own))
        if last is not None:
            yield last
        worst = (
            sa.select(sa.func.min(_q.rank))
            .where(_q.desk == _k.desk, _q.state == "open", _q.kind == _k.kind)
            .scalar_subquery()
        )
        rows = connection.execute(
            sa.select(_k.kind, _k.charset, _k.open, worst.label("worst")).where(_k.desk == self._desk)
        ).all()
        charset = next((row.charset for row in rows if row.kind == last), None)
        left = [row for row in rows if row.open > 0 and row.kind != last]
        left.sort(key=lambda row: (row.charset != charset, row.worst or 0.0, row.kind))
        yield from (row.kind for row in left)

    def _free(
        self,
        connection: sa.Connection,
        verifier: str,
        count: int,
        kind: str,
        held: Sequence[str],
        now: float,
    ) -> list[str]:
        free = sa.or_(_q.leased_to.is_(None), _q.leased_until < now, _q.leased_to == verifier)
        statement = (
            sa.select(_q.id)
            .where(self._mine, _q.state == "open", _q.kind == kind, free)
            .order_by(_q.rank, _q.id)
            .limit(count)
            .with_for_update(skip_locked=True)
        )
        if held:
            statement = statement.where(_q.id.not_in(held))
        return list(connection.scalars(statement))

    def _remember(self, connection: sa.Connection, verifier: str, kind: str) -> None:
        statement = self._database.insert(verifiers)
        row = {"desk": self._desk, "verifier": verifier, "kind": kind}
        connection.execute(
            statement.on_conflict_do_update(index_elements=["desk", "verifier"], set_={"kind": kind}), row
        )

    def release(self, verifier: str, ids: Sequence[str]) -> None:
        """Gives fields back before their lease ends."""
        if ids:
            mine = sa.and_(self._mine, _q.id.in_(ids), _q.leased_to == verifier)
            with self._database.writing(durable=False) as connection:
                connection.execute(sa.update(queue).where(mine).values(leased_to=None, leased_until=None))

    def answer(self, key: FieldKey, verifier: str, verdict: str, text: str | None) -> Saved:
        """Keeps what somebody says about a field. Said twice it is kept once.

        Raises:
            ProblemError: 404 no run has read this field; 409 it is leased to somebody else, or somebody else
                has answered it.
        """
        self._queued(key)
        with self._database.writing() as connection:
            row = self._locked(connection, key)
            if row["state"] == "open" and _is_leased(row) and row["leased_to"] != verifier:
                raise ProblemError(409, "leased", f"{row['leased_to']} is looking at this field.")
            said = verdicts_of(connection, [key]).get(key)
            if said and row["state"] == "done":
                if said["verifier"] != verifier:
                    detail = (
                        f"{said['verifier']} has answered this field. Undo that first to answer it again."
                    )
                    raise ProblemError(409, "already_answered", detail)
                if (said["verdict"], said["text"]) == (verdict, text):
                    return _saved(key, said)
            entry = self._entry(row, verifier, verdict, text)
            connection.execute(sa.insert(corrections), entry)
            done = {"state": "done", "leased_to": None, "leased_until": None}
            connection.execute(sa.update(queue).where(self._mine, _q.id == key.id).values(done))
            if row["state"] == "open":
                self._count(connection, row, -1)
        return _saved(key, entry)

    def undo(self, key: FieldKey, verifier: str, meant: tuple[str, str, str | None] | None = None) -> Row:
        """Takes back what was last said about a field, which is then open and leased to who asks.

        Args:
            key: of the field.
            verifier: who asks.
            meant: the answer to be taken back: who gave it, verdict, text; None is whichever stands.

        Raises:
            ProblemError: 404 no run has read this field; 409 nothing was said about it, something else than
                what is meant, or it is leased to somebody else.
        """
        self._queued(key)
        with self._database.writing() as connection:
            row = self._locked(connection, key)
            said = verdicts_of(connection, [key]).get(key)
            if said is None:
                raise ProblemError(409, "nothing_to_undo", "Nobody has answered this field.")
            if meant not in (None, (said["verifier"], said["verdict"], said["text"])):
                detail = f"The answer of {said['verifier']} that stands is another."
                raise ProblemError(409, "another_answer", detail)
            if row["state"] == "open" and _is_leased(row) and row["leased_to"] != verifier:
                raise ProblemError(409, "leased", f"{row['leased_to']} is looking at this field.")
            connection.execute(sa.insert(corrections), self._entry(row, verifier, "undone", None))
            until = {"leased_to": verifier, "leased_until": time.time() + self._lease_seconds}
            connection.execute(
                sa.update(queue).where(self._mine, _q.id == key.id).values(state="open", **until)
            )
            if row["state"] == "done":
                self._count(connection, row, 1)
        return {**row, "state": "open", **until}

    def _queued(self, key: FieldKey) -> None:
        """Sees to it that a field is in the queue; one that nobody doubted comes in when it is asked for."""
        with self._database.reading() as connection:
            if connection.scalar(sa.select(_q.id).where(self._mine, _q.id == key.id)):
                return
        self.put(self._readings.fields_of([key]).get(key), "asked")

    def put(self, field: Row | None, reason: str) -> None:
        """Puts a field into the queue.

        Raises:
            ProblemError: 404 there is none.
        """
        if field is None:
            raise ProblemError(404, "no_such_field", "No complete run has read this field.")
        with self._database.writing() as connection:
            (row,) = queue_values(connection, self._desk, [field], reason)
            added = connection.execute(self._database.insert(queue).on_conflict_do_nothing(), row)
            if added.rowcount < 1:  # somebody else was faster
                return
            name = f"{row['field']} ({row['template']}, {row['charset']})"
            kind = {"desk": self._desk, "label": name, "total": 0, "open": 0}
            kind |= {n: row[n] for n in ("kind", "charset", "ordinal")}
            connection.execute(self._database.insert(kinds).on_conflict_do_nothing(), kind)
            self._count(connection, row, int(row["state"] == "open"), 1)

    def reopen(self, key: FieldKey) -> bool:
        """Sends a field back because of a mark, before all others; what was said of it stands until then.

        Returns:
            Whether it is open now.
        """
        with self._database.writing() as connection:
            row = self._locked(connection, key)
            sent_back = {"state": "open", "reason": "mark", "rank": -1.0}
            connection.execute(sa.update(queue).where(self._mine, _q.id == key.id).values(sent_back))
            if row["state"] == "done":
                self._count(connection, row, 1)
        return True

    def _locked(self, connection: sa.Connection, key: FieldKey) -> Row:
        statement = sa.select(queue).where(self._mine, _q.id == key.id).with_for_update()
        row = connection.execute(statement).mappings().first()
        if row is None:
            raise ProblemError(404, "no_such_field", "No complete run has read this field.")
        return dict(row)

    def _entry(self, row: Row, verifier: str, verdict: str, text: str | None) -> Row:
        return {
            **key_of(row)._asdict(),
            "verdict": verdict,
            "text": text,
            "read_text": row["text"],
            "verifier": verifier,
            "created": utc_now(),
            "run": row["run"],
        }

    def _count(self, connection: sa.Connection, row: Row, opened: int, total: int = 0) -> None:
        changed = {"open": _k.open + opened, "total": _k.total + total}
        kind = sa.and_(_k.desk == self._desk, _k.kind == row["kind"])
        connection.execute(sa.update(kinds).where(kind).values(changed))

    def find(self, key: FieldKey) -> Row | None:
        """The row of a field in the queue."""
        with self._database.reading() as connection:
            row = connection.execute(sa.select(queue).where(self._mine, _q.id == key.id)).mappings().first()
        return dict(row) if row else None

    def kinds(self) -> list[Row]:
        """The kinds of fields that are left: ``kind``, ``label``, ``charset``, ``total``, ``open``."""
        order = (_k.charset, _k.ordinal, _k.kind)
        with self._database.reading() as connection:
            rows = connection.execute(
                sa.select(kinds).where(_k.desk == self._desk, _k.open > 0).order_by(*order)
            )
            return [dict(row) for row in rows.mappings()]

    def progress(self, verifier: str | None) -> dict[str, int]:
        """How much there is to look at, how much is done, and by whom.

        ``mine`` and ``last_hour`` count fields whose answer stands and is of this person or of the last hour:
        a field that was answered twice, or that somebody else has answered since, counts once.
        """
        c = corrections.c
        standing = sa.select(sa.func.count()).where(c.verdict != "undone", ~_said_again())
        hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="microseconds")
        with self._database.reading() as connection:
            total, left = connection.execute(
                sa.select(sa.func.sum(_k.total), sa.func.sum(_k.open)).where(_k.desk == self._desk)
            ).one()
            last_hour = connection.scalar(standing.where(c.created >= hour_ago))
            mine = connection.scalar(standing.where(c.verifier == verifier)) if verifier is not None else 0
        total, left = total or 0, left or 0
        return {
            "review": total,
            "done": total - left,
            "remaining": left,
            "mine": mine or 0,
            "last_hour": last_hour or 0,
        }


def _said_again() -> sa.Exists:
    """Whether something newer was said of the field of a row of ``corrections``."""
    c, newer = corrections.c, corrections.alias("newer").c
    same = [newer[name] == c[name] for name in FieldKey._fields]
    return sa.exists().where(*same, newer.id > c.id).correlate(corrections)


def _is_leased(row: Row) -> bool:
    return row["leased_to"] is not None and row["leased_until"] >= time.time()


def _saved(key: FieldKey, entry: Row) -> Saved:
    verified = {"text": entry["text"], "blank": ""}.get(entry["verdict"])
    return Saved(key.id, entry["verdict"], verified, entry["created"])
