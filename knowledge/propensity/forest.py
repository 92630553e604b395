"""Boosted trees as arrays, their sum for a row, and exact Shapley values of it.

A leaf is a box: for each feature on its path an interval. A row's margin is the sum of the values
of the boxes that it lies in. The Shapley values are those of the path-dependent TreeSHAP
(Lundberg et al., "From local explanations to global understanding with explainable AI for trees",
Nature Machine Intelligence 2020, algorithm 1): what is not known of a row goes both ways at a
split, by the shares of the training rows that went there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from knowledge.propensity.features import Matrix

Tensors = Mapping[str, NDArray[Any]]
_ROWS = 512  # whose boxes are looked at together


@dataclass(frozen=True, slots=True)
class Nodes:
    """All nodes of all trees; children are by their place among them, -1 at a leaf. A row goes left
    when its feature is at most the threshold, or missing and `missing_left`. `cover` counts the
    training rows; `roots` are the places of the trees' first nodes."""

    feature: NDArray[np.int16]
    threshold: NDArray[np.float64]
    missing_left: NDArray[np.bool_]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    value: NDArray[np.float64]
    cover: NDArray[np.float64]
    roots: NDArray[np.int32]

    def tensors(self) -> dict[str, NDArray[Any]]:
        """As they are kept in a file."""
        return {name: np.ascontiguousarray(getattr(self, name)) for name in self.__slots__}

    @classmethod
    def of(cls, tensors: Tensors) -> Nodes:
        """Inverse of tensors; raises KeyError for a missing one."""
        return cls(**{name: tensors[name] for name in cls.__slots__})


@dataclass(frozen=True, slots=True)
class _Side:
    """What a path says of one feature: the value lies in (low, high], or may be missing; `share` of
    the training rows went along its splits."""

    low: float = -np.inf
    high: float = np.inf
    missing: bool = True
    share: float = 1.0


class Forest:
    """The trees, ready to be asked. Boxes are padded to the longest path with features that hold
    everything and so move nothing."""

    def __init__(self, nodes: Nodes, base: float) -> None:
        self.base = base
        boxes = [box for root in nodes.roots for box in _boxes(nodes, int(root), {})]
        deepest = max((len(path) for path, _ in boxes), default=0)
        shape = (len(boxes), deepest)
        self.values = np.array([value for _, value in boxes])
        self.features = np.zeros(shape, dtype=np.int64)
        self.low, self.high = np.full(shape, -np.inf), np.full(shape, np.inf)
        self.missing, self.shares = np.ones(shape, dtype=bool), np.ones(shape)
        for n, (path, _) in enumerate(boxes):
            for place, (feature, side) in enumerate(path.items()):
                self.features[n, place] = feature
                self.low[n, place], self.high[n, place] = side.low, side.high
                self.missing[n, place], self.shares[n, place] = side.missing, side.share

    @property
    def expected(self) -> float:
        """The margin of a row of which nothing is known."""
        return self.base + float(self.values @ self.shares.prod(1))

    def margins(self, rows: Matrix) -> Matrix:
        """(rows,) log-odds."""
        found = [
            self._inside(rows[start : start + _ROWS]).all(2) @ self.values
            for start in range(0, len(rows), _ROWS)
        ]
        return self.base + np.concatenate([np.zeros(0), *found])

    def contributions(self, row: Matrix, count: int) -> Matrix:
        """(count,) Shapley values of the features; they sum to the margin less `expected`."""
        inside = self._inside(row[None])[0].astype(float)
        found = np.zeros(count)
        players = inside.shape[1]
        for place in range(players):
            others = [n for n in range(players) if n != place]
            weight = _weights(inside[:, others], self.shares[:, others])
            moved = self.values * (inside[:, place] - self.shares[:, place]) * weight
            np.add.at(found, self.features[:, place], moved)
        return found

    def _inside(self, rows: Matrix) -> NDArray[np.bool_]:
        """(rows, boxes, path) whether a row keeps to a side of a box."""
        held = rows[:, self.features]
        within = (held > self.low) & (held <= self.high)
        return np.where(np.isnan(held), self.missing, within)


def _weights(inside: Matrix, shares: Matrix) -> Matrix:
    """(boxes,) the mean, over the orders in which features become known, of the product of `inside`
    for those known before one more and of `shares` for the others."""
    boxes, players = inside.shape
    sums = np.zeros((players + 1, boxes))  # by how many are known
    sums[0] = 1.0
    for n in range(players):
        known = sums[:-1] * inside[:, n]
        sums *= shares[:, n]
        sums[1:] += known
    chances = np.array([
        factorial(k) * factorial(players - k) / factorial(players + 1) for k in range(players + 1)
    ])  # fmt: skip
    return chances @ sums


def _boxes(
    nodes: Nodes, at: int, path: dict[int, _Side]
) -> Iterator[tuple[dict[int, _Side], float]]:
    """The leaves below a node, each with what its path says."""
    if nodes.left[at] < 0:
        yield path, float(nodes.value[at])
        return
    feature, threshold = int(nodes.feature[at]), float(nodes.threshold[at])
    side, cover = path.get(feature, _Side()), float(nodes.cover[at])
    for child, goes_left in ((int(nodes.left[at]), True), (int(nodes.right[at]), False)):
        kept = _Side(
            low=side.low if goes_left else max(side.low, threshold),
            high=min(side.high, threshold) if goes_left else side.high,
            missing=side.missing and bool(nodes.missing_left[at]) == goes_left,
            share=side.share * float(nodes.cover[child]) / cover,
        )
        yield from _boxes(nodes, child, path | {feature: kept})
