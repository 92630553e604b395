"""BM25 over one scope, and how much of a question a text covers."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Collection, Sequence, Set

import bm25s
import numpy as np
from numpy.typing import NDArray

from knowledge.segment import content_words, search_terms

logging.getLogger("bm25s").setLevel(logging.WARNING)  # it sets itself to DEBUG


class LexicalIndex:
    """BM25 (Robertson et al.; Lucene's variant as in bm25s) over texts of one scope."""

    def __init__(self, texts: Sequence[str]) -> None:
        tokens = [search_terms(text) for text in texts]
        self._bm25 = bm25s.BM25(method="lucene")
        # bm25s cannot index texts without any term at all.
        self._bm25.index([t or ["\x00"] for t in tokens], show_progress=False)
        self._vocabulary = frozenset(term for row in tokens for term in row)
        self._words = [frozenset(content_words(text)) for text in texts]
        documents = Counter(word for held in self._words for word in held)
        self._rarest = _inverse_frequency(0, len(texts))
        self._weights = {w: _inverse_frequency(n, len(texts)) for w, n in documents.items()}

    def best(self, query: str, count: int) -> list[tuple[int, float]]:
        """(position, BM25 score > 0) of the count best texts, best first."""
        terms = [t for t in search_terms(query) if t in self._vocabulary]
        if not terms:
            return []
        scores: NDArray[np.float32] = self._bm25.get_scores(terms)
        order = np.argsort(-scores, kind="stable")[:count]
        return [(int(i), float(scores[i])) for i in order if scores[i] > 0]

    def weight(self, word: str) -> float:
        """Inverse document frequency; a word no text has weighs as much as the rarest."""
        return self._weights.get(word, self._rarest)

    def coverage(self, asked: Collection[str], position: int) -> float:
        """Share of the asked words, weighted by rarity, that the text at position has, 0 to 1."""
        return self._share(asked, self._words[position])

    def coverage_by(self, asked: Collection[str], text: str) -> float:
        """The same for any text."""
        return self._share(asked, frozenset(content_words(text)))

    def unknown(self, asked: Collection[str]) -> float:
        """Share of the asked words, weighted by rarity, that no text has, 0 to 1."""
        return 1 - self._share(asked, self._weights.keys())

    def _share(self, asked: Collection[str], held: Set[str]) -> float:
        total = sum(self.weight(w) for w in asked)
        return sum(self.weight(w) for w in asked if w in held) / total if total else 0.0


def _inverse_frequency(holding: int, texts: int) -> float:
    return math.log(1 + (texts - holding + 0.5) / (holding + 0.5))
