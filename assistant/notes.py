"""Private notes of agents on a conversation: for colleagues, never for the customer or a model."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import insert, select, update

from assistant import tables
from assistant.conversations import Conversations, later
from assistant.errors import InputError
from assistant.safety import clean

MAX_CHARACTERS = 4000


@dataclass(frozen=True, slots=True)
class Note:
    """A note; `created` in seconds since 1970."""

    id: int
    conversation_id: str
    who: str
    text: str
    created: float


class Notes:
    """The notes of all conversations. Each is in the audit log. Raises StoreError."""

    def __init__(self, store: Conversations) -> None:
        self.store = store

    def add(self, conversation_id: str, who: str, text: str) -> None:
        """Keep a note. Raises InputError without a text or a conversation."""
        text = clean(text)
        if not 0 < len(text) <= MAX_CHARACTERS:
            raise InputError(f"a note has 1 to {MAX_CHARACTERS} characters")
        talks = tables.conversations
        with self.store.engine.begin() as connection:
            touch = update(talks).where(talks.c.id == conversation_id).values(updated=later())
            now = connection.scalar(touch.returning(talks.c.updated))
            if now is None:
                raise InputError("this conversation does not exist")
            values = {
                "conversation_id": conversation_id, "who": who, "text": text, "created": now,
            }  # fmt: skip
            connection.execute(insert(tables.notes).values(**values))
        self.store.log(who, "note", conversation_id)

    def of(self, conversation_id: str) -> list[Note]:
        """The notes on a conversation, in order."""
        columns = tables.notes.c
        query = (
            select(tables.notes)
            .where(columns.conversation_id == conversation_id)
            .order_by(columns.id)
        )
        with self.store.readers.connect() as connection:
            return [Note(**row) for row in connection.execute(query).mappings()]
