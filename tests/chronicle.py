"""Conversations of the past for tests: rows of the real store, at times of their own."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import insert, update

from assistant import tables
from assistant.conversations import Conversations

DAY = 86_400.0
NOW = 1_790_000_000.0 // DAY * DAY + DAY / 2  # noon, UTC
VERSION = "20260901-080000-000000"


class Talk:
    """A conversation that is written down as it went; each step is so many seconds after `at`."""

    def __init__(self, store: Conversations, at: float) -> None:
        self.store, self.at = store, at
        self.id = store.start().id
        self._messages = 0
        self._set(created=at)

    def customer(self, after: float = 0.0, text: str = "How long do I have?") -> Talk:
        self._message(after, "customer", text, None)
        return self

    def reply(
        self, after: float = 1.0, outcome: str = "answer", reason: str = "", *,
        version: str = VERSION, sentences: int = 2, dropped: int = 0, intent: str = "returns",
        language: str = "en", helpful: bool | None = None, complaint: str = "",
        first: float | None = 120.0, whole: float = 400.0,
    ) -> Talk:  # fmt: skip
        answers = outcome == "answer" and not reason
        body = {
            "outcome": outcome, "reason": reason, "language": language, "intent": intent,
            "sentences": [{"text": "x"}] * (sentences if answers else 0),
            "latency_ms": {"total": whole},
            "trace": {
                "version": version, "dropped": [{"text": "y"}] * dropped,
                "first_sentence_ms": first if answers else None,
            },
        }  # fmt: skip
        message = self._message(after, "assistant", "...", body)
        if outcome == "handoff":
            self.change(after, "ask")
        if helpful is not None:
            self.store.rate(self.id, message, helpful, complaint)
        return self

    def agent(self, after: float) -> Talk:
        self._message(after, "agent", "Hello, this is Ada.", None)
        return self

    def change(self, after: float, event: str) -> Talk:
        values = {"conversation_id": self.id, "event": event, "who": "", "created": self.at + after}
        self._write(insert(tables.handoffs).values(**values))
        state = {"ask": "waiting", "requeue": "waiting", "take": "agent", "end": "closed"}
        self._set(state=state.get(event, "bot"))
        return self

    def _message(self, after: float, role: str, text: str, reply: dict[str, Any] | None) -> int:
        self._messages += 1
        values = {
            "conversation_id": self.id, "message_id": str(self._messages), "role": role,
            "text": text, "reply": json.dumps(reply) if reply else None,
            "created": self.at + after,
        }  # fmt: skip
        return int(self._write(insert(tables.messages).values(**values)).inserted_primary_key[0])

    def _set(self, **values: object) -> None:
        columns = tables.conversations
        self._write(update(columns).where(columns.c.id == self.id).values(**values))

    def _write(self, statement: Any) -> Any:
        with self.store.engine.begin() as connection:
            return connection.execute(statement)
