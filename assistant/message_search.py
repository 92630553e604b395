"""Search in stored conversations, those that are closed too."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import func, select

from assistant import tables
from assistant.conversations import Conversations

_MOST = 50
_SPEAKERS = ("customer", "agent")
_AROUND = 50  # characters shown before the first word that was searched for
_LENGTH = 140  # and in all


@dataclass(frozen=True, slots=True)
class Hit:
    """A conversation with the newest message of it that holds the words; times in seconds since
    1970. `before`, `match` and `after` are the message around the first of the words."""

    conversation_id: str
    state: str
    agent: str
    role: str
    before: str
    match: str
    after: str
    created: float


def search_messages(store: Conversations, words: str, limit: int = _MOST) -> list[Hit]:
    """Conversations in which a customer or an agent said all the words in one message, the newest
    such message first. Raises StoreError."""
    wanted = words.split()
    if not wanted:
        return []
    columns, talks = tables.messages.c, tables.conversations.c
    newest = (
        select(func.max(columns.id))
        .where(columns.role.in_(_SPEAKERS))
        .where(*(columns.text.icontains(word, autoescape=True) for word in wanted))
        .group_by(columns.conversation_id)
    )
    query = (
        select(
            columns.conversation_id,
            talks.state,
            talks.agent,
            columns.role,
            columns.text,
            columns.created,
        )
        .join(tables.conversations, talks.id == columns.conversation_id)
        .where(columns.id.in_(newest))
        .order_by(columns.id.desc())
        .limit(limit)
    )
    with store.readers.connect() as connection:
        return [
            Hit(key, state, agent or "", role, *_around(text, wanted[0]), created)
            for key, state, agent, role, text, created in connection.execute(query)
        ]


def _around(text: str, word: str) -> tuple[str, str, str]:
    """A line of the text in three: before the word, the word as it stands, after it."""
    line = " ".join(text.split())
    found = re.search(re.escape(word), line, re.IGNORECASE)
    if found is None:  # the database folds letters in its own way
        return line[:_LENGTH], "", ""
    first = max(0, found.start() - _AROUND)
    before = ("…" if first else "") + line[first : found.start()]
    return before, found.group(), line[found.end() : first + _LENGTH]
