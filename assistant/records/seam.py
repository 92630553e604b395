"""The seam to whatever keeps customers and orders: a table here, or the shop's own system."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from assistant.records.changes import Change
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

    def change(self, customer_id: str, change: Change, key: str) -> Order:
        """Change the customer's order and return it as it is then; the same `key` changes it once,
        and returns the same order again.

        Raises ChangeRefusedError when the rules (changes.py) do not allow it as the order stands.
        """
        ...

    def identify(self, number: str, email: str) -> str | None:
        """Id of the customer who placed that order and has that e-mail address, or None."""
        ...
