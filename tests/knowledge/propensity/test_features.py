"""What is read of a customer's past, and that nothing later is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.propensity.features import FEATURES, NAMES, THEMES, Scale, features
from knowledge.propensity.taste import tastes
from knowledge.propensity.types import Contact, Event, History
from tests.knowledge.propensity.pasts import PAST, SCALE, order


def row(history: History, moment: float) -> dict[str, float]:
    return dict(zip(NAMES, features(history, [moment], SCALE)[0], strict=True))


def test_the_figures_of_a_past_are_those_one_counts_by_hand() -> None:
    found = row(PAST, 50.5)
    assert (found["orders"], found["orders_30"], found["recency"], found["tenure"]) == (
        3,
        1,
        10,
        50,
    )
    assert (found["gap"], found["gap_last"], found["overdue"]) == (20, 30, 0.5)
    assert found["gap_spread"] == pytest.approx(0.5)  # of 10 and 30
    assert found["spent"] == pytest.approx(70 / 20), "7 lines of 10 each, an order is 20"
    assert (found["products"], found["pieces"]) == (5, 2)
    assert found["repeats"] == pytest.approx(2 / 5), "a and b, of five lines after the first order"
    assert found["returned"] == pytest.approx(1 / 3)
    assert (found["troubles_90"], found["contacts_90"], found["complaints_90"]) == (1, 2, 1)
    assert found["contact"] == 6.5
    assert found["home"] == 1
    assert found["active_share"] == 1.0, "both spans of 30 days have an order"


def test_who_has_ordered_once_has_no_rhythm() -> None:
    found = row(PAST, 5.0)
    for name in ("gap", "gap_last", "gap_spread", "overdue", "repeats", "contact"):
        assert math.isnan(found[name]), name
    assert found["orders"] == 1


days = st.floats(0, 200, allow_nan=False)


@given(st.lists(days, min_size=1, max_size=12), st.lists(days, max_size=6), days)
def test_what_comes_later_changes_nothing(
    bought: list[float], other: list[float], moment: float
) -> None:
    whole = History.of(
        [order(d, f"p{n % 3}") for n, d in enumerate(bought)],
        [Event(d, n % 2 == 0) for n, d in enumerate(other)],
        [Contact(d, n % 2 == 0) for n, d in enumerate(other)],
    )  # fmt: skip
    moment = math.floor(moment)  # orders of one day are one: a day is never cut in two
    if not any(p.day < moment for p in whole.purchases):
        return
    known = features(whole.before(moment), [moment], SCALE)
    np.testing.assert_array_equal(features(whole, [moment], SCALE), known)
    vectors = {f"p{n}": np.eye(3, dtype=np.float32)[n] for n in range(3)}
    read = [tastes(h, [moment], vectors, 3, 30.0) for h in (whole, whole.before(moment))]
    np.testing.assert_array_equal(*read)


def test_buying_counts_from_the_moment_on_and_not_after_the_horizon() -> None:
    assert PAST.buys_within(40.5)
    assert PAST.buys_within(10.6)
    assert not PAST.buys_within(40.6)
    assert not History.of([order(30.0)]).buys_within(0.0), "the 31st day is too late"


def test_every_feature_has_a_theme_to_be_told_in() -> None:
    assert sorted(n for names in THEMES.values() for n in names) == sorted(NAMES)
    assert all(f.meaning and f.unit for f in FEATURES)


def test_amounts_are_measured_by_the_typical_order_of_their_currency() -> None:
    scale = Scale.of([order(1, value=10.0), order(2, value=30.0), order(3, value=20.0)])
    assert scale.typical == {"": 20.0, "GBP": 20.0}
    assert scale.worth(order(4, value=40.0)) == 2.0


def test_what_was_bought_long_ago_fades_in_the_taste() -> None:
    vectors = {"a": np.array([1, 0], np.float32), "b": np.array([0, 1], np.float32)}
    past = History.of([order(0, "a"), order(30, "b")])
    found = tastes(past, [30.5, 0.5], vectors, 2, 30.0)
    assert found[0, 1] == pytest.approx(2 / 3, abs=1e-3)
    assert found[1].tolist() == [1.0, 0.0]
