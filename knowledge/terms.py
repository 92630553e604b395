"""The words of texts as numbers: what BM25 and the coverage of a question are computed from.

A version keeps them, so that an index is opened without reading a text, and made for a new version
by tokenising only the texts that are new.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from knowledge.segment import content_words, search_terms

_FILE = "terms.npz"
_VOCABULARY = "vocabulary.json"


@dataclass(frozen=True, slots=True)
class Terms:
    """Counts of each text's search terms and content words, int32 (texts, vocabulary)."""

    vocabulary: list[str]
    terms: Any  # scipy.sparse.csr_matrix
    words: Any

    def __len__(self) -> int:
        return int(self.terms.shape[0])

    @classmethod
    def of(cls, texts: Sequence[str]) -> Terms:
        """Tokenise texts."""
        numbers: dict[str, int] = {}
        terms = _counted(texts, search_terms, numbers)
        words = _counted(texts, content_words, numbers)
        shape = (len(texts), len(numbers))
        return cls(list(numbers), csr_matrix(terms, shape=shape), csr_matrix(words, shape=shape))

    def updated(self, kept: Sequence[int | None], new: Sequence[str]) -> Terms:
        """Row n is this one's row kept[n], or where that is None the next of the new texts; words
        that no text has any more are forgotten."""
        fresh = Terms.of(new)
        numbers = {word: n for n, word in enumerate(self.vocabulary)}
        columns = np.array([numbers.setdefault(w, len(numbers)) for w in fresh.vocabulary], int)
        supply = iter(range(len(self), len(self) + len(fresh)))
        order = [next(supply) if row is None else row for row in kept]
        parts = []
        for held, added in ((self.terms, fresh.terms), (self.words, fresh.words)):
            shape = (len(fresh), len(numbers))
            moved = csr_matrix((added.data, columns[added.indices], added.indptr), shape=shape)
            wide = csr_matrix((held.data, held.indices, held.indptr), (len(self), len(numbers)))
            parts.append(vstack([wide, moved], format="csr")[order])
        used = np.union1d(parts[0].indices, parts[1].indices)
        names = list(numbers)
        return Terms([names[n] for n in used], *(part[:, used] for part in parts))

    def save(self, folder: Path) -> None:
        """Write to folder."""
        folder.mkdir(parents=True)
        (folder / _VOCABULARY).write_text(json.dumps(self.vocabulary, ensure_ascii=False), "utf-8")
        arrays = {
            f"{name}_{part}": getattr(matrix, part)
            for name, matrix in (("terms", self.terms), ("words", self.words))
            for part in ("data", "indices", "indptr")
        }
        np.savez(folder / _FILE, **arrays)

    @classmethod
    def load(cls, folder: Path) -> Terms:
        """What save wrote."""
        vocabulary = json.loads((folder / _VOCABULARY).read_text("utf-8"))
        with np.load(folder / _FILE) as held:
            matrices = []
            for name in ("terms", "words"):
                data, indices, indptr = (held[f"{name}_{p}"] for p in ("data", "indices", "indptr"))
                shape = (len(indptr) - 1, len(vocabulary))
                matrices.append(csr_matrix((data, indices, indptr), shape=shape))
        return cls(vocabulary, *matrices)


def _counted(
    texts: Sequence[str], split: Callable[[str], Sequence[str]], numbers: dict[str, int]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
    """(counts, word numbers, where each text's begin); words are added to `numbers`."""
    data: list[int] = []
    indices: list[int] = []
    indptr = [0]
    for text in texts:
        for word, count in Counter(split(text)).items():
            indices.append(numbers.setdefault(word, len(numbers)))
            data.append(count)
        indptr.append(len(indices))
    return np.array(data, np.int32), np.array(indices, np.int32), np.array(indptr, np.int64)
