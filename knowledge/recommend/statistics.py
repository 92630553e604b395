"""What a shop's sales say of its goods, up to a day: counts alone, of nobody in particular."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import svds

from knowledge.recommend.types import Floats, Past

WINDOWS = (14, 30, 90)  # days in which customers are counted; the last count is of all days
MONTH = WINDOWS.index(30)
MATRICES = ("similar", "similar_visits", "next_visits", "together")
_FACTORS = 64
_BLOCK = 1024  # rows of a product that are made at a time


@dataclass(frozen=True, slots=True)
class Counting:
    """How neighbours are told: goods that keep their `neighbours` most similar ones, a cosine with
    `shrinkage` added below the line (Sarwar et al., "Item-based collaborative filtering
    recommendation algorithms", WWW 2001; Bell and Koren, "Scalable collaborative filtering with
    jointly derived neighborhood interpolation weights", ICDM 2007). Pairs that fewer than
    `least_customers` bought are not told of, so that no single basket can be read from them."""

    neighbours: int = 100
    shrinkage: float = 10.0
    least_customers: int = 3


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of `cut`, the first day that is not known (a Gregorian ordinal), for each good in its row.

    `customers` (windows + 1, goods): how many bought it in the last days, and ever. `again`
    (goods,): how many bought it at more than one visit. `first_sold`: the day, 0 where it never
    was. `similar` and `similar_visits` (goods, goods): in each column j the cosine of what was
    bought with j, by customers and by visits; `next_visits` of what was bought at the visit after
    j, j too. `together`: how many customers bought both, at the places of `similar`, and 0 where
    they are too few to tell.
    """

    cut: int
    customers: Floats
    again: Floats
    first_sold: NDArray[np.int32]
    similar: Any
    similar_visits: Any
    next_visits: Any
    together: Any
    factors: Floats

    @property
    def count(self) -> int:
        """Goods."""
        return len(self.first_sold)

    def widened(self, count: int) -> Statistics:
        """With room for goods that have never been sold, up to `count`."""
        more = count - self.count
        grown = {name: getattr(self, name).copy() for name in MATRICES}
        for matrix in grown.values():
            matrix.resize((count, count))
        return Statistics(
            self.cut,
            np.pad(self.customers, ((0, 0), (0, more))),
            np.pad(self.again, (0, more)),
            np.pad(self.first_sold, (0, more)),
            **grown,
            factors=np.pad(self.factors, ((0, more), (0, 0))),
        )


def count_sales(
    held: Mapping[str, Past], count: int, cut: int, counting: Counting | None = None
) -> Statistics:
    """The statistics of `count` goods from all that was bought before the day `cut`."""
    counting = counting or Counting()
    bought = [past.before(cut) for past in held.values()]
    bought = [past for past in bought if past.days]
    windows = np.zeros((len(WINDOWS) + 1, count), np.float32)
    first_sold = np.full(count, np.iinfo(np.int32).max, np.int32)
    for past in bought:
        for n, window in enumerate((*WINDOWS, cut)):
            late = [r for d, r in zip(past.days, past.rows, strict=True) if d >= cut - window]
            if late:
                windows[n, np.unique(np.concatenate(late))] += 1
        for day, rows in zip(past.days, past.rows, strict=True):
            first_sold[rows] = np.minimum(first_sold[rows], day)
    first_sold[first_sold == np.iinfo(np.int32).max] = 0
    by_customer = incidence([past.owned for past in bought], count)
    by_visit = incidence([rows for past in bought for rows in past.rows], count)
    earlier = incidence([rows for past in bought for rows in past.rows[:-1]], count)
    later = incidence([rows for past in bought for rows in past.rows[1:]], count)
    visits = np.zeros(count, np.float32)
    for past in bought:
        rows, times = np.unique(np.concatenate(past.rows), return_counts=True)
        visits[rows[times > 1]] += 1
    similar, together = _neighbours(by_customer, by_customer, counting)
    return Statistics(
        cut, windows, visits, first_sold, similar,
        _neighbours(by_visit, by_visit, counting)[0], _neighbours(earlier, later, counting)[0],
        together, factors_of(by_customer),
    )  # fmt: skip


def factors_of(bought: Any) -> Floats:
    """float32 (goods, 64 at most): what goods have in common by their customers, the right singular
    vectors of customers and goods (Cremonesi et al., "Performance of recommender algorithms on
    top-n recommendation tasks", RecSys 2010). Goods count by the fourth root of their customers
    less, and customers by the root of their goods, so that neither the popular ones nor the great
    buyers are all that is told."""
    width = min(_FACTORS, *(side - 1 for side in bought.shape))
    if width < 1:
        return np.zeros((bought.shape[1], 1), np.float32)
    owned = np.maximum(np.asarray(bought.sum(1)).ravel(), 1)
    weighed = sparse.diags(owned**-0.5) @ bought @ sparse.diags(damping(bought.sum(0)))
    _, _, right = svds(weighed.astype(np.float64), width, v0=np.ones(min(bought.shape)))
    return np.ascontiguousarray(right.T, np.float32)


def damping(customers: Any) -> Floats:
    """(goods,) what goods count for in factors, by how many customers each has."""
    return np.asarray(np.maximum(np.asarray(customers).ravel(), 1) ** -0.25, np.float32)


def incidence(sets: list[NDArray[np.int64]], count: int) -> Any:
    """float32 CSR (sets, goods): 1 where a set holds a good."""
    lengths = [len(rows) for rows in sets]
    columns = np.concatenate(sets) if sets else np.zeros(0, np.int64)
    places = np.concatenate([[0], np.cumsum(lengths)]) if sets else np.zeros(1, np.int64)
    ones = np.ones(len(columns), np.float32)
    return sparse.csr_matrix((ones, columns, places), shape=(len(sets), count))


def _neighbours(bought: Any, then: Any, counting: Counting) -> tuple[Any, Any]:
    """(cosine, how often both), CSR (goods, goods): column j holds the neighbours of good j, among
    what the rows of `then` hold where those of `bought` hold j; where both are the same, j is none
    of its own."""
    count = bought.shape[1]
    root, then_root = (np.sqrt(np.asarray(m.sum(0)).ravel()) for m in (bought, then))
    by_good = bought.T.tocsr()
    parts: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]] = []
    for start in range(0, count, _BLOCK):
        both = np.asarray((by_good[start : start + _BLOCK] @ then).todense())
        width = len(both)
        if bought is then:
            both[np.arange(width), np.arange(start, start + width)] = 0
        below = np.outer(root[start : start + width], then_root) + counting.shrinkage
        cosine = both / np.maximum(below, 1e-9)
        kept = min(counting.neighbours, count)
        columns = np.argpartition(-cosine, kept - 1, axis=1)[:, :kept]
        rows = np.repeat(np.arange(width), kept)
        columns = columns.ravel()
        is_one = cosine[rows, columns] > 0
        rows, columns = rows[is_one], columns[is_one]
        parts.append((rows + start, columns, cosine[rows, columns], both[rows, columns]))
    good, other, cosine, both = (np.concatenate(each) for each in zip(*parts, strict=True))
    both = np.where(both >= counting.least_customers, both, 0)
    shape = (count, count)
    return (
        sparse.csr_matrix((cosine.astype(np.float32), (other, good)), shape=shape),
        sparse.csr_matrix((both.astype(np.float32), (other, good)), shape=shape),
    )
