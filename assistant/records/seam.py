"""The seam to whatever keeps customers and orders: a table here, or the shop's own system."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from assistant.records.changes import Case, Change
from assistant.records.types import Customer, Order, Variant


class Records(Protocol):
    """Reads are on behalf of one customer: what belongs to another is not there.

    Raises RecordsError when the system cannot be reached or answers nonsense.
    """

    def customer(self, customer_id: str) -> Customer | None:
        """The customer, or None."""
        ...

    def orders(self, customer_id: str, limit: int = 20) -> Sequence[Order]:
        """The customer's orders, newest first."""
        ...

    def order(self, customer_id: str, number: str) -> Order | None:
        """The customer's order of that number, or None: also where it is somebody else's."""
        ...

    def variants(self, product_id: str) -> Sequence[Variant]:
        """What a product can be had as; nobody's secret."""
        ...

    def change(self, customer_id: str, change: Change, key: str) -> Order:
        """Change the customer's order and return it as it is then; the same `key` changes it once,
        and returns the same order again.

        Raises ChangeRefusedError when the rules (changes.py) do not allow it as the order stands.
        """
        ...

    def identify(self, number: str, email: str) -> str | None:
        """Id of the customer who placed that order and has that e-mail address, or None."""
        ...


def case_of(records: Records, customer_id: str, number: str) -> Case | None:
    """All that the rules look at, for an order of the customer's. Raises RecordsError."""
    order, customer = records.order(customer_id, number), records.customer(customer_id)
    if order is None or customer is None:
        return None
    products = dict.fromkeys(item.product_id for item in order.items)
    return Case(order, customer, {v.id: v for p in products for v in records.variants(p)})
