"""What was searched for last in a conversation, and what was shown."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import delete, insert, select

from assistant import tables
from assistant.conversations import Conversations
from knowledge.catalogue.types import Constraint, Wanted

_KEPT_SECONDS = 3600.0  # after which a message hardly means the products of before


@dataclass(frozen=True, slots=True)
class Search:
    """What is wanted, which page of it was shown (from 0; -1: none yet, as after recommendations),
    the ids and titles of what was shown, the currency of the products, and a question that waits
    for the product it is about."""

    wanted: Wanted
    currency: str = ""
    page: int = 0
    shown: tuple[tuple[str, str], ...] = ()
    asked: str = ""


class SearchStore:
    """The last search of each conversation, in the conversation store."""

    def __init__(self, store: Conversations) -> None:
        self.store = store

    def get(self, conversation_id: str) -> Search | None:
        """The last one; None without one, or when it was long ago."""
        columns = tables.searches.c
        query = select(columns.body).where(
            columns.conversation_id == conversation_id,
            columns.updated > time.time() - _KEPT_SECONDS,
        )
        with self.store.readers.connect() as connection:
            body = connection.scalar(query)
        return _search_of(json.loads(body)) if body else None

    def put(self, conversation_id: str, search: Search) -> None:
        """Keep it in place of the one before."""
        table = tables.searches
        row = {"body": json.dumps(asdict(search)), "updated": time.time()}
        with self.store.engine.begin() as connection:
            connection.execute(delete(table).where(table.c.conversation_id == conversation_id))
            connection.execute(insert(table).values(conversation_id=conversation_id, **row))


def _search_of(held: dict[str, Any]) -> Search:
    wanted = held["wanted"]
    constraints = tuple(Constraint(**c) for c in wanted["constraints"])
    shown = tuple((product_id, title) for product_id, title in held["shown"])
    return Search(
        Wanted(constraints, wanted["text"]), held["currency"], held["page"], shown, held["asked"]
    )
