"""The language-model generator, on a tiny model that has learned one reply by heart."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from assistant.engine import Sampling
from assistant.errors import GenerationError
from assistant.generation import Drafts
from assistant.grounding import GroundingCheck
from assistant.lm import BestOf, LanguageModel, _sentences, load_language_model
from assistant.model_settings import ModelSettings
from assistant.types import DraftSentence, Evidence, GeneratorName, Message, Question
from finetune.manifest import INT8_ENGINE, NF4_ENGINE
from finetune.settings import AdapterRecipe
from finetune.train import train_adapter
from tests.assistant.by_heart import FACT

SETTINGS = ModelSettings(max_new_tokens=60, prompt_tokens=140, timeout_seconds=60)


def question(text: str = "Shoes MW-1234567?", *history: Message) -> Question:
    return Question(text=text, standalone=text, language="en", history=history)


def evidence(*texts: str) -> list[Evidence]:
    return [
        Evidence(f"e{i}", "passage", "returns.md", "returns", text, "en", 0.9)
        for i, text in enumerate(texts, start=1)
    ]


def load(base: Path, engines: Path, adapter: Path | None = None, **changed: Any) -> LanguageModel:
    settings = SETTINGS.model_copy(update={"base": str(base)} | changed)
    found = load_language_model(settings, adapter, engines, 1, GroundingCheck())
    assert isinstance(found, LanguageModel)
    return found


@pytest.fixture(scope="module", params=[INT8_ENGINE, NF4_ENGINE])
def generator(request: pytest.FixtureRequest, base: Path, work: Path) -> LanguageModel:
    return load(base, work / "engines", engine=request.param)


def test_it_says_what_it_learned_names_its_evidence_and_restores_order_numbers(
    generator: LanguageModel,
) -> None:
    drafts = list(generator.generate(question(), evidence(FACT)))
    assert drafts == [
        DraftSentence(FACT, "e1"),
        DraftSentence("Thank you for MW-1234567."),
    ]
    prompt = generator.read([f"returns: {FACT}"], [], "Shoes [ORDER_1]?").text
    assert {d.prompt for d in drafts} == {prompt}, "as the model read it, without the number"
    assert generator.name == "lm"


def test_history_and_many_passages_are_cut_to_the_budget(generator: LanguageModel) -> None:
    history = [Message("customer", "Hello " * 50), Message("assistant", "Hi " * 50)] * 3
    asked = question("Shoes MW-1234567?", *history)
    assert list(generator.generate(asked, evidence(FACT, *["Other text. " * 40] * 5)))


def test_what_prompts_share_changes_no_reply(generator: LanguageModel) -> None:
    asked = [(question(), evidence(FACT)), (question("Boots?"), evidence(FACT, "More."))]
    alone = [list(generator.generate(*turn)) for turn in asked]
    assert [list(generator.generate(*turn)) for turn in asked * 3] == alone * 3


def test_an_adapter_is_served_on_the_engine_it_was_evaluated_on(
    base: Path, data: Path, work: Path
) -> None:
    recipe = AdapterRecipe(max_steps=4, batch_size=4, max_tokens=128, rank=4, threads=1)
    manifest = train_adapter(data, work / "adapter", base, recipe)
    generator = load(base, work / "engines", work / "adapter")
    assert generator.engine.name == manifest.engine == NF4_ENGINE
    assert generator.template == manifest.template
    assert next(generator.generate(question(), evidence(FACT))).evidence_id == "e1"
    with pytest.raises(GenerationError, match="--engine ctranslate2-int8"):
        load(base, work / "engines", work / "adapter", engine=INT8_ENGINE)
    replace(manifest, engine=INT8_ENGINE).write(work / "adapter")
    merged = load(base, work / "engines", work / "adapter")
    assert merged.engine.name == INT8_ENGINE
    assert next(merged.generate(question(), evidence(FACT))).evidence_id == "e1"


def test_replies_asked_for_at_once_are_the_same_as_one_by_one(generator: LanguageModel) -> None:
    alone = list(generator.generate(question(), evidence(FACT)))
    with ThreadPoolExecutor(4) as pool:
        asked = [
            pool.submit(lambda: list(generator.generate(question(), evidence(FACT))))
            for _ in range(4)
        ]
    assert [turn.result() for turn in asked] == [alone] * 4


def test_too_slow_a_model_is_an_error(generator: LanguageModel) -> None:
    hurried = LanguageModel(
        generator.engine,
        generator.template,
        SETTINGS.model_copy(update={"timeout_seconds": 1e-9}),
    )
    with pytest.raises(GenerationError, match="in time"):
        list(hurried.generate(question(), evidence(FACT)))
    assert list(generator.generate(question(), evidence(FACT)))


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("no memory"), RuntimeError("broken")])
def test_a_failing_model_is_an_error_and_the_next_turn_works(
    generator: LanguageModel, error: Exception
) -> None:
    def fail(_: object) -> None:
        raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generator.engine, "decode", fail)
        with pytest.raises(GenerationError, match=str(error)):
            list(generator.generate(question(), evidence(FACT)))
    assert list(generator.generate(question(), evidence(FACT)))


def test_of_several_replies_the_best_supported_is_given(generator: LanguageModel) -> None:
    class Says:
        name: GeneratorName = "lm"

        def __init__(self, *texts: str) -> None:
            self.texts = texts

        def generate(self, _: object, pieces: Sequence[Evidence]) -> Drafts:
            for text in self.texts:
                yield DraftSentence(text, pieces[0].id)

    said = [Says("You have a year."), Says(FACT, "You have a year."), Says(FACT), generator]
    best = BestOf(said, GroundingCheck())
    assert [d.text for d in best.generate(question(), evidence(FACT))] == [FACT]


def test_a_reply_can_be_drawn_from_the_likeliest_words(generator: LanguageModel) -> None:
    drawn = LanguageModel(generator.engine, generator.template, SETTINGS, Sampling(0.01, 2))
    assert next(drawn.generate(question(), evidence(FACT))).text == FACT


def test_without_the_fast_engine_the_base_is_served_in_4_bits(
    base: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "assistant.int8_engine", None)
    assert load(base, work / "engines").engine.name == NF4_ENGINE
    with pytest.raises(GenerationError, match="int8_engine"):
        load(base, work / "engines", engine=INT8_ENGINE)


def test_a_missing_or_unsafe_model_is_an_error(base: Path, tmp_path: Path) -> None:
    with pytest.raises(GenerationError, match="pretrain"):
        load(tmp_path / "none", tmp_path)
    unsafe = tmp_path / "unsafe"
    shutil.copytree(base, unsafe)
    config = json.loads((unsafe / "config.json").read_text())
    (unsafe / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "x.Y"}}))
    with pytest.raises(GenerationError, match="code to run"):
        load(unsafe, tmp_path)
    with pytest.raises(GenerationError, match="not a finished adapter"):
        load(base, tmp_path, tmp_path / "no-adapter")


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
