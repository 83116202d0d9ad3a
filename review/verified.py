"""What people have said, for those who only read it: SQLite needs nothing but Python, PostgreSQL the extra.

The newest entry of a field counts; ``undone`` takes back what was said before.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from pipeline.results import CHARACTER_MARKS, CORRECTIONS, Verified


class DatabaseError(Exception):
    """A database that cannot be used; the message names it and the remedy."""


def database_path(output: Path) -> Path:
    """Where the SQLite database of a folder of results lies."""
    return output / "_review" / "corrections.sqlite"


def read_verified(output: Path, database: str | None = None) -> Verified | None:
    """Everything people have said about the fields of a folder of results.

    Args:
        output: the folder.
        database: the address of a database; the SQLite file in the folder if None.

    Returns:
        None if the folder has no such file.

    Raises:
        DatabaseError: the database cannot be read.
    """
    if database is not None:
        return _read_by_address(database)
    path = database_path(output)
    return _read_sqlite(path) if path.is_file() else None


def _read_sqlite(path: Path) -> Verified:
    """Leaves nothing beside the file, which may be somebody else's or lie where nothing can be written."""
    address = "file:" + quote(str(path.resolve())) + "?mode=ro"
    log = path.with_name(path.name + "-wal")
    try:
        if not log.exists():  # no desk is open: all is in the one file
            verified = _read_file(address + "&immutable=1")
            if not log.exists():
                return verified
        return _read_file(address)
    except sqlite3.Error as error:
        raise DatabaseError(f"{path}: cannot be read ({error}). Is it a database of formscribe?") from None


def _read_file(address: str) -> Verified:
    connection = sqlite3.connect(address, uri=True, timeout=30)
    try:
        tables = [
            _table(schema, connection.execute(_select(name, schema)).fetchall())
            for name, schema in (("corrections", CORRECTIONS), ("character_marks", CHARACTER_MARKS))
        ]
    finally:
        connection.close()
    return Verified(*tables)


def _read_by_address(address: str) -> Verified:
    try:
        import sqlalchemy as sa

        from review.database import Database
    except ImportError:
        raise DatabaseError(
            "--database: needs an extra that is not installed: pip install '.[review,postgres]'"
        ) from None
    database = Database(address)
    try:
        with database.reading() as connection:
            tables = [
                _table(schema, [tuple(row) for row in connection.execute(sa.text(_select(name, schema)))])
                for name, schema in (("corrections", CORRECTIONS), ("character_marks", CHARACTER_MARKS))
            ]
    except sa.exc.SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        raise DatabaseError(
            f"{database.name}: cannot be read ({reason}). Has `formscribe review --database` used it?"
        ) from None
    finally:
        database.close()
    return Verified(*tables)


def _select(name: str, schema: pa.Schema) -> str:
    return f"SELECT {', '.join(schema.names)} FROM {name} ORDER BY id"


def _table(schema: pa.Schema, rows: Sequence[Sequence[Any]]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [[] for _ in schema]
    arrays = [pa.array(list(column), field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)
