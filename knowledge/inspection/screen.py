"""A quick look at every text, before the reader reads any: may it be what is looked for?

A linear model over hashed word sequences (Weinberger et al., "Feature hashing for large scale
multitask learning", ICML 2009), set so low that it lets nearly all of it through. It looks at some
ten thousand sentences a second, the reader at a hundred and fifty.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

BUCKETS = 2**18
_WORD = re.compile(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+")


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def hashed(texts: Sequence[str]) -> Any:
    """Sparse (len(texts), BUCKETS) of one to three words (Chinese: characters) in a row, rows of
    length one."""
    # A second to import, and only refreshes need it.
    from sklearn.feature_extraction.text import HashingVectorizer

    vectorizer = HashingVectorizer(
        tokenizer=_words,
        token_pattern=None,
        lowercase=False,
        ngram_range=(1, 3),
        n_features=BUCKETS,
        alternate_sign=False,
    )
    return vectorizer.transform(texts)


@dataclass(frozen=True, slots=True)
class Screen:
    """Weights (BUCKETS,), bias, and the score from which a text is read."""

    weights: NDArray[np.float32]
    bias: float
    threshold: float

    def scores(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(len(texts),) logits."""
        if not texts:
            return np.zeros(0, dtype=np.float32)
        return np.asarray(hashed(texts) @ self.weights + self.bias)

    def passes(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """(len(texts),) which of the texts should be read."""
        return self.scores(texts) >= self.threshold

    def save(self, path: Path) -> None:
        """Write the weights in half precision."""
        tensors: dict[str, NDArray[Any]] = {
            "weights": self.weights.astype(np.float16),
            "bias": np.array([self.bias, self.threshold], dtype=np.float32),
        }
        save_file(tensors, path)

    @classmethod
    def load(cls, path: Path) -> Screen:
        """Inverse of save."""
        tensors = load_file(path)
        bias, threshold = tensors["bias"].tolist()
        return cls(tensors["weights"].astype(np.float32), bias, threshold)
