"""What agents made of suggested replies: pairs to learn from."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import insert, select

from assistant import tables
from assistant.conversations import Conversations


@dataclass(frozen=True, slots=True)
class Edit:
    """What was suggested when an agent replied, the evidence that it rests on, and what was sent.
    `inserted`: the agent began with the suggestion rather than writing beside it."""

    suggestion: str
    sent: str
    evidence_id: str
    inserted: bool

    @property
    def changed(self) -> bool:
        """Whether the agent began with the suggestion and sent other words."""
        return self.inserted and self.suggestion.split() != self.sent.split()


class Edits:
    """The edits of all conversations. Raises StoreError."""

    def __init__(self, store: Conversations) -> None:
        self.store = store

    def keep(self, conversation_id: str, message: int, edit: Edit) -> None:
        """Keep what became of a suggestion in an agent's message."""
        values = {
            "conversation_id": conversation_id,
            "message": message,
            "suggestion": edit.suggestion,
            "sent": edit.sent,
            "evidence_id": edit.evidence_id,
            "inserted": int(edit.inserted),
            "created": time.time(),
        }
        with self.store.engine.begin() as connection:
            connection.execute(insert(tables.edits).values(**values))

    def of(self, conversation_id: str) -> dict[int, Edit]:
        """The edits in a conversation, by the agent's message."""
        columns = tables.edits.c
        query = select(
            columns.message, columns.suggestion, columns.sent, columns.evidence_id, columns.inserted
        ).where(columns.conversation_id == conversation_id)
        with self.store.readers.connect() as connection:
            return {
                row.message: Edit(row.suggestion, row.sent, row.evidence_id, bool(row.inserted))
                for row in connection.execute(query)
            }
