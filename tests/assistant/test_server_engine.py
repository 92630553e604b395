"""The engine of servers, against a real one on this machine that misbehaves on purpose."""

from __future__ import annotations

import logging
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from tokenizers.processors import TemplateProcessing

from assistant.build import _generator
from assistant.engine import Sampling, Wanted
from assistant.errors import GenerationError
from assistant.grounding import GroundingCheck
from assistant.lm import LanguageModel, load_language_model
from assistant.model_settings import ModelSettings
from assistant.patience import Patience
from assistant.served import ServedModel
from assistant.server_engine import ServerEngine
from assistant.settings import Settings
from assistant.switch import ModelSwitch
from assistant.types import Answer, Question, SentenceReady, Utterance
from finetune.registry import Canary, PromptTemplate, Registry
from knowledge.language import Detector
from tests.assistant.by_heart import FACT
from tests.assistant.fakes import PASSAGE, assistant_with
from tests.assistant.shipped import MAPLEWICK
from tests.conftest import WordLengthEncoder
from tests.model_server import (
    Act,
    ModelServer,
    answers,
    breaks_off,
    drips,
    ends_early,
    hangs,
    is_busy,
    is_silent,
    model_server,
    says,
    sends,
)

GONE = 5.0  # seconds within which a server has to notice that nobody reads any more
Make = Callable[..., tuple[ServerEngine, ModelServer]]


@pytest.fixture
def tokenizer(base: Path, tmp_path: Path) -> Path:
    """A base without its weights: they are the server's."""
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(base / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def make(tokenizer: Path) -> Iterator[Make]:
    """An engine, and the server with a script that it asks."""
    with ExitStack() as stack:

        def made(
            *script: Act, adapter: str = "", **changed: Any
        ) -> tuple[ServerEngine, ModelServer]:
            names = ("model", "june", "july")
            server = stack.enter_context(model_server(*script, models=names))
            settings = remote(tokenizer, **{"url": server.url, "rest_seconds": 0.3} | changed)
            return stack.enter_context(closing(ServerEngine(settings, tokenizer, adapter))), server

        yield made


def remote(tokenizer: Path, **server: Any) -> ModelSettings:
    values = {"model": "model"} | server
    return ModelSettings(base=str(tokenizer), server=values)  # type: ignore[arg-type]


def wanted(seconds: float = 10, **changed: Any) -> Wanted:
    template = PromptTemplate()
    prompt = template.render([f"returns: {FACT}"], [], "Shoes?")
    deadline = time.monotonic() + seconds
    return Wanted(prompt, template.reply_end, frozenset({3}), 40, deadline, **changed)


def written(engine: ServerEngine, seconds: float = 10) -> str:
    return "".join(engine.write(wanted(seconds)))


def test_the_prompt_goes_as_text_or_as_its_tokens_and_greedily(make: Make) -> None:
    for kind in ("openai", "vllm", "llama.cpp"):
        engine, server = make(says("Yes."), kind=kind)
        assert written(engine) == "Yes."
        body = server.calls[0][1]
        as_text = {"prompt": wanted().prompt}
        as_tokens = {"prompt": engine.vocabulary.ids(wanted().prompt)}
        stops = {"stop_token_ids": [3]} if kind == "vllm" else {}
        assert body == {
            "model": "model", "max_tokens": 40, "temperature": 0, "stop": ["<|end|>"],
            "stream": True, **(as_text if kind == "openai" else as_tokens), **stops,
        }  # fmt: skip
        list(engine.write(wanted(sampling=Sampling(0.7, 20))))
        drawn = server.calls[1][1]
        assert drawn["temperature"] == 0.7
        assert drawn.get("top_k") == (None if kind == "openai" else 20)


def test_a_tokenizer_that_adds_what_the_prompt_holds_already_does_not_double_it(
    make: Make,
) -> None:
    engine, server = make(says("Yes."))
    vocabulary = engine.vocabulary
    vocabulary.begin = "<|pad|>"
    begin = (vocabulary.begin, vocabulary.tokenizer.token_to_id(vocabulary.begin))
    vocabulary.tokenizer.post_processor = TemplateProcessing(
        single=f"{vocabulary.begin} $A", special_tokens=[begin]
    )
    opened = Wanted(f"<|pad|>{wanted().prompt}", "<|end|>", frozenset(), 9, time.monotonic() + 9)
    assert list(engine.write(opened)) == ["Yes."]
    assert server.calls[0][1]["prompt"] == wanted().prompt
    with pytest.raises(GenerationError, match=r"set server\.kind to vllm"):
        written(engine)
    assert engine.breaker.state == "closed"


def test_an_adapter_is_asked_for_by_its_name_or_the_one_it_has_there(make: Make) -> None:
    engine, server = make(says("Yes."), adapter="june")
    assert written(engine) == "Yes."
    assert server.calls[0][1]["model"] == "june"
    engine, server = make(says("Yes."), adapter="june-0a1b", adapters={"june-0a1b": "july"})
    assert written(engine) == "Yes."
    assert server.calls[0][1]["model"] == "july"


def test_what_the_server_does_not_serve_is_told_at_the_start(make: Make) -> None:
    with pytest.raises(GenerationError, match=r"serves july, june, model, not may; load it there"):
        make(says("Yes."), adapter="may")


def test_a_refused_key_is_told_at_the_start_without_the_key(
    tokenizer: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with model_server(says("Yes.")) as server:
        server.status = 401
        settings = remote(tokenizer, url=server.url, api_key="sk-hidden")
        with pytest.raises(GenerationError, match="refuses the key") as refused:
            ServerEngine(settings, tokenizer)
    assert "hidden" not in f"{refused.value} {caplog.text} {settings!r} {settings.model_dump()}"


def test_the_key_is_sent_and_never_logged(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "key").write_text("sk-hidden\n")
    with caplog.at_level(logging.DEBUG):
        engine, server = make(answers(401, "bad key sk-hidden"), api_key_file=tmp_path / "key")
        with pytest.raises(GenerationError) as refused:
            written(engine)
    assert server.calls[0][0]["authorization"] == "Bearer sk-hidden"
    assert len(server.calls) == 1, "a refusal is not asked for again"
    assert "hidden" not in f"{refused.value} {caplog.text}"


def test_a_server_that_is_not_there_yet_is_waited_for_by_quoting(tokenizer: Path) -> None:
    with model_server(says("Yes.")) as server:
        url = server.url
    settings = remote(tokenizer, url=url, retries=0)
    with (
        closing(ServerEngine(settings, tokenizer)) as engine,
        pytest.raises(GenerationError, match="ConnectError"),
    ):
        written(engine)


@pytest.mark.parametrize(
    "bad",
    [answers(500), answers(503), answers(429), breaks_off(), ends_early()],
    ids=["500", "503", "429", "connection closed", "empty"],
)
def test_what_fails_before_its_first_word_is_asked_for_again(make: Make, bad: Act) -> None:
    engine, server = make(bad, bad, says("Yes", "."))
    assert written(engine) == "Yes."
    assert len(server.calls) == 3
    assert engine.breaker.state == "closed"


@pytest.mark.parametrize(
    ("bad", "calls"),
    [(answers(500), 3), (answers(400, "too long"), 1), (answers(404), 1), (answers(307), 1)],
    ids=["500", "400", "404", "redirect"],
)
def test_a_request_is_not_asked_for_again_where_that_would_not_help(
    make: Make, bad: Act, calls: int
) -> None:
    engine, server = make(bad)
    with pytest.raises(GenerationError):
        written(engine)
    assert len(server.calls) == calls


def test_a_server_that_says_when_to_come_back_is_left_alone_until_then(make: Make) -> None:
    engine, server = make(answers(429, retry_after="0.5"), says("Yes."))
    started = time.monotonic()
    assert written(engine) == "Yes."
    assert time.monotonic() - started >= 0.5
    for later in ("60", formatdate(time.time() + 60, usegmt=True)):
        engine, server = make(answers(503, retry_after=later), says("Yes."))
        started = time.monotonic()
        with pytest.raises(GenerationError, match="503"):
            written(engine, seconds=5)
        assert time.monotonic() - started < 1, "longer than anybody waits: quoted at once"
        assert len(server.calls) == 1


@pytest.mark.parametrize(
    "bad",
    [
        breaks_off("Yes, ", "you"),
        ends_early("Yes, ", "you"),
        sends(*(f'data: {{"choices": [{{"text": "{t}"}}]}}' for t in ("Yes, ", "you")), "data: {]"),
        sends(*(f'data: {{"choices": [{{"text": "{t}"}}]}}' for t in ("Yes, ", "you")), 'data: {"error": "oom"}'),
        sends(*(f'data: {{"choices": [{{"text": "{t}"}}]}}' for t in ("Yes, ", "you")), "data: [1]"),
    ],
    ids=["closed", "ended", "no JSON", "error", "no object"],
)  # fmt: skip
def test_what_breaks_off_in_the_midst_gives_what_came_and_is_not_begun_again(
    make: Make, bad: Act
) -> None:
    engine, server = make(bad)
    pieces = engine.write(wanted())
    assert next(pieces) + next(pieces) == "Yes, you"
    with pytest.raises(GenerationError, match="failed"):
        next(pieces)
    assert len(server.calls) == 1


@pytest.mark.parametrize("bad", [is_silent, hangs("Yes, "), is_busy])
def test_a_server_that_hangs_is_given_up(make: Make, bad: Act) -> None:
    engine, server = make(bad, read_seconds=0.3)
    started = time.monotonic()
    with pytest.raises(GenerationError):
        written(engine, seconds=0.8)
    assert time.monotonic() - started < 1.5
    assert server.left.wait(GONE)
    assert len(server.calls) == 1, "another try would hang as well"


def test_a_slow_drip_is_given_up_when_the_time_for_a_reply_is_over(make: Make) -> None:
    engine, server = make(drips(["word "] * 200, 0.05))
    started = time.monotonic()
    said: list[str] = []
    with pytest.raises(GenerationError, match="in time"):
        said.extend(engine.write(wanted(seconds=0.5)))
    assert time.monotonic() - started < 1
    assert len(said) > 3
    assert server.left.wait(GONE)


def test_closing_a_reply_closes_its_stream(make: Make) -> None:
    engine, server = make(drips(["word "] * 1000, 0.01))
    pieces = engine.write(wanted())
    next(pieces)
    pieces.close()
    assert server.left.wait(GONE)
    assert engine.breaker.state == "closed"


def test_stop_closes_the_stream_of_a_server_that_says_nothing(make: Make) -> None:
    engine, server = make(is_silent)
    patience = Patience()
    threading.Timer(0.2, lambda: setattr(patience, "gone", True)).start()
    started = time.monotonic()
    with pytest.raises(GenerationError, match="nobody waits"):
        list(engine.write(wanted(patience=patience)))
    assert time.monotonic() - started < 1
    assert server.left.wait(GONE)


def test_after_failures_in_a_row_the_server_is_left_alone_and_then_tried_once(make: Make) -> None:
    engine, server = make(*[answers(500)] * 2, says("Yes."), retries=0, most_failures=2)
    for _ in range(2):
        with pytest.raises(GenerationError, match="500"):
            written(engine)
    with pytest.raises(GenerationError, match="left alone"):
        written(engine)
    assert len(server.calls) == 2
    time.sleep(0.35)
    assert written(engine) == "Yes."
    assert engine.breaker.state == "closed"


def test_a_turn_that_came_too_late_says_nothing_against_the_server(make: Make) -> None:
    engine, server = make(says("Yes."), most_failures=1)
    with pytest.raises(GenerationError, match="no time was left"):
        written(engine, seconds=-1)
    assert engine.breaker.state == "closed"
    assert server.calls == []


def test_a_turn_with_hardly_any_time_says_nothing_against_a_server_that_is_slow(
    make: Make,
) -> None:
    engine, server = make(drips(["word "] * 200, 0.05), most_failures=1, connect_seconds=0.4)
    for seconds, state in ((0.2, "closed"), (0.5, "open")):
        with pytest.raises(GenerationError, match="in time"):
            written(engine, seconds=seconds)
        assert engine.breaker.state == state
    assert len(server.calls) == 2


def test_a_request_that_is_refused_says_nothing_against_the_server(make: Make) -> None:
    engine, _ = make(answers(400, "too long"), most_failures=1)
    for _ in range(3):
        with pytest.raises(GenerationError, match="400: too long"):
            written(engine)


def test_a_certificate_that_nobody_vouches_for_is_refused(tokenizer: Path, tmp_path: Path) -> None:
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    keys = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    subprocess.run([*command, *subject, *keys], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with model_server(says("Yes.")) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        secure = {"url": server.url.replace("http", "https"), "retries": 0}
        with (
            closing(ServerEngine(remote(tokenizer, **secure), tokenizer)) as engine,
            pytest.raises(GenerationError, match="CERTIFICATE_VERIFY_FAILED"),
        ):
            written(engine)
        settings = remote(tokenizer, ca_file=tmp_path / "cert.pem", **secure)
        with closing(ServerEngine(settings, tokenizer)) as engine:
            assert written(engine) == "Yes."


# Whole turns.

SAID = "You can return shoes within 30 days [1]."


@pytest.fixture
def ask(make: Make, word_lengths: WordLengthEncoder, detector: Detector) -> Callable[..., Any]:
    """The reply of a whole assistant whose model is on a server with a script."""

    def asked(
        *script: Act, listen: Any = lambda _: None, paused: Any = None, **changed: Any
    ) -> Any:
        engine, server = make(*script, **changed)
        settings = ModelSettings(base="x", max_new_tokens=40, timeout_seconds=5)
        model = LanguageModel(engine, PromptTemplate(), settings)
        assistant = assistant_with(word_lengths, detector, generator=model)
        if paused:
            assistant.paused = paused
        return assistant.respond(Utterance("Can I return shoes?"), listen), server

    return asked


def test_what_a_server_says_is_shown_sentence_by_sentence_as_far_as_it_is_supported(
    ask: Callable[..., Any],
) -> None:
    said = [f"{SAID} ", "You have a year to return boots [1]. ", *["Nothing more. "] * 500]
    reply, server = ask(drips(said, 0.01))
    assert isinstance(reply.outcome, Answer)
    assert reply.outcome.generator == "lm"
    assert [s.text for s in reply.outcome.sentences] == ["You can return shoes within 30 days."]
    assert [s.text for s in reply.dropped] == ["You have a year to return boots."]
    assert server.left.wait(GONE), "the server is not left to go on"


def test_when_the_server_fails_the_answer_is_quoted(ask: Callable[..., Any]) -> None:
    for script in ([answers(500)], [is_silent], [breaks_off("You ")]):
        reply, _ = ask(*script, read_seconds=0.3)
        assert isinstance(reply.outcome, Answer)
        assert reply.outcome.generator == "quote"


def test_a_sentence_that_was_shown_stands_when_the_stream_breaks_off(
    ask: Callable[..., Any],
) -> None:
    reply, _ = ask(breaks_off(f"{SAID} ", "Return post", "age is"))
    assert isinstance(reply.outcome, Answer)
    assert reply.outcome.generator == "lm"
    assert [s.text for s in reply.outcome.sentences] == ["You can return shoes within 30 days."]


def test_the_switch_stops_a_server_within_a_sentence(
    ask: Callable[..., Any], tmp_path: Path
) -> None:
    switch = ModelSwitch(tmp_path)

    def stop(event: object) -> None:
        if isinstance(event, SentenceReady):
            switch.turn_off("Mina")

    reply, server = ask(
        drips([f"{SAID} "] + ["Return postage is GBP 2.50 [1]. "] * 500, 0.01),
        listen=stop, paused=switch.is_off,
    )  # fmt: skip
    assert [s.text for s in reply.outcome.sentences] == ["You can return shoes within 30 days."]
    assert server.left.wait(GONE)


def test_promoted_adapters_and_canaries_are_asked_for_by_name(
    make: Make, tokenizer: Path, tmp_path: Path
) -> None:
    registry = Registry(tmp_path / "home")
    for name in ("june", "july"):
        shutil.copytree(MAPLEWICK, registry.folder / name)
    _, server = make(says("Yes."))
    settings = remote(tokenizer, url=server.url)

    def load(adapter: Path | None) -> LanguageModel:
        found = load_language_model(settings, adapter, tmp_path, 1, GroundingCheck())
        assert isinstance(found, LanguageModel)
        return found

    def names(served: ServedModel) -> set[str]:
        server.calls.clear()
        for n in range(6):
            asked = Question("Shoes?", "Shoes?", "en", conversation_id=f"c{n}")
            assert list(served.generate(asked, [PASSAGE]))
        return {body["model"] for _, body in server.calls}

    with closing(ServedModel(registry, load)) as served:
        assert names(served) == {"model"}
        registry._point(["june"])
        served.heed()
        assert names(served) == {"june"}
        registry._point(["june"], Canary("july", 0.5, 0.0))
        served.heed()
        assert names(served) == {"june", "july"}
        registry.stop_canary()
        served.heed()
        server.models = ("model", "june")
        registry._point(["june", "july"])
        served.heed()
        assert "not july" in served.problem
        assert names(served) == {"june"}, "what is not served there leaves what answers alone"


def test_an_assistant_is_built_around_a_server_without_the_weights(
    tokenizer: Path, base: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(MAPLEWICK, home / "adapters" / "june")
    Registry(home)._point(["june"])
    with model_server(says("Yes."), models=("model", "june")) as server:
        for folder, name, problem in (
            (tokenizer, "june", ""),
            (base, "model", "june was trained on another base"),
        ):
            model = remote(folder, url=server.url)
            served = _generator(Settings(home=home, model=model), GroundingCheck())
            assert isinstance(served, ServedModel)
            with closing(served):
                asked = Question("Shoes?", "Shoes?", "en")
                assert [d.text for d in served.generate(asked, [PASSAGE])] == ["Yes."]
                assert served.problem == problem
            assert server.calls[-1][1]["model"] == name
