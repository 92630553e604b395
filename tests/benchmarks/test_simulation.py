"""The simulation against waiting times that are known in closed form, within its own interval."""

from __future__ import annotations

from collections.abc import Callable
from math import factorial
from random import Random

import pytest

from benchmarks.capacity.simulation import Clock, Interval, Line, Shared, Then, batch_means

MOST = 60_000
Service = Callable[[Random], float]
Enter = Callable[[float, Then], None]


def arrivals(rate: float, service: Service, enter: Callable[[Clock, float], None]) -> None:
    """Customers of a Poisson process, each with a service time."""
    clock, rng = Clock(), Random(11)

    def arrive() -> None:
        enter(clock, service(rng))
        clock.after(rng.expovariate(rate), arrive)

    arrive()
    clock.run(MOST / rate)


def waiting_in_line(rate: float, service: Service, servers: int) -> Interval:
    """Time until a server is free."""
    line, waits = Line(servers), []

    def enter(clock: Clock, seconds: float) -> None:
        came = clock.now

        def begin() -> None:
            waits.append(clock.now - came)
            clock.after(seconds, line.leave)

        line.enter(begin)

    arrivals(rate, service, enter)
    return batch_means(waits[MOST // 10 :])


def time_on_shared_cores(rate: float, service: Service, capacity: float) -> Interval:
    """Time until the work is done."""
    stations: list[Shared] = []
    times: list[float] = []

    def enter(clock: Clock, seconds: float) -> None:
        if not stations:
            stations.append(Shared(clock, capacity))
        came = clock.now
        stations[0].work(seconds, lambda: times.append(clock.now - came))

    arrivals(rate, service, enter)
    return batch_means(times[MOST // 10 :])


def exponential(rng: Random) -> float:
    return rng.expovariate(1.0)


def constant(_: Random) -> float:
    return 1.0


def erlang_c(servers: int, load: float) -> float:
    """Probability of having to wait (Kleinrock, Queueing Systems I, 1975, section 3.5)."""
    last = load**servers / factorial(servers) / (1 - load / servers)
    return last / (sum(load**n / factorial(n) for n in range(servers)) + last)


@pytest.mark.parametrize("load", [0.5, 0.7])
def test_one_server_with_exponential_services_waits_as_m_m_1(load: float) -> None:
    seen = waiting_in_line(load, exponential, 1)
    assert seen.holds(load / (1 - load)), seen
    assert seen.half < 0.15 * seen.mean


@pytest.mark.parametrize("servers", [2, 8])
def test_several_servers_wait_as_m_m_c(servers: int) -> None:
    load = 0.7 * servers
    seen = waiting_in_line(load, exponential, servers)
    assert seen.holds(erlang_c(servers, load) / (servers - load)), seen
    assert seen.half < 0.15 * seen.mean


def test_one_server_with_constant_services_waits_half_as_long_as_m_d_1() -> None:
    load = 0.7
    seen = waiting_in_line(load, constant, 1)
    assert seen.holds(load / (2 * (1 - load))), "Pollaczek and Khinchine"
    assert seen.half < 0.15 * seen.mean


@pytest.mark.parametrize("service", [exponential, constant])
def test_a_shared_core_takes_as_long_whatever_the_services_are(service: Service) -> None:
    load = 0.7
    seen = time_on_shared_cores(load, service, 1.0)
    assert seen.holds(1 / (1 - load)), "M/G/1 with processor sharing (Kleinrock II, section 4.4)"
    assert seen.half < 0.15 * seen.mean


def test_shared_cores_with_exponential_work_take_as_long_as_m_m_c() -> None:
    seen = time_on_shared_cores(1.4, exponential, 2.0)
    assert seen.holds(1 + erlang_c(2, 1.4) / (2 - 1.4)), "the same Markov chain"


def test_jobs_alone_run_at_full_speed_and_side_by_side_share_what_there_is() -> None:
    clock = Clock()
    cores, ended = Shared(clock, 1.5), []
    for name, at, work in (("a", 0.0, 3.0), ("b", 1.0, 1.0), ("c", 9.0, 1.0)):
        clock.after(at, lambda n=name, w=work: cores.work(w, lambda: ended.append((n, clock.now))))
    clock.run(20.0)
    b = 1.0 + 1.0 / 0.75
    assert ended == [("b", pytest.approx(b)), ("a", pytest.approx(b + 1.0)), ("c", 10.0)]
    assert cores.busy == pytest.approx(5.0)


def test_an_interval_that_is_off_does_not_hold() -> None:
    seen = waiting_in_line(0.8, exponential, 1)
    assert not seen.holds(0.8 / 0.2 * 1.3)
