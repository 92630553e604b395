"""Sets the figures that are no counts: what runs, what waits, what is served.

They are looked at when somebody asks for the figures; where several processes share them, each also
looks at its own every few seconds, as only one of them is asked.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from assistant.breaker import breakers
from assistant.metrics import Metrics, is_shared
from assistant.readiness import Readiness
from assistant.served import ServedModel
from assistant.service import ChatService
from assistant.switch import ModelSwitch

log = logging.getLogger(__name__)
_EVERY_SECONDS = 5.0

Depth = Callable[[], tuple[int, int]]  # (turns that wait, turns that are worked on)


class Vitals:
    """Looks at a running server."""

    def __init__(
        self,
        metrics: Metrics,
        service: ChatService,
        readiness: Readiness,
        depth: Depth,
    ) -> None:
        self.metrics = metrics
        self.service = service
        self.readiness = readiness
        self._depth = depth
        self._switch = ModelSwitch(readiness.settings.home)
        self._served: tuple[str, ...] = ()
        self._over = threading.Event()

    def start(self) -> None:
        """Look by itself, where others are asked for this process."""
        if is_shared():
            threading.Thread(target=self._run, name="vitals", daemon=True).start()

    def close(self) -> None:
        """Look no more."""
        self._over.set()

    def look(self) -> None:
        """Set the figures to what is now."""
        metrics, health = self.metrics, self.readiness.look()
        waiting, working = self._depth()
        metrics.waiting.set(waiting)
        metrics.working.set(working)
        metrics.ready.set(health.is_ready)
        for name, wrong in health.checks.items():
            metrics.checks.labels(name).set(not wrong)
        if not health.checks.get("database", "draining"):
            people, seconds = self.service.handoffs.depth()
            metrics.people.set(people)
            metrics.longest.set(seconds)
        metrics.free.set(self.readiness.free_bytes)
        metrics.paused.set(self._switch.is_off())
        failing = {breaker.what: False for breaker in breakers()}
        failing |= {b.what: True for b in breakers() if b.state != "closed"}
        for what, is_failing in failing.items():
            metrics.breakers.labels(what).set(is_failing)
        self._name_what_is_served()

    def _name_what_is_served(self) -> None:
        """One label set has 1, those before it 0: the library cannot take them back where several
        processes share the figures."""
        model = self.service.assistant.generator
        adapter = canary = ""
        if isinstance(model, ServedModel):
            adapter, canary = model.current, model.canary.name if model.canary else ""
        served = (program_version(), self.readiness.versions.served(), adapter, canary)
        if self._served and self._served != served:
            self.metrics.info.labels(*self._served).set(0)
        self.metrics.info.labels(*served).set(1)
        self._served = served

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self.look()
            except Exception:  # the next look may succeed
                log.exception("the server's figures could not be looked at")
            self._over.wait(_EVERY_SECONDS)


def program_version() -> str:
    """Of this program; nothing where it is run without having been installed."""
    try:
        return version("frontdesk")
    except PackageNotFoundError:
        return ""
