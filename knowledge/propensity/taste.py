"""What a customer buys, as a vector: the frozen encoder's ones of the titles, fading with age."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from knowledge.propensity.types import History

Vectors = Mapping[str, NDArray[np.float32]]


def tastes(
    history: History, moments: Sequence[float], vectors: Vectors, width: int, half_life_days: float
) -> NDArray[np.float32]:
    """float32 (moments, width): the mean over the orders before each moment (days), each counting
    half for every `half_life_days` of age, of the mean of its products' vectors; zeros where no
    product has one."""
    pairs = [(p.day, _mean([vectors[x.product] for x in p.lines if x.product in vectors], width))
             for p in history.purchases]  # fmt: skip
    found = np.zeros((len(moments), width), dtype=np.float32)
    if not pairs or not width:
        return found
    days = np.array([day for day, _ in pairs])
    orders = np.stack([vector for _, vector in pairs])
    for n, moment in enumerate(moments):
        count = int(np.searchsorted(days, moment))
        weights = 0.5 ** ((moment - days[:count]) / half_life_days)
        found[n] = weights @ orders[:count] / max(1e-9, float(weights.sum()))
    return found


def _mean(vectors: Sequence[NDArray[np.float32]], width: int) -> NDArray[np.float32]:
    return np.mean(vectors, axis=0) if vectors else np.zeros(width, dtype=np.float32)
