"""The features of a customer at a moment, from nothing but what happened before it.

Recency, frequency and money are those of Fader, Hardie and Lee ("RFM and CLV", Journal of Marketing
Research 2005); `overdue` sets the time since the last order against the customer's own rhythm
(Platzer and Reutterer, "Ticking away the moments", Marketing Science 2016).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from knowledge.propensity.types import HORIZON_DAYS, History, Purchase

Matrix = NDArray[np.float64]
Unit = Literal["days", "orders", "typical orders", "products", "pieces", "share", "ratio", "other"]
_YEAR_DAYS = 365.2425
_NAN = math.nan


class Feature(NamedTuple):
    """A column: its name, its unit, whether linear models see its logarithm (log1p, sign kept), and
    what it says. Where a customer has too few orders for it, it is NaN."""

    name: str
    unit: Unit
    log: bool
    meaning: str


FEATURES = (
    Feature("recency", "days", True, "since the last order"),
    Feature("tenure", "days", True, "since the first order"),
    Feature("orders", "orders", True, "ever; the orders of one day are one"),
    Feature("orders_30", "orders", True, "in the last 30 days"),
    Feature("orders_90", "orders", True, "in the last 90 days"),
    Feature("orders_trend", "orders", False, "of the last 90 days, less those of the 90 before"),
    Feature("rate", "orders", True, "per 30 days since the first, at least 30 days taken"),
    Feature("warmth_30", "orders", True, "each counting half for every 30 days of age"),
    Feature("warmth_120", "orders", True, "each counting half for every 120 days of age"),
    Feature("active_share", "share", False, "of the 30-day spans since the first order, with any"),
    Feature("gap", "days", True, "between two orders, median; of two orders on"),
    Feature("gap_last", "days", True, "between the last two orders"),
    Feature("gap_spread", "ratio", True, "standard deviation of the gaps over their mean; of 3 on"),
    Feature("overdue", "ratio", True, "days since the last order over the usual gap"),
    Feature("spent", "typical orders", True, "value of all orders"),
    Feature("spent_90", "typical orders", True, "value of the orders in the last 90 days"),
    Feature("basket", "typical orders", True, "mean value of an order"),
    Feature("basket_last", "ratio", True, "value of the last order over the customer's mean"),
    Feature("products", "products", True, "different ones ever bought"),
    Feature("lines", "products", True, "in an order, on average"),
    Feature("pieces", "pieces", True, "of a product in an order, on average"),
    Feature("repeats", "share", False, "of the lines after the first order, bought before"),
    Feature("home", "share", False, "1 in the market where the shop sells most, else 0"),
    Feature("season_sin", "other", False, "sine of the middle of the coming 30 days in the year"),
    Feature("season_cos", "other", False, "cosine of the same: 1 is the turn of the year"),
    Feature("returned", "share", False, "orders sent back, of all"),
    Feature("troubles_90", "orders", True, "lost, damaged, late or cancelled in the last 90 days"),
    Feature("contacts_90", "other", True, "conversations in the last 90 days"),
    Feature("complaints_90", "other", True, "of them with a complaint or a thumb down"),
    Feature("contact", "days", True, "since the last conversation; NaN where there was none"),
)
NAMES = tuple(feature.name for feature in FEATURES)
# What a person can be told: features that say the same are one theme, and so is their influence.
THEMES: Mapping[str, tuple[str, ...]] = {
    "recency": ("recency", "orders_30", "warmth_30"),
    "rhythm": ("gap", "gap_last", "gap_spread", "overdue"),
    "frequency": ("orders", "orders_90", "orders_trend", "tenure", "rate", "warmth_120",
                  "active_share"),
    "money": ("spent", "spent_90", "basket", "basket_last"),
    "variety": ("products", "lines", "pieces"),
    "repeats": ("repeats",),
    "market": ("home",),
    "season": ("season_sin", "season_cos"),
    "trouble": ("returned", "troubles_90"),
    "contacts": ("contacts_90", "complaints_90", "contact"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scale:
    """What amounts are measured by: the median value of an order in each currency ("" stands for
    any other), and the market where the shop sells most. Set on what is learnt from alone."""

    typical: Mapping[str, float]
    home: str

    @classmethod
    def of(cls, purchases: Iterable[Purchase]) -> Scale:
        """From some orders, at least one."""
        values: dict[str, list[float]] = {}
        markets: Counter[str] = Counter()
        for purchase in purchases:
            markets[purchase.market] += 1
            values.setdefault(purchase.currency, []).append(purchase.value)
        every = [value for row in values.values() for value in row]
        typical = {currency: median(row) or 1.0 for currency, row in values.items()}
        return cls({"": median(every) or 1.0} | typical, markets.most_common(1)[0][0])

    def worth(self, purchase: Purchase) -> float:
        """The value in typical orders."""
        return purchase.value / self.typical.get(purchase.currency, self.typical[""])


def features(history: History, moments: Sequence[float], scale: Scale) -> Matrix:
    """(moments, features) of a customer who has ordered before each of the moments (days)."""
    past = _Past.of(history, scale)
    return np.array([past.row(moment) for moment in moments]).reshape(-1, len(FEATURES))


@dataclass(frozen=True, slots=True)
class _Past:
    """A history as columns, one entry a purchase; `known` of its `lines` were bought before it, and
    `seen` products ever, with it."""

    days: Matrix
    worth: Matrix
    lines: Matrix
    pieces: Matrix
    known: Matrix
    seen: Matrix
    at_home: Sequence[bool]
    returns: Matrix
    troubles: Matrix
    contacts: Matrix
    complaints: Matrix

    @classmethod
    def of(cls, history: History, scale: Scale) -> _Past:
        bought: set[str] = set()
        known, seen = [], []
        for purchase in history.purchases:
            known.append(sum(line.product in bought for line in purchase.lines))
            bought.update(line.product for line in purchase.lines)
            seen.append(len(bought))
        orders = history.purchases
        return cls(
            days=np.array([p.day for p in orders]),
            worth=np.array([scale.worth(p) for p in orders]),
            lines=np.array([float(len(p.lines)) for p in orders]),
            pieces=np.array([float(sum(line.pieces for line in p.lines)) for p in orders]),
            known=np.array(known, dtype=float),
            seen=np.array(seen, dtype=float),
            at_home=[p.market == scale.home for p in orders],
            returns=np.array([e.day for e in history.events if e.returned]),
            troubles=np.array([e.day for e in history.events if not e.returned]),
            contacts=np.array([c.day for c in history.contacts]),
            complaints=np.array([c.day for c in history.contacts if c.complaint]),
        )

    def row(self, moment: float) -> tuple[float, ...]:
        """The features then, in the order of FEATURES."""
        count = int(np.searchsorted(self.days, moment))
        ages = moment - self.days[:count]
        worth, recency, tenure = self.worth[:count], float(ages[-1]), float(ages[0])
        recent, lately = int((ages <= 30).sum()), ages <= 90
        before = int(((ages > 90) & (ages <= 180)).sum())
        spans = int(tenure // 30) + 1
        middle = 2 * math.pi * (moment + HORIZON_DAYS / 2) / _YEAR_DAYS
        mean_worth = float(worth.mean())
        lines = self.lines[:count].sum()
        later = self.lines[1:count].sum()
        contacts = moment - self.contacts[self.contacts < moment]
        return (
            recency, tenure, count, recent, int(lately.sum()), int(lately.sum()) - before,
            30 * count / max(30.0, tenure),
            float((0.5 ** (ages / 30)).sum()), float((0.5 ** (ages / 120)).sum()),
            len(np.unique(ages // 30)) / spans,
            *_rhythm(self.days[:count], recency),
            float(worth.sum()), float(worth[lately].sum()), mean_worth,
            float(worth[-1]) / mean_worth if mean_worth else 1.0,
            float(self.seen[count - 1]), float(lines / count),
            float(self.pieces[:count].sum() / max(1.0, lines)),
            float(self.known[1:count].sum() / later) if later else _NAN,
            float(self.at_home[count - 1]), math.sin(middle), math.cos(middle),
            float((self.returns < moment).sum() / count), _within(self.troubles, moment),
            _within(self.contacts, moment), _within(self.complaints, moment),
            float(contacts[-1]) if len(contacts) else _NAN,
        )  # fmt: skip


def _rhythm(days: Matrix, recency: float) -> tuple[float, float, float, float]:
    """gap, gap_last, gap_spread, overdue."""
    gaps = np.diff(days)
    if not len(gaps):
        return _NAN, _NAN, _NAN, _NAN
    usual = float(np.median(gaps))
    spread = float(gaps.std() / gaps.mean()) if len(gaps) > 1 else _NAN
    return usual, float(gaps[-1]), spread, recency / max(1.0, usual)


def _within(days: Matrix, moment: float, span: float = 90.0) -> float:
    """How many lie in the days before the moment."""
    return float(((days < moment) & (days >= moment - span)).sum())


def as_seen_by_linear(rows: Matrix) -> Matrix:
    """The columns with logarithms where their Feature says so; NaN stays."""
    logs = np.array([feature.log for feature in FEATURES])
    return np.where(logs, np.sign(rows) * np.log1p(np.abs(rows)), rows)
