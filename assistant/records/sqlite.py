"""Customers and orders in a SQLite file: the demo shop's, or what a shop exports to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from assistant.errors import ChangeRefusedError, RecordsError
from assistant.records.changes import Change, Readdress, Return, objection
from assistant.records.types import Customer, Order

FILE = "records.sqlite"  # in the home
_CUSTOMER, _ORDER = TypeAdapter(Customer), TypeAdapter(Order)
_CHANGE: TypeAdapter[Change] = TypeAdapter(Change)
_TABLES = """
CREATE TABLE customers (id TEXT PRIMARY KEY, email TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE orders (
    number TEXT PRIMARY KEY, customer_id TEXT NOT NULL, placed TEXT NOT NULL, body TEXT NOT NULL
);
CREATE INDEX by_customer ON orders (customer_id, placed);
CREATE TABLE changes (
    key TEXT PRIMARY KEY, customer_id TEXT NOT NULL, number TEXT NOT NULL, change TEXT NOT NULL,
    made TEXT NOT NULL, body TEXT NOT NULL
);
"""
_STATES = {"cancel": "cancelled", "return": "return_requested"}
_WAIT_SECONDS = 5.0


class SqliteRecords:
    """See Records. Numbers and addresses are compared without regard to case."""

    def __init__(self, path: Path, now: Callable[[], datetime] = datetime.now) -> None:
        self.path = path
        self.now = now

    @classmethod
    def create(
        cls, path: Path, customers: Iterable[Customer], orders: Iterable[Order]
    ) -> SqliteRecords:
        """A file of these records, in place of one that was there."""
        partial = path.with_name(f".{path.name}.partial")
        partial.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(partial)) as connection, connection:
            connection.executescript(_TABLES)
            connection.executemany(
                "INSERT INTO customers VALUES (?, ?, ?)",
                ((c.id, c.email.casefold(), _CUSTOMER.dump_json(c).decode()) for c in customers),
            )
            connection.executemany(
                "INSERT INTO orders VALUES (?, ?, ?, ?)",
                (
                    (_key(o.number), o.customer_id, o.placed.isoformat(), _ORDER.dump_json(o))
                    for o in orders
                ),
            )
        partial.replace(path)
        return cls(path)

    def customer(self, customer_id: str) -> Customer | None:
        """See Records."""
        with self._reading() as connection:
            found = connection.execute(
                "SELECT body FROM customers WHERE id = ?", (customer_id,)
            ).fetchone()
            return _CUSTOMER.validate_json(found[0]) if found else None

    def orders(self, customer_id: str, limit: int = 20) -> Sequence[Order]:
        """See Records."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT body FROM orders WHERE customer_id = ? ORDER BY placed DESC LIMIT ?",
                (customer_id, limit),
            ).fetchall()
            return [_ORDER.validate_json(body) for (body,) in rows]

    def order(self, customer_id: str, number: str) -> Order | None:
        """See Records."""
        with self._reading() as connection:
            found = connection.execute(
                "SELECT body FROM orders WHERE number = ? AND customer_id = ?",
                (_key(number), customer_id),
            ).fetchone()
            return _ORDER.validate_json(found[0]) if found else None

    def change(self, customer_id: str, change: Change, key: str) -> Order:
        """See Records."""
        with self._writing() as connection:
            made = connection.execute(
                "SELECT body FROM changes WHERE key = ? AND customer_id = ?", (key, customer_id)
            ).fetchone()
            if made:
                return _ORDER.validate_json(made[0])
            found = connection.execute(
                "SELECT body FROM orders WHERE number = ? AND customer_id = ?",
                (_key(change.order), customer_id),
            ).fetchone()
            order, now = (_ORDER.validate_json(found[0]) if found else None), self.now()
            if reason := objection(change, order, now):
                raise ChangeRefusedError(reason)
            assert order is not None
            changed = changed_by(change, order, now)
            body = _ORDER.dump_json(changed).decode()
            connection.execute(
                "UPDATE orders SET body = ? WHERE number = ?", (body, _key(order.number))
            )
            connection.execute(
                "INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?)",
                (key, customer_id, order.number, _CHANGE.dump_json(change), now.isoformat(), body),
            )
            return changed

    def identify(self, number: str, email: str) -> str | None:
        """See Records."""
        with self._reading() as connection:
            found = connection.execute(
                "SELECT c.id FROM orders o JOIN customers c ON c.id = o.customer_id"
                " WHERE o.number = ? AND c.email = ?",
                (_key(number), email.strip().casefold()),
            ).fetchone()
            return str(found[0]) if found else None

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that no other writer comes between."""
        with self._reading("rw") as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection

    @contextmanager
    def _reading(self, mode: str = "ro") -> Iterator[sqlite3.Connection]:
        try:
            uri = f"{self.path.resolve().as_uri()}?mode={mode}"
            with closing(sqlite3.connect(uri, uri=True, timeout=_WAIT_SECONDS)) as connection:
                yield connection
        except (sqlite3.Error, ValidationError) as error:
            raise RecordsError(f"{self.path} cannot be read: {error}") from error


def changed_by(change: Change, order: Order, now: datetime) -> Order:
    """The order after a change that the rules allow."""
    if isinstance(change, Readdress):
        return replace(order, address=change.address)
    state = _STATES[change.kind]
    items = order.items
    if isinstance(change, Return):
        items = tuple(
            replace(i, state=state, returnable=False) if i.id in change.items else i for i in items
        )
        whole = not any(i.returnable for i in items)
        return replace(
            order, items=items, state=state, changed=now,
            return_until=None if whole else order.return_until,
        )  # fmt: skip
    items = tuple(replace(i, state=state) for i in items)
    return replace(
        order, items=items, state=state, changed=now, cancel_until=None, address_until=None
    )


def _key(number: str) -> str:
    return number.strip().lstrip("#").casefold()
