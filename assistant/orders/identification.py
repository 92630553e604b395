"""Who a conversation's customer is: the signed identity that it began with, or an order's number
and the e-mail address that it was placed with, which few people may try often.

A number and an address are what a shop asks for on its own tracking page; they tell little more
than the parcel's label. What the assistant does with them is to read, and to propose.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import func, insert, or_, select, update

from assistant import tables
from assistant.conversations import Conversations
from assistant.records.seam import Records

# OWASP's Authentication Cheat Sheet asks for a limit a account, not only an address.
MOST_TRIES = 5  # in a conversation, and for an order number over all conversations
PERIOD_SECONDS = 24 * 3600.0

Verdict = Literal["known", "unknown", "too_often"]


@dataclass(frozen=True, slots=True)
class Identified:
    """What came of a try; `customer_id` where it succeeded."""

    verdict: Verdict
    customer_id: str = ""


class Identification:
    """Counts tries in the conversation store, so that a restart or another process forgets none."""

    def __init__(self, store: Conversations, records: Records) -> None:
        self.store = store
        self.records = records

    def identify(self, conversation_id: str, number: str, email: str) -> Identified:
        """Match them; the conversation is the customer's from then on. Raises RecordsError.

        Where the conversation belongs to somebody already, nobody else is let in.
        """
        if not self._may_try(conversation_id, number):
            return Identified("too_often")
        customer = self.records.identify(number, email)
        if customer is None:
            return Identified("unknown")
        table = tables.conversations
        with self.store.engine.begin() as connection:
            taken = connection.execute(
                update(table)
                .where(
                    table.c.id == conversation_id,
                    or_(table.c.customer_id.is_(None), table.c.customer_id == customer),
                )
                .values(customer_id=customer)
            )
            if taken.rowcount != 1:
                return Identified("unknown")
            tries = tables.identity_tries
            # A typing error before does not count any more.
            connection.execute(tries.delete().where(tries.c.conversation_id == conversation_id))
        self.store.log("customer", "identified", conversation_id)
        return Identified("known", customer)

    def _may_try(self, conversation_id: str, number: str) -> bool:
        """Count a try before it is made: many at once are no more than one after another."""
        table, key = tables.identity_tries, number.strip().lstrip("#").casefold()[:32]
        now = time.time()
        with self.store.engine.begin() as connection:
            values = {"conversation_id": conversation_id, "order_number": key, "created": now}
            connection.execute(insert(table).values(**values))
            recent = table.c.created > now - PERIOD_SECONDS
            for same in (table.c.conversation_id == conversation_id, table.c.order_number == key):
                query = select(func.count()).select_from(table).where(same, recent)
                if (connection.scalar(query) or 0) > MOST_TRIES:
                    return False
        return True
