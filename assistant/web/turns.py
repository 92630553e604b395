"""Turns while they run: each in a worker thread, its progress awaited by the page."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from assistant.errors import TurnStopped
from assistant.service import ChatService
from assistant.types import Event, StageStarted

# With a language model turns mostly wait for its engine, which takes eight at once; without
# one they compute, and more of them than cores only keep each other and the server waiting.
_WAITING, _COMPUTING = 8, os.cpu_count() or 2


@dataclass(slots=True)
class Turn:
    """A customer's message and how far the reply to it has come.

    `sentences` are those verified so far, each after what joins it to the one before.
    """

    conversation_id: str
    message_id: str
    text: str
    stage: str = "received"
    sentences: list[tuple[str, str]] = field(default_factory=list)
    stopped: bool = False

    def hear(self, event: Event) -> None:
        """Take in what the pipeline announces."""
        if isinstance(event, StageStarted):
            self.stage = event.stage
        else:
            self.sentences.append((event.joint, event.sentence.text))


class Turns:
    """Runs turns, at most one at a time in a conversation.

    A turn goes on when its customer closes the page: the reply is stored, and is there when the
    conversation is opened again.
    """

    def __init__(self, service: ChatService) -> None:
        self.service = service
        self._running: dict[str, Turn] = {}
        writes = bool(service.assistant.settings.model.base)
        workers = _WAITING if writes else _COMPUTING
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="turn")

    def running(self, conversation_id: str) -> Turn | None:
        """The turn that this conversation waits for, if any."""
        return self._running.get(conversation_id)

    def stop(self, conversation_id: str) -> bool:
        """End the turn after what is verified by now; False where none runs."""
        turn = self._running.get(conversation_id)
        if turn:
            turn.stopped = True
        return turn is not None

    async def run(self, turn: Turn) -> AsyncIterator[Turn]:
        """Start the turn and yield it at every progress; nothing while another one runs.

        Raises InputError when the conversation does not exist or is closed.
        """
        if turn.conversation_id in self._running:
            return
        self._running[turn.conversation_id] = turn
        events: asyncio.Queue[Event | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def listen(event: Event) -> None:
            if turn.stopped:
                raise TurnStopped
            loop.call_soon_threadsafe(events.put_nowait, event)

        def finish(_: object) -> None:
            del self._running[turn.conversation_id]
            events.put_nowait(None)

        send = partial(self.service.send, turn.conversation_id, turn.text, turn.message_id, listen)
        job = loop.run_in_executor(self._threads, send)
        job.add_done_callback(finish)
        yield turn
        while (event := await events.get()) is not None:
            turn.hear(event)
            if events.empty():
                yield turn
        job.result()
