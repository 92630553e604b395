"""Order goods so that a short list is not five of a kind."""

from __future__ import annotations

import numpy as np

from knowledge.recommend.types import Floats, Rows

_STEEPNESS = 0.2  # by how much the relevance falls from one rank to the next, at the top


def diversified(order: Rows, vectors: Floats, count: int, weight: float) -> Rows:
    """`count` of the goods in `order` (best first), by maximal marginal relevance: each next one is
    the best of rank, less `weight` (0 to 1) times its cosine to the nearest that was taken
    (Carbonell and Goldstein, "The use of MMR", SIGIR 1998).

    Relevance is by rank, 1 / (1 + 0.2 rank), since scores of two customers do not compare.
    """
    if not weight or len(order) <= 1:
        return order[:count]
    relevance = 1 / (1 + _STEEPNESS * np.arange(len(order)))
    near = np.full(len(order), -1.0)
    left = np.ones(len(order), bool)
    taken: list[int] = []
    while len(taken) < min(count, len(order)):
        value = (1 - weight) * relevance - weight * np.maximum(near, 0)
        choice = int(np.where(left, value, -np.inf).argmax())
        taken.append(choice)
        left[choice] = False
        near = np.maximum(near, vectors[order] @ vectors[order[choice]])
    return order[taken]


def variety(rows: Rows, vectors: Floats) -> float:
    """Mean distance (1 - cosine) of two goods of a list: 0 for equal ones; 0 of fewer than two."""
    if len(rows) < 2:
        return 0.0
    cosine = vectors[rows] @ vectors[rows].T
    upper = np.triu_indices(len(rows), 1)
    return float(1 - cosine[upper].mean())
