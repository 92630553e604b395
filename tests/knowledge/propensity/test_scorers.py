"""Models: what they say and why, as far as mathematics settles it."""

from __future__ import annotations

from itertools import combinations
from math import factorial

import numpy as np
import pytest

from knowledge.propensity.features import FEATURES, NAMES, Matrix
from knowledge.propensity.forest import Forest, Nodes
from knowledge.propensity.scorers import Inputs, Linear, Network, Standard

# Two trees over three features; the second splits on feature 0 twice, and where it is missing.
NODES = Nodes(
    feature=np.array([0, 1, 0, 0, 0, 0, 2, 0, 0, 0], dtype=np.int16),
    threshold=np.array([0.0, 1.0, 0, 0, 0, 2.0, 0.5, -1.0, 0, 0]),
    missing_left=np.array([True, False, 0, 0, 0, False, True, True, 0, 0], dtype=bool),
    left=np.array([1, 2, -1, -1, -1, 6, 7, 8, -1, -1], dtype=np.int32),
    right=np.array([4, 3, -1, -1, -1, 9, 9, 9, -1, -1], dtype=np.int32),
    value=np.array([0, 0, 1.0, -2.0, 0.5, 0, 0, 0, 3.0, -1.0]),
    cover=np.array([100.0, 60, 20, 40, 40, 100, 70, 50, 30, 20]),
    roots=np.array([0, 5], dtype=np.int32),
)
FOREST = Forest(NODES, 0.25)


def walk(at: int, row: Matrix, known: frozenset[int]) -> float:
    """The mean of a tree where some features are known (Lundberg et al. 2020, algorithm 1)."""
    if NODES.left[at] < 0:
        return float(NODES.value[at])
    left, right = int(NODES.left[at]), int(NODES.right[at])
    feature = int(NODES.feature[at])
    if feature in known:
        missing = np.isnan(row[feature])
        goes_left = NODES.missing_left[at] if missing else row[feature] <= NODES.threshold[at]
        return walk(left if goes_left else right, row, known)
    cover = NODES.cover
    return float(
        (cover[left] * walk(left, row, known) + cover[right] * walk(right, row, known)) / cover[at]
    )


def value(row: Matrix, known: frozenset[int]) -> float:
    return 0.25 + sum(walk(int(root), row, known) for root in NODES.roots)


ROWS = np.array([[-1, 0, 0], [5, 5, 5], [np.nan, 2, np.nan], [0.5, np.nan, 1.0]], dtype=float)


@pytest.mark.parametrize("row", ROWS)
def test_a_forest_says_what_its_trees_say(row: Matrix) -> None:
    assert FOREST.margins(row[None])[0] == pytest.approx(value(row, frozenset(range(3))))


@pytest.mark.parametrize("row", ROWS)
def test_shapley_values_of_a_forest_are_those_of_all_orders(row: Matrix) -> None:
    wanted = np.zeros(3)
    for feature in range(3):
        others = [n for n in range(3) if n != feature]
        for size in range(3):
            for some in map(frozenset, combinations(others, size)):
                share = factorial(size) * factorial(2 - size) / factorial(3)
                wanted[feature] += share * (value(row, some | {feature}) - value(row, some))
    np.testing.assert_allclose(FOREST.contributions(row, 3), wanted, atol=1e-12)
    assert FOREST.expected == pytest.approx(value(row, frozenset()))


def inputs(rows: int = 1, width: int = 4) -> Inputs:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(rows, len(FEATURES)))
    values[:, 10] = np.nan
    return Inputs(values, rng.normal(size=(rows, width)))


def network() -> Network:
    rng = np.random.default_rng(4)
    columns = len(FEATURES)
    return Network(
        Standard.of(inputs(50).features), rng.normal(size=4), rng.normal(size=(4, 2)),
        rng.normal(size=(columns + 2, 5)), rng.normal(size=5), rng.normal(size=5), 0.1,
    )  # fmt: skip


def test_contributions_add_up_to_what_is_said_beyond_the_mean() -> None:
    net, row = network(), inputs()
    nothing = Inputs(np.full_like(row.features, np.nan), net.taste_mean[None])
    beyond = net.margins(row)[0] - net.margins(nothing)[0]
    assert net.contributions(row).sum() == pytest.approx(beyond)
    linear = Linear(net.standard, np.arange(len(FEATURES)) / 10.0, 0.5)
    assert linear.contributions(row).sum() == pytest.approx(linear.margins(row)[0] - 0.5)


def test_a_column_that_training_never_saw_move_says_nothing_later() -> None:
    rows = inputs(50).features
    rows[:, NAMES.index("contacts_90")] = 0.0
    standard = Standard.of(rows)
    rows[0, NAMES.index("contacts_90")] = 7.0
    assert standard(rows)[0, NAMES.index("contacts_90")] == 0.0


def test_a_network_is_the_same_after_it_was_kept() -> None:
    net, rows = network(), inputs(7)
    again = Network.of(net.tensors())
    np.testing.assert_allclose(again.margins(rows), net.margins(rows), atol=1e-4)
