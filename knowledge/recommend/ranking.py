"""The ranker: a small network that weighs the features of a customer and a good."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from knowledge.errors import RecommenderError
from knowledge.recommend.features import NAMES
from knowledge.recommend.types import Floats, Rows

RANKER = "ranker.safetensors"


@dataclass(frozen=True, slots=True)
class Ranker:
    """Features, less `mean` and divided by `scale`, through a hidden layer, and straight.

    Shapes: mean, scale, straight (features,), inner (features, hidden), bias, outer (hidden,).
    """

    mean: Floats
    scale: Floats
    inner: Floats
    bias: Floats
    outer: Floats
    straight: Floats

    def scores(self, rows: Floats) -> Floats:
        """(goods, features) to (goods,), higher is likelier; comparable within a customer."""
        x = (rows - self.mean) / self.scale
        hidden = np.maximum(x @ self.inner + self.bias, 0)
        return np.asarray(hidden @ self.outer + x @ self.straight, np.float32)

    def save(self, path: Path) -> None:
        """Write to a file."""
        save_file({f.name: np.ascontiguousarray(getattr(self, f.name)) for f in fields(self)}, path)

    @classmethod
    def load(cls, path: Path) -> Ranker:
        """What save wrote. Raises RecommenderError when it is damaged, or for other features."""
        try:
            found = cls(**load_file(path))
        except (OSError, SafetensorError, TypeError) as error:
            raise RecommenderError(f"{path} is no ranker: {error}; train it anew") from error
        if found.inner.shape[:1] != (len(NAMES),) or found.mean.shape != (len(NAMES),):
            raise RecommenderError(f"{path} weighs other features; train the recommender anew")
        return found


def best(scores: Floats, count: int) -> Rows:
    """The rows of the highest scores, best first; of equals the first row."""
    count = min(count, len(scores))
    top = np.argpartition(-scores, count - 1)[:count] if count < len(scores) else np.arange(count)
    return top[np.lexsort((top, -scores[top]))]
