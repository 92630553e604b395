"""What a customer may have changed of an order, and the rules that say whether.

The rules are code and look at the order alone: what was said in the conversation, by whomever,
cannot widen them. What is allowed until when comes with the order, from the system that keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from assistant.records.types import Customer, Item, Order, Variant


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel a whole order."""

    order: str
    reason: str = ""
    kind: Literal["cancel"] = "cancel"


@dataclass(frozen=True, slots=True)
class Return:
    """Send items of an order back, by their ids, for their money; `payment` is where it goes."""

    order: str
    items: tuple[str, ...]
    payment: str = ""
    kind: Literal["return"] = "return"


@dataclass(frozen=True, slots=True)
class Swap:
    """Have items, by their ids, as other variants of their products; `variants` are in the order
    of the items, `payment` is what a difference in price is settled with."""

    order: str
    items: tuple[str, ...]
    variants: tuple[str, ...]
    payment: str = ""
    kind: Literal["swap"] = "swap"


@dataclass(frozen=True, slots=True)
class Readdress:
    """Have an order delivered to another address."""

    order: str
    address: str
    kind: Literal["address"] = "address"


@dataclass(frozen=True, slots=True)
class Repay:
    """Pay for an order otherwise."""

    order: str
    payment: str
    kind: Literal["payment"] = "payment"


Change = Cancel | Return | Swap | Readdress | Repay
Objection = Literal["", "not_there", "seller", "over", "never", "item", "variant", "payment"]


@dataclass(frozen=True, slots=True)
class Case:
    """What the rules look at: an order, whose it is, and the variants of its products by id."""

    order: Order
    customer: Customer
    variants: Mapping[str, Variant]


def objection(change: Change, case: Case | None, now: datetime) -> Objection:
    """Why an order cannot be changed so, or "".

    not_there: it is not this customer's; seller: another shop sold it and decides; over: the time
    for it is past; never: it does not go with such an order; item: an item is not in it, or may not
    come back; variant: it is another product's, gone, or what is there already; payment: it cannot
    be settled so.
    """
    if case is None or case.order.number.casefold() != change.order.casefold():
        return "not_there"
    if reason := timely(change.kind, case.order, now):
        return reason
    allowed = case.order.allowed
    match change:
        case Cancel(reason=why):
            return "never" if allowed.reasons and why not in allowed.reasons else ""
        case Return(items=items, payment=payment):
            if not _all_may(items, case.order, "returnable"):
                return "item"
            return "" if _is_listed(payment, allowed.refund_to) else "payment"
        case Swap():
            return _objection_to_swap(change, case)
        case Repay(payment=payment):
            other = payment != case.order.payment and _is_listed(payment, allowed.pay_with)
            return "" if other and _covers(payment, case.order.total, case) else "payment"
        case Readdress():
            return ""


def timely(kind: str, order: Order, now: datetime) -> Objection:
    """Why an order cannot be changed in that way now, whatever else is said; or ""."""
    if order.seller:
        return "seller"
    until: datetime | None = getattr(order.allowed, f"{kind}_until")
    if until is None:
        return "never"
    return "over" if now > until else ""


def difference(change: Swap, case: Case) -> Decimal:
    """What the customer pays more for a swap; less than nothing where they get money back."""
    if case.order.allowed.swap_same_price:
        return Decimal(0)
    items = {item.id: item for item in case.order.items}
    pairs = zip(change.items, change.variants, strict=True)
    return sum(
        ((case.variants[new].price - items[old].price) * items[old].quantity for old, new in pairs),
        Decimal(0),
    )


def worth(change: Change, case: Case) -> Decimal:
    """What the customer would get back at most, in the order's currency."""
    match change:
        case Cancel():
            return case.order.total
        case Return(items=names):
            return sum((_price(i) for i in case.order.items if i.id in names), Decimal(0))
        case Swap():
            return max(Decimal(0), -difference(change, case))
        case _:
            return Decimal(0)


def _objection_to_swap(change: Swap, case: Case) -> Objection:
    if not _all_may(change.items, case.order, "swappable"):
        return "item"
    items = {item.id: item for item in case.order.items}
    pairs = list(zip(change.items, change.variants, strict=False))
    news = [case.variants.get(new) for _, new in pairs]
    fits = len(change.variants) == len(change.items) and all(
        new and new.available and new.product_id == items[old].product_id
        and new.options != items[old].options
        for new, (old, _) in zip(news, pairs, strict=True)
    )  # fmt: skip
    if not fits:
        return "variant"
    listed = _is_listed(change.payment, case.order.allowed.pay_with)
    covered = listed and _covers(change.payment, difference(change, case), case)
    return "" if covered else "payment"


def _all_may(names: tuple[str, ...], order: Order, what: str) -> bool:
    """Whether all of these are in the order, each named once, and may be dealt with so."""
    able = {item.id for item in order.items if getattr(item, what)}
    return bool(names) and len(set(names)) == len(names) and set(names) <= able


def _is_listed(payment: str, listed: tuple[str, ...]) -> bool:
    return payment in listed if listed else not payment


def _covers(payment: str, amount: Decimal, case: Case) -> bool:
    balances = {p.id: p.balance for p in case.customer.payments}
    balance = balances.get(payment)
    return balance is None or amount <= balance


def _price(item: Item) -> Decimal:
    return item.price * item.quantity
