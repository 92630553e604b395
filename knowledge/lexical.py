"""BM25 over one scope, and how much of a question a text covers."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from knowledge.segment import content_words, search_terms
from knowledge.terms import Terms

_K1, _B = 1.5, 0.75


class AskedWords(NamedTuple):
    """A question's words that a text has, by number and rarity; `total` is the rarity of all."""

    numbers: NDArray[np.int64]
    weights: NDArray[np.float64]
    total: float


class LexicalIndex:
    """BM25 over the terms of one scope (Robertson and Zaragoza, "The Probabilistic Relevance
    Framework", 2009, in Lucene's variant: as the package bm25s, which cannot add texts)."""

    def __init__(self, held: Terms) -> None:
        self._number = {word: n for n, word in enumerate(held.vocabulary)}
        count = len(held)
        self._scores = _bm25(held.terms)
        self._words = held.words
        self._words.sort_indices()
        holding = np.bincount(held.words.indices, minlength=len(held.vocabulary))
        self._weights: NDArray[np.float64] = _rarity(holding, count)
        self._holding = holding
        self._rarest = float(_rarity(np.array(0), count))

    def best(self, query: str, count: int) -> list[tuple[int, float]]:
        """(position, BM25 score > 0) of the count best texts, best first, earlier ones first."""
        scores = self.scores(query)
        found = np.flatnonzero(scores)
        if len(found) > count:  # sort no more than can be among the best
            least = np.partition(scores[found], -count)[-count]
            found = found[scores[found] >= least]
        order = found[np.argsort(-scores[found], kind="stable")][:count]
        return [(int(i), float(scores[i])) for i in order]

    def scores(self, query: str) -> NDArray[np.float32]:
        """The BM25 score of every text, 0 of one that has no word of the query."""
        numbers = [n for t in search_terms(query) if (n := self._number.get(t)) is not None]
        scores = np.zeros(self._scores.shape[0], np.float32)
        starts = self._scores.indptr
        for n in numbers:
            part = slice(starts[n], starts[n + 1])
            scores[self._scores.indices[part]] += self._scores.data[part]
        return scores

    def holding(self, word: str) -> int:
        """How many texts have a content word."""
        number = self._number.get(word)
        return 0 if number is None else int(self._holding[number])

    def weight(self, word: str) -> float:
        """Inverse document frequency; a word no text has weighs as much as the rarest."""
        number = self._known(word)
        return self._rarest if number is None else float(self._weights[number])

    def asked(self, words: Collection[str]) -> AskedWords:
        """The words of a question, as the other methods take them."""
        numbers = {n: self._weights[n] for w in words if (n := self._known(w)) is not None}
        ids = np.array(sorted(numbers), np.int64)
        held = np.array([numbers[n] for n in sorted(numbers)])
        return AskedWords(ids, held, sum(self.weight(w) for w in words))

    def coverage(self, asked: AskedWords, position: int) -> float:
        """Share of the asked words, weighted by rarity, that the text at position has, 0 to 1."""
        held = self._words.indices[self._words.indptr[position] : self._words.indptr[position + 1]]
        if not len(held) or not len(asked.numbers):
            return 0.0
        places = np.minimum(held.searchsorted(asked.numbers), len(held) - 1)
        return float(asked.weights[held[places] == asked.numbers].sum() / asked.total)

    def coverage_by(self, words: Collection[str], text: str) -> float:
        """The same for any text, and words as they are."""
        held = frozenset(content_words(text))
        total = sum(self.weight(w) for w in words)
        return sum(self.weight(w) for w in words if w in held) / total if total else 0.0

    def unknown(self, asked: AskedWords) -> float:
        """Share of the asked words, weighted by rarity, that no text has, 0 to 1."""
        return 1 - float(asked.weights.sum()) / asked.total if asked.total else 1.0

    def _known(self, word: str) -> int | None:
        """The number of a word that some text has."""
        number = self._number.get(word)
        return number if number is not None and self._holding[number] else None


def _rarity(holding: NDArray[np.int64], texts: int) -> NDArray[np.float64]:
    """Inverse document frequency of words that so many of the texts hold."""
    rarity: NDArray[np.float64] = np.log(1 + (texts - holding + 0.5) / (holding + 0.5))
    return rarity


def _bm25(counts: Any) -> Any:
    """float32 (texts, vocabulary), by column: what each term adds to the score of each text."""
    texts, words = counts.shape
    holding = np.bincount(counts.indices, minlength=words)
    rarity = _rarity(holding, texts)
    lengths = np.asarray(counts.sum(1)).ravel()
    norm = _K1 * (1 - _B + _B * lengths / max(1e-9, lengths.mean() if texts else 1.0))
    often = counts.data.astype(np.float32)
    per_text = np.repeat(norm, np.diff(counts.indptr))
    scores = rarity[counts.indices] * often / (often + per_text)
    weighed = (scores.astype(np.float32), counts.indices, counts.indptr)
    return csr_matrix(weighed, counts.shape).tocsc()
