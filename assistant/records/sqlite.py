"""Customers and orders in a SQLite file: the demo shop's, or what a shop exports to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from assistant.errors import ChangeRefusedError, RecordsError
from assistant.records.changes import Case, Change, objection
from assistant.records.changing import changed_by
from assistant.records.types import Customer, Order, Variant

FILE = "records.sqlite"  # in the home
_CUSTOMER, _ORDER, _VARIANT = TypeAdapter(Customer), TypeAdapter(Order), TypeAdapter(Variant)
_CHANGE: TypeAdapter[Change] = TypeAdapter(Change)
_TABLES = """
CREATE TABLE customers (id TEXT PRIMARY KEY, email TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE orders (
    number TEXT PRIMARY KEY, customer_id TEXT NOT NULL, placed TEXT NOT NULL, body TEXT NOT NULL
);
CREATE INDEX by_customer ON orders (customer_id, placed);
CREATE TABLE variants (id TEXT PRIMARY KEY, product_id TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX by_product ON variants (product_id);
CREATE TABLE changes (
    key TEXT PRIMARY KEY, customer_id TEXT NOT NULL, number TEXT NOT NULL, change TEXT NOT NULL,
    made TEXT NOT NULL, body TEXT NOT NULL
);
"""
_WAIT_SECONDS = 5.0


class SqliteRecords:
    """See Records. Numbers and addresses are compared without regard to case."""

    def __init__(self, path: Path, now: Callable[[], datetime] = datetime.now) -> None:
        self.path = path
        self.now = now

    @classmethod
    def create(
        cls,
        path: Path,
        customers: Iterable[Customer],
        orders: Iterable[Order],
        variants: Iterable[Variant] = (),
    ) -> SqliteRecords:
        """A file of these records, in place of one that was there."""
        partial = path.with_name(f".{path.name}.partial")
        partial.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(partial)) as connection, connection:
            connection.executescript(_TABLES)
            connection.executemany(
                "INSERT INTO customers VALUES (?, ?, ?)",
                ((c.id, c.email.casefold(), _CUSTOMER.dump_json(c)) for c in customers),
            )
            connection.executemany(
                "INSERT INTO orders VALUES (?, ?, ?, ?)",
                (
                    (_key(o.number), o.customer_id, o.placed.isoformat(), _ORDER.dump_json(o))
                    for o in orders
                ),
            )
            connection.executemany(
                "INSERT INTO variants VALUES (?, ?, ?)",
                ((v.id, v.product_id, _VARIANT.dump_json(v)) for v in variants),
            )
        partial.replace(path)
        return cls(path)

    def customer(self, customer_id: str) -> Customer | None:
        """See Records."""
        with self._reading() as connection:
            return _customer(connection, customer_id)

    def everybody(self) -> list[str]:
        """Ids of all who have ordered, to learn from; no conversation may ask for it."""
        with self._reading() as connection:
            found = connection.execute("SELECT DISTINCT customer_id FROM orders ORDER BY 1")
            return [str(name) for (name,) in found]

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
            return _order(connection, customer_id, number)

    def variants(self, product_id: str) -> Sequence[Variant]:
        """See Records."""
        with self._reading() as connection:
            return _variants(connection, product_id)

    def change(self, customer_id: str, change: Change, key: str) -> Order:
        """See Records."""
        with self._writing() as connection:
            made = connection.execute(
                "SELECT body FROM changes WHERE key = ? AND customer_id = ?", (key, customer_id)
            ).fetchone()
            if made:
                return _ORDER.validate_json(made[0])
            now, case = self.now(), _case(connection, customer_id, change.order)
            if reason := objection(change, case, now):
                raise ChangeRefusedError(reason)
            assert case is not None
            changed = changed_by(change, case, now)
            body, number = _ORDER.dump_json(changed), changed.number
            connection.execute("UPDATE orders SET body = ? WHERE number = ?", (body, _key(number)))
            connection.execute(
                "INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?)",
                (key, customer_id, number, _CHANGE.dump_json(change), now.isoformat(), body),
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


def _customer(connection: sqlite3.Connection, customer_id: str) -> Customer | None:
    found = connection.execute("SELECT body FROM customers WHERE id = ?", (customer_id,)).fetchone()
    return _CUSTOMER.validate_json(found[0]) if found else None


def _order(connection: sqlite3.Connection, customer_id: str, number: str) -> Order | None:
    found = connection.execute(
        "SELECT body FROM orders WHERE number = ? AND customer_id = ?", (_key(number), customer_id)
    ).fetchone()
    return _ORDER.validate_json(found[0]) if found else None


def _variants(connection: sqlite3.Connection, product_id: str) -> list[Variant]:
    rows = connection.execute(
        "SELECT body FROM variants WHERE product_id = ? ORDER BY id", (product_id,)
    ).fetchall()
    return [_VARIANT.validate_json(body) for (body,) in rows]


def _case(connection: sqlite3.Connection, customer_id: str, number: str) -> Case | None:
    """As seam.case_of, within a transaction."""
    order, customer = _order(connection, customer_id, number), _customer(connection, customer_id)
    if order is None or customer is None:
        return None
    products = dict.fromkeys(item.product_id for item in order.items)
    return Case(order, customer, {v.id: v for p in products for v in _variants(connection, p)})


def _key(number: str) -> str:
    return number.strip().lstrip("#").casefold()
