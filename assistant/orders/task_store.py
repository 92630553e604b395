"""What a customer wants changed, as far as it is known; kept with the conversation."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import delete, insert, select

from assistant import tables
from assistant.conversations import Conversations
from assistant.orders.wishes import Kind

_KEPT_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Task:
    """What is known so far. `id` makes what is done of it unique; `items` are what is sent back or
    swapped, `swaps` what each of them is swapped for, in the same order; `said` is the message that
    it began with, until it is read; `asked` is the slot that was asked for last, or "yes", and
    `misses` how often that was answered with something else."""

    kind: Kind
    id: str
    order: str = ""
    items: tuple[str, ...] = ()
    swaps: tuple[str, ...] = ()
    address: str = ""
    reason: str = ""
    payment: str = ""
    said: str = ""
    asked: str = ""
    misses: int = 0


class TaskStore:
    """The task of each conversation, in the conversation store."""

    def __init__(self, store: Conversations) -> None:
        self.store = store

    def get(self, conversation_id: str) -> Task | None:
        """The open task; None without one, or when it has waited for a day."""
        columns = tables.tasks.c
        query = select(columns.body).where(
            columns.conversation_id == conversation_id,
            columns.updated > time.time() - _KEPT_SECONDS,
        )
        with self.store.readers.connect() as connection:
            body = connection.scalar(query)
        if not body:
            return None
        held: dict[str, Any] = json.loads(body)
        values: Any = {k: tuple(v) if isinstance(v, list) else v for k, v in held.items()}
        return Task(**values)

    def put(self, conversation_id: str, task: Task | None) -> None:
        """Keep it in place of the one before; None: there is none any more."""
        with self.store.engine.begin() as connection:
            table = tables.tasks
            connection.execute(delete(table).where(table.c.conversation_id == conversation_id))
            if task:
                values = {
                    "conversation_id": conversation_id,
                    "body": json.dumps(asdict(task)),
                    "updated": time.time(),
                }
                connection.execute(insert(table).values(**values))
