"""A home with customers who are likely to buy again, or not, and a promoted model that says so."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assistant.conversations import Conversations
from assistant.propensity import Propensity
from assistant.propensity_settings import PropensitySettings
from assistant.records.sqlite import FILE, SqliteRecords
from assistant.records.types import Customer, Item, Order
from knowledge.propensity.promoted import propensity_models
from tests.knowledge.propensity.pasts import by_recency

LIKELY, LEAVING, NEW = "c-likely", "c-leaving", "c-new"


def order(customer: str, number: int, days_ago: float, state: str = "delivered") -> Order:
    """An order of one thing, so long before now."""
    placed = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=days_ago)
    item = Item(f"{number}-1", "p1", "Enamel mug", (), 2, Decimal("9.50"), state)
    return Order(
        f"MW-{number}", customer, placed, state, placed + timedelta(days=1), "GBP", (item,),
        Decimal("19.00"),
    )  # fmt: skip


def embed(_: Sequence[str]) -> NDArray[np.float32]:
    raise AssertionError("no part of this model reads titles")


def buyers(home: Path) -> SqliteRecords:
    """One bought on the last days, one long ago, one never; the promoted model looks at recency."""
    people = (LIKELY, LEAVING, NEW)
    records = SqliteRecords.create(
        home / FILE,
        [Customer(name, name.title(), f"{name}@example.com") for name in people],
        [order(LIKELY, 1, 60), order(LIKELY, 2, 31), order(LIKELY, 3, 2),
         order(LEAVING, 4, 300), order(LEAVING, 5, 200, "refunded")],
    )  # fmt: skip
    by_recency().write(home / "trained")
    propensity_models(home).promote(home / "trained")
    return records


def propensity(home: Path, store: Conversations, *opted_out: str) -> Propensity:
    """Over the buyers."""
    settings = PropensitySettings(opted_out=frozenset(opted_out))
    return Propensity(home, settings, buyers(home), store, embed)
