"""BM25 over one scope, and how much of a question a text covers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import bm25s
import numpy as np
from numpy.typing import NDArray

from knowledge.segment import content_words, search_terms


class LexicalIndex:
    """BM25 (Robertson et al.; Lucene's variant as in bm25s) over texts of one scope."""

    def __init__(self, texts: Sequence[str]) -> None:
        tokens = [search_terms(text) for text in texts]
        self._bm25 = bm25s.BM25(method="lucene")
        # bm25s cannot index texts without any term at all.
        self._bm25.index([t or ["\x00"] for t in tokens], show_progress=False)
        self._vocabulary = frozenset(term for row in tokens for term in row)
        documents: dict[str, int] = {}
        for text in texts:
            for word in set(content_words(text)):
                documents[word] = documents.get(word, 0) + 1
        self._documents = documents
        self._count = len(texts)

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
        held = self._documents.get(word, 0)
        return float(np.log(1 + (self._count - held + 0.5) / (held + 0.5)))

    def knows(self, word: str) -> bool:
        """True when some text has the word."""
        return word in self._documents

    def coverage(self, question_words: Iterable[str], text: str) -> float:
        """Share of the question's words, weighted by rarity, that stand in text, 0 to 1."""
        asked = set(question_words)
        held = set(content_words(text))
        total = sum(self.weight(w) for w in asked)
        return sum(self.weight(w) for w in asked & held) / total if total else 0.0
