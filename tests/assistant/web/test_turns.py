"""Turns whose customer goes away, which take too long, or whose model runs out of memory."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import aclosing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from assistant.conversations import Conversations
from assistant.generation import Drafts
from assistant.lm import LanguageModel
from assistant.model_settings import ModelSettings
from assistant.served import ServedModel
from assistant.service import ChatService
from assistant.token_engines import Request, TokenEngine
from assistant.types import DraftSentence, Evidence, Question
from assistant.web.turns import Turn, Turns
from finetune.registry import PromptTemplate
from tests.assistant.fakes import PASSAGE, assistant_with

LAST = "You can return shoes within 30 days."


class Endless(TokenEngine):
    """Says tokens for ever, until nobody wants them; `ended` is set when its decoding ends."""

    name = "endless"
    positions = 10_000

    def __init__(self) -> None:
        super().__init__()
        self.said, self.begun, self.ended = 0, threading.Event(), threading.Event()
        self.vocabulary = SimpleNamespace()  # type: ignore[assignment]

    def decode(self, requests: Sequence[Request]) -> None:
        self.begun.set()
        while requests[0].push(7):
            self.said += 1
            time.sleep(0.005)
        self.ended.set()


class Writes(LanguageModel):
    """A language model that makes nothing of its engine's tokens."""

    def __init__(self, engine: TokenEngine, seconds: float) -> None:
        self.engine = engine
        self.settings = ModelSettings(timeout_seconds=seconds, max_new_tokens=10**6)
        self.template, self.sampling, self._ends = PromptTemplate(), None, frozenset()
        engine.vocabulary.ids = lambda text: [1]  # type: ignore[method-assign]

    def generate(self, question: Question, evidence: Sequence[Evidence]) -> Drafts:
        wanted = self._wanted(SimpleNamespace(text="p"), question)  # type: ignore[arg-type]
        request = Request.of(wanted, self.engine.vocabulary)
        self.engine.submit(request)
        for _ in request.tokens():
            pass
        yield DraftSentence(LAST, PASSAGE.id)


class Failing:
    """Runs out of memory so often, in one of the ways there are, and then writes."""

    name = "lm"

    def __init__(self, error: BaseException, times: int) -> None:
        self.error, self.times = error, times

    def generate(self, question: Question, evidence: Sequence[Evidence]) -> Drafts:
        self.times -= 1
        if self.times >= 0:
            raise self.error
        yield DraftSentence(LAST, PASSAGE.id)

    def close(self) -> None:
        """Nothing is held."""


Make = Callable[..., tuple[Turns, ChatService]]


@pytest.fixture
def make(tmp_path: Path, word_lengths: Any, detector: Any) -> Make:
    """Turns over the real pipeline with a generator."""

    def made(
        generator: Any, model_seconds: float = 5, turn_seconds: float = 60
    ) -> tuple[Turns, ChatService]:
        assistant = assistant_with(word_lengths, detector, generator=generator)
        model = ModelSettings(base="x", timeout_seconds=model_seconds)
        changed = {"model": model, "turn_seconds": turn_seconds, "home": tmp_path}
        assistant.settings = assistant.settings.model_copy(update=changed)
        service = ChatService(assistant, Conversations.in_home(tmp_path))
        return Turns(service), service

    return made


def served(model: Any) -> ServedModel:
    registry = SimpleNamespace(current=lambda: None, canary=lambda: None, folder=Path())
    return ServedModel(registry, lambda _: model)  # type: ignore[arg-type]


def reply_of(service: ChatService, turn: Turn) -> dict[str, Any]:
    stored = service.conversations.find(turn.conversation_id, turn.message_id, "assistant")
    assert stored
    assert stored.reply
    return stored.reply


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 30))


async def whole(turns: Turns, turn: Turn) -> None:
    async for _ in turns.run(turn):
        pass


async def gone(turns: Turns) -> None:
    """Until no turn holds a slot."""
    while turns._running:
        await asyncio.sleep(0.005)


def test_when_the_customer_goes_away_the_model_ends_and_a_quotation_is_kept(make: Make) -> None:
    engine = Endless()
    turns, service = make(Writes(engine, 25), model_seconds=25)
    turn = Turn(service.start("en").id, "m1", "Can I return shoes?")

    async def leave() -> None:
        stream = asyncio.create_task(whole(turns, turn))
        assert await asyncio.to_thread(engine.begun.wait, 20)
        stream.cancel()
        said = engine.said
        await gone(turns)
        assert engine.ended.wait(5)
        assert engine.said - said < 200, "it ends between two tokens, not at its deadline"

    run(leave())
    assert reply_of(service, turn)["generator"] == "quote"


def test_a_turn_that_waits_for_a_thread_is_dropped_and_can_be_asked_for_again(make: Make) -> None:
    engine = Endless()
    turns, service = make(Writes(engine, 20))
    busy = [Turn(service.start("en").id, "m1", "Can I return shoes?") for _ in range(8)]
    late = Turn(service.start("en").id, "m1", "Can I return shoes?")

    async def leave() -> None:
        others = [asyncio.create_task(whole(turns, turn)) for turn in busy]
        while len(turns._running) < 8:
            await asyncio.sleep(0.005)
        async with aclosing(turns.run(late)) as progress:
            await anext(progress)
        for turn in busy:
            await turns.stop(turn.conversation_id)
        await asyncio.gather(*others)
        await gone(turns)

    run(leave())
    store = service.conversations
    assert [m.role for m in store.messages(late.conversation_id)] == ["customer"]
    service.assistant.generator = service.assistant.composer
    assert service.send(late.conversation_id, late.text, late.message_id)
    assert [m.role for m in store.messages(late.conversation_id)] == ["customer", "assistant"]


def test_three_hundred_that_go_away_leave_no_slot(make: Make) -> None:
    turns, service = make(Writes(Endless(), 20))

    async def leave() -> None:
        for _ in range(30):
            started = [Turn(service.start("en").id, "m1", "Can I return shoes?") for _ in range(10)]
            streams = [turns.run(turn) for turn in started]
            for stream in streams:
                await anext(stream)
            for stream in streams:
                await stream.aclose()
        await gone(turns)

    run(leave())
    assert turns._threads._work_queue.qsize() == 0


def test_a_model_that_hangs_is_given_up_and_the_answer_quoted_by_the_deadline(make: Make) -> None:
    engine = Endless()
    turns, service = make(Writes(engine, 20), model_seconds=0.4)
    turn = Turn(service.start("en").id, "m1", "Can I return shoes?")
    run(whole(turns, turn))
    reply = reply_of(service, turn)
    assert (reply["outcome"], reply["generator"]) == ("answer", "quote")
    assert engine.ended.wait(5)


def test_a_stage_that_hangs_is_handed_off_by_the_deadline_and_says_nothing_later(
    make: Make,
) -> None:
    go_on, over = threading.Event(), threading.Event()

    class Hangs:
        name = "lm"

        def generate(self, question: Question, evidence: Sequence[Evidence]) -> Drafts:
            go_on.wait(20)
            over.set()
            yield DraftSentence(LAST, PASSAGE.id)

    turns, service = make(Hangs(), turn_seconds=0.4)
    turn = Turn(service.start("en").id, "m1", "Can I return shoes?")
    run(whole(turns, turn))
    assert reply_of(service, turn)["reason"] == "pipeline:deadline"
    assert turns.running(turn.conversation_id) is None
    go_on.set()
    assert over.wait(10)
    turns._threads.shutdown()
    messages = service.conversations.messages(turn.conversation_id)
    assert [m.role for m in messages] == ["customer", "assistant"]
    conversation = service.conversations.get(turn.conversation_id)
    assert conversation
    assert conversation.state == "waiting"


@pytest.mark.parametrize(
    "error",
    [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("bad_alloc")],
    ids=lambda error: type(error).__name__,
)
def test_without_memory_the_answer_is_quoted_and_written_again_afterwards(
    make: Make, error: BaseException
) -> None:
    turns, service = make(served(Failing(error, times=1)))
    conversation = service.start("en").id
    for message, generator in (("m1", "quote"), ("m2", "lm")):
        turn = Turn(conversation, message, "Can I return shoes?")
        run(whole(turns, turn))
        assert reply_of(service, turn)["generator"] == generator


def test_an_engine_without_memory_sheds_what_it_kept_and_holds_no_frame(make: Make) -> None:
    class Full(Endless):
        sheds = 0

        def decode(self, requests: Sequence[Request]) -> None:
            raise MemoryError

        def shed(self) -> None:
            self.sheds += 1

    engine = Full()
    turns, service = make(Writes(engine, 20))
    turn = Turn(service.start("en").id, "m1", "Can I return shoes?")
    run(whole(turns, turn))
    assert reply_of(service, turn)["generator"] == "quote"
    assert engine.sheds == 1
