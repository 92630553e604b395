"""A discrete-event simulation with the two kinds of station that a server is made of: threads, for
which one waits in line, and cores, which whoever computes shares.

Not simpy, which is well kept: its resources are lines, while cores are shared by slices of time,
so that each arrival would have to interrupt every job there and start it again with what is left.
With a virtual clock (Parekh and Gallager, IEEE/ACM Transactions on Networking 1(3), 1993, section
III) an arrival costs one push on a heap, however many share.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

Then = Callable[[], None]
_BATCHES = 20


class Clock:
    """What happens when; `now` in seconds from 0."""

    def __init__(self) -> None:
        self.now = 0.0
        self._agenda: list[tuple[float, int, Then]] = []
        self._order = itertools.count()  # of what happens at the same time

    def after(self, seconds: float, then: Then) -> None:
        """Let something happen later."""
        heapq.heappush(self._agenda, (self.now + seconds, next(self._order), then))

    def run(self, until: float) -> None:
        """Let everything happen that does so before a time."""
        while self._agenda and self._agenda[0][0] <= until:
            self.now, _, then = heapq.heappop(self._agenda)
            then()
        self.now = until


class Line:
    """Servers, and those who wait for one of them in the order in which they came."""

    def __init__(self, servers: int) -> None:
        self._free = servers
        self._waiting: deque[Then] = deque()

    def enter(self, then: Then) -> None:
        """Go on as soon as a server is free; `leave` frees it again."""
        if self._free:
            self._free -= 1
            then()
        else:
            self._waiting.append(then)

    def leave(self) -> None:
        """Let the next one in."""
        if self._waiting:
            self._waiting.popleft()()
        else:
            self._free += 1


class Shared:
    """Cores that jobs share equally. `capacity` jobs run at full speed side by side; of n, more
    than that, each runs at capacity / n. `busy` is the work done, in seconds at full speed."""

    def __init__(self, clock: Clock, capacity: float) -> None:
        self.clock = clock
        self.capacity = capacity
        self.busy = 0.0
        self._virtual = 0.0  # seconds of work that each job has had that was there from the start
        self._told = 0.0  # when that was
        self._jobs: list[tuple[float, int, Then]] = []
        self._order = itertools.count()
        self._version = 0

    def work(self, seconds: float, then: Then) -> None:
        """A job of so many seconds at full speed."""
        self._advance()
        heapq.heappush(self._jobs, (self._virtual + seconds, next(self._order), then))
        self._plan()

    @property
    def _speed(self) -> float:
        return min(1.0, self.capacity / len(self._jobs)) if self._jobs else 0.0

    def _advance(self) -> None:
        done = (self.clock.now - self._told) * self._speed
        self._virtual += done
        self.busy += done * len(self._jobs)
        self._told = self.clock.now

    def _plan(self) -> None:
        """Say when the next job ends, if nothing comes in between."""
        self._version += 1
        if self._jobs:
            left, version = self._jobs[0][0] - self._virtual, self._version
            self.clock.after(max(0.0, left) / self._speed, lambda: self._end(version))

    def _end(self, version: int) -> None:
        if version != self._version:
            return
        self._advance()
        _, _, then = heapq.heappop(self._jobs)
        self._plan()
        then()


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and the half width of its 95% interval."""

    mean: float
    half: float

    def holds(self, value: float) -> bool:
        """Whether a value lies in it."""
        return abs(value - self.mean) <= self.half


def batch_means(values: Sequence[float]) -> Interval:
    """The mean of a steady run's values with an interval from the means of 20 batches (Law,
    Simulation Modeling and Analysis, 5th edition, section 9.5.3): values that follow one another
    are alike, batches hardly."""
    means = [float(batch.mean()) for batch in np.array_split(np.asarray(values), _BATCHES)]
    spread = float(np.std(means, ddof=1)) / _BATCHES**0.5
    return Interval(float(np.mean(means)), float(stats.t.ppf(0.975, _BATCHES - 1)) * spread)
