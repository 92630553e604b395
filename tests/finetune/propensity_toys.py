"""A toy shop: some customers buy every ten days, some once a season, some have left."""

from __future__ import annotations

import random
from typing import Any

from finetune.propensity_settings import PropensityRecipe
from knowledge.propensity.types import Contact, Event, History, Line, Purchase

DAYS = 240


def toy_customers(count: int = 90, seed: int = 1) -> dict[str, History]:
    """Pasts over DAYS days from day 1000 on."""
    rng = random.Random(seed)
    return {f"c{n:03}": _history(n, rng) for n in range(count)}


def _history(number: int, rng: random.Random) -> History:
    kind = ("regular", "rare", "left")[number % 3]
    gap = {"regular": 12.0, "rare": 70.0, "left": 10.0}[kind]
    last = 1000 + (90 if kind == "left" else DAYS)
    day, bought = 1000 + rng.uniform(0, 30), []
    while day < last:
        lines = tuple(
            Line(f"p{rng.randrange(20)}", rng.randint(1, 4), rng.uniform(5, 50)) for _ in range(3)
        )
        bought.append(Purchase(day, "GB" if number % 4 else "DE", lines, "GBP"))
        day += rng.uniform(0.6, 1.4) * gap
    events = [Event(p.day + 5, returned=True) for p in bought[::7]]
    contacts = [Contact(p.day + 2, number % 2 == 0) for p in bought[::5]]
    return History.of(bought, events, contacts)


def toy_rows(customers: dict[str, History]) -> list[dict[str, Any]]:
    """The same as lines of a file of baskets."""
    from datetime import UTC, datetime

    def time(day: float) -> str:
        return datetime.fromtimestamp(day * 86_400, UTC).replace(tzinfo=None).isoformat()

    return [
        {"customer": name, "time": time(p.day), "country": p.market, "currency": p.currency,
         "items": [[x.product, x.pieces, x.value / x.pieces] for x in p.lines]}
        for name, history in customers.items() for p in history.purchases
    ]  # fmt: skip


def toy_recipe(**changes: Any) -> PropensityRecipe:
    """A few seconds of everything; changes are fields of the recipe."""
    return PropensityRecipe(
        **{
            "step_days": 20.0, "folds": 2, "resamples": 50, "logistic_c": (0.1,),
            "boosting_trees": 20, "boosting_leaves": (4,), "boosting_rows": (10,),
            "boosting_l2": (1.0,), "hidden": (8,), "dropout": (0.1,), "projected": (2,),
            "batch_size": 64, "epochs": 3, "checkpoint_steps": 4, "threads": 1,
        } | changes
    )  # fmt: skip
