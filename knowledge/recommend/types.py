"""Values of recommendation: a good, a visit to the shop, and what is known of a customer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Good:
    """Something that can be bought, as the models read it; `price` is 0 where none is known."""

    id: str
    title: str
    category: str = ""
    price: float = 0.0

    @property
    def text(self) -> str:
        """What the text tower reads; case says nothing there."""
        return " - ".join(filter(None, (self.title, self.category))).lower()


@dataclass(frozen=True, slots=True)
class Visit:
    """What a customer bought in one day: ids of goods, each once. `day` is a Gregorian ordinal."""

    customer: str
    day: int
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Past:
    """What one customer has bought: the days, oldest first, and the rows of the goods of each."""

    days: tuple[int, ...] = ()
    rows: tuple[Rows, ...] = ()

    @classmethod
    def of(cls, visits: Iterable[Visit], index: Mapping[str, int]) -> Past:
        """Of one customer's visits in any order; visits of a day are one, and goods that the index
        does not know are left out."""
        by_day: dict[int, set[int]] = {}
        for visit in visits:
            known = {index[item] for item in visit.items if item in index}
            if known:
                by_day.setdefault(visit.day, set()).update(known)
        days = tuple(sorted(by_day))
        return cls(days, tuple(np.array(sorted(by_day[day]), np.int64) for day in days))

    def before(self, day: int) -> Past:
        """What was bought before a day."""
        count = sum(d < day for d in self.days)
        return Past(self.days[:count], self.rows[:count])

    def first_within(self, day: int, days: int) -> Rows | None:
        """The goods of the first visit on `day` or within so many days after it, if there is one;
        all that is to be predicted on that day."""
        for when, rows in zip(self.days, self.rows, strict=True):
            if day <= when < day + days:
                return rows
        return None

    @property
    def owned(self) -> Rows:
        """All goods, each once."""
        return np.unique(np.concatenate(self.rows)) if self.rows else np.zeros(0, np.int64)


def pasts(visits: Iterable[Visit], index: Mapping[str, int]) -> dict[str, Past]:
    """What each customer has bought, by customer."""
    grouped: dict[str, list[Visit]] = {}
    for visit in visits:
        grouped.setdefault(visit.customer, []).append(visit)
    return {customer: Past.of(theirs, index) for customer, theirs in sorted(grouped.items())}


def index_of(goods: Sequence[Good]) -> dict[str, int]:
    """The row of each good."""
    return {good.id: row for row, good in enumerate(goods)}
