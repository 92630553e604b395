"""The records of the demo shop's customers and orders; `dataclasses.asdict` makes JSON of them.

Days are ISO dates, moments are ISO local times of the customer's country, amounts are in the
currency of the order.
"""

from dataclasses import dataclass
from typing import Literal

OrderState = Literal[
    "placed",
    "payment_failed",
    "packed",
    "partially_shipped",
    "shipped",
    "out_for_delivery",
    "at_locker",
    "delivered",
    "delayed",
    "lost",
    "damaged_reported",
    "cancelled",
    "preorder",
    "backordered",
    "return_requested",
    "return_in_transit",
    "refunded",
    "exchange_pending",
]
Method = Literal["standard", "express", "locker", "two_person", "seller", "email"]
Tier = Literal["none", "member", "silver", "gold"]
PaymentStatus = Literal[
    "failed", "reserved", "released", "partly_charged", "charged", "partly_refunded", "refunded"
]
RefundReason = Literal["cancelled", "returned", "damaged", "lost"]


@dataclass(frozen=True)
class Customer:
    """A customer; `country` is an ISO code, `region` a state or province where it matters.

    Business accounts and people outside the Lantern Club have the tier none.
    """

    id: str
    name: str
    first_name: str
    email: str
    phone: str
    country: str
    city: str
    region: str
    language: Literal["en", "zh"]
    tier: Tier
    business: bool
    joined: str


@dataclass(frozen=True)
class OrderLine:
    """One product of an order in one size; `state` differs from the order's in split orders."""

    product_id: str
    title: str
    variant: str | None
    size: str | None
    quantity: int
    unit_price: float
    total: float
    state: OrderState


@dataclass(frozen=True)
class Delivery:
    """How an order travels; `earliest` to `latest` is the estimate given with the order."""

    method: Method
    fee: float
    carrier: str | None
    tracking_number: str | None
    earliest: str
    latest: str
    revised_latest: str | None


@dataclass(frozen=True)
class Payment:
    """How an order is paid; `charged` is what has been taken so far."""

    method: str
    status: PaymentStatus
    charged: float
    charged_at: str | None


@dataclass(frozen=True)
class Refund:
    """Money given back: goods plus delivery fee less deductions make the total."""

    reason: RefundReason
    goods: float
    delivery_fee: float
    return_cost: float
    restocking_fee: float
    total: float
    refunded_at: str


@dataclass(frozen=True)
class StatusChange:
    """The moment at which an order reached a state."""

    state: OrderState
    at: str


@dataclass(frozen=True)
class Order:
    """An order: goods_total - discount + delivery.fee make the total."""

    id: str
    customer_id: str
    placed_at: str
    state: OrderState
    currency: str
    lines: tuple[OrderLine, ...]
    goods_total: float
    discount: float
    delivery: Delivery
    total: float
    payment: Payment
    marketplace_seller: str | None
    history: tuple[StatusChange, ...]
    refund: Refund | None


@dataclass(frozen=True)
class ShopRecords:
    """All customers and all orders of the shop."""

    customers: tuple[Customer, ...]
    orders: tuple[Order, ...]
