"""Customers and orders as the assistant sees them, whatever system keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody who has bought; `language` is the one that the shop writes to them in."""

    id: str
    name: str
    email: str
    language: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """Some of one product in an order. `options` are what was chosen, such as the size; `state` may
    differ from the order's where it is sent in parts. `price` is of one, in the order's currency.
    `returnable` says whether it may come back for a change of mind at all.
    """

    id: str
    product_id: str
    title: str
    options: tuple[tuple[str, str], ...]
    quantity: int
    price: Decimal
    state: str
    returnable: bool = True


@dataclass(frozen=True, slots=True)
class Parcel:
    """What a carrier has; either may be unknown."""

    carrier: str = ""
    tracking: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """An order of a customer.

    `state` is the shop's own word for how far it is, of those in phrases (order_state_...) where
    customers shall read it in theirs; `changed` is when it got there. `earliest` to `latest` is
    when it should arrive. `total` and `refunded` are amounts in `currency`, an ISO 4217 code.
    Until `cancel_until` it can be cancelled, until `address_until` sent elsewhere, until
    `return_until` sent back; None: not in its state. `seller` is another shop that sold it. All
    times are those of the system that keeps the order.
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
    cancel_until: datetime | None = None
    address_until: datetime | None = None
    return_until: datetime | None = None
