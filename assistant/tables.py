"""The tables of the conversation store, and how its database is opened."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Column,
    Engine,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    make_url,
)

metadata = MetaData()
_WAIT_SECONDS = 30  # for the connection that writes
_READERS = 8
conversations = Table(
    "conversations",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("state", String(8), nullable=False),
    Column("language", String(8), nullable=False),
    Column("customer_id", String(64)),
    Column("agent", String(64)),
    Column("reason", String(200), nullable=False, default=""),
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
    Index("by_state", "state", "updated"),
)
messages = Table(
    "messages",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("conversation_id", String(32), nullable=False),
    Column("message_id", String(64), nullable=False),
    Column("role", String(10), nullable=False),
    Column("text", Text, nullable=False),
    Column("reply", Text),
    Column("created", Float, nullable=False),
    UniqueConstraint("conversation_id", "message_id", "role"),
)
handoffs = Table(
    "handoffs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("conversation_id", String(32), nullable=False),
    Column("event", String(10), nullable=False),
    Column("who", String(64), nullable=False),
    Column("created", Float, nullable=False),
    Index("by_time", "created"),
)
contacts = Table(
    "contacts",
    metadata,
    Column("conversation_id", String(32), primary_key=True),
    Column("email", String(254), nullable=False),
    Column("created", Float, nullable=False),
)
ratings = Table(
    "ratings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("conversation_id", String(32), nullable=False),
    Column("message", Integer, nullable=False),
    Column("helpful", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created", Float, nullable=False),
    UniqueConstraint("message"),
)
notes = Table(
    "notes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("conversation_id", String(32), nullable=False, index=True),
    Column("who", String(64), nullable=False),
    Column("text", Text, nullable=False),
    Column("created", Float, nullable=False),
)
edits = Table(
    "edits",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("conversation_id", String(32), nullable=False, index=True),
    Column("message", Integer, nullable=False),
    Column("suggestion", Text, nullable=False),
    Column("sent", Text, nullable=False),
    Column("evidence_id", Text, nullable=False),
    Column("inserted", Integer, nullable=False),
    Column("created", Float, nullable=False),
    UniqueConstraint("message"),
)
canned = Table(
    "canned",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("shortcut", String(32), nullable=False),
    Column("language", String(8), nullable=False),
    Column("text", Text, nullable=False),
    Column("who", String(64), nullable=False),
    Column("updated", Float, nullable=False),
    UniqueConstraint("shortcut", "language"),
)
curated = Table(
    "curated",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("question", Text, nullable=False),
    Column("wordings", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("language", String(8), nullable=False),
    Column("valid_from", String(10)),
    Column("valid_until", String(10)),
    Column("enabled", Integer, nullable=False),
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
    Column("who", String(64), nullable=False),
)
curated_hits = Table(
    "curated_hits",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("curated_id", String(32), nullable=False, index=True),
    Column("conversation_id", String(32), nullable=False, index=True),
    Column("message", Integer, nullable=False),
    Column("created", Float, nullable=False),
    UniqueConstraint("message"),
)
audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("who", String(64), nullable=False),
    Column("what", String(64), nullable=False),
    Column("detail", Text, nullable=False),
    Column("created", Float, nullable=False),
)
identity_tries = Table(
    "identity_tries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("conversation_id", String(32), nullable=False, index=True),
    Column("order_number", String(32), nullable=False, index=True),
    Column("created", Float, nullable=False),
)
tasks = Table(
    "tasks",
    metadata,
    Column("conversation_id", String(32), primary_key=True),
    Column("body", Text, nullable=False),
    Column("updated", Float, nullable=False),
)
used_tokens = Table(
    "used_tokens",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("expires", Float, nullable=False),
)


def open_engines(url: str) -> tuple[Engine, Engine]:
    """(the engine that writes, the one that reads) of a database.

    On SQLite one connection writes, so that those who write queue for it in order instead of
    sleeping until the file is free, and reading waits for nobody.
    """
    if make_url(url).get_backend_name() != "sqlite":
        engine = create_engine(url)
        return engine, engine
    writer = create_engine(url, pool_size=1, max_overflow=0, pool_timeout=_WAIT_SECONDS)
    reader = create_engine(url, pool_size=_READERS, max_overflow=_READERS)
    for engine, begin in ((writer, "BEGIN IMMEDIATE"), (reader, "BEGIN")):
        _set_up(engine, begin)
    return writer, reader


def _set_up(engine: Engine, begin: str) -> None:
    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA busy_timeout=10000")  # for other processes
        connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        # busy_timeout does not cover a read that turns into a write, so writers say so at once.
        connection.exec_driver_sql(begin)
