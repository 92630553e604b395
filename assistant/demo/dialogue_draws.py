"""The customers, orders and products that the dialogues are about, and the slots they fill."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from assistant.demo.catalogue import Product
from assistant.demo.dialogue_bank import Amount, BankError, Scenario
from assistant.demo.order_records import Customer, Order, OrderLine, ShopRecords

CURRENCIES = dict(
    zip(
        ("GB", "IE", "DE", "AT", "FR", "NL", "US", "CA", "CN", "HK", "SG"),
        ("GBP", *["EUR"] * 5, "USD", "CAD", "CNY", "HKD", "SGD"),
        strict=True,
    )
)
_NAMES = {
    "en": "the UK,Ireland,Germany,Austria,France,the Netherlands,the US,Canada,China,Hong Kong,"
    "Singapore",
    "zh": "英国,爱尔兰,德国,奥地利,法国,荷兰,美国,加拿大,中国大陆,香港,新加坡",
}
COUNTRIES = {k: dict(zip(CURRENCIES, v.split(","), strict=True)) for k, v in _NAMES.items()}
TIERS = {
    "en": {"member": "Member", "silver": "Silver", "gold": "Gold"},
    "zh": {"member": "普通灯友", "silver": "银卡", "gold": "金卡"},
}
NOW = datetime(2026, 11, 23, 8)


@dataclass(frozen=True, slots=True)
class Draw:
    """The records behind one dialogue; all but the customer may be missing."""

    customer: Customer
    order: Order | None = None
    line: OrderLine | None = None
    product: Product | None = None

    def moment(self, state: str) -> datetime | None:
        """When the order reached a state, the last time if more than once."""
        changes = self.order.history if self.order else ()
        moments = [datetime.fromisoformat(c.at) for c in changes if c.state == state]
        return moments[-1] if moments else None

    def end_of(self, state: str) -> datetime:
        """When the order left a state; now if it has not."""
        changes = self.order.history if self.order else ()
        later = [datetime.fromisoformat(b.at) for a, b in pairwise(changes) if a.state == state]
        return later[-1] if later else NOW

    def trait(self, name: str) -> Any:
        """The value a `where` filter compares: the most particular record that has it."""
        if name == "payment":
            return self.order and self.order.payment.method
        if name == "ordered":
            return self.order and date.fromisoformat(self.order.placed_at[:10])
        delivery = self.order and self.order.delivery
        for record in (self.order, self.line, delivery, self.product, self.customer):
            if record is not None and hasattr(record, name):
                return getattr(record, name)
        raise BankError(f"no record has the trait {name!r}")


def draws_of(
    shop: ShopRecords, products: Sequence[Product], language: str, rng: random.Random
) -> dict[str, list[Draw]]:
    """Every possible draw by what a scenario needs."""
    customers = {c.id: c for c in shop.customers if c.language == language}
    catalogue = {product.id: product for product in products}
    everyone = [Draw(customer) for customer in customers.values()]
    return {
        "none": everyone,
        "customer": everyone,
        "product": [
            Draw(draw.customer, product=product)
            for product in products
            for draw in rng.sample(everyone, min(6, len(everyone)))
        ],
        "order": [
            Draw(customers[order.customer_id], order, line, catalogue[line.product_id])
            for order in shop.orders
            for line in order.lines
            if order.customer_id in customers
        ],
    }


def fits(draw: Draw, scenario: Scenario) -> bool:
    """True when the records match what the scenario's `where` and `after` ask for."""
    if scenario.after and draw.order:
        state, low, _ = scenario.after
        begin = draw.moment(state)
        if begin is None or begin + timedelta(days=low) > draw.end_of(state):
            return False
    return all(_matches(draw, key, wanted) for key, wanted in scenario.where.items())


def _matches(draw: Draw, key: str, wanted: Sequence[Any]) -> bool:
    if key == "ordered_from":
        return bool(draw.trait("ordered") >= wanted[0])
    if key == "ordered_until":
        return bool(draw.trait("ordered") <= wanted[0])
    value = draw.trait(key)
    return bool(value) if wanted == ["any"] else value in wanted


def slots_of(
    draw: Draw, language: str, agent: str, today: date, rng: random.Random
) -> dict[str, Any]:
    """The facts that `{$slot}` stands for; None where these records have no such fact."""
    customer, product = draw.customer, draw.product
    slots: dict[str, Any] = {
        "language": language,
        "agent_name": agent,
        "today": today,
        "first_name": customer.first_name,
        "email": customer.email,
        "phone_tail": customer.phone[-4:],
        "country": COUNTRIES[language][customer.country],
        "city": customer.city,
        "tier": TIERS[language].get(customer.tier),
    }
    if product is not None:
        slots |= _product_slots(product, draw.line, language, rng)
        currency = CURRENCIES[customer.country]
        slots["price"] = Amount(product.prices[currency], currency)
    if draw.order is not None and draw.line is not None:
        slots |= _order_slots(draw, draw.order, draw.line, rng)
    return slots


def _product_slots(
    product: Product, line: OrderLine | None, language: str, rng: random.Random
) -> dict[str, Any]:
    size = line.size if line else rng.choice(product.sizes or (None,))
    others = [other for other in product.sizes if other != size]
    attribute, value = rng.choice(list(product.attributes.items()) or [(None, None)])
    return {
        "product": product.title_zh if language == "zh" else product.title,
        "product_code": product.id,
        "colour": product.variant,
        "size": size,
        "other_size": rng.choice(others) if others else None,
        "attribute": attribute and attribute.replace("_", " "),
        "attribute_value": value,
        "seller": product.marketplace_seller,
    }


def _order_slots(draw: Draw, order: Order, line: OrderLine, rng: random.Random) -> dict[str, Any]:
    i = rng.randrange(5, len(order.id))
    wrong = order.id[:i] + str((int(order.id[i]) + rng.randint(1, 9)) % 10) + order.id[i + 1 :]
    delivered = draw.moment("delivered")
    return {
        "order_id": order.id,
        "wrong_order_id": wrong,
        "date_ordered": draw.trait("ordered"),
        "date_delivered": delivered and delivered.date(),
        "date_due": date.fromisoformat(order.delivery.revised_latest or order.delivery.latest),
        "carrier": order.delivery.carrier,
        "tracking": order.delivery.tracking_number,
        "amount": Amount(order.total, order.currency),
        "price": Amount(line.unit_price, order.currency),
    }


def started(draw: Draw, scenario: Scenario, rng: random.Random) -> datetime:
    """A moment for the chat: `after` tells the state the order is in and since how many days."""
    if draw.order is None:
        _, low, high = scenario.after or ("ago", 1, 82)
        return NOW - timedelta(days=rng.randint(low, high), minutes=rng.randint(-720, 0))
    state, low, high = scenario.after or ("placed", 0, 1)
    begin, end = draw.moment(state) or NOW, draw.end_of(state)
    for _ in range(20):  # in opening hours if the state lasted that long
        day = begin + timedelta(days=rng.randint(low, high))
        moment = day.replace(hour=rng.randint(8, 19), minute=rng.randint(0, 59), second=0)
        if begin < moment < end:
            return moment
    return (begin + (end - begin) * rng.uniform(0.2, 0.8)).replace(microsecond=0)
