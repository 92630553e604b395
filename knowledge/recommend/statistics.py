"""What a shop's sales say of its goods, up to a day: counts alone, of nobody in particular."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from knowledge.recommend.types import Floats, Past

WINDOWS = (14, 30, 90)  # days in which customers are counted; the last count is of all days
MONTH = WINDOWS.index(30)
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

    `customers` (windows + 1, goods): how many bought it in the last days, and ever. `first_sold`:
    the day, 0 where it never was. `similar` and `similar_visits` (goods, goods): in each column j
    the cosine of what was bought with j, by customers and by visits. `together`: how many customers
    bought both, at the places of `similar`, and 0 where they are too few to tell.
    """

    cut: int
    customers: Floats
    first_sold: NDArray[np.int32]
    similar: Any
    similar_visits: Any
    together: Any

    @property
    def count(self) -> int:
        """Goods."""
        return len(self.first_sold)

    def widened(self, count: int) -> Statistics:
        """With room for goods that have never been sold, up to `count`."""
        more = count - self.count
        grown = [m.copy() for m in (self.similar, self.similar_visits, self.together)]
        for matrix in grown:
            matrix.resize((count, count))
        return Statistics(
            self.cut,
            np.pad(self.customers, ((0, 0), (0, more))),
            np.pad(self.first_sold, (0, more)),
            *grown,
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
    similar, together = _neighbours(by_customer, counting)
    return Statistics(
        cut, windows, first_sold, similar, _neighbours(by_visit, counting)[0], together
    )


def incidence(sets: list[NDArray[np.int64]], count: int) -> Any:
    """float32 CSR (sets, goods): 1 where a set holds a good."""
    lengths = [len(rows) for rows in sets]
    columns = np.concatenate(sets) if sets else np.zeros(0, np.int64)
    places = np.concatenate([[0], np.cumsum(lengths)]) if sets else np.zeros(1, np.int64)
    ones = np.ones(len(columns), np.float32)
    return sparse.csr_matrix((ones, columns, places), shape=(len(sets), count))


def _neighbours(bought: Any, counting: Counting) -> tuple[Any, Any]:
    """(similar, together), CSR (goods, goods): column j holds the neighbours of good j."""
    count = bought.shape[1]
    sold = np.asarray(bought.sum(0)).ravel()
    root = np.sqrt(sold)
    by_good = bought.T.tocsr()
    parts: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]] = []
    for start in range(0, count, _BLOCK):
        both = np.asarray((by_good[start : start + _BLOCK] @ bought).todense())
        width = len(both)
        both[np.arange(width), np.arange(start, start + width)] = 0
        below = np.outer(root[start : start + width], root) + counting.shrinkage
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
