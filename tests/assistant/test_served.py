"""The served model: it follows the registry while replies are being written."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from assistant.errors import GenerationError
from assistant.generation import Drafts
from assistant.served import ServedModel
from assistant.types import DraftSentence, Evidence, GeneratorName, Question
from finetune.registry import Registry


class Says:
    """Says the name of its adapter, twice; counts how often it was let go of."""

    name: GeneratorName = "lm"

    def __init__(self, folder: Path | None) -> None:
        self.text = folder.name if folder else "base"
        self.closed = 0

    def generate(self, question: Question, evidence: Sequence[Evidence]) -> Drafts:
        for _ in range(2):
            assert not self.closed, "a reply is written on a model that was let go of"
            yield DraftSentence(self.text)

    def close(self) -> None:
        self.closed += 1


class Loader:
    """Loads what says its name, and remembers it."""

    def __init__(self) -> None:
        self.loaded: list[Says] = []
        self.fails = False

    def __call__(self, folder: Path | None) -> Says:
        if self.fails:
            raise GenerationError("no memory")
        self.loaded.append(Says(folder))
        return self.loaded[-1]


def asked(conversation: str = "") -> Question:
    return Question("q", "q", "en", conversation_id=conversation)


def said(model: ServedModel, conversation: str = "") -> str:
    return next(iter(model.generate(asked(conversation), ()))).text


def point(registry: Registry, *promoted: str, canary: str = "", share: float = 0.3) -> None:
    registry.folder.mkdir(parents=True, exist_ok=True)
    held = {"name": canary, "share": share, "since": 0.0} if canary else None
    registry.pointer.write_text(json.dumps({"promoted": promoted, "canary": held}))


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


def test_what_is_promoted_is_served_from_the_next_reply_on(registry: Registry) -> None:
    load = Loader()
    model = ServedModel(registry, load)
    assert (said(model), model.current) == ("base", "")
    point(registry, "june")
    assert said(model) == "base"
    model.heed()
    assert (said(model), model.current) == ("june", "june")
    assert [m.closed for m in load.loaded] == [1, 0]
    model.heed()
    assert len(load.loaded) == 2, "what is served already is not loaded again"


def test_a_reply_ends_on_the_model_that_began_it(registry: Registry) -> None:
    load = Loader()
    model = ServedModel(registry, load)
    reply = iter(model.generate(asked(), ()))
    first = next(reply)
    point(registry, "june")
    model.heed()
    assert (first.text, next(reply).text) == ("base", "base")
    assert load.loaded[0].closed == 0
    assert next(reply, None) is None
    assert load.loaded[0].closed == 1


def test_a_reply_that_is_broken_off_lets_go_of_its_model(registry: Registry) -> None:
    load = Loader()
    model = ServedModel(registry, load)
    reply = model.generate(asked(), ())
    next(iter(reply))
    point(registry, "june")
    model.heed()
    reply.close()  # type: ignore[attr-defined]
    assert load.loaded[0].closed == 1


def test_a_canary_answers_its_share_until_it_is_taken_back(registry: Registry) -> None:
    point(registry, "june", canary="july")
    load = Loader()
    model = ServedModel(registry, load)
    canary = registry.canary()
    assert canary is not None
    names = [f"c{n}" for n in range(40)]
    expected = ["july" if canary.takes(name) else "june" for name in names]
    assert [said(model, name) for name in names] == expected
    assert set(expected) == {"june", "july"}
    registry.stop_canary()
    model.take_back()
    assert {said(model, name) for name in names} == {"june"}
    model.heed()
    assert [m.closed for m in sorted(load.loaded, key=lambda m: m.text)] == [1, 0]


def test_promoting_the_canary_does_not_load_it_again(registry: Registry) -> None:
    point(registry, "june", canary="july")
    load = Loader()
    model = ServedModel(registry, load)
    point(registry, "june", "july")
    model.heed()
    assert said(model) == "july"
    assert len(load.loaded) == 2


def test_what_cannot_be_loaded_leaves_what_answers_alone(registry: Registry) -> None:
    load = Loader()
    model = ServedModel(registry, load)
    point(registry, "june")
    load.fails = True
    model.heed()
    assert (said(model), model.current, model.problem) == ("base", "", "no memory")
    load.fails = False
    model.heed()
    assert (said(model), model.problem) == ("june", "")


def test_an_adapter_of_another_base_is_not_served(registry: Registry) -> None:
    point(registry, "june")
    model = ServedModel(registry, Loader(), lambda folder: folder.name != "june")
    assert (said(model), model.current) == ("base", "")
    assert model.problem == "june was trained on another base"
    point(registry, "june", "july")
    model.heed()
    assert (said(model), model.problem) == ("july", "")


def test_a_damaged_pointer_leaves_what_answers_alone(registry: Registry) -> None:
    point(registry, "june")
    model = ServedModel(registry, Loader())
    registry.pointer.write_text("{")
    model.heed()
    assert said(model) == "june"
    assert "damaged" in model.problem


def test_at_first_an_error_is_raised(registry: Registry) -> None:
    load = Loader()
    load.fails = True
    with pytest.raises(GenerationError, match="no memory"):
        ServedModel(registry, load)


def test_no_reply_is_lost_while_adapters_are_switched(registry: Registry) -> None:
    load = Loader()
    model = ServedModel(registry, load)
    over, wrong = threading.Event(), []

    def talk() -> None:
        while not over.is_set():
            texts = [d.text for d in model.generate(asked(), ())]
            if len(texts) != 2 or texts[0] != texts[1]:
                wrong.append(texts)

    talkers = [threading.Thread(target=talk) for _ in range(4)]
    for talker in talkers:
        talker.start()
    for n in range(50):
        point(registry, f"adapter-{n}")
        model.heed()
    over.set()
    for talker in talkers:
        talker.join()
    assert wrong == []
    assert [m.closed for m in load.loaded] == [1] * 50 + [0]
