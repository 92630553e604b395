"""The demo shop's customers and orders as the assistant looks them up."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from assistant.demo.order_records import Customer, Order, OrderLine
from assistant.records import types


def customer_record(customer: Customer) -> types.Customer:
    """A customer of the demo shop."""
    return types.Customer(customer.id, customer.name, customer.email, customer.language)


def order_record(order: Order) -> types.Order:
    """An order of the demo shop."""
    delivery = order.delivery
    parcels = (
        (types.Parcel(delivery.carrier or "", delivery.tracking_number),)
        if delivery.tracking_number
        else ()
    )
    changed = order.history[-1].at if order.history else order.placed_at
    return types.Order(
        number=order.id,
        customer_id=order.customer_id,
        placed=datetime.fromisoformat(order.placed_at),
        state=order.state,
        changed=datetime.fromisoformat(changed),
        currency=order.currency,
        items=tuple(_item(order, line, n) for n, line in enumerate(order.lines)),
        total=_money(order.total),
        parcels=parcels,
        earliest=date.fromisoformat(delivery.earliest),
        latest=date.fromisoformat(delivery.revised_latest or delivery.latest),
        refunded=_money(order.refund.total) if order.refund else None,
        seller=order.marketplace_seller or "",
    )


def _item(order: Order, line: OrderLine, number: int) -> types.Item:
    chosen = (("variant", line.variant), ("size", line.size))
    options = tuple((name, value) for name, value in chosen if value)
    return types.Item(
        f"{order.id}-{number + 1}", line.product_id, line.title, options, line.quantity,
        _money(line.unit_price), line.state,
    )  # fmt: skip


def _money(amount: float) -> Decimal:
    return Decimal(str(amount)).quantize(Decimal("0.01"))
