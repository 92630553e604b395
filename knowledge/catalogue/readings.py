"""What the reranker makes of the products that one search found."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from knowledge.catalogue.reranker import Suits
from knowledge.catalogue.shelf import Mask, Shelf

# Products that are read of those that meet the same constraints: the best by rank, and the nearest
# by meaning, for words keep a bag for laptops before a laptop that is called a notebook. And in
# all.
_BY_RANK, _NEAREST, _IN_ALL = 12, 12, 48


class Readings:
    """`relevance`, a float32 for each row of a shelf: 0 to 1, and NaN for what was not read.
    Without a reranker nothing is."""

    def __init__(self, shelf: Shelf, text: str, reranker: Suits | None) -> None:
        self._shelf, self._text, self._reranker = shelf, text, reranker
        self._left = _IN_ALL if reranker else 0
        self.relevance = np.full(len(shelf), np.nan, np.float32)

    def read(self, within: Mask, rank: NDArray[np.floating], cosine: NDArray[np.floating]) -> None:
        """Read the best of some rows by rank and by cosine (rows,), each title once."""
        if self._reranker is None or not self._left:
            return
        rows = np.flatnonzero(within)
        first = dict.fromkeys(
            row
            for by, count in ((rank, _BY_RANK), (cosine, _NEAREST))
            for row in self._titled(rows[np.argsort(-by[rows], kind="stable")], count)
        )
        new = [row for row in first if np.isnan(self.relevance[row])][: self._left]
        if not new:
            return
        self._left -= len(new)
        products = [self._shelf.products[row] for row in new]
        for row, suits in zip(new, self._reranker.suits(self._text, products), strict=True):
            self.relevance[self._shelf.alike(row)] = suits

    def _titled(self, rows: NDArray[np.int64], count: int) -> list[int]:
        """The first rows of so many titles."""
        titled = dict.fromkeys(self._shelf.alike(row)[0] for row in rows[:_IN_ALL].tolist())
        return list(titled)[:count]
