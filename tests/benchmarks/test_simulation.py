"""The simulation against waiting times that are known in closed form, within its own interval."""

from __future__ import annotations

from collections.abc import Callable
from math import factorial
from random import Random

import pytest

from benchmarks.capacity.simulation import Clock, Interval, Line, Machine, Then, batch_means

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


Job = Callable[[Machine, float, Then], None]


def time_on_a_machine(rate: float, service: Service, cores: int, job: Job) -> Interval:
    """Time until the work is done."""
    machines: list[Machine] = []
    times: list[float] = []

    def enter(clock: Clock, seconds: float) -> None:
        if not machines:
            machines.append(Machine(clock, cores))
        came = clock.now
        job(machines[0], seconds, lambda: times.append(clock.now - came))

    arrivals(rate, service, enter)
    return batch_means(times[MOST // 10 :])


def python(machine: Machine, seconds: float, then: Then) -> None:
    machine.python(seconds, then)


def native(machine: Machine, seconds: float, then: Then) -> None:
    machine.native(seconds, then)


def native_on_every_core(machine: Machine, seconds: float, then: Then) -> None:
    machine.native(seconds, then, threads=machine.cores)


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
@pytest.mark.parametrize("job", [python, native_on_every_core])
def test_what_is_one_at_a_time_takes_as_long_whatever_the_services_are(
    service: Service, job: Job
) -> None:
    load = 0.7
    seen = time_on_a_machine(load, service, 2, job)
    assert seen.holds(1 / (1 - load)), "M/G/1 with processor sharing (Kleinrock II, section 4.4)"
    assert seen.half < 0.15 * seen.mean


def test_native_jobs_share_the_cores_and_take_as_long_as_m_m_c() -> None:
    seen = time_on_a_machine(1.4, exponential, 2, native)
    assert seen.holds(1 + erlang_c(2, 1.4) / (2 - 1.4)), "the same Markov chain"


def test_the_lock_and_then_enough_cores_are_two_stations_one_after_the_other() -> None:
    def both(machine: Machine, seconds: float, then: Then) -> None:
        machine.python(seconds, lambda: machine.native(0.5, then))

    seen = time_on_a_machine(0.7, exponential, 64, both)
    assert seen.holds(1 / 0.3 + 0.5), "Jackson: the second one sees a Poisson process as well"


def test_who_waits_for_the_lock_takes_no_core_and_who_holds_it_takes_one() -> None:
    clock = Clock()
    machine, ended = Machine(clock, 2), {}

    def start(name: str, kind: Callable[[float, Then], None], seconds: float) -> None:
        kind(seconds, lambda: ended.update({name: clock.now}))

    start("a", machine.python, 1.0)
    start("b", machine.python, 1.0)
    start("c", machine.native, 2.0)
    clock.run(10.0)
    assert ended == pytest.approx({"a": 2.0, "b": 2.0, "c": 2.0}), "two cores are enough"
    assert (machine.busy, machine.held) == pytest.approx((4.0, 2.0))
    start("d", machine.python, 1.0)
    machine.native(1.0, lambda: ended.update(e=clock.now), threads=2)
    clock.run(20.0)
    assert (ended["d"], ended["e"]) == pytest.approx((11.5, 11.5)), "three threads on two cores"
    assert machine.busy == pytest.approx(7.0)


def test_an_interval_that_is_off_does_not_hold() -> None:
    seen = waiting_in_line(0.8, exponential, 1)
    assert not seen.holds(0.8 / 0.2 * 1.3)
