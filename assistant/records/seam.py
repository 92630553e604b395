"""The seam to whatever keeps customers and orders: a table here, or the shop's own system."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from assistant.records.types import Customer, Order


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

    def identify(self, number: str, email: str) -> str | None:
        """Id of the customer who placed that order and has that e-mail address, or None."""
        ...
