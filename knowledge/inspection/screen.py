"""A quick look at every sentence for orders to a program, before the inspector reads any.

A linear model over hashed character sequences (Weinberger et al., "Feature hashing for large scale
multitask learning", ICML 2009), set so low that it lets nearly all orders through; what it lets
through is read. It looks at some thousand sentences a second, the inspector at a hundred.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from sklearn.feature_extraction.text import HashingVectorizer

BUCKETS = 2**15


def hashed(texts: Sequence[str]) -> Any:
    """Sparse (len(texts), BUCKETS) of character sequences within words, rows of length one."""
    vectorizer = HashingVectorizer(
        analyzer="char_wb", ngram_range=(2, 4), n_features=BUCKETS, alternate_sign=False
    )
    return vectorizer.transform(texts)


@dataclass(frozen=True, slots=True)
class Screen:
    """Weights (BUCKETS,), bias, and the score from which a sentence is read."""

    weights: NDArray[np.float32]
    bias: float
    threshold: float

    def passes(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """(len(texts),) which of the sentences should be read."""
        if not texts:
            return np.zeros(0, dtype=bool)
        return np.asarray(hashed(texts) @ self.weights + self.bias >= self.threshold)

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
