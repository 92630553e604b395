"""Baskets and goods from files, and what is learnt from them when."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from finetune.errors import DataError
from knowledge.formats import read_json_lines
from knowledge.recommend.types import Good, Past, Visit, index_of, pasts

_MOST_BYTES = 2_000_000_000
_NOT_BOUGHT = frozenset({"cancelled", "payment_failed"})  # states of the demo shop's orders


@dataclass(frozen=True, slots=True)
class Sales:
    """Goods in rows, and what each customer bought of them; `until` is the first day that is not
    known, a Gregorian ordinal; `digest` of all that was read."""

    goods: tuple[Good, ...]
    held: Mapping[str, Past]
    until: int
    digest: str

    @classmethod
    def of(cls, goods: Sequence[Good], visits: Sequence[Visit], until: int | None = None) -> Sales:
        """Of visits before `until`, or all. Raises DataError when there are none."""
        known = [v for v in visits if until is None or v.day < until]
        held = {c: p for c, p in pasts(known, index_of(goods)).items() if p.days}
        if not held:
            raise DataError("there is no basket with goods of the list; check --products")
        last = max(past.days[-1] for past in held.values()) + 1
        digest = hashlib.sha256(repr((tuple(goods), sorted(known, key=repr))).encode()).hexdigest()
        return cls(tuple(goods), held, last if until is None else until, digest)

    def before(self, day: int) -> dict[str, Past]:
        """What each customer had bought by a day, of those who had bought anything."""
        cut = {customer: past.before(day) for customer, past in self.held.items()}
        return {customer: past for customer, past in cut.items() if past.days}


def read_goods(path: Path) -> tuple[Good, ...]:
    """Products as JSON Lines of {"id", "title"} with optional "category" and "price"; of one that
    comes in several languages the first. Raises DataError."""
    goods: dict[str, Good] = {}
    for place, row in _rows(path):
        try:
            price = float(row.get("price") or 0)
            good = Good(str(row["id"]), str(row["title"]), str(row.get("category") or ""), price)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{place} is no product with id and title: {error!r}") from error
        goods.setdefault(good.id, good)
    if len(goods) < 2:
        raise DataError(f"{path} holds fewer than two products")
    return tuple(goods.values())


def read_visits(paths: Sequence[Path]) -> list[Visit]:
    """Baskets as JSON Lines of {"customer", "time", "items": [[id, quantity], ...]}, or orders as
    `python -m assistant.demo --out` writes them. Raises DataError."""
    return [visit for path in paths for visit in _visits(path)]


def _visits(path: Path) -> Iterator[Visit]:
    for place, row in _rows(path):
        try:
            if "lines" in row:
                if row["state"] in _NOT_BOUGHT:
                    continue
                items = [line["product_id"] for line in row["lines"]]
                yield _visit(row["customer_id"], row["placed_at"], items)
            else:
                yield _visit(row["customer"], row["time"], [item for item, _ in row["items"]])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{place} is no basket with customer, time and items: {error!r}"
            ) from error


def _visit(customer: Any, time: str, items: Sequence[Any]) -> Visit:
    day = datetime.fromisoformat(time).toordinal()
    return Visit(str(customer), day, tuple(dict.fromkeys(map(str, items))))


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        for number, row in enumerate(read_json_lines(path, _MOST_BYTES), start=1):
            yield f"{path}:{number}", row
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {' '.join(str(error).split())}") from error


@dataclass(frozen=True, slots=True)
class Asked:
    """A customer on a day: what was bought before it, and the goods (rows) of the next visit."""

    customer: str
    past: Past
    bought: Any


def asked_on(held: Mapping[str, Past], day: int, days: int) -> list[Asked]:
    """The customers who had bought something by a day, and came again within so many days."""
    found = []
    for customer, past in held.items():
        known, bought = past.before(day), past.first_within(day, days)
        if known.days and bought is not None:
            found.append(Asked(customer, known, bought))
    return found


def day_of(ordinal: int) -> str:
    """An ordinal as an ISO date."""
    return date.fromordinal(ordinal).isoformat()
