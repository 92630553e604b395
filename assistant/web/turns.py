"""Turns while they run: each in a worker thread, its progress awaited by the page."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import AsyncGenerator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field

import anyio

from assistant.conversations import StoredMessage
from assistant.errors import TurnStopped
from assistant.live import Kind
from assistant.patience import Patience
from assistant.service import ChatService
from assistant.types import Event, StageStarted
from assistant.web.flood import Flood

# With a language model turns mostly wait for its engine, which takes eight at once; without
# one they compute, and more of them than cores only keep each other and the server waiting.
_WAITING, _COMPUTING = 8, os.cpu_count() or 2
_MOST = 500  # turns that run or wait for a thread
_WRITERS = 40  # messages on their way into the store, which may be held by another process


@dataclass(slots=True)
class Turn:
    """A customer's message and how far the reply to it has come.

    `sentences` are those verified so far, each after what joins it to the one before; `sent` is
    the message as it was stored; `begun` says that it has a thread; with `key` the turn holds its
    conversation.
    """

    conversation_id: str
    message_id: str
    text: str
    stage: str = "received"
    sentences: list[tuple[str, str]] = field(default_factory=list)
    stopped: bool = False
    begun: bool = False
    address: str = ""
    sent: StoredMessage | None = None
    key: str = field(default_factory=lambda: secrets.token_hex(8))
    received: float = field(default_factory=time.monotonic)
    patience: Patience = field(default_factory=Patience)

    def hear(self, event: Event) -> None:
        """Take in what the pipeline announces."""
        if isinstance(event, StageStarted):
            self.stage = event.stage
        else:
            self.sentences.append((event.joint, event.sentence.text))


class Turns:
    """Runs turns, at most one at a time in a conversation.

    Nobody waits longer than `turn_seconds` for the end of one: then a person takes over. When its
    customer goes away a turn that has not begun is dropped, and can be asked for again by its
    message_id; one that has begun ends with what is verified by now, else with a quotation, which
    is there when the conversation is opened again.
    """

    def __init__(self, service: ChatService) -> None:
        self.service = service
        self.live = service.live
        self.live.hear(self._heard)
        settings = service.assistant.settings
        self.flood = Flood(settings.web, settings.shared)
        self._running: dict[str, Turn] = {}
        model = settings.model
        self._model_seconds = model.timeout_seconds
        self._turn_seconds = settings.turn_seconds
        workers = _WAITING if model.base else _COMPUTING
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="turn")
        self._writing = anyio.CapacityLimiter(_WRITERS)

    @property
    def is_full(self) -> bool:
        """Whether so many turns wait that another one would not be answered in time."""
        return len(self._running) >= _MOST

    @property
    def depth(self) -> tuple[int, int]:
        """(turns that wait for a thread, turns that have one)."""
        turns = list(self._running.values())
        begun = sum(turn.begun for turn in turns)
        return len(turns) - begun, begun

    def running(self, conversation_id: str) -> Turn | None:
        """The turn in this process that the conversation waits for, if any."""
        return self._running.get(conversation_id)

    async def is_busy(self, conversation_id: str) -> bool:
        """Whether a turn runs in the conversation, in whatever process."""
        return conversation_id in self._running or await self.live.is_claimed(conversation_id)

    async def stop(self, conversation_id: str) -> bool:
        """End the turn after what is verified by now; False where none runs."""
        if not await self.is_busy(conversation_id):
            return False
        await anyio.to_thread.run_sync(self.live.tell, "stop", conversation_id)
        return True

    def _heard(self, kind: Kind, conversation_id: str) -> None:
        turn = self._running.get(conversation_id)
        if turn and kind == "stop":
            turn.stopped = turn.patience.gone = True

    async def receive(self, turn: Turn) -> None:
        """Store the turn's message: from here on it is not lost.

        Raises InputError when the conversation does not exist or is closed, or too much is sent
        (FloodError), and StoreError.
        """
        await anyio.to_thread.run_sync(self._receive, turn, limiter=self._writing)

    def _receive(self, turn: Turn) -> None:
        self.flood.count(turn.address, turn.conversation_id)
        turn.sent = self.service.receive(turn.conversation_id, turn.text, turn.message_id)

    async def run(self, turn: Turn) -> AsyncGenerator[Turn, None]:
        """Start the turn and yield it at every progress; nothing while another one runs.

        Raises what `receive` does, for a turn that was not received before.
        """
        if turn.sent is None:
            await self.receive(turn)
        events: asyncio.Queue[Event | None] = asyncio.Queue()
        try:
            if not await self.live.claim(turn.conversation_id, turn.key):
                return
            job = self._started(turn, events)
        except BaseException:  # the customer may have gone while it was claimed
            self._free(turn)
            raise
        try:
            yield turn
            while (event := await self._next(turn, events)) is not None:
                turn.hear(event)
                if events.empty():
                    yield turn
            job.result()
        except TimeoutError:
            self._end(turn)  # whatever its thread does: the customer can go on
            await anyio.to_thread.run_sync(self._give_up, turn, limiter=self._writing)
        finally:
            turn.patience.gone = True
            job.cancel()  # only what has not begun

    async def _next(self, turn: Turn, events: asyncio.Queue[Event | None]) -> Event | None:
        """What happens next. Raises TimeoutError."""
        left = turn.received + self._turn_seconds - time.monotonic()
        # Python 3.11's wait_for would swallow that the customer went away just when an event came.
        async with asyncio.timeout(max(0.0, left)):
            return await events.get()

    def _started(self, turn: Turn, events: asyncio.Queue[Event | None]) -> Future[object]:
        """The turn in a thread, or waiting for one; its events, and None at its end."""
        loop = asyncio.get_running_loop()

        def listen(event: Event) -> None:
            if turn.stopped:
                raise TurnStopped
            with suppress(RuntimeError):  # the loop has ended, and nobody listens
                loop.call_soon_threadsafe(events.put_nowait, event)

        def ended() -> None:
            self._end(turn)
            events.put_nowait(None)

        def finish(_: object) -> None:
            self._free(turn)
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(ended)

        def work() -> None:
            turn.begun = True
            assert turn.sent
            given = turn.conversation_id, turn.sent, turn.text
            self.service.answer(*given, listen, turn.patience)

        self._running[turn.conversation_id] = turn
        turn.patience.until = turn.received + self._model_seconds
        # The request's id goes with it, into log lines.
        job: Future[object] = self._threads.submit(copy_context().run, work)
        job.add_done_callback(finish)
        return job

    def _give_up(self, turn: Turn) -> None:
        self._free(turn)
        self.service.give_up(turn.conversation_id, turn.message_id, turn.patience)

    def _free(self, turn: Turn) -> None:
        """Let the conversation have another turn."""
        self.live.free(turn.conversation_id, turn.key)

    def _end(self, turn: Turn) -> None:
        """The turn runs no more here."""
        if self._running.get(turn.conversation_id) is turn:
            del self._running[turn.conversation_id]
