"""A toy shop whose customers buy of one kind each, over and over."""

from __future__ import annotations

import random
from datetime import date, timedelta

from knowledge.recommend.types import Good, Visit

KINDS = {
    "tea": ("green tea", "black tea", "tea pot", "tea towel", "tea caddy", "herbal tea"),
    "bike": ("bike bell", "bike lock", "bike pump", "bike light", "bike basket", "bike bag"),
    "garden": ("garden fork", "garden hose", "garden gloves", "garden rake", "garden gnome",
               "garden bench"),
}  # fmt: skip
START = date(2026, 1, 1)
GOODS = tuple(
    Good(f"{kind}-{n}", title, "", 2.0 + n)
    for kind, titles in KINDS.items()
    for n, title in enumerate(titles)
)


def day(number: int) -> int:
    """A day of the toy shop's year, as an ordinal."""
    return (START + timedelta(number)).toordinal()


def visits(customers: int = 36, days: int = 200, seed: int = 3) -> list[Visit]:
    """Each customer comes every month or so and buys two or three goods of one kind."""
    rng = random.Random(seed)
    kinds = list(KINDS)
    found = []
    for n in range(customers):
        kind, today = kinds[n % len(kinds)], rng.randint(0, 20)
        liked = rng.sample(range(len(KINDS[kind])), 4)
        while today < days:
            bought = rng.sample(liked, rng.randint(2, 3))
            found.append(Visit(f"c{n}", day(today), tuple(f"{kind}-{i}" for i in bought)))
            today += rng.randint(15, 40)
    return found
