"""The retail shop of tau-bench as records that the assistant looks up: its users, orders and
products (../data/tau_retail, MIT; sierra-research/tau-bench), and what its policy allows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from assistant.records.sqlite import SqliteRecords
from assistant.records.types import Allowed, Customer, Item, Order, Payment, Variant
from finetune.reranker_data import read_records

NUMBER = r"#W\d{7}"
AGAIN = "~"
REASONS = ("no longer needed", "ordered by mistake")
PLACED = datetime(2026, 1, 1)  # the data has no dates
LONG = datetime.now() + timedelta(days=365)
Raw = Mapping[str, Any]


class TauShop:
    """All of it, as it was read, by id."""

    def __init__(self, folder: Path) -> None:
        def read(name: str, key: str) -> dict[str, Raw]:
            return {row[key]: row for row in read_records(folder / f"{name}.jsonl.gz")}

        self.users = read("users", "user_id")
        self.orders = read("orders", "order_id")
        self.products = read("products", "product_id")

    def records(self, path: Path, user: str) -> SqliteRecords:
        """A file with one user's records."""
        orders = [o for o in self.orders.values() if o["user_id"] == user]
        products = {item["product_id"] for order in orders for item in order["items"]}
        return SqliteRecords.create(
            path,
            [customer(self.users[user])],
            [order_of(order, self.users[user]) for order in orders],
            self._variants(products),
        )

    def _variants(self, products: Iterable[str]) -> Iterable[Variant]:
        for product in sorted(products):
            held = self.products[product]
            for variant in held["variants"].values():
                yield Variant(
                    variant["item_id"], product, held["name"], options(variant["options"]),
                    Decimal(str(variant["price"])), bool(variant["available"]),
                )  # fmt: skip


def customer(user: Raw) -> Customer:
    """A user, with the payments that they have."""
    name = user["name"]
    return Customer(
        user["user_id"], f"{name['first_name']} {name['last_name']}", user["email"], "en",
        tuple(map(payment, user["payment_methods"].values())),
    )  # fmt: skip


def payment(method: Raw) -> Payment:
    """A card, a gift card or an account at PayPal."""
    if method["source"] == "credit_card":
        label = f"{method['brand']} ending in {method['last_four']}"
        return Payment(method["id"], label)
    if method["source"] == "gift_card":
        return Payment(method["id"], "gift card", Decimal(str(method["balance"])))
    return Payment(method["id"], "PayPal")


def order_of(order: Raw, user: Raw) -> Order:
    """An order, and what the policy allows of it: all of a pending one but to send it back, and of
    a delivered one to send items back or have them exchanged."""
    pending, delivered = order["status"] == "pending", order["status"] == "delivered"
    paid = order["payment_history"][0]["payment_method_id"]
    methods = user["payment_methods"]
    gifts = [m["id"] for m in methods.values() if m["source"] == "gift_card"]
    until, later = (LONG if pending else None), (LONG if delivered else None)
    return Order(
        number=order["order_id"],
        customer_id=order["user_id"],
        placed=PLACED,
        state=order["status"],
        changed=None,
        currency="USD",
        items=tuple(items_of(order)),
        total=Decimal(str(order["payment_history"][0]["amount"])),
        address=address(order["address"]),
        payment=paid,
        allowed=Allowed(
            cancel_until=until, address_until=until, payment_until=until, return_until=later,
            swap_until=until or later, reasons=REASONS,
            refund_to=tuple(dict.fromkeys([paid, *gifts])), pay_with=tuple(methods),
            swap_same_price=False,
        ),
    )  # fmt: skip


def items_of(order: Raw) -> Iterator[Item]:
    """An order may hold a thing twice: the second is told apart by a mark after its id."""
    seen: Counter[str] = Counter()
    for item in order["items"]:
        name = item["item_id"]
        seen[name] += 1
        yield Item(
            name if seen[name] == 1 else f"{name}{AGAIN}{seen[name]}", item["product_id"],
            item["name"], options(item["options"]), 1, Decimal(str(item["price"])), order["status"],
        )  # fmt: skip


def options(held: Raw) -> tuple[tuple[str, str], ...]:
    """In the order in which the source has them."""
    return tuple((str(name), str(value)) for name, value in held.items())


def address(held: Raw) -> str:
    """In a line."""
    names = ("address1", "address2", "city", "state", "zip", "country")
    return ", ".join(str(held[name]) for name in names if held.get(name))
