"""The model of a server under customers: what a turn takes, and how long customers wait for it.

A customer thinks, sends a message, and thinks again when the reply is there. A message is received
(work on the cores), waits in line for one of the threads that compute turns (as many as cores,
`assistant/web/turns.py`), computes on the cores, and is read by the client, which on a machine that
measures itself shares the cores too. What else a customer asks for (opening, history, ratings) is
work on the cores beside.

How long each part takes with the machine to itself is measured. `capacity` alone is fitted: how
many turns compute side by side at full speed. It is below the number of cores, for a turn uses
two where its engine has two threads, and Python's lock and the memory are shared.

Not in the model: the database, the network, and what several processes on one machine gain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy as np

from benchmarks.capacity.simulation import Clock, Line, Shared
from benchmarks.load.plan import KINDS, THINK_SIGMA

_REQUESTS = ("open", "history", "rating", "withdraw", "delete")
_WARM = 0.2  # share of a run that is not counted


@dataclass(frozen=True, slots=True)
class Calibration:
    """Seconds that things take with a machine to themselves.

    `turns`: of the pipeline, for each message that was measured; `received`: of a message beside
    it; `client`: of the client's, a turn; `other`: of other requests, a turn; `think`: mean time
    between a reply and the next message, for a median of thinking of one second."""

    cores: int
    turns: tuple[float, ...]
    received: float
    client: float
    other: float
    think: float
    capacity: float

    @classmethod
    def of(cls, light: Mapping[str, Any], cores: int) -> Calibration:
        """From a run in which hardly anybody waited for anybody else."""
        samples, arrivals = light["samples"], len(light["samples"]["arrival_seconds"])
        replies = kind_replies(light)
        turns = [
            ms / 1000
            for kind, stages in samples["stage_ms"].items()
            if kind in KINDS
            for ms in stages["total"]
        ]
        # The interactive response time law (Lazowska et al., Quantitative System Performance,
        # 1984, section 3.4): customers = messages a second * (thinking + waiting).
        cycle = light["customers"] * light["seconds"] / arrivals
        other = sum(
            row["n"] * row["p50"] / 1000
            for name, row in light["requests"].items()
            if name in _REQUESTS
        )
        return cls(
            cores=cores,
            turns=tuple(turns),
            received=max(0.0, float(np.mean(replies)) - float(np.mean(turns))),
            client=light["cpu_seconds"]["client"] / arrivals,
            other=other / arrivals,
            think=(cycle - float(np.mean(replies))) / light["think_seconds"],
            capacity=float(cores),
        )

    def fitted(self, capacity: float) -> Calibration:
        """The same with another capacity."""
        return replace(self, capacity=capacity)


def kind_replies(load: Mapping[str, Any]) -> list[float]:
    """Seconds to the replies of a load that were worked out for it; a message sent again is
    answered from the store."""
    by_kind = load["samples"]["reply_ms"]
    return [ms / 1000 for kind in KINDS for ms in by_kind.get(kind, ())]


@dataclass(frozen=True, slots=True)
class Predicted:
    """Seconds to a reply, turns a second, and the share of the cores that is used."""

    p50: float
    p95: float
    rate: float
    used: float


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
    threads, cores = Line(calibration.cores), Shared(clock, calibration.capacity)
    waited: list[float] = []
    mean_think = calibration.think * think_seconds
    median = mean_think / math.exp(THINK_SIGMA**2 / 2)

    def come(rng: Random) -> None:
        def think(share: float = 1.0) -> None:
            clock.after(share * rng.lognormvariate(math.log(median), THINK_SIGMA), ask)

        def ask() -> None:
            turn = rng.choice(calibration.turns)
            _Message(calibration, clock, threads, cores, turn, client, ended).receive()

        def ended(took: float) -> None:
            if clock.now > _WARM * seconds:
                waited.append(took)
            cores.work(calibration.other, _nothing)
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
        cores.busy / (seconds * calibration.capacity),
    )


class _Message:
    """One message on its way through a machine."""

    def __init__(
        self, calibration: Calibration, clock: Clock, threads: Line, cores: Shared, turn: float,
        client: bool, ended: Callable[[float], None],
    ) -> None:  # fmt: skip
        self.calibration, self.clock = calibration, clock
        self.threads, self.cores = threads, cores
        self.turn = turn
        self.client, self.ended = client, ended
        self.sent = clock.now

    def receive(self) -> None:
        self.cores.work(self.calibration.received, lambda: self.threads.enter(self.compute))

    def compute(self) -> None:
        self.cores.work(self.turn, self.answer)

    def answer(self) -> None:
        self.threads.leave()
        if self.client:
            self.cores.work(self.calibration.client, self.end)
        else:
            self.end()

    def end(self) -> None:
        self.ended(self.clock.now - self.sent)


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


def order_interval(values: Sequence[float], share: float) -> tuple[float, float]:
    """95% interval of a quantile from the values' order (binomial, normal approximation; Conover,
    Practical Nonparametric Statistics, 3rd edition, section 3.2)."""
    ordered, n = sorted(values), len(values)
    half = 1.96 * math.sqrt(n * share * (1 - share))
    low, high = math.floor(n * share - half), math.ceil(n * share + half)
    return ordered[max(0, low)], ordered[min(n - 1, high)]
