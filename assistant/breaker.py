"""A circuit breaker: what fails again and again is left alone for a while, then tried once.

States and names as in Nygard, "Release It!" (2nd edition, 2018), chapter 5.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Literal
from weakref import WeakSet

State = Literal["closed", "open", "half-open"]
log = logging.getLogger(__name__)
_lock = threading.Lock()
_made: WeakSet[Breaker] = WeakSet()


class Breaker:
    """Counts failures of `what` in a row: after `most` of them it opens, for `seconds`; then one
    call is let through, which closes it or opens it again. For one thread."""

    def __init__(
        self, what: str, most: int, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.what = what
        self.most = most
        self.seconds = seconds
        self._clock = clock
        self._failures = 0
        self._until = 0.0  # when it may be tried again, while it is not closed
        self._is_tried = False
        with _lock:
            _made.add(self)

    @property
    def state(self) -> State:
        """closed: calls pass; open: none does; half-open: one does."""
        if self._failures < self.most:
            return "closed"
        return "half-open" if self._clock() >= self._until else "open"

    def lets_through(self) -> bool:
        """Whether a call may be made; each that is made ends in one of the three below."""
        if self.state == "closed":
            return True
        if self.state == "open" or self._is_tried:
            return False
        self._is_tried = True
        return True

    def succeeded(self) -> None:
        """A call went well: it is closed."""
        if self._failures >= self.most:
            log.info("%s answers again", self.what)
        self._failures, self._is_tried = 0, False

    def failed(self) -> None:
        """A call failed."""
        self._failures += 1
        self._is_tried = False
        if self._failures >= self.most:
            self._until = self._clock() + self.seconds
            log.warning("%s is left alone for %g s", self.what, self.seconds)

    def abandoned(self) -> None:
        """A call was given up by who made it, and tells nothing."""
        self._is_tried = False


def breakers() -> list[Breaker]:
    """Those of this process, whoever has them."""
    with _lock:
        return list(_made)
