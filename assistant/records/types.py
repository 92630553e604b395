"""Customers and orders as the assistant sees them, whatever system keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

Options = tuple[tuple[str, str], ...]  # what was chosen: (("size", "40"), ("colour", "red"))


@dataclass(frozen=True, slots=True)
class Payment:
    """A way to pay that a customer has; `balance` where no more than that can be taken from it."""

    id: str
    label: str
    balance: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody who has bought; `language` is the one that the shop writes to them in."""

    id: str
    name: str
    email: str
    language: str = ""
    payments: tuple[Payment, ...] = ()


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the things that a product can be had as, such as a size; `price` is of one."""

    id: str
    product_id: str
    title: str
    options: Options
    price: Decimal
    available: bool = True


@dataclass(frozen=True, slots=True)
class Item:
    """Some of one product in an order; `id` is the item's, or the variant's that it is.

    `state` may differ from the order's where it is sent in parts. `price` is of one, in the order's
    currency. `returnable` says whether it may come back for a change of mind at all, `swappable`
    whether it may be swapped for another variant of its product.
    """

    id: str
    product_id: str
    title: str
    options: Options
    quantity: int
    price: Decimal
    state: str
    returnable: bool = True
    swappable: bool = True


@dataclass(frozen=True, slots=True)
class Parcel:
    """What a carrier has; either may be unknown."""

    carrier: str = ""
    tracking: str = ""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What may be changed of an order, as the system that keeps it says, in that system's time.

    Each may be done until then; None: not in the order's state. `reasons` are those a cancellation
    must have one of, if it needs any. `refund_to` and `pay_with` are the customer's payments, by
    id, that a refund may go to and a difference in price may be paid with; none: the shop does as
    it was paid. `swap_same_price` says that a swap costs nothing, whatever the variants cost now.
    """

    cancel_until: datetime | None = None
    address_until: datetime | None = None
    return_until: datetime | None = None
    swap_until: datetime | None = None
    payment_until: datetime | None = None
    reasons: tuple[str, ...] = ()
    refund_to: tuple[str, ...] = ()
    pay_with: tuple[str, ...] = ()
    swap_same_price: bool = True


@dataclass(frozen=True, slots=True)
class Order:
    """An order of a customer.

    `state` is the shop's own word for how far it is, of those in phrases (order_state_...) where
    customers shall read it in theirs; `changed` is when it got there. `earliest` to `latest` is
    when it should arrive. `total` and `refunded` are amounts in `currency`, an ISO 4217 code.
    `seller` is another shop that sold it, and decides about it.
    """

    number: str
    customer_id: str
    placed: datetime
    state: str
    changed: datetime | None
    currency: str
    items: tuple[Item, ...]
    total: Decimal
    parcels: tuple[Parcel, ...] = ()
    earliest: date | None = None
    latest: date | None = None
    refunded: Decimal | None = None
    seller: str = ""
    address: str = ""
    payment: str = ""
    allowed: Allowed = Allowed()
