"""The database of the desk: SQLite in the folder of results, or PostgreSQL by its address.

What ``writing()`` leaves without an error is on the disk: SQLite writes ahead and waits for the disk at every
commit, PostgreSQL does so unless its administrator says otherwise.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util import CommandError as AlembicError

from review.verified import DatabaseError, database_path

BUSY_SECONDS = 30
_WRITES, _DURABLE = "formscribe_writes", "formscribe_durable"


def sqlite_url(output: Path) -> str:
    """The address of the database that lies in a folder of results."""
    return sa.URL.create("sqlite", database=str(database_path(output))).render_as_string(False)


def checked_url(address: str) -> sa.URL:
    """An address that can be used; ``postgresql://`` means the driver that is installed with ``.[postgres]``.

    Raises:
        DatabaseError: it is no address, or of another kind of database.
    """
    try:
        url = sa.make_url(address)
    except sa.exc.ArgumentError:
        raise DatabaseError(
            "--database: is no address of a database. Write postgresql+psycopg://USER@HOST/NAME."
        ) from None
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername not in ("sqlite", "postgresql+psycopg"):
        raise DatabaseError(
            f"--database: {url.drivername} is not supported. Use postgresql+psycopg://, or leave it out."
        )
    return url


class Database:
    """Connections to one database; safe to use from many threads."""

    def __init__(self, address: str) -> None:
        """Connects lazily; see ``checked_url`` for what it raises."""
        self.url = checked_url(address)
        self.is_sqlite = self.url.drivername == "sqlite"
        self._one_writer = threading.Lock()
        try:
            self.engine = sa.create_engine(self.url, pool_size=10, max_overflow=30, **self._options())
        except ImportError:
            raise DatabaseError(
                "--database: PostgreSQL needs a driver, not installed yet: pip install '.[postgres]'"
            ) from None
        if self.is_sqlite:
            sa.event.listen(self.engine, "connect", _set_up_sqlite)
            sa.event.listen(self.engine, "begin", _begin_sqlite)

    def _options(self) -> dict[str, Any]:
        if self.is_sqlite:
            return {"connect_args": {"timeout": BUSY_SECONDS, "check_same_thread": False}}
        return {"pool_pre_ping": True, "connect_args": {"connect_timeout": 10}}

    def migrate(self) -> None:
        """Makes the tables, or brings older ones up to date.

        Raises:
            DatabaseError: it cannot be reached or written, or a newer formscribe has made it.
        """
        settings = Config()
        settings.set_main_option(
            "script_location", str(Path(__file__).parent / "migrations").replace("%", "%%")
        )
        try:
            if self.is_sqlite and self.url.database:
                Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
            with self.writing() as connection:
                if not self.is_sqlite:  # of two servers that start together one migrates
                    connection.execute(sa.text("SELECT pg_advisory_xact_lock(7021949)"))
                settings.attributes["connection"] = connection
                command.upgrade(settings, "head")
        except AlembicError:
            raise DatabaseError(
                f"{self.name}: a newer version of formscribe has made it. Install that."
            ) from None
        except (sa.exc.SQLAlchemyError, OSError) as error:
            reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
            raise DatabaseError(f"{self.name}: cannot be used ({reason}).") from None

    @property
    def name(self) -> str:
        """For people: without the password."""
        return str(self.url.database) if self.is_sqlite else self.url.render_as_string(hide_password=True)

    @contextmanager
    def writing(self, durable: bool = True) -> Iterator[sa.Connection]:
        """A transaction that may write; committed, and durable, when the block ends without an error.

        Args:
            durable: False for what may be lost in a power cut, leases for one; it does not wait for the disk.
        """
        if not self.is_sqlite:
            with self.engine.begin() as connection:
                yield connection
            return
        with (
            self._one_writer,  # threads wait in line, where SQLite would have them try again and again
            self.engine.connect().execution_options(**{_WRITES: True, _DURABLE: durable}) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection that only reads."""
        with self.engine.connect() as connection:
            yield connection

    def insert(self, table: sa.Table) -> Any:
        """An INSERT of the dialect that is in use, which knows ON CONFLICT."""
        if self.is_sqlite:
            from sqlalchemy.dialects.sqlite import insert as sqlite_insert

            return sqlite_insert(table)
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert

        return postgresql_insert(table)

    def close(self) -> None:
        """Closes all connections."""
        self.engine.dispose()


def _set_up_sqlite(connection: sqlite3.Connection, record: Any) -> None:
    connection.isolation_level = None  # transactions begin where ``_begin_sqlite`` says so
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute(f"PRAGMA busy_timeout = {1000 * BUSY_SECONDS}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    # Taking the lock at once: a reader that turns into a writer fails where another has written meanwhile.
    options = connection.get_execution_options()
    if options.get(_WRITES):
        # FULL waits for the disk: an answer that was acknowledged survives a power cut.
        how = "FULL" if options.get(_DURABLE, True) else "NORMAL"
        connection.exec_driver_sql(f"PRAGMA synchronous = {how}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get(_WRITES) else "BEGIN")
