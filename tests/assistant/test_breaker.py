"""The circuit breaker, on a clock of the test's own."""

from __future__ import annotations

import pytest

from assistant.breaker import Breaker


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker("it", 3, 20, clock)


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        assert breaker.lets_through()
        breaker.failed()


def test_a_breaker_opens_after_failures_in_a_row(breaker: Breaker) -> None:
    fail(breaker, 2)
    assert breaker.lets_through()
    breaker.succeeded()
    fail(breaker, 2)
    assert breaker.state == "closed"
    fail(breaker, 1)
    assert breaker.state == "open"
    assert not breaker.lets_through()


def test_after_its_rest_one_call_is_let_through_and_closes_it(
    breaker: Breaker, clock: Clock
) -> None:
    fail(breaker, 3)
    clock.now += 20
    assert breaker.state == "half-open"
    assert breaker.lets_through()
    assert not breaker.lets_through(), "one at a time"
    breaker.succeeded()
    assert breaker.state == "closed"
    fail(breaker, 2)
    assert breaker.state == "closed", "failures are counted anew"


def test_a_try_that_fails_opens_it_for_another_rest(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 20
    fail(breaker, 1)
    assert breaker.state == "open"
    clock.now += 19.9
    assert not breaker.lets_through()
    clock.now += 0.1
    assert breaker.lets_through()


def test_a_try_that_is_given_up_lets_the_next_one_through(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 20
    assert breaker.lets_through()
    breaker.abandoned()
    assert breaker.state == "half-open"
    assert breaker.lets_through()
