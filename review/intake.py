"""Takes runs into the queue: what is doubtful in them, unless somebody has said already what stands there."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from review.database import Database
from review.keys import FieldKey
from review.readings import Readings, Row, key_of, queue_row
from review.tables import corrections, kinds, queue, taken_runs

BATCH = 1000
_MANY = 500  # values in one IN


def verdicts_of(connection: sa.Connection, keys: Iterable[FieldKey]) -> dict[FieldKey, Row]:
    """What was last said of each field; without those of which nothing stands."""
    wanted = set(keys)
    c = corrections.c
    found: dict[FieldKey, Row] = {}
    for some in _chunks(sorted({(key.sha256, key.page) for key in wanted}), _MANY):
        pages = sa.tuple_(c.sha256, c.page).in_(some)
        for row in connection.execute(sa.select(corrections).where(pages).order_by(c.id)).mappings():
            if (key := key_of(dict(row))) in wanted:
                found[key] = dict(row)
    return {key: row for key, row in found.items() if row["verdict"] != "undone"}


def take_in(
    database: Database, desk: str, readings: Readings, told: Callable[[int], None] = lambda count: None
) -> int:
    """Brings the queue up to date with the runs that ``readings`` has open.

    Killed at any point it can be done again: a run counts as taken when all of it is in the queue.

    Args:
        database: that holds the queue.
        desk: whose queue it is.
        readings: the folder of results.
        told: called now and then with the number of fields so far.

    Returns:
        How many doubtful fields were in the runs that were taken in.
    """
    with database.reading() as connection:
        taken = set(connection.scalars(sa.select(taken_runs.c.run).where(taken_runs.c.desk == desk)))
    gone = taken - set(readings.runs)
    fresh = [run for run in readings.runs if gone or run not in taken]
    if not fresh:
        return 0
    count = 0
    for batch in readings.doubtful(fresh, BATCH):
        put_into_queue(database, desk, batch, "status")
        count += len(batch)
        told(count)
    if taken:
        _drop_outdated(database, desk, readings, fresh, everything=bool(gone))
    with database.writing(durable=False) as connection:
        if gone:
            connection.execute(sa.delete(taken_runs).where(taken_runs.c.desk == desk))
        statement = database.insert(taken_runs).on_conflict_do_nothing()
        connection.execute(statement, [{"desk": desk, "run": run} for run in fresh])
        count_kinds(database, connection, desk)
    return count


def put_into_queue(database: Database, desk: str, rows: Sequence[Row], reason: str) -> None:
    """Adds fields to the queue, or renews their readings; those of which a verdict stands are done."""
    if not rows:
        return
    with database.writing(durable=False) as connection:
        values = queue_values(connection, desk, rows, reason)
        statement = database.insert(queue)
        new = statement.excluded
        renewed = {name: new[name] for name in values[0] if name not in ("desk", "id", "state", "reason")}
        # A field that was sent back stays open, before all others; one that was answered this very moment
        # stays done.
        renewed["state"] = sa.case(
            (sa.or_(queue.c.state == "done", queue.c.reason != "status"), queue.c.state), else_=new.state
        )
        renewed["rank"] = sa.case((queue.c.reason == "mark", queue.c.rank), else_=new.rank)
        statement = statement.on_conflict_do_update(index_elements=["desk", "id"], set_=renewed)
        connection.execute(statement, values)


def queue_values(connection: sa.Connection, desk: str, rows: Sequence[Row], reason: str) -> list[Row]:
    """Fields of ``Readings`` as rows of ``queue``; two files with the same bytes are one scan."""
    unique = {key_of(row): row for row in rows}
    said = verdicts_of(connection, unique)
    return [
        {"desk": desk, **queue_row(row), "state": "done" if key in said else "open", "reason": reason}
        for key, row in unique.items()
    ]


def _drop_outdated(
    database: Database, desk: str, readings: Readings, fresh: Sequence[str], everything: bool
) -> None:
    """Takes out open fields of sources that were read again and are doubtful no more."""
    stale = sa.and_(queue.c.desk == desk, queue.c.state == "open", queue.c.run.not_in(list(fresh)))
    if everything:
        _renew_or_drop(database, desk, readings, stale)
        return
    for sources in _chunks(readings.sources_of(fresh), _MANY):
        _renew_or_drop(database, desk, readings, sa.and_(stale, queue.c.source.in_(sources)))


def _renew_or_drop(database: Database, desk: str, readings: Readings, stale: Any) -> None:
    with database.reading() as connection:
        asked = sa.select(queue).where(stale, queue.c.reason != "status")
        sent_back = [key_of(dict(row)) for row in connection.execute(asked).mappings()]
    for some in _chunks(sent_back, 50):
        put_into_queue(database, desk, list(readings.fields_of(some).values()), "mark")
    with database.writing(durable=False) as connection:
        connection.execute(sa.delete(queue).where(stale))


def count_kinds(database: Database, connection: sa.Connection, desk: str) -> None:
    """Counts the kinds of fields in the queue anew; from then on the counts are kept with every answer."""
    if not database.is_sqlite:  # answers wait, as they change these rows last
        connection.execute(sa.text("LOCK TABLE kinds IN EXCLUSIVE MODE"))
    c = queue.c
    counts = connection.execute(
        sa.select(
            c.kind,
            sa.func.min(c.template).label("template"),
            sa.func.min(c.field).label("field"),
            sa.func.min(c.charset).label("charset"),
            sa.func.min(c.ordinal).label("ordinal"),
            sa.func.count().label("total"),
            sa.func.sum(sa.case((c.state == "open", 1), else_=0)).label("open"),
        )
        .where(c.desk == desk)
        .group_by(c.kind)
    ).all()
    connection.execute(sa.delete(kinds).where(kinds.c.desk == desk))
    if counts:
        rows = [
            {
                "desk": desk,
                "kind": row.kind,
                "label": f"{row.field} ({row.template}, {row.charset})",
                "charset": row.charset,
                "ordinal": row.ordinal,
                "total": row.total,
                "open": row.open,
            }
            for row in counts
        ]
        connection.execute(sa.insert(kinds), rows)


def desk_name(output: Path) -> str:
    """What tells the queue of a folder from those of other folders in the same database.

    A word in the folder itself, so that it may be moved; its path where nothing can be written.
    """
    import secrets

    path = output / "_review" / "desk"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with path.open("x") as stream:
                stream.write(secrets.token_hex(8))
        except FileExistsError:
            pass
        return path.read_text().strip() or str(output.resolve())
    except OSError:
        return str(output.resolve())


def _chunks(items: Sequence[Any], size: int) -> Iterable[list[Any]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
