"""What a customer may have changed of an order, and the rules that say whether.

The rules are code and look at the order alone: what was said in the conversation, by whomever,
cannot widen them. The days come with the order, from the system that keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from assistant.records.types import Item, Order


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel a whole order."""

    order: str
    kind: Literal["cancel"] = "cancel"


@dataclass(frozen=True, slots=True)
class Return:
    """Send items of an order back, by their ids, for their money."""

    order: str
    items: tuple[str, ...]
    kind: Literal["return"] = "return"


@dataclass(frozen=True, slots=True)
class Readdress:
    """Have an order delivered to another address."""

    order: str
    address: str
    kind: Literal["address"] = "address"


Change = Cancel | Return | Readdress
Objection = Literal["", "not_there", "seller", "over", "never", "item"]


def objection(change: Change, order: Order | None, now: datetime) -> Objection:
    """Why an order cannot be changed so, or "".

    not_there: it is not this customer's; seller: another shop sold it and decides; over: the time
    for it is past; never: it does not go with such an order; item: an item is not in it, or may not
    come back.
    """
    if order is None or order.number.casefold() != change.order.casefold():
        return "not_there"
    if order.seller:
        return "seller"
    until = {
        "cancel": order.cancel_until,
        "return": order.return_until,
        "address": order.address_until,
    }[change.kind]
    if until is None:
        return "never"
    if now > until:
        return "over"
    if isinstance(change, Return) and not _may_come_back(change, order):
        return "item"
    return ""


def _may_come_back(change: Return, order: Order) -> bool:
    items = {item.id: item for item in order.items}
    return bool(change.items) and all(
        name in items and items[name].returnable for name in change.items
    )


def worth(change: Change, order: Order) -> Decimal:
    """What the customer would get back at most, in the order's currency."""
    match change:
        case Cancel():
            return order.total
        case Return(items=names):
            return sum((_price(i) for i in order.items if i.id in names), Decimal(0))
        case Readdress():
            return Decimal(0)


def _price(item: Item) -> Decimal:
    return item.price * item.quantity
