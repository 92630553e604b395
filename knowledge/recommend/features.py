"""What is known of a customer and a good together, as numbers that a ranker weighs.

The personal counts decay by days and by visits (Hu et al., "Modeling personalized item frequency
information for next-basket recommendation", SIGIR 2020).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from knowledge.recommend.statistics import MONTH, WINDOWS, Statistics, damping
from knowledge.recommend.types import Floats, Past

_NEAREST = 10  # goods whose sales tell of one that has none
_DAY_DECAY, _VISIT_DECAY = 45.0, 0.8  # days of a half-life; what an earlier visit counts for
_USUAL = 10  # customers that what is usual counts for, where it is told who bought a good again
_SEASON = 60.0  # days after which a good is no longer new, and a purchase no longer fresh
_CHUNK = 64  # customers at a time

NAMES = (
    "own_visits", "own_share", "own_decayed", "own_by_visit", "own_last", "own_ever", "own_fresh",
    "own_since",
    "bought_with", "bought_with_last", "bought_beside", "bought_beside_last", "bought_next",
    "bought_next_last", "factors",
    "text", "text_last", "text_nearest",
    "sold_14", "sold_30", "sold_90", "sold_ever", "trend_14", "trend", "sold_again", "newness",
    "unsold",
    "nearest_sold", "nearest_new", "price_apart",
    "visits", "visit_size", "absence", "repeats",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Context:
    """What holds for all customers: statistics, text vectors (goods, width; rows of length 1) and
    log prices (0 where none is known), and by it what is known of each good alone."""

    statistics: Statistics
    vectors: Floats
    prices: Floats
    alone: Floats  # (goods, names from sold_14 to nearest_new)

    @classmethod
    def of(cls, statistics: Statistics, vectors: Floats, prices: Floats) -> Context:
        """Of goods in the same rows."""
        return cls(statistics, vectors, prices, _alone(statistics, vectors))


def features(context: Context, customers: Sequence[Past], day: int) -> Iterator[Floats]:
    """For each customer float32 (goods, NAMES), from what was bought before `day`."""
    for start in range(0, len(customers), _CHUNK):
        yield from _Together(context, customers[start : start + _CHUNK], day).rows()


def _alone(statistics: Statistics, vectors: Floats) -> Floats:
    sold = np.log1p(statistics.customers)
    customers = statistics.customers
    quarter, days = customers[MONTH + 1], WINDOWS[MONTH + 1]
    fortnight = sold[0] - np.log1p(quarter * WINDOWS[0] / days)
    trend = sold[MONTH] - np.log1p(quarter * WINDOWS[MONTH] / days)
    usual = statistics.again.sum() / max(1.0, customers[-1].sum())
    again = (statistics.again + _USUAL * usual) / (customers[-1] + _USUAL)
    unsold = statistics.first_sold == 0
    age = np.where(unsold, 0, statistics.cut - statistics.first_sold)
    newness = np.exp(-age / _SEASON).astype(np.float32)
    near = nearest(vectors, _NEAREST)
    told = [
        *sold, fortnight, trend, again, newness, unsold, sold[MONTH][near].mean(1),
        newness[near].mean(1),
    ]  # fmt: skip
    return np.stack(told, axis=1).astype(np.float32)


def nearest(vectors: Floats, count: int) -> Any:
    """int64 (goods, count): the rows of the nearest other goods by text."""
    count = min(count, len(vectors) - 1)
    found = []
    for start in range(0, len(vectors), 512):
        cosine = vectors[start : start + 512] @ vectors.T
        cosine[np.arange(len(cosine)), np.arange(start, start + len(cosine))] = -2
        found.append(np.argpartition(-cosine, count - 1, axis=1)[:, :count])
    return np.concatenate(found)


class _Together:
    """Some customers, as sparse weights over what they own."""

    def __init__(self, context: Context, customers: Sequence[Past], day: int) -> None:
        self.context, self.customers, self.day = context, customers, day
        self.visits = self._weights(lambda age, place: 1.0)
        self.decayed = self._weights(lambda age, place: 0.5 ** (age / _DAY_DECAY))
        self.by_visit = self._weights(lambda age, place: _VISIT_DECAY**place)
        self.last = self._weights(lambda age, place: float(place == 0))

    def _weights(self, weight: Any) -> Any:
        """CSR (customers, goods): the sum of `weight(age in days, visits since)` over visits."""
        values: list[Any] = []
        columns: list[Any] = []
        rows: list[Any] = []
        for n, past in enumerate(self.customers):
            for place, (day, bought) in enumerate(
                zip(reversed(past.days), reversed(past.rows), strict=True)
            ):
                columns.append(bought)
                rows.append(np.full(len(bought), n))
                values.append(np.full(len(bought), weight(self.day - day, place), np.float32))
        shape = (len(self.customers), self.context.statistics.count)
        if not rows:
            return sparse.csr_matrix(shape, dtype=np.float32)
        whole = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
        return sparse.csr_matrix(whole, shape=shape)

    def rows(self) -> Iterator[Floats]:
        """See features."""
        held = [*self._own(), *self._bought(), *self._text()]
        for n, past in enumerate(self.customers):
            own = np.stack([column[n] for column in held], axis=1)
            alone = self.context.alone
            apart = self._price_apart(past)[:, None]
            known = np.broadcast_to(self._customer(past), (len(own), 4))
            yield np.concatenate([own, alone, apart, known], axis=1).astype(np.float32)

    def _own(self) -> list[Floats]:
        visits = self.visits.toarray()
        counts = np.array([max(1, len(past.days)) for past in self.customers], np.float32)
        fresh, since = np.zeros_like(visits), np.zeros_like(visits)
        for n, past in enumerate(self.customers):
            for place, (day, bought) in enumerate(zip(past.days, past.rows, strict=True)):
                fresh[n, bought] = np.exp((day - self.day) / _SEASON)  # the latest stays
                first = bought[since[n, bought] == 0]
                since[n, first] = len(past.days) - place
        since = visits / np.maximum(since, 1)  # share of the visits since it was first bought
        ever = (visits > 0).astype(np.float32)
        return [
            np.log1p(visits), visits / counts[:, None], np.log1p(self.decayed.toarray()),
            np.log1p(self.by_visit.toarray()), self.last.toarray(), ever, fresh, since,
        ]  # fmt: skip

    def _bought(self) -> list[Floats]:
        """What was bought with what they own, as customers and as visits."""
        statistics = self.context.statistics
        matrices = (statistics.similar, statistics.similar_visits, statistics.next_visits)
        pairs = [(m, w) for m in matrices for w in (self.by_visit, self.last)]
        found = [(_shares(weights) @ matrix.T).toarray() for matrix, weights in pairs]
        weighed = _shares(self.by_visit) @ sparse.diags(damping(statistics.customers[-1]))
        return [*found, weighed @ statistics.factors @ statistics.factors.T]

    def _text(self) -> list[Floats]:
        vectors = self.context.vectors
        found = []
        for weights in (self.by_visit, self.last):
            middle = np.asarray(_shares(weights) @ vectors)
            length = np.maximum(np.linalg.norm(middle, axis=1, keepdims=True), 1e-9)
            found.append(middle / length @ vectors.T)
        closest = np.zeros((len(self.customers), len(vectors)), np.float32)
        for n, past in enumerate(self.customers):
            owned = past.owned
            if len(owned):
                cosine = vectors[owned] @ vectors.T
                cosine[np.arange(len(owned)), owned] = -1  # what it is itself, own_ever says
                closest[n] = cosine.max(0)
        return [*found, closest]

    def _price_apart(self, past: Past) -> Floats:
        prices, owned = self.context.prices, past.owned
        if not len(owned):
            return np.zeros_like(prices)
        apart: Floats = np.abs(prices - prices[owned].mean()).astype(np.float32)
        return apart

    def _customer(self, past: Past) -> Floats:
        if not past.days:
            return np.zeros(4, np.float32)
        lines = sum(map(len, past.rows))
        absence = (self.day - past.days[-1]) / _SEASON
        repeats = 1 - len(past.owned) / lines
        size = np.log1p(lines / len(past.days))
        return np.array([np.log1p(len(past.days)), size, np.log1p(absence), repeats], np.float32)


def _shares(weights: Any) -> Any:
    """Each row's weights as shares of their sum."""
    sums = np.maximum(np.asarray(weights.sum(1)).ravel(), 1e-9)
    return sparse.diags((1 / sums).astype(np.float32)) @ weights
