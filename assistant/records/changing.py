"""What an order is after a change that the rules allow."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from assistant.records.changes import Cancel, Case, Change, Readdress, Repay, Return, Swap
from assistant.records.types import Item, Order, Variant


def changed_by(change: Change, case: Case, now: datetime) -> Order:
    """The order as it is then."""
    order = case.order
    match change:
        case Readdress(address=address):
            return replace(order, address=address)
        case Repay(payment=payment):
            return replace(order, payment=payment)
        case Cancel():
            items = tuple(replace(item, state="cancelled") for item in order.items)
            return _closed(replace(order, items=items, state="cancelled", changed=now))
        case Return(items=names):
            return _sent_back(order, names, now)
        case Swap():
            return _swapped(change, case, now)


def _closed(order: Order) -> Order:
    """Nothing more may be changed of it."""
    allowed = replace(
        order.allowed, cancel_until=None, address_until=None, return_until=None, swap_until=None,
        payment_until=None,
    )  # fmt: skip
    return replace(order, allowed=allowed)


def _sent_back(order: Order, names: tuple[str, ...], now: datetime) -> Order:
    """What comes back comes back once; the rest still may. It is not swapped any more."""
    state = "return_requested"
    items = tuple(
        replace(i, state=state, returnable=False, swappable=False) if i.id in names else i
        for i in order.items
    )
    left = any(item.returnable for item in items)
    allowed = replace(
        order.allowed, swap_until=None, return_until=order.allowed.return_until if left else None
    )
    return replace(order, items=items, state=state, changed=now, allowed=allowed)


def _swapped(change: Swap, case: Case, now: datetime) -> Order:
    """A swap is made once an order; before it is sent its items are others, later others follow."""
    order, new = case.order, dict(zip(change.items, change.variants, strict=True))
    sent = order.allowed.cancel_until is None
    items = tuple(
        _as_variant(item, case.variants[new[item.id]], sent, order) if item.id in new else item
        for item in order.items
    )
    state = "exchange_pending" if sent else order.state
    return _closed(replace(order, items=items, state=state, changed=now))


def _as_variant(item: Item, variant: Variant, sent: bool, order: Order) -> Item:
    price = item.price if order.allowed.swap_same_price else variant.price
    return replace(
        item, id=variant.id, options=variant.options, price=price,
        state="exchange_pending" if sent else item.state,
    )  # fmt: skip
