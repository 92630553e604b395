"""The demo shop's customers and orders as the assistant looks them up.

What may be changed until when is what the shop's pages say: "Changing or cancelling an order" and
the pages on returns, as return_rules.py has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from assistant.demo.catalogue import Product
from assistant.demo.order_records import Customer, Order, OrderLine, ShopRecords
from assistant.demo.return_rules import EXCHANGE_COUNTRIES, Buyer, is_returnable, last_return_day
from assistant.records import types

ONE_SIZE = "one size"
_NOT_SENT = frozenset({"placed", "packed", "preorder", "backordered"})
_READDRESS_MINUTES = {"express": 15}
_USUAL_MINUTES = 60
_BUSINESS_HOURS = 24


def customer_record(customer: Customer) -> types.Customer:
    """A customer of the demo shop."""
    return types.Customer(customer.id, customer.name, customer.email, customer.language)


def order_records(shop: ShopRecords, products: Mapping[str, Product]) -> Iterator[types.Order]:
    """The orders of the demo shop, whose products are given by their ids."""
    customers = {customer.id: customer for customer in shop.customers}
    for order in shop.orders:
        yield order_record(order, customers[order.customer_id], products)


def order_record(order: Order, customer: Customer, products: Mapping[str, Product]) -> types.Order:
    """An order of the demo shop, and until when what may be changed of it."""
    delivery, placed = order.delivery, datetime.fromisoformat(order.placed_at)
    tracked = types.Parcel(delivery.carrier or "", delivery.tracking_number or "")
    latest = date.fromisoformat(delivery.revised_latest or delivery.latest)
    bought = [products[line.product_id] for line in order.lines]
    sent = order.state not in _NOT_SENT
    minutes = _READDRESS_MINUTES.get(delivery.method, _USUAL_MINUTES)
    return types.Order(
        number=order.id,
        customer_id=order.customer_id,
        placed=placed,
        state=order.state,
        changed=datetime.fromisoformat(order.history[-1].at) if order.history else placed,
        currency=order.currency,
        items=tuple(
            _item(order, line, n, product, is_returnable(product, customer.country))
            for n, (line, product) in enumerate(zip(order.lines, bought, strict=True), start=1)
        ),
        total=_money(order.total),
        parcels=(tracked,) if tracked.tracking else (),
        earliest=date.fromisoformat(delivery.earliest),
        latest=latest,
        refunded=_money(order.refund.total) if order.refund else None,
        seller=order.marketplace_seller or "",
        allowed=types.Allowed(
            cancel_until=None if sent else _cancel_until(customer, placed, latest),
            address_until=None if sent else placed + timedelta(minutes=minutes),
            return_until=(last := _return_until(order, customer, bought)),
            swap_until=last if customer.country in EXCHANGE_COUNTRIES - {"CN"} else None,
        ),
    )


def variant_records(products: Iterable[Product], currency: str) -> Iterator[types.Variant]:
    """What the products can be had as, at their prices in a currency; a swap is at the price that
    was paid."""
    for product in products:
        for size, pieces in product.stock.items():
            chosen = (("variant", product.variant), ("size", None if size == ONE_SIZE else size))
            yield types.Variant(
                f"{product.id}/{size}", _line_of(product), product.title,
                tuple((name, value) for name, value in chosen if value),
                _money(product.prices.get(currency, 0.0)), pieces > 0,
            )  # fmt: skip


def _line_of(product: Product) -> str:
    """The product line, within which a size or colour is swapped: BE-0124 of BE-0124-3W-SAND."""
    return "-".join(product.id.split("-")[:2])


def _cancel_until(customer: Customer, placed: datetime, latest: date) -> datetime:
    """Until it is dispatched, which is before it arrives; companies have a day."""
    if customer.business:
        return placed + timedelta(hours=_BUSINESS_HOURS)
    return datetime.combine(latest, time.max)


def _return_until(order: Order, customer: Customer, bought: list[Product]) -> datetime | None:
    delivered = [change.at for change in order.history if change.state == "delivered"]
    if order.state != "delivered" or not delivered:
        return None
    buyer = Buyer(customer.country, customer.tier, date.fromisoformat(order.placed_at[:10]))
    last = last_return_day(buyer, bought, date.fromisoformat(delivered[-1][:10]))
    return datetime.combine(last, time.max)


def _item(
    order: Order, line: OrderLine, number: int, product: Product, returnable: bool
) -> types.Item:
    chosen = (("variant", line.variant), ("size", line.size))
    options = tuple((name, value) for name, value in chosen if value)
    swappable = returnable and not product.final_sale and product.group != "furniture"
    return types.Item(
        f"{order.id}-{number}", _line_of(product), line.title, options, line.quantity,
        _money(line.unit_price), line.state, returnable, swappable,
    )  # fmt: skip


def _money(amount: float) -> Decimal:
    return Decimal(str(amount)).quantize(Decimal("0.01"))
