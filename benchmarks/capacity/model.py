"""The model of a server under customers: what a turn takes, and how long customers wait for it.

A customer thinks, sends a message, and thinks again when the reply is there. A message is received,
waits in line for one of the threads that compute turns (as many as cores,
`assistant/web/turns.py`), is answered there, the reply is stored before the thread is free again,
and the client reads it, which on a machine that measures itself shares the cores too. What else a
customer asks for (opening, history, ratings) is computed beside.

Python's lock lets one thread at a time compute (`Machine` in `simulation.py`). Receiving, storing
and other requests are taken as Python; of a turn each of its stages is Python first and then native
code (encoders, search), which has no need of the lock and uses a thread a core.

How long each part takes with the machine to itself is measured. Two numbers are fitted: `python`,
the share of a turn that holds the lock (0 to 1), which says how much dearer turns get side by side;
and `pace` (.6 to 1.2), how long things take on a busy server against how long they took in the
light load, between whose messages caches and cores go cold.

Not in the model: the database, the network, that a machine is slower at some times (other tenants,
collections of garbage), and what several processes on one machine gain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any

import numpy as np

from benchmarks.capacity.simulation import Clock, Line, Machine, Then
from benchmarks.load.plan import KINDS, THINK_SIGMA

_REQUESTS = ("open", "history", "rating", "withdraw", "delete")
_WARM = 0.2  # share of a run that is not counted
_STAGES = 3  # of a turn, that compute: language, intent, retrieval
_BLOCK_SECONDS = 10.0  # replies that are further apart than that are taken as independent
_RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Calibration:
    """Seconds that things take with a machine to themselves.

    `turns`: of the pipeline, for each message that was measured; `received`: of a message before
    it, `stored`: of the reply behind it; `client`: of the client's, a turn; `other`: of other
    requests, a turn; `think`: mean time between a reply and the next message, for a median of
    thinking of one second; `python` and `pace`: what is fitted, see above."""

    cores: int
    turns: tuple[float, ...]
    received: float
    stored: float
    client: float
    other: float
    think: float
    python: float = 0.7
    pace: float = 1.0

    @classmethod
    def of(
        cls, light: Mapping[str, Any], others: Sequence[Mapping[str, Any]], cores: int
    ) -> Calibration:
        """From a load in which hardly anybody waited for anybody else, and for `think` from others,
        which have more turns: a full server's waiting times hang on it."""
        samples, arrivals = light["samples"], len(light["samples"]["arrival_seconds"])
        replies = kind_replies(light)
        turns = [
            ms / 1000
            for kind, stages in samples["stage_ms"].items()
            if kind in KINDS
            for ms in stages["total"]
        ]
        received = float(np.mean(samples["sign_of_life_ms"])) / 1000
        other = sum(
            row["n"] * row["p50"] / 1000
            for name, row in light["requests"].items()
            if name in _REQUESTS
        )
        return cls(
            cores=cores,
            turns=tuple(turns),
            received=received,
            stored=max(0.0, float(np.mean(replies)) - float(np.mean(turns)) - received),
            client=light["cpu_seconds"]["client"] / arrivals,
            other=other / arrivals,
            think=float(np.mean([_thinking(load) for load in others])),
        )

    def fitted(self, python: float, pace: float) -> Calibration:
        """The same with other values of what is fitted."""
        return replace(self, python=python, pace=pace)


def kind_replies(load: Mapping[str, Any]) -> list[float]:
    """Seconds to the replies of a load that were worked out for it; a message sent again is
    answered from the store."""
    by_kind = load["samples"]["reply_ms"]
    return [ms / 1000 for kind in KINDS for ms in by_kind.get(kind, ())]


def _thinking(load: Mapping[str, Any]) -> float:
    """Mean time between a reply and the next message, of its median, by the interactive response
    time law (Lazowska et al., Quantitative System Performance, 1984, section 3.4): customers =
    messages a second * (thinking + waiting)."""
    cycle = load["customers"] * load["seconds"] / len(load["samples"]["arrival_seconds"])
    waiting = float(np.mean(kind_replies(load)))
    return float((cycle - waiting) / load["think_seconds"])


@dataclass(frozen=True, slots=True)
class Predicted:
    """Seconds to a reply, turns a second, the share of the cores that is used, and the share of the
    time in which Python's lock is held."""

    p50: float
    p95: float
    rate: float
    used: float
    held: float


def simulate(
    calibration: Calibration,
    customers: int,
    think_seconds: float,
    seconds: float,
    client: bool = False,
    seed: int = 3,
) -> Predicted:
    """So many conversations at once on one machine; `think_seconds` is the median of thinking,
    `client` whether the client computes there too."""
    clock = Clock()
    server = _Server(calibration, clock, client)
    waited: list[float] = []
    mean_think = calibration.think * think_seconds
    median = mean_think / math.exp(THINK_SIGMA**2 / 2)

    def come(rng: Random) -> None:
        def think(share: float = 1.0) -> None:
            clock.after(share * rng.lognormvariate(math.log(median), THINK_SIGMA), ask)

        def ask() -> None:
            server.ask(rng.choice(calibration.turns), ended)

        def ended(took: float) -> None:
            if clock.now > _WARM * seconds:
                waited.append(took)
            think()

        think(rng.random())

    # Each customer draws from numbers of their own, so that runs that are compared are alike.
    for number in range(customers):
        come(Random(f"{seed} {number}"))
    clock.run(seconds)
    return Predicted(
        float(np.percentile(waited, 50)),
        float(np.percentile(waited, 95)),
        len(waited) / ((1 - _WARM) * seconds),
        server.machine.busy / (seconds * calibration.cores),
        server.machine.held / seconds,
    )


class _Server:
    """One process on a machine."""

    def __init__(self, calibration: Calibration, clock: Clock, client: bool) -> None:
        self.calibration, self.clock, self.client = calibration, clock, client
        self.machine = Machine(clock, calibration.cores)
        self.threads = Line(calibration.cores)

    def ask(self, turn: float, ended: Callable[[float], None]) -> None:
        """A message whose turn takes so long in the light load; `ended` is told the seconds."""
        sent, stage = self.clock.now, self.calibration.pace * turn / _STAGES
        python = stage * self.calibration.python

        def compute(left: int) -> None:
            if not left:
                self._python(self.calibration.stored, answer)
                return
            native, threads = stage - python, self.calibration.cores
            rest = partial(compute, left - 1)
            self.machine.python(python, lambda: self.machine.native(native, rest, threads))

        def answer() -> None:
            self.threads.leave()
            if self.client:
                self.machine.native(self.calibration.client, end)
            else:
                end()

        def end() -> None:
            self._python(self.calibration.other, _nothing)
            ended(self.clock.now - sent)

        begin = partial(compute, _STAGES)
        self._python(self.calibration.received, lambda: self.threads.enter(begin))

    def _python(self, seconds: float, then: Then) -> None:
        self.machine.python(self.calibration.pace * seconds, then)


def _nothing() -> None:
    """After what nobody waits for."""


def most_customers(
    calibration: Calibration, think_seconds: float, most_seconds: float, seconds: float
) -> int:
    """The most conversations at once on one machine of which 95% of replies come in time; 0 where
    not even one's do."""

    def in_time(customers: int) -> bool:
        return simulate(calibration, customers, think_seconds, seconds).p95 <= most_seconds

    least, most = 0, 1
    while in_time(most):
        least, most = most, 2 * most
    while most - least > max(1, least // 100):
        middle = (least + most) // 2
        least, most = (middle, most) if in_time(middle) else (least, middle)
    return least


def block_interval(load: Mapping[str, Any], share: float) -> tuple[float, float]:
    """95% interval of a quantile of a load's replies, in seconds, from resampled blocks of ten
    seconds (Carlstein, Annals of Statistics 14(3), 1986): replies that wait for each other are
    alike, and where a few bad seconds make a quantile its interval has to be wide.

    When replies came is not told, but in which order those of a kind did; they are taken as spread
    evenly over the load."""
    by_kind = load["samples"]["reply_ms"]
    timed = sorted(
        (rank / len(by_kind[kind]), ms / 1000)
        for kind in KINDS
        if kind in by_kind
        for rank, ms in enumerate(by_kind[kind])
    )
    count = max(2, round(load["seconds"] / _BLOCK_SECONDS))
    blocks = np.array_split(np.asarray([seconds for _, seconds in timed]), count)
    rng = np.random.default_rng(5)
    drawn = [
        np.quantile(np.concatenate([blocks[i] for i in rng.integers(count, size=count)]), share)
        for _ in range(_RESAMPLES)
    ]
    low, high = np.percentile(drawn, (2.5, 97.5))
    return float(low), float(high)
