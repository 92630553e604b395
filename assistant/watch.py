"""What happens within a turn, for whoever listens: stages, their times, what a model read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from assistant.errors import TurnStopped
from assistant.types import Event, SentenceReady, StageStarted

STAGES = ("language", "intent", "retrieval", "generation", "grounding")
Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """A listener for callers that want only the finished reply."""


class Watch:
    """Announces each stage, adds up the milliseconds it takes, notes when it first began and last
    ended (milliseconds from the turn's beginning), and keeps the prompt of a model.

    A listener that raises TurnStopped is not told anything more.
    """

    def __init__(self, listen: Listener) -> None:
        self._listen = listen
        self.language = ""
        self.prompt = ""
        self.milliseconds = dict.fromkeys(STAGES, 0.0)
        self.periods: dict[str, tuple[float, float]] = {}
        self.first_sentence_ms: float | None = None
        self.started = time.perf_counter()

    def listen(self, event: Event) -> None:
        """Tell the listener."""
        if self.first_sentence_ms is None and isinstance(event, SentenceReady):
            self.first_sentence_ms = round(1000 * (time.perf_counter() - self.started), 2)
        try:
            self._listen(event)
        except TurnStopped:
            self._listen = ignore
            raise

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage."""
        self.listen(StageStarted(name, self.language))
        started = time.perf_counter()
        try:
            yield
        finally:
            ended = time.perf_counter()
            self.milliseconds[name] += 1000 * (ended - started)
            began, _ = self.periods.get(name, (1000 * (started - self.started), 0.0))
            self.periods[name] = began, 1000 * (ended - self.started)

    def total(self) -> dict[str, float]:
        """Milliseconds by stage, and of the whole turn."""
        whole = 1000 * (time.perf_counter() - self.started)
        return {k: round(v, 2) for k, v in (self.milliseconds | {"total": whole}).items()}
