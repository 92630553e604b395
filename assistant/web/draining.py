"""A server that stops without cutting anybody off.

On SIGTERM it is not ready any more and still answers, until load balancers have noticed and no turn
runs, or a turn's longest time is over; then it lets go of its connections and ends. A second
signal, or Ctrl-C, ends it at once.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from types import FrameType

import uvicorn

# For replies that are on their way; what streams for ever is cut off then, and comes again.
LAST_SECONDS = 5


class DrainingServer(uvicorn.Server):
    """`drain` is called when it is asked to stop, `is_idle` says whether nothing runs; it goes on
    for `least` seconds in any case, and for `most` if something runs."""

    def __init__(
        self,
        config: uvicorn.Config,
        drain: Callable[[], None],
        is_idle: Callable[[], bool],
        least: float,
        most: float,
    ) -> None:
        super().__init__(config)
        config.timeout_graceful_shutdown = LAST_SECONDS
        self._drain = drain
        self._is_idle = is_idle
        self._least, self._most = least, most
        self._asked: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """See uvicorn.Server."""
        if sig == signal.SIGTERM and self._asked is None and self.started:
            self._asked = time.monotonic()
            self._drain()
        else:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """See uvicorn.Server; it asks ten times a second whether to stop."""
        if self._asked is not None and not self.should_exit:
            waited = time.monotonic() - self._asked
            if waited >= self._most or (waited >= self._least and self._is_idle()):
                super().handle_exit(signal.SIGTERM, None)
        return await super().on_tick(counter)
