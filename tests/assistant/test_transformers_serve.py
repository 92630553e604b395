"""The shipped model with its adapter on a real `transformers serve`."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from assistant.engine import Engine, Wanted
from assistant.grounding import GroundingCheck
from assistant.lm import LanguageModel, load_language_model
from assistant.model_settings import ModelSettings
from assistant.server_engine import ServerEngine
from assistant.transformers_engine import TransformersEngine
from assistant.types import Answer, Utterance
from finetune.registry import Registry, validate_adapter
from knowledge.language import Detector
from tests.assistant.fakes import PASSAGE, assistant_with
from tests.assistant.shipped import MAPLEWICK, STARTER
from tests.conftest import WordLengthEncoder
from tests.transformers_serve import transformers_serve

pytestmark = pytest.mark.slow
QUESTIONS = ("Can I return shoes?", "What does it cost to send shoes back?", "鞋子可以退吗？")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base's folder with the adapter's files in it: `transformers serve` loads both."""
    made = tmp_path_factory.mktemp("served")
    for file in (*STARTER.iterdir(), *MAPLEWICK.glob("adapter_*")):
        (made / file.name).symlink_to(file)
    return made


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    with transformers_serve(folder) as found:
        yield found


@pytest.fixture
def promoted(tmp_path: Path) -> Path:
    """The adapter in a home's registry."""
    registry = Registry(tmp_path / "home")
    shutil.copytree(MAPLEWICK, registry.folder / "maplewick-05e0")
    registry._point(["maplewick-05e0"])
    current = registry.current()
    assert current is not None
    return current


def on_server(url: str, folder: Path) -> ModelSettings:
    there = {"url": url, "adapters": {"maplewick-05e0": str(folder)}}
    return ModelSettings(base=str(STARTER), server=there)  # type: ignore[arg-type]


def load(settings: ModelSettings, adapter: Path, work: Path) -> LanguageModel:
    found = load_language_model(settings, adapter, work, 2, GroundingCheck())
    assert isinstance(found, LanguageModel)
    return found


def texts(engine: Engine, model: LanguageModel) -> list[str]:
    """What an engine writes to the questions."""
    found = []
    for text in QUESTIONS:
        prompt = model.read([f"{PASSAGE.title}: {PASSAGE.text}"], [], text)
        end, ends = model.template.reply_end, engine.vocabulary.ends(model.template)
        pieces = engine.write(Wanted(prompt.text, end, ends, 60, time.monotonic() + 60))
        found.append("".join(pieces))
    return found


def test_it_says_what_the_reference_says_with_the_promoted_adapter(
    url: str, folder: Path, promoted: Path, tmp_path: Path
) -> None:
    server = load(on_server(url, folder), promoted, tmp_path)
    here = TransformersEngine(STARTER, promoted)
    assert validate_adapter(promoted, STARTER).template == server.template
    with closing(server), closing(here):
        said = texts(server.engine, server)
        assert said == texts(here, server)
        assert all(said)


def test_a_turn_is_answered_by_it_sentence_by_verified_sentence(
    url: str, folder: Path, promoted: Path, tmp_path: Path,
    word_lengths: WordLengthEncoder, detector: Detector,
) -> None:  # fmt: skip
    model = load(on_server(url, folder), promoted, tmp_path)
    with closing(model):
        assistant = assistant_with(word_lengths, detector, generator=model)
        reply = assistant.respond(Utterance(QUESTIONS[0]))
    assert isinstance(reply.outcome, Answer)
    assert reply.outcome.generator == "lm", reply.dropped
    assert all(sentence.supported for sentence in reply.outcome.sentences)


def test_a_reply_that_is_closed_frees_the_server_at_once(
    url: str, folder: Path, promoted: Path, tmp_path: Path
) -> None:
    model = load(on_server(url, folder), promoted, tmp_path)
    assert isinstance(model.engine, ServerEngine)

    def asked(prompt: str, limit: int) -> Wanted:
        return Wanted(prompt, "<|end|>", frozenset(), limit, time.monotonic() + 120)

    with closing(model):
        for _ in range(3):  # each would take twenty seconds, one after another
            endless = model.engine.write(asked("return " * 20, 1500))
            assert [next(endless) for _ in range(9)]
            endless.close()
        started = time.monotonic()
        list(model.engine.write(asked("return", 5)))
        assert time.monotonic() - started < 5
