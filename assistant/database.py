"""How the conversation store's database is opened, what its errors mean, and how what was deleted
leaves the disk."""

from __future__ import annotations

import random
import sqlite3
import time
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    PoolProxiedConnection,
    QueuePool,
    create_engine,
    event,
    make_url,
    text,
)
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError, TimeoutError

from assistant.errors import StoreError

WAIT_SECONDS = 30  # for another thread's or another process's transaction
_READERS = 8
# SQLite's own waiting ends at a look every 0.1 s, which a busy writer's next transaction nearly
# always wins: of 32 processes that write all the time one waited 26 s, and 5 s with looks like
# these (4 s of them for a process that held the lock).
_LOOK_SECONDS = 0.002, 0.012
# What SQLite and PostgreSQL say of trouble that is none of the program's, and what repairs it.
_TROUBLES = {
    "is locked": "another process has been writing for too long; try again in a moment",
    "is full": "the disk is full, so nothing was stored; free some space and try again",
    "no space left": "the database's disk is full, so nothing was stored; free some space",
    "disk i/o error": "the disk cannot be written, so nothing was stored; look at its space",
    "readonly database": "the database's file or folder is read-only; make it writable",
    "unable to open": "the database's file cannot be opened; look at its folder and its rights",
    "malformed": "the database's file is damaged; restore a backup",
    "not a database": "the file is no SQLite database; restore a backup, or move it away",
    "connection": "the database server cannot be reached; look whether it runs",
}


def open_engines(url: str) -> tuple[Engine, Engine]:
    """(the engine that writes, the one that reads) of a database. Raises StoreError; so does what
    is done with them, where the trouble is the disk's, the server's or another process's.

    On SQLite one connection writes, so that those who write queue for it in order instead of
    sleeping until the file is free, and reading waits for nobody.
    """
    try:
        parsed = make_url(url)
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.get_backend_name() != "sqlite":
            engine = create_engine(
                parsed, pool_pre_ping=True, poolclass=_Queue, hide_parameters=True
            )
            event.listen(engine, "handle_error", _explain)
            return engine, engine
    except (ArgumentError, NoSuchModuleError) as error:
        raise StoreError("database is no URL like postgresql://user@host/name") from error
    except ModuleNotFoundError as error:
        raise StoreError(f"{error}; install the extra: pip install frontdesk[postgres]") from error
    # An error goes to the log, and what customers wrote must not go with it.
    one = {"pool_size": 1, "max_overflow": 0, "pool_timeout": WAIT_SECONDS}
    many = {"pool_size": _READERS, "max_overflow": _READERS, "pool_timeout": WAIT_SECONDS}
    writer = create_engine(parsed, poolclass=_Queue, hide_parameters=True, **one)
    reader = create_engine(parsed, poolclass=_Queue, hide_parameters=True, **many)
    for engine in (writer, reader):
        event.listen(engine, "connect", _set_up)
        event.listen(engine, "handle_error", _explain)
    event.listen(writer, "begin", _begin_writing)
    event.listen(reader, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return writer, reader


class _Queue(QueuePool):
    """Connections, and those who wait for one: who waits for too long gets a StoreError."""

    def connect(self) -> PoolProxiedConnection:
        """See QueuePool."""
        try:
            return super().connect()
        except TimeoutError as error:
            raise StoreError("too many wait for the database; try again in a moment") from error


def lock(connection: Connection, key: int) -> None:
    """Keep others who want this lock out until the transaction ends; on SQLite its beginning has
    done so."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


def scrub(writer: Engine) -> bool:
    """Have SQLite write its file anew, so that nothing of what was deleted is left in free pages or
    in the log of changes; False while somebody still reads what was before.

    Elsewhere the server's own maintenance does that (PostgreSQL: VACUUM FULL).
    """
    return _maintain(writer, "VACUUM")


def settle(writer: Engine) -> bool:
    """Empty SQLite's log of changes, which holds pages as they were before rows were deleted in
    them; False while somebody still reads those."""
    return _maintain(writer)


def _maintain(writer: Engine, *statements: str) -> bool:
    if writer.dialect.name != "sqlite":
        return True
    raw = writer.raw_connection()  # outside any transaction
    try:
        connection: Any = raw.driver_connection
        connection.execute(f"PRAGMA busy_timeout={1000 * WAIT_SECONDS}")
        for statement in statements:
            connection.execute(statement)
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy
    except sqlite3.OperationalError as error:
        raise StoreError(_repair(error) or str(error)) from error
    finally:
        raw.close()


def _set_up(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout={1000 * WAIT_SECONDS}")  # for other processes
    # While another process makes the file, SQLite refuses this at once, whatever the timeout.
    _insist(connection, "PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA secure_delete=ON")  # what is deleted is overwritten


def _begin_writing(connection: Any) -> None:
    """Begin, as a writer from the start: SQLite does not wait where a read turns into a write."""
    raw = connection.connection.driver_connection
    raw.execute("PRAGMA busy_timeout=0")
    _insist(raw, "BEGIN IMMEDIATE")


def _insist(connection: Any, statement: str) -> None:
    """Execute as soon as nobody else is in the way. Raises StoreError."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            connection.execute(statement)
            return
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > deadline:
                raise StoreError(_repair(error) or str(error)) from error
        time.sleep(random.uniform(*_LOOK_SECONDS))


def _explain(context: ExceptionContext) -> None:
    """A StoreError in place of the driver's words, where it is known what repairs it."""
    error = context.original_exception
    if isinstance(context.sqlalchemy_exception, OperationalError) and (repair := _repair(error)):
        raise StoreError(repair) from error


def _repair(error: BaseException) -> str:
    said = str(error).lower()
    return next((repair for words, repair in _TROUBLES.items() if words in said), "")
