"""What is known of a customer's past: orders, what went wrong with them, and conversations.

Times are days since 1970-01-01, with fractions, in the shop's time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby

HORIZON_DAYS = 30.0  # within which "buys again" counts
SECONDS_PER_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Line:
    """Some pieces of one product; `value` is the price of all of them."""

    product: str
    pieces: int
    value: float


@dataclass(frozen=True, slots=True)
class Purchase:
    """What was ordered on a day. `market` is the country, or what stands for it (the currency, in
    a shop that sells in several); values are in `currency`, an ISO 4217 code or nothing."""

    day: float
    market: str
    lines: tuple[Line, ...]
    currency: str = ""

    @property
    def value(self) -> float:
        """The price of all lines."""
        return sum(line.value for line in self.lines)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that befell an order: it was sent back (`returned`) or went wrong (`troubled`):
    lost, damaged, late, cancelled."""

    day: float
    returned: bool


@dataclass(frozen=True, slots=True)
class Contact:
    """A conversation with the shop; a `complaint` has a thumb down or is one by its intent."""

    day: float
    complaint: bool


@dataclass(frozen=True, slots=True)
class History:
    """All of one customer, oldest first; the orders of one day are one purchase."""

    purchases: tuple[Purchase, ...]
    events: tuple[Event, ...] = ()
    contacts: tuple[Contact, ...] = ()

    @classmethod
    def of(
        cls,
        purchases: Iterable[Purchase],
        events: Iterable[Event] = (),
        contacts: Iterable[Contact] = (),
    ) -> History:
        """From records in any order."""
        ordered = sorted(purchases, key=lambda p: p.day)
        days = [_joined(list(same)) for _, same in groupby(ordered, key=lambda p: int(p.day))]
        return cls(
            tuple(days),
            tuple(sorted(events, key=lambda e: e.day)),
            tuple(sorted(contacts, key=lambda c: c.day)),
        )

    def before(self, day: float) -> History:
        """What was known then."""
        return History(
            tuple(p for p in self.purchases if p.day < day),
            tuple(e for e in self.events if e.day < day),
            tuple(c for c in self.contacts if c.day < day),
        )

    def buys_within(self, day: float, horizon_days: float = HORIZON_DAYS) -> bool:
        """Whether there is a purchase from that day on, before so many days are over."""
        return any(day <= p.day < day + horizon_days for p in self.purchases)


def _joined(same_day: list[Purchase]) -> Purchase:
    return replace(same_day[0], lines=tuple(line for p in same_day for line in p.lines))


def day_of(moment: datetime) -> float:
    """Days since 1970; a moment without a zone is in the shop's time."""
    return moment.replace(tzinfo=UTC).timestamp() / SECONDS_PER_DAY
