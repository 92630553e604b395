"""Conversations, hand-offs, ratings and the audit log, in SQLite (WAL) or any SQLAlchemy URL.

Who speaks is one column: `state` is bot, waiting (for a person), agent, or closed.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, case, delete, insert, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from assistant import migrations, tables
from assistant.cited import keep_cited
from assistant.database import open_engines, scrub, settle
from assistant.errors import StoreError
from assistant.removal import remove_conversations, withdraw_documents
from assistant.settings import Settings
from assistant.types import Message, Role

State = Literal["bot", "waiting", "agent", "closed"]

_INSTANT = 1e-6  # seconds by which one thing is later than another, should the clock be set back
_REMEMBERED_SECONDS = 86_400.0  # for which a used token is known after it has expired: so, too


@dataclass(frozen=True, slots=True)
class Conversation:
    """One customer's conversation; times are seconds since 1970."""

    id: str
    state: State
    language: str
    customer_id: str | None
    agent: str | None
    reason: str
    created: float
    updated: float


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message as stored; `reply` is the assistant's reply as in the contract, with its trace."""

    id: int
    message_id: str
    role: Role
    text: str
    reply: dict[str, Any] | None
    created: float


class Conversations:
    """The conversation store. Every method is one short transaction. Raises StoreError.

    Stores of what goes with conversations use `engine` for writing and `readers` for reading.
    """

    def __init__(self, url: str) -> None:
        self.engine, self.readers = open_engines(url)
        try:
            migrations.upgrade(self.engine, self.readers)
        except SQLAlchemyError as error:
            raise StoreError(f"the conversation store cannot be opened: {error}") from error

    @classmethod
    def of(cls, settings: Settings) -> Conversations:
        """The store that the settings name."""
        settings.home.mkdir(parents=True, exist_ok=True)
        return cls(settings.store_url)

    @classmethod
    def in_home(cls, home: Path) -> Conversations:
        """The default store: SQLite in the home folder."""
        return cls.of(Settings(home=home))

    def start(self, language: str = "", customer_id: str | None = None) -> Conversation:
        """A new conversation, spoken to by the bot."""
        key, now = secrets.token_urlsafe(16), time.time()
        row = Conversation(key, "bot", language, customer_id, None, "", now, now)
        with self.engine.begin() as connection:
            connection.execute(insert(tables.conversations).values(**asdict(row)))
        return row

    def get(self, conversation_id: str) -> Conversation | None:
        """The conversation, or None when there is none with this id."""
        with self.readers.connect() as connection:
            query = select(tables.conversations).where(tables.conversations.c.id == conversation_id)
            row = connection.execute(query).mappings().first()
        return Conversation(**row) if row else None

    def queue(
        self,
        states: Sequence[State] = ("waiting", "agent", "bot"),
        limit: int = 200,
        newest: bool = False,
    ) -> list[Conversation]:
        """The first conversations in these states, those waiting longest first, or the `newest`."""
        columns = tables.conversations.c
        rank = case({"waiting": 0, "agent": 1, "bot": 2}, value=columns.state, else_=3)
        query = (
            select(tables.conversations)
            .where(columns.state.in_(states))
            .order_by(rank, columns.updated.desc() if newest else columns.updated)
            .limit(limit)
        )
        with self.readers.connect() as connection:
            return [Conversation(**row) for row in connection.execute(query).mappings()]

    def add(
        self,
        conversation_id: str,
        role: Role,
        text: str,
        message_id: str = "",
        reply: dict[str, Any] | None = None,
    ) -> StoredMessage:
        """Append a message; one with a message_id already stored for the role is returned as is."""
        message_id = message_id or secrets.token_urlsafe(12)
        try:
            with self.engine.begin() as connection:
                return insert_message(connection, conversation_id, role, text, message_id, reply)
        except IntegrityError:
            stored = self.find(conversation_id, message_id, role)
            if stored is None:
                raise StoreError("the message could not be stored") from None
            return stored

    def find(self, conversation_id: str, message_id: str, role: Role) -> StoredMessage | None:
        """The message with this client id and role, if stored."""
        columns = tables.messages.c
        found = self._select(
            columns.conversation_id == conversation_id,
            columns.message_id == message_id,
            columns.role == role,
        )
        return found[0] if found else None

    def messages(self, conversation_id: str, after: int = 0) -> list[StoredMessage]:
        """Messages in order; with `after` only those with a larger id."""
        columns = tables.messages.c
        return self._select(columns.conversation_id == conversation_id, columns.id > after)

    def _select(self, *conditions: ColumnElement[bool]) -> list[StoredMessage]:
        columns = tables.messages.c
        wanted = (columns[name] for name in StoredMessage.__slots__)
        query = select(*wanted).where(*conditions).order_by(columns.id)
        with self.readers.connect() as connection:
            rows = connection.execute(query).mappings().all()
        return [
            StoredMessage(**{**row, "reply": json.loads(row["reply"]) if row["reply"] else None})
            for row in rows
        ]

    def threads(
        self, since: float = 0.0, limit: int = 5000
    ) -> Iterator[tuple[str, list[StoredMessage]]]:
        """(id, messages) of the conversations that changed since then, the latest first."""
        columns = tables.conversations.c
        query = (
            select(columns.id)
            .where(columns.updated >= since)
            .order_by(columns.updated.desc())
            .limit(limit)
        )
        with self.readers.connect() as connection:
            ids = list(connection.execute(query).scalars())
        for conversation_id in ids:
            yield conversation_id, self.messages(conversation_id)

    def recent_questions(self, count: int) -> list[str]:
        """What customers last asked, follow-ups completed from what came before; newest first."""
        columns = tables.messages.c
        query = (
            select(columns.reply)
            .where(columns.role == "assistant", columns.reply.is_not(None))
            .order_by(columns.id.desc())
            .limit(count)
        )
        with self.readers.connect() as connection:
            replies = [json.loads(row) for row in connection.execute(query).scalars()]
        asked = [(r.get("trace") or {}).get("standalone", "") for r in replies]
        return [text for text in dict.fromkeys(asked) if text]

    def history(self, conversation_id: str, before: int) -> tuple[Message, ...]:
        """What was said before the message with this id, as the pipeline takes it."""
        said = self.messages(conversation_id)
        return tuple(Message(m.role, m.text) for m in said if m.id < before)

    def withdraw(self, documents: Collection[str]) -> int:
        """Take the words of withdrawn documents out of the stored replies; how many held some.

        The reply keeps its outcome and its place. On SQLite the freed pages are overwritten.
        """
        with self.engine.begin() as connection:
            changed = withdraw_documents(connection, documents)
        if changed:
            scrub(self.engine)
        return changed

    def rate(self, conversation_id: str, message: int, helpful: bool, reason: str = "") -> None:
        """Keep a customer's verdict on a reply; a second one replaces the first."""
        values = {"helpful": int(helpful), "reason": reason, "created": time.time()}
        change = update(tables.ratings).where(tables.ratings.c.message == message).values(**values)
        new = insert(tables.ratings).values(
            conversation_id=conversation_id, message=message, **values
        )
        with self.engine.begin() as connection:
            if connection.execute(change).rowcount == 0:
                connection.execute(new)

    def ratings(self, conversation_id: str = "") -> list[dict[str, Any]]:
        """Verdicts, newest first: of one conversation, or all."""
        query = select(tables.ratings).order_by(tables.ratings.c.id.desc())
        if conversation_id:
            query = query.where(tables.ratings.c.conversation_id == conversation_id)
        with self.readers.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def use_once(self, token: str, expires: float) -> bool:
        """Whether this is the first use of a token, by its id; forgotten when it has expired."""
        used = tables.used_tokens
        try:
            with self.engine.begin() as connection:
                over = time.time() - _REMEMBERED_SECONDS
                connection.execute(delete(used).where(used.c.expires < over))
                connection.execute(insert(used).values(id=token, expires=expires))
        except IntegrityError:
            return False
        return True

    def delete(self, conversation_id: str) -> None:
        """Erase a conversation with all that belongs to it, in whatever table."""
        with self.engine.begin() as connection:
            remove_conversations(connection, [conversation_id])
        settle(self.engine)

    def log(self, who: str, what: str, detail: str = "") -> None:
        """Append to the audit log."""
        values = {"who": who, "what": what, "detail": detail, "created": time.time()}
        with self.engine.begin() as connection:
            connection.execute(insert(tables.audit).values(**values))

    def audit(self, limit: int = 100) -> list[dict[str, Any]]:
        """The newest entries of the audit log."""
        query = select(tables.audit).order_by(tables.audit.c.id.desc()).limit(limit)
        with self.readers.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()
        self.readers.dispose()


def later() -> ColumnElement[float]:
    """The time for what happens now in a conversation: never before what happened in it last, even
    where the clock has been set back."""
    updated, now = tables.conversations.c.updated, time.time()
    return case((updated >= now, updated + _INSTANT), else_=now)


def insert_message(
    connection: Connection,
    conversation_id: str,
    role: Role,
    text: str,
    message_id: str = "",
    reply: dict[str, Any] | None = None,
) -> StoredMessage:
    """Append a message within a transaction. Raises StoreError where the conversation is gone,
    IntegrityError where the role has said something with this message_id."""
    message_id = message_id or secrets.token_urlsafe(12)
    touch = (
        update(tables.conversations)
        .where(tables.conversations.c.id == conversation_id)
        .values(updated=later())
        .returning(tables.conversations.c.updated)
    )
    now: float | None = connection.scalar(touch)
    if now is None:
        raise StoreError("this conversation was deleted")
    values = {
        "conversation_id": conversation_id,
        "message_id": message_id,
        "role": role,
        "text": text,
        "reply": json.dumps(reply, ensure_ascii=False) if reply else None,
        "created": now,
    }
    key = connection.execute(insert(tables.messages).values(**values)).inserted_primary_key
    number = int(key[0] if key else 0)
    keep_cited(connection, conversation_id, number, reply or {}, now)
    return StoredMessage(number, message_id, role, text, reply, now)
