"""What turns features into log-odds and says which of them moved it: linear, trees, a network."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from knowledge.propensity.features import FEATURES, Matrix, as_seen_by_linear
from knowledge.propensity.forest import Forest, Nodes

Tensors = Mapping[str, NDArray[Any]]
TASTE = "taste"  # what is bought, as a vector: a column more, of no single figure
_ROUNDS = 8  # orders of the features, each tried forwards and backwards


@dataclass(frozen=True, slots=True)
class Inputs:
    """Rows to score: (rows, features), and (rows, width) what they bought, where that is read."""

    features: Matrix
    tastes: NDArray[np.floating[Any]]


class Scorer(Protocol):
    """One kind of model."""

    def margins(self, inputs: Inputs) -> Matrix:
        """(rows,) log-odds."""
        ...

    def contributions(self, inputs: Inputs) -> Matrix:
        """(features + 1,) Shapley values of a single row, the last that of what it bought; they sum
        to its margin less that of a customer of whom nothing is known."""
        ...

    def tensors(self) -> dict[str, NDArray[Any]]:
        """As it is kept in a file."""
        ...


@dataclass(frozen=True, slots=True)
class Standard:
    """How linear models and networks see the columns: logarithms, at mean 0 and variance 1, a
    missing value at the mean."""

    mean: Matrix
    spread: Matrix

    @classmethod
    def of(cls, rows: Matrix) -> Standard:
        """From the rows that are learnt from. A column that is the same everywhere tells
        nothing, and stays 0 whatever comes later."""
        seen = as_seen_by_linear(rows)
        known = ~np.isnan(seen)
        count = known.sum(0).clip(min=1)
        mean = np.where(known, seen, 0.0).sum(0) / count
        spread = np.sqrt((np.where(known, seen - mean, 0.0) ** 2).sum(0) / count)
        return cls(mean, np.where(spread > 0, spread, np.inf))

    def __call__(self, rows: Matrix) -> Matrix:
        """The columns as they are seen."""
        scaled = (as_seen_by_linear(rows) - self.mean) / self.spread
        return np.asarray(np.nan_to_num(scaled, nan=0.0))


@dataclass(frozen=True, slots=True)
class Linear:
    """Logistic regression over standardised columns."""

    standard: Standard
    weights: Matrix
    bias: float

    def margins(self, inputs: Inputs) -> Matrix:
        """See Scorer."""
        return np.asarray(self.standard(inputs.features) @ self.weights + self.bias)

    def contributions(self, inputs: Inputs) -> Matrix:
        """See Scorer; of a linear model they are its terms, for the means are 0."""
        return np.append(self.standard(inputs.features)[0] * self.weights, 0.0)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """See Scorer."""
        kept = {"mean": self.standard.mean, "spread": self.standard.spread}
        return kept | {"weights": self.weights, "bias": np.array([self.bias])}

    @classmethod
    def of(cls, tensors: Tensors) -> Linear:
        """Inverse of tensors."""
        standard = Standard(tensors["mean"], tensors["spread"])
        return cls(standard, tensors["weights"], float(tensors["bias"][0]))


class Boosted:
    """Gradient boosting over the columns as they are."""

    def __init__(self, nodes: Nodes, base: float) -> None:
        self.nodes, self.forest = nodes, Forest(nodes, base)

    def margins(self, inputs: Inputs) -> Matrix:
        """See Scorer."""
        return self.forest.margins(inputs.features)

    def contributions(self, inputs: Inputs) -> Matrix:
        """See Scorer."""
        return self.forest.contributions(inputs.features[0], len(FEATURES) + 1)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """See Scorer."""
        return self.nodes.tensors() | {"base": np.array([self.forest.base])}

    @classmethod
    def of(cls, tensors: Tensors) -> Boosted:
        """Inverse of tensors."""
        return cls(Nodes.of(tensors), float(tensors["base"][0]))


@dataclass(frozen=True, slots=True)
class Network:
    """A hidden layer over the standardised columns and a projection of what was bought: the mean of
    the frozen encoder's vectors of the titles, the recent ones counting more."""

    standard: Standard
    taste_mean: Matrix
    project: Matrix  # (width, projected)
    hidden: Matrix  # (features + projected, hidden)
    hidden_bias: Matrix
    out: Matrix  # (hidden,)
    bias: float

    def margins(self, inputs: Inputs) -> Matrix:
        """See Scorer."""
        return self._run(self.standard(inputs.features), inputs.tastes - self.taste_mean)

    def contributions(self, inputs: Inputs) -> Matrix:
        """See Scorer. Sampled orders in which the columns leave the mean, each with its reverse
        (Castro et al. 2009; Mitchell et al., JMLR 2022)."""
        row = np.append(self.standard(inputs.features)[0], 1.0)
        rng, count = random.Random(0), len(row)
        orders = [rng.sample(range(count), count) for _ in range(_ROUNDS)]
        orders += [order[::-1] for order in orders]
        known = np.zeros((len(orders), count + 1, count))
        for n, order in enumerate(orders):
            for place, column in enumerate(order):
                known[n, place + 1 :, column] = 1.0
        seen = (known * row).reshape(-1, count)
        tastes = seen[:, -1:] * (inputs.tastes - self.taste_mean)
        steps = np.diff(self._run(seen[:, :-1], tastes).reshape(len(orders), count + 1), axis=1)
        found = np.zeros(count)
        for order, moved in zip(orders, steps, strict=True):
            found[order] += moved / len(orders)
        return found

    def _run(self, columns: Matrix, tastes: NDArray[np.floating[Any]]) -> Matrix:
        joined = np.concatenate([columns, tastes @ self.project], axis=1)
        hidden = np.maximum(joined @ self.hidden + self.hidden_bias, 0.0)
        return np.asarray(hidden @ self.out + self.bias)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """See Scorer."""
        named = ("taste_mean", "project", "hidden", "hidden_bias", "out")
        kept = {"mean": self.standard.mean, "spread": self.standard.spread}
        kept |= {name: np.ascontiguousarray(getattr(self, name)) for name in named}
        return {k: v.astype(np.float32) for k, v in kept.items()} | {"bias": np.array([self.bias])}

    @classmethod
    def of(cls, tensors: Tensors) -> Network:
        """Inverse of tensors."""
        held = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}
        standard, bias = Standard(held.pop("mean"), held.pop("spread")), float(held.pop("bias")[0])
        return cls(standard, bias=bias, **held)


KINDS: Mapping[str, type[Linear] | type[Boosted] | type[Network]] = {
    "logistic": Linear, "boosting": Boosted, "network": Network,
}  # fmt: skip
