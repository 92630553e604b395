"""A customer's past from the shop's records and the conversations, as the outlook reads it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from sqlalchemy import select

from assistant import tables
from assistant.conversations import Conversations
from assistant.records.types import Order
from knowledge.propensity.types import (
    SECONDS_PER_DAY,
    Contact,
    Event,
    History,
    Line,
    Purchase,
    day_of,
)

_RETURNED = frozenset({"return_requested", "return_in_transit", "refunded", "exchange_pending"})
_TROUBLED = frozenset({"cancelled", "lost", "delayed", "damaged_reported", "payment_failed"})
_COMPLAINT = "complaint"  # the router's intent


def history_from(orders: Iterable[Order], contacts: Iterable[Contact]) -> History:
    """Orders and conversations as a past."""
    orders = list(orders)
    return History.of(map(_purchase, orders), _events(orders), contacts)


def titles_of(orders: Iterable[Order]) -> dict[str, str]:
    """The titles of the products in orders, by their ids."""
    return {item.product_id: item.title for order in orders for item in order.items}


def contacts_of(store: Conversations, customer_id: str) -> list[Contact]:
    """The customer's conversations; a complaint has a thumb down, or is one by its intent."""
    talks, rated, said = tables.conversations.c, tables.ratings.c, tables.messages.c
    own = select(talks.id).where(talks.customer_id == customer_id)
    begun = select(talks.id, talks.created).where(talks.customer_id == customer_id)
    downs = select(rated.conversation_id).where(rated.helpful == 0, rated.conversation_id.in_(own))
    replies = select(said.conversation_id, said.reply).where(
        said.conversation_id.in_(own), said.reply.is_not(None)
    )
    with store.readers.connect() as connection:
        found = list(connection.execute(begun))
        complaints = set(connection.execute(downs).scalars())
        complaints |= {
            talk for talk, reply in connection.execute(replies)
            if json.loads(reply).get("intent") == _COMPLAINT
        }  # fmt: skip
    return [Contact(created / SECONDS_PER_DAY, talk in complaints) for talk, created in found]


def _purchase(order: Order) -> Purchase:
    """An order has no country, so its currency stands for the market."""
    lines = tuple(
        Line(item.product_id, item.quantity, float(item.price) * item.quantity)
        for item in order.items
    )
    return Purchase(day_of(order.placed), order.currency, lines, order.currency)


def _events(orders: Iterable[Order]) -> Iterator[Event]:
    """What has befallen orders; that it has is known from when they got into their state."""
    for order in orders:
        if order.changed and order.state in _RETURNED | _TROUBLED:
            yield Event(day_of(order.changed), order.state in _RETURNED)
