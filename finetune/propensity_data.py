"""Customers' pasts as training rows: one for each customer at each of several moments.

The rows of a moment know only what happened before it; the label is whether the customer buys in
the 30 days from it. Moments are parted so that no label is seen twice: the last is the test, the
one a horizon before it the validation, and what is learnt from ends before that. Within the
validation customers are parted again: nobody is judged by a model that has learnt from them.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.errors import DataError
from finetune.propensity_settings import PropensityRecipe
from finetune.reranker_data import read_records
from knowledge.propensity.features import Scale, features
from knowledge.propensity.scorers import Inputs
from knowledge.propensity.taste import Vectors, tastes
from knowledge.propensity.types import HORIZON_DAYS, Contact, Event, History, Line, Purchase, day_of

log = logging.getLogger(__name__)
Customers = Mapping[str, History]
_MOST_MOMENTS = 40  # that are learnt from: the latest


@dataclass(frozen=True, slots=True)
class Product:
    """What is sold; `price` is of one."""

    title: str
    price: float


@dataclass(frozen=True, slots=True)
class Moments:
    """Days since 1970; labels of one group end before those of the next begin."""

    train: tuple[float, ...]
    validation: float
    test: tuple[float, ...]
    refit: tuple[float, ...]  # all whose labels are known when the test begins


@dataclass(frozen=True, slots=True)
class Table:
    """Training rows: features (rows, features), tastes (rows, width), labels, and of each row which
    customer it is (a number) and at which moment (days)."""

    features: NDArray[np.float64]
    tastes: NDArray[np.float32]
    labels: NDArray[np.bool_]
    customers: NDArray[np.int64]
    moments: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def inputs(self) -> Inputs:
        """What models read."""
        return Inputs(self.features, self.tastes)

    def where(self, chosen: NDArray[np.bool_]) -> Table:
        """Some of the rows."""
        return Table(*(getattr(self, f.name)[chosen] for f in fields(self)))

    def at(self, moments: Sequence[float]) -> Table:
        """The rows of some moments."""
        return self.where(np.isin(self.moments, moments))


def moments_of(
    customers: Customers, recipe: PropensityRecipe, known_until: float | None = None
) -> Moments:
    """When customers are looked at. `known_until`, a day, begins the test where later orders are
    kept for it; without, the last horizon is the test. Raises DataError for too short a past."""
    days = [p.day for history in customers.values() for p in history.purchases]
    if not days:
        raise DataError("there is no order to learn from")
    first, end = float(np.floor(min(days))), float(np.floor(max(days)) + 1)
    start = end - HORIZON_DAYS if known_until is None else known_until
    test = tuple(np.arange(start, end - HORIZON_DAYS + 1e-6, HORIZON_DAYS).tolist())
    validation = start - HORIZON_DAYS
    least = first + recipe.history_days
    train, refit = (
        np.arange(last, least - 1e-6, -recipe.step_days)[:_MOST_MOMENTS][::-1].tolist()
        for last in (validation - HORIZON_DAYS, validation)
    )
    if not test or not train:
        needed = recipe.history_days + 3 * HORIZON_DAYS
        raise DataError(f"the orders must span {needed:.0f} days at least, not {end - first:.0f}")
    return Moments(tuple(train), validation, test, tuple(refit))


def table_of(
    customers: Customers,
    moments: Sequence[float],
    scale: Scale,
    vectors: Vectors,
    half_life_days: float,
) -> Table:
    """A row for each customer at each moment before which they have ordered."""
    width = len(next(iter(vectors.values()), ()))
    parts: list[tuple[Any, ...]] = []
    for number, name in enumerate(sorted(customers)):
        history = customers[name]
        first = history.purchases[0].day if history.purchases else float("inf")
        if seen := [moment for moment in moments if moment > first]:
            parts.append((
                features(history, seen, scale),
                tastes(history, seen, vectors, width, half_life_days),
                np.array([history.buys_within(moment) for moment in seen]),
                np.full(len(seen), number),
                np.array(seen),
            ))  # fmt: skip
    if not parts:
        raise DataError("no customer has ordered before the moments that are learnt from")
    return Table(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def scale_of(customers: Customers, until: float) -> Scale:
    """What amounts are measured by, from the orders before a day."""
    every = [p for h in customers.values() for p in h.purchases if p.day < until]
    if not every:
        raise DataError("there is no order before the validation to learn from")
    return Scale.of(every)


def read_products(path: Path) -> dict[str, Product]:
    """JSON Lines of {"id", "title", "price"}. Raises DataError."""
    try:
        return {
            str(r["id"]): Product(str(r["title"]), float(r["price"])) for r in read_records(path)
        }
    except (LookupError, TypeError, ValueError) as error:
        raise DataError(f"{path}: a product needs id, title and price: {error}") from error


def read_customers(
    baskets: Iterable[Path], products: Mapping[str, Product], contacts: Path | None = None
) -> dict[str, History]:
    """JSON Lines of {"customer", "time", "items": [[product, pieces, price?]]}, with "country",
    "currency", and "returned" or "troubled", the time when it was sent back or went wrong. Times
    are ISO 8601. Raises DataError."""
    bought: dict[str, list[Purchase]] = {}
    befell: dict[str, list[Event]] = {}
    path = Path()
    try:
        for path in baskets:
            for row in read_records(path):
                name = str(row["customer"])
                bought.setdefault(name, []).append(_purchase(row, products))
                befell.setdefault(name, []).extend(_events(row))
    except (LookupError, TypeError, ValueError) as error:
        raise DataError(f"{path}: a basket cannot be read: {error!r}") from error
    written = read_contacts(contacts) if contacts else {}
    return {
        name: History.of(orders, befell[name], written.get(name, ()))
        for name, orders in bought.items()
    }


def read_contacts(path: Path) -> dict[str, list[Contact]]:
    """JSON Lines of {"customer", "time", "complaint"?}, by customer. Raises DataError."""
    written: dict[str, list[Contact]] = {}
    try:
        for row in read_records(path):
            contact = Contact(_day(row["time"]), bool(row.get("complaint")))
            written.setdefault(str(row["customer"]), []).append(contact)
    except (LookupError, TypeError, ValueError) as error:
        raise DataError(f"{path}: a conversation cannot be read: {error!r}") from error
    return written


def _purchase(row: Mapping[str, Any], products: Mapping[str, Product]) -> Purchase:
    lines = []
    for product, pieces, *price in row["items"]:
        each = float(price[0]) if price else products[str(product)].price
        lines.append(Line(str(product), int(pieces), int(pieces) * each))
    return Purchase(
        _day(row["time"]), str(row.get("country", "")), tuple(lines), str(row.get("currency", ""))
    )


def _events(row: Mapping[str, Any]) -> list[Event]:
    kinds = (("returned", True), ("troubled", False))
    return [Event(_day(row[key]), returned) for key, returned in kinds if row.get(key)]


def _day(time: Any) -> float:
    return day_of(datetime.fromisoformat(str(time)))


def customers_digest(customers: Customers) -> str:
    """sha256 that stands for all pasts."""
    digest = hashlib.sha256()
    for name in sorted(customers):
        digest.update(repr((name, customers[name])).encode())
    return digest.hexdigest()
