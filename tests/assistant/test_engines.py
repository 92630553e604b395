"""The contract of engines: whatever writes the replies, in this process or on a server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from assistant.engine import Engine, Sampling, Wanted
from assistant.errors import GenerationError
from assistant.int8_engine import Int8Engine
from assistant.model_settings import ModelSettings, ServerSettings
from assistant.patience import Patience
from assistant.server_engine import ServerEngine
from assistant.transformers_engine import TransformersEngine
from assistant.usage import Tally
from finetune.manifest import INT8_ENGINE, NF4_ENGINE
from tests.assistant.by_heart import FACT
from tests.model_server import by, model_server
from tests.transformers_serve import transformers_serve

REPLY = f"{FACT[:-1]} [1]. Thank you for [ORDER_1]."


@pytest.fixture(
    scope="module",
    params=[
        NF4_ENGINE, INT8_ENGINE, "openai", "vllm", "llama.cpp",
        pytest.param("transformers serve", marks=pytest.mark.slow),
    ],
)  # fmt: skip
def engine(request: pytest.FixtureRequest, base: Path, work: Path) -> Iterator[Engine]:
    """Each engine in turn, the servers' one against servers that take text or tokens."""
    if request.param == NF4_ENGINE:
        yield TransformersEngine(base, None)
    elif request.param == INT8_ENGINE:
        yield Int8Engine(base, None, work / "engines", 1)
    elif request.param == "transformers serve":
        with transformers_serve(base) as url:
            yield asking(url, base, "openai", str(base))
    else:
        inner = TransformersEngine(base, None)
        end = inner.vocabulary.template().reply_end
        with model_server(by(inner, end)) as server:
            yield asking(server.url, base, request.param, "model")


def asking(url: str, base: Path, kind: str, model: str) -> ServerEngine:
    server = ServerSettings(url=url, kind=kind, model=model)  # type: ignore[arg-type]
    return ServerEngine(ModelSettings(base=str(base), server=server), base)


def wanted(engine: Engine, **changed: object) -> Wanted:
    template = engine.vocabulary.template()
    prompt = template.render([f"returns: {FACT}"], [], "Shoes [ORDER_1]?")
    ends = engine.vocabulary.ends(template)
    asked = Wanted(prompt, template.reply_end, ends, 40, time.monotonic() + 60)
    return replace(asked, **changed)  # type: ignore[arg-type]


def written(engine: Engine, **changed: object) -> str:
    asked = wanted(engine, **changed)
    return "".join(engine.write(asked)).split(asked.end)[0].strip()


def test_it_writes_what_the_model_learned_up_to_its_end(engine: Engine) -> None:
    assert written(engine) == REPLY


def test_a_reply_is_no_longer_than_its_limit(engine: Engine) -> None:
    short = written(engine, limit=3)
    assert REPLY.startswith(short)
    assert len(engine.vocabulary.ids(short)) <= 3


def test_what_is_read_and_written_is_counted_also_of_a_reply_that_is_closed(engine: Engine) -> None:
    tally = Tally()
    asked = wanted(engine, tally=tally)
    list(engine.write(asked))
    read, whole = len(engine.vocabulary.ids(asked.prompt)), tally.total.written_tokens
    assert (tally.total.requests, tally.total.read_tokens) == (1, read)
    assert whole >= len(engine.vocabulary.ids(REPLY))
    assert tally.total.seconds > 0
    pieces = engine.write(asked)
    next(p for p in pieces if p.strip())
    pieces.close()
    assert tally.total.requests == 2
    assert whole < tally.total.written_tokens <= 2 * whole, "the fastest has written it all by then"


def test_a_reply_comes_in_pieces_and_ends_when_it_is_closed(engine: Engine) -> None:
    before = threading.active_count()
    for _ in range(3):
        pieces = engine.write(wanted(engine))
        first = next(p for p in pieces if p.strip())
        assert len(first) < len(REPLY)
        pieces.close()
    assert written(engine) == REPLY, "what was closed holds nothing up"
    assert threading.active_count() <= before + 8


def test_too_slow_a_reply_is_an_error_and_the_next_one_is_written(engine: Engine) -> None:
    with pytest.raises(GenerationError, match=r"in time|no time"):
        written(engine, deadline=time.monotonic() + 0.0005)
    assert written(engine) == REPLY


def test_a_reply_that_nobody_waits_for_ends(engine: Engine) -> None:
    patience = Patience()
    pieces = engine.write(wanted(engine, patience=patience))
    next(pieces)
    patience.gone = True
    with pytest.raises(GenerationError):
        list(pieces)


def test_replies_asked_for_at_once_are_the_same_as_one_by_one(engine: Engine) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: written(engine), range(4))) == [REPLY] * 4


def test_a_reply_can_be_drawn_from_the_likeliest_words(engine: Engine) -> None:
    assert written(engine, sampling=Sampling(0.01, 2)) == REPLY


def test_what_prompts_share_changes_no_reply(engine: Engine) -> None:
    other = wanted(engine).prompt.replace("Shoes", "Boots")
    apart = written(engine, prompt=other)
    assert [written(engine), written(engine, prompt=other)] * 2 == [REPLY, apart] * 2
