"""The language-model generator, on a tiny model that has learned one reply by heart."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from assistant.errors import GenerationError
from assistant.lm import TransformersGenerator, _sentences
from assistant.settings import ModelSettings
from assistant.types import DraftSentence, Evidence, Message, Question
from finetune.base import pretrain
from finetune.prepare import prepare
from finetune.settings import AdapterRecipe, BaseRecipe
from finetune.train import train_adapter
from knowledge.language import Detector

FACT = "Unworn shoes can be returned within 30 days."
SETTINGS = ModelSettings(max_new_tokens=60, prompt_tokens=140, timeout_seconds=60)


def question(text: str = "Shoes MW-1234567?", *history: Message) -> Question:
    return Question(text=text, standalone=text, language="en", history=history)


def evidence(*texts: str) -> list[Evidence]:
    return [
        Evidence(f"e{i}", "passage", "returns.md", "returns", text, "en", 0.9)
        for i, text in enumerate(texts, start=1)
    ]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lm")


@pytest.fixture(scope="module")
def data(work: Path) -> Path:
    """Dialogues that differ only in the order number, which the reply repeats."""
    rows = [
        {
            "id": f"d{i}", "language": "en", "split": "train",
            "passages": [{"text": f"returns: {FACT}"}],
            "turns": [{"role": "customer", "text": f"Shoes MW-10000{i:02d}?"},
                      {"role": "agent", "text": f"{FACT} Thank you for MW-10000{i:02d}."}],
        }
        for i in range(8)
    ]  # fmt: skip
    source = work / "history.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    prepare([source], work / "data", Detector())
    return work / "data"


@pytest.fixture(scope="module")
def base(work: Path, data: Path) -> Path:
    recipe = BaseRecipe(
        max_steps=120, batch_size=4, max_tokens=64, learning_rate=1e-2, vocabulary=400,
        hidden_size=64, layers=2, heads=2, feed_forward=128, context_tokens=256, threads=1,
    )  # fmt: skip
    pretrain([data], work / "base", recipe)
    return work / "base"


@pytest.fixture(scope="module")
def generator(base: Path) -> TransformersGenerator:
    return TransformersGenerator(base, None, SETTINGS)


def test_it_says_what_it_learned_names_its_evidence_and_restores_order_numbers(
    generator: TransformersGenerator,
) -> None:
    drafts = list(generator.generate(question(), evidence(FACT)))
    assert drafts == [
        DraftSentence(FACT, "e1"),
        DraftSentence("Thank you for MW-1234567."),
    ]
    assert generator.name == "lm"


def test_history_and_many_passages_are_cut_to_the_budget(generator: TransformersGenerator) -> None:
    history = [Message("customer", "Hello " * 50), Message("assistant", "Hi " * 50)] * 3
    asked = question("Shoes MW-1234567?", *history)
    assert list(generator.generate(asked, evidence(FACT, *["Other text. " * 40] * 5)))


def test_an_adapter_is_loaded_beside_the_base_with_its_template(
    base: Path, data: Path, work: Path
) -> None:
    recipe = AdapterRecipe(max_steps=4, batch_size=4, max_tokens=128, rank=4, threads=1)
    manifest = train_adapter(data, work / "adapter", base, recipe)
    generator = TransformersGenerator(base, work / "adapter", SETTINGS)
    assert generator.template == manifest.template
    assert next(generator.generate(question(), evidence(FACT))).evidence_id == "e1"


def test_replies_asked_for_at_once_are_the_same_as_one_by_one(
    generator: TransformersGenerator,
) -> None:
    alone = list(generator.generate(question(), evidence(FACT)))
    together: list[list[DraftSentence]] = []
    threads = [
        threading.Thread(
            target=lambda: together.append(list(generator.generate(question(), evidence(FACT))))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert together == [alone] * 4


def test_a_reader_who_leaves_stops_the_generation(
    generator: TransformersGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    left = threading.Event()
    forward = generator._model.forward

    def counted(*args: Any, **kwargs: Any) -> Any:
        steps.append(1)
        if len(steps) == half:  # the first sentence is out by now
            assert left.wait(10)
        return forward(*args, **kwargs)

    half = 10**9
    monkeypatch.setattr(generator._model, "forward", counted)
    list(generator.generate(question(), evidence(FACT)))
    whole = len(steps)
    steps.clear()
    half = whole - 3
    drafts = generator.generate(question(), evidence(FACT))
    next(drafts)
    drafts.close()
    left.set()
    assert generator.acquire(10)  # the worker let go of the model
    generator.release()
    assert len(steps) < whole


def test_too_slow_a_model_is_an_error(base: Path) -> None:
    hurried = TransformersGenerator(
        base, None, SETTINGS.model_copy(update={"timeout_seconds": 0.001})
    )
    with pytest.raises(GenerationError, match="in time"):
        list(hurried.generate(question(), evidence(FACT)))


def test_a_busy_model_is_an_error_after_the_time_allowed(base: Path) -> None:
    waiting = TransformersGenerator(
        base, None, SETTINGS.model_copy(update={"timeout_seconds": 0.1})
    )
    assert waiting.acquire(1)
    with pytest.raises(GenerationError):
        list(waiting.generate(question(), evidence(FACT)))
    waiting.release()


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("no memory"), RuntimeError("broken")])
def test_a_failing_model_is_an_error_and_the_next_turn_works(
    generator: TransformersGenerator, error: Exception
) -> None:
    def fail(**_: Any) -> None:
        raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generator._model, "generate", fail)
        with pytest.raises(GenerationError, match=str(error)):
            list(generator.generate(question(), evidence(FACT)))
    assert list(generator.generate(question(), evidence(FACT)))


def test_a_generator_that_is_never_read_starts_nothing(generator: TransformersGenerator) -> None:
    before = threading.active_count()
    generator.generate(question(), evidence(FACT))
    assert threading.active_count() == before


def test_a_missing_or_unsafe_model_is_an_error(base: Path, tmp_path: Path) -> None:
    with pytest.raises(GenerationError, match="pretrain"):
        TransformersGenerator(tmp_path / "none", None, SETTINGS)
    unsafe = tmp_path / "unsafe"
    shutil.copytree(base, unsafe)
    config = json.loads((unsafe / "config.json").read_text())
    (unsafe / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "x.Y"}}))
    with pytest.raises(GenerationError, match="code to run"):
        TransformersGenerator(unsafe, None, SETTINGS)
    with pytest.raises(GenerationError, match="not a finished adapter"):
        TransformersGenerator(base, tmp_path / "no-adapter", SETTINGS)


@pytest.mark.parametrize(
    ("pieces", "sentences"),
    [
        (["One. ", "Two", " more."], ["One.", "Two more."]),
        (["One", ".", " [", "1", "] Two."], ["One [1].", "Two."]),
        (["One [1]. Two [2]", "."], ["One [1].", "Two [2]."]),
        (["可以退货。", "[1]三十天", "内。"], ["可以退货[1]。", "三十天内。"]),
        (["- a\n", "- b\n", "c"], ["- a", "- b", "c"]),
        (["It costs £4.", "95 now."], ["It costs £4.95 now."]),
        ([], []),
        (["  ", "\n"], []),
    ],
)
def test_a_stream_is_cut_into_sentences_with_their_marks(
    pieces: list[str], sentences: list[str]
) -> None:
    assert list(_sentences(pieces)) == sentences
