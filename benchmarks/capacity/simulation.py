"""A discrete-event simulation with the two kinds of station that a server is made of: threads, for
which one waits in line, and a machine, whose cores and lock of Python those who compute share.

Not simpy, which is well kept: its resources are lines, while cores and the lock are shared by
slices of time, so that each arrival would have to interrupt every job there and start it again with
what is left. With a virtual clock (Parekh and Gallager, IEEE/ACM Transactions on Networking 1(3),
1993, section III) an arrival costs one push on a heap, however many share.
"""

from __future__ import annotations

import heapq
import itertools
import math
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


class _Alike:
    """Jobs that all run at one speed: the time that each has run which was there from the start,
    and of each the time at which it ends."""

    def __init__(self) -> None:
        self.virtual = 0.0
        self.ends: list[tuple[float, int, int, Then]] = []
        self.threads = 0  # of all of them
        self._order = itertools.count()

    def add(self, seconds: float, threads: int, then: Then) -> None:
        self.threads += threads
        entry = (self.virtual + seconds, next(self._order), threads, then)
        heapq.heappush(self.ends, entry)

    def pop(self) -> Then:
        _, _, threads, then = heapq.heappop(self.ends)
        self.threads -= threads
        return then

    def left(self, speed: float) -> float:
        """Seconds until the first one ends at a speed."""
        return max(0.0, self.ends[0][0] - self.virtual) / speed if self.ends else math.inf


class Machine:
    """Cores, and the lock of one Python process.

    Python code computes with the lock, one job at a time by turns so short that they share it
    equally; native code (an encoder, SQLite) computes without it, on as many threads as it says.
    The holder of the lock and native threads share the cores equally: with n of them each runs at
    full speed, or at cores / n. `busy` is what the cores worked, `held` how long the lock was held,
    in seconds."""

    def __init__(self, clock: Clock, cores: int) -> None:
        self.clock = clock
        self.cores = cores
        self.busy = self.held = 0.0
        self._python, self._native = _Alike(), _Alike()
        self._told = 0.0  # when the times above were right
        self._version = 0

    def python(self, seconds: float, then: Then) -> None:
        """A job of so many seconds with the lock."""
        self._add(self._python, seconds, 1, then)

    def native(self, seconds: float, then: Then, threads: int = 1) -> None:
        """A job of so many seconds without the lock on each of its threads."""
        self._add(self._native, seconds, threads, then)

    def _add(self, jobs: _Alike, seconds: float, threads: int, then: Then) -> None:
        self._advance()
        jobs.add(seconds, threads, then)
        self._plan()

    def _speeds(self) -> tuple[int, float, float]:
        """(threads that can run, speed of a Python job, speed of a native thread)."""
        waiting = self._python.threads
        running = min(1, waiting) + self._native.threads
        share = min(1.0, self.cores / max(1, running))
        return running, share / max(1, waiting), share

    def _advance(self) -> None:
        past = self.clock.now - self._told
        running, python, native = self._speeds()
        self._python.virtual += past * python
        self._native.virtual += past * native
        self.busy += past * native * running
        self.held += past * bool(self._python.ends)
        self._told = self.clock.now

    def _plan(self) -> None:
        """Say when the next job ends, if nothing comes in between."""
        self._version += 1
        version = self._version
        _, python, native = self._speeds()
        seconds, jobs = min(
            ((self._python.left(python), self._python), (self._native.left(native), self._native)),
            key=lambda end: end[0],
        )
        if jobs.ends:
            self.clock.after(seconds, lambda: self._end(version, jobs))

    def _end(self, version: int, jobs: _Alike) -> None:
        if version != self._version:
            return
        self._advance()
        then = jobs.pop()
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
