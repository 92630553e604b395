"""What the reranker makes of the products that one search found."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from knowledge.catalogue.reranker import Suits
from knowledge.catalogue.shelf import Shelf

# Products that are read of those that meet the same constraints, and in all: what 300 ms allow.
_AT_ONCE, _IN_ALL = 24, 72


class Readings:
    """`relevance`, a float32 for each row of a shelf: 0 to 1, and NaN for what was not read.
    Without a reranker nothing is."""

    def __init__(self, shelf: Shelf, text: str, reranker: Suits | None) -> None:
        self._shelf, self._text, self._reranker = shelf, text, reranker
        self._left = _IN_ALL if reranker else 0
        self.relevance = np.full(len(shelf), np.nan, np.float32)

    def read(self, rank: NDArray[np.floating]) -> None:
        """Read the best rows by a rank (rows,), in which -inf leaves one out; each title once."""
        if self._reranker is None or not self._left:
            return
        best = [row for row in np.argsort(-rank, kind="stable")[:_IN_ALL] if rank[row] > -np.inf]
        titled = dict.fromkeys(int(self._shelf.alike(row)[0]) for row in best)
        first = list(titled)[:_AT_ONCE]
        new = [row for row in first if np.isnan(self.relevance[row])][: self._left]
        if not new:
            return
        self._left -= len(new)
        products = [self._shelf.products[row] for row in new]
        for row, suits in zip(new, self._reranker.suits(self._text, products), strict=True):
            self.relevance[self._shelf.alike(row)] = suits
