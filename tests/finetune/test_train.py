"""Real training on a real 4-bit base, at toy size."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from torch.nn.functional import kl_div

from assistant.grounding import GroundingCheck
from assistant.lm import LanguageModel, load_language_model
from assistant.model_settings import ModelSettings
from assistant.token_engines import Request
from assistant.transformers_engine import TransformersEngine
from finetune import loop, search
from finetune.base import pretrain
from finetune.errors import AdapterError, BaseModelError, DataError, RecipeError
from finetune.evaluate import _model, evaluate, validation_loss
from finetune.examples import IGNORED, collate, encode, examples_of, supported_by_words
from finetune.export import exported
from finetune.loop import checkpoints_of
from finetune.manifest import INT8_ENGINE, NF4_ENGINE, base_digest, validate_adapter
from finetune.models import load_base, load_tokenizer
from finetune.prepare import prepare
from finetune.registry import Registry
from finetune.rows import load_rows
from finetune.scored import before_end
from finetune.search import best_recipe
from finetune.settings import AdapterRecipe, BaseRecipe, WholeModelRecipe, load_recipe
from finetune.train import train_adapter, train_whole
from knowledge.language import Detector
from tests.finetune.toys import ADALORA, adapter_recipe, shop_history, write_lines

TOKENS = torch.arange(10, 60)[None]


def stop_at(step: int, patch: pytest.MonkeyPatch) -> None:
    """Make the next run die at a step, as a killed process would."""
    log = loop._Callback.on_log

    def dying(self: Any, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step >= step:
            raise KeyboardInterrupt
        log(self, args, state, control, **kwargs)

    patch.setattr(loop._Callback, "on_log", dying)


def cut_off(run: Callable[[], Any], step: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stop_at(step, patch)
        with pytest.raises(KeyboardInterrupt):
            run()


def test_the_base_is_an_ordinary_model_folder(base: Path) -> None:
    names = {p.name for p in base.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    model, tokenizer = load_base(base)
    assert type(model.model.layers[0].mlp.up_proj).__name__ == "Linear4bit"
    assert model.config.quantization_config.bnb_4bit_use_double_quant
    assert len(tokenizer("<|customer|>[1] [ORDER_1]", add_special_tokens=False)["input_ids"]) == 4
    assert tokenizer.decode(tokenizer("退货 £4.95", add_special_tokens=False)["input_ids"]) == (
        "退货 £4.95"
    )


def test_pretraining_resumes_to_the_same_weights(
    data: Path, base_recipe: BaseRecipe, tmp_path: Path
) -> None:
    recipe = base_recipe.model_copy(update={"checkpoint_steps": 4})
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    pretrain([data], whole, recipe)
    cut_off(lambda: pretrain([data], cut, recipe), step=6)
    assert not cut.exists()
    pretrain([data], cut, recipe, resume=True)
    assert base_digest(cut) == base_digest(whole)


def test_pretraining_never_overwrites(base: Path, data: Path, base_recipe: BaseRecipe) -> None:
    with pytest.raises(BaseModelError, match="not empty"):
        pretrain([data], base, base_recipe)


def test_plain_documents_can_be_pretrained_on(tmp_path: Path, base_recipe: BaseRecipe) -> None:
    source = tmp_path / "docs.jsonl"
    source.write_text(json.dumps({"text": "Returns take 30 days. " * 50}) + "\n")
    recipe = base_recipe.model_copy(update={"max_steps": 1})
    assert pretrain([source], tmp_path / "base", recipe).training.steps == 1
    source.write_text("{}\n")
    with pytest.raises(DataError, match="JSON Lines"):
        pretrain([source], tmp_path / "other", recipe)


@pytest.mark.parametrize("method", ["lora", "adalora"])
def test_training_lowers_the_loss(method: str, request: pytest.FixtureRequest) -> None:
    manifest = validate_adapter(request.getfixturevalue(method))
    assert manifest.method == method
    assert manifest.training["last_loss"] < manifest.training["first_loss"] - 0.1


def test_adalora_prunes_to_its_target(adalora: Path) -> None:
    config = json.loads((adalora / "adapter_config.json").read_text())
    left = [sum(kept) for kept in config["rank_pattern"].values()]
    assert sum(left) == 3 * len(left)
    assert len(set(left)) > 1  # by importance, not evenly


@pytest.mark.parametrize(
    "changes",
    [{}, ADALORA, {"method": "dora"}, {"method": "prefix"}],
    ids=["lora", "adalora", "dora", "prefix"],
)
def test_a_resumed_run_ends_with_identical_weights(
    changes: dict[str, Any], data: Path, base: Path, tmp_path: Path
) -> None:
    recipe = adapter_recipe(**changes, max_steps=18)  # into the second epoch
    whole = train_adapter(data, tmp_path / "whole", base, recipe)
    cut_off(lambda: train_adapter(data, tmp_path / "cut", base, recipe), step=17)
    checkpoints = checkpoints_of(tmp_path / "cut")
    torn = checkpoints / "checkpoint-17"  # one that was being written when the process died
    torn.mkdir()
    resumed = train_adapter(data, tmp_path / "cut", base, recipe, resume=True)
    assert resumed.adapter_sha256 == whole.adapter_sha256
    assert not checkpoints.exists()


def test_resuming_a_finished_run_returns_it(lora: Path, data: Path, base: Path) -> None:
    recipe = adapter_recipe(max_steps=30)
    before = validate_adapter(lora)
    assert train_adapter(data, lora, base, recipe, resume=True) == before


def test_resuming_with_another_recipe_is_refused(data: Path, base: Path, tmp_path: Path) -> None:
    out = tmp_path / "a"
    cut_off(lambda: train_adapter(data, out, base, adapter_recipe()), step=5)
    with pytest.raises(RecipeError, match="another recipe"):
        train_adapter(data, out, base, adapter_recipe(rank=2), resume=True)


def test_training_never_overwrites(lora: Path, data: Path, base: Path) -> None:
    with pytest.raises(AdapterError, match="not empty"):
        train_adapter(data, lora, base, adapter_recipe())


def test_an_impossible_adalora_schedule_is_refused_before_the_base_is_loaded(
    data: Path, base: Path, tmp_path: Path
) -> None:
    recipe = adapter_recipe(**{**ADALORA, "prune_every": 50}, max_steps=None)
    with pytest.raises(RecipeError, match="cannot prune in a run of 13 steps"):
        train_adapter(data, tmp_path / "a", base, recipe)
    assert not checkpoints_of(tmp_path / "a").exists()


@pytest.mark.parametrize("method", ["lora", "adalora"])
def test_an_adapter_loads_through_the_registry_and_changes_the_logits(
    method: str, request: pytest.FixtureRequest, base: Path, data: Path, tmp_path: Path
) -> None:
    from peft import PeftModel

    source = tmp_path / method
    shutil.copytree(request.getfixturevalue(method), source)
    scores = evaluate(
        data, base, source, supported_by_words, tmp_path / "engines", limit=4, max_new_tokens=8
    )
    registry = Registry(tmp_path / "home")
    registry.promote(source)
    folder = registry.current()
    assert folder is not None
    card = validate_adapter(folder, base).scores
    assert card is not None
    assert card.adapter == scores
    assert scores.perplexity < card.base.perplexity
    model = PeftModel.from_pretrained(load_base(base)[0], folder).eval()
    with torch.inference_mode():
        ours = model(input_ids=TOKENS).logits
        with model.disable_adapter():
            bare = model(input_ids=TOKENS).logits
    assert (ours - bare).abs().max() > 0.01


def test_evaluating_the_base_alone_gives_the_scores_in_the_card(
    base: Path, data: Path, lora: Path, tmp_path: Path
) -> None:
    source = tmp_path / "lora"
    shutil.copytree(lora, source)
    evaluate(
        data, base, source, supported_by_words, tmp_path / "engines", limit=4, max_new_tokens=8
    )
    card = validate_adapter(source).scores
    alone = evaluate(
        data, base, None, supported_by_words, tmp_path, limit=4, max_tokens=96, max_new_tokens=8
    )
    assert card is not None
    assert math.isclose(alone.perplexity, card.base.perplexity, rel_tol=0.02)
    assert alone.n == 4
    assert 0 <= alone.rouge_l <= 1


def test_scores_come_with_intervals_by_group_and_with_what_was_forgotten(
    base: Path, data: Path, lora: Path, tmp_path: Path
) -> None:
    source = tmp_path / "lora"
    shutil.copytree(lora, source)
    talk = [
        {"id": f"t{i}", "split": "test", "turns": [
            {"role": "customer", "text": f"Tell me story {i}."},
            {"role": "agent", "text": f"Once upon a time there were {i} bears."}]}
        for i in range(3)
    ]  # fmt: skip
    prepare([write_lines(tmp_path / "talk.jsonl", talk)], tmp_path / "talk", Detector())
    scores = evaluate(
        data, base, source, supported_by_words, tmp_path, limit=6, max_new_tokens=8,
        others=[tmp_path / "talk"],
    )  # fmt: skip
    low, high = scores.intervals["perplexity"]
    assert low <= scores.perplexity <= high
    assert {"language:en", "intent:returns"} <= set(scores.groups)
    assert sum(g["n"] for name, g in scores.groups.items() if name.startswith("intent")) == 6
    assert scores.same_language == 1.0
    card = validate_adapter(source).scores
    assert card is not None
    assert card.forgetting["talk"] != 0


@pytest.mark.parametrize("engine", [NF4_ENGINE, INT8_ENGINE])
def test_what_is_served_says_what_was_evaluated(
    engine: str, base: Path, data: Path, lora: Path, tmp_path: Path
) -> None:
    source = tmp_path / "lora"
    shutil.copytree(lora, source)
    manifest = validate_adapter(source)
    replace(manifest, engine=engine).write(source)
    tokenizer = load_tokenizer(base)
    examples = list(examples_of(load_rows(data, "test")))[:4]
    rows = [encode(e, tokenizer, manifest.template, 200) for e in examples]
    model = _model(engine, base, source, tmp_path, tokenizer, manifest.template, 12)
    settings = ModelSettings(base=str(base), max_new_tokens=12, prompt_tokens=188)
    served = load_language_model(settings, source, tmp_path, 1, GroundingCheck())
    assert isinstance(served, LanguageModel)
    assert served.engine.name == engine
    for row, reply in zip(rows, model.replies(rows), strict=True):
        request = Request(
            row.ids[: row.prompt_tokens], served.engine.vocabulary.ends(served.template), 12,
            time.monotonic() + 60,
        )  # fmt: skip
        served.engine.submit(request)
        text = served.engine.vocabulary.tokenizer.decode(list(request.tokens()))
        assert before_end(text, served.template) == reply


@pytest.mark.parametrize("method", ["lora", "adalora"])
def test_the_export_for_a_cpu_is_measured_itself(
    method: str, request: pytest.FixtureRequest, base: Path, data: Path, tmp_path: Path
) -> None:
    source = tmp_path / method
    shutil.copytree(request.getfixturevalue(method), source)
    asked = (data, base, source, supported_by_words, tmp_path / "engines")
    reference = evaluate(*asked, limit=4, max_new_tokens=8)
    assert validate_adapter(source).engine == NF4_ENGINE
    scores = evaluate(*asked, INT8_ENGINE, limit=4, max_new_tokens=8)
    manifest = validate_adapter(source)
    assert manifest.engine == INT8_ENGINE
    assert manifest.scores is not None
    assert manifest.scores.adapter == scores
    assert scores.perplexity < manifest.scores.base.perplexity
    assert math.isclose(scores.perplexity, reference.perplexity, rel_tol=0.1)
    assert len(list((tmp_path / "engines").iterdir())) == 2  # the base's, and the adapter's


@pytest.mark.parametrize("method", ["dora", "prefix"])
def test_other_methods_train_are_measured_and_served(
    method: str, base: Path, data: Path, tmp_path: Path
) -> None:
    recipe = adapter_recipe(method=method, max_steps=30, learning_rate=2e-2, virtual_tokens=4)
    manifest = train_adapter(data, tmp_path / "adapter", base, recipe)
    assert manifest.training["last_loss"] < manifest.training["first_loss"]
    asked = (data, base, tmp_path / "adapter", supported_by_words, tmp_path / "engines")
    scores = evaluate(*asked, limit=4, max_new_tokens=8)
    card = validate_adapter(tmp_path / "adapter", base).scores
    assert card is not None
    assert scores.perplexity < 1.05 * card.base.perplexity != scores.perplexity
    engine = TransformersEngine(base, tmp_path / "adapter")
    ids = TOKENS[0].tolist()
    replies = []
    for _ in range(2):  # the second one could lean on what the first left
        request = Request(ids, frozenset(), 5, time.monotonic() + 60)
        engine.submit(request)
        replies.append(list(request.tokens()))
    assert replies[0] == replies[1]
    assert len(replies[0]) == 5
    if method == "prefix":
        with pytest.raises(BaseModelError, match="cannot be merged"):
            evaluate(*asked, INT8_ENGINE, limit=4)
    else:
        merged = evaluate(*asked, INT8_ENGINE, limit=4, max_new_tokens=8)
        assert math.isclose(merged.perplexity, scores.perplexity, rel_tol=0.1)


def test_earlier_dialogues_are_replayed_and_counted(base: Path, data: Path, tmp_path: Path) -> None:
    rows = [row | {"id": f"new-{row['id']}", "split": "train"} for row in shop_history()[:7]]
    prepare([write_lines(tmp_path / "new.jsonl", rows)], tmp_path / "new", Detector())
    recipe = adapter_recipe(max_steps=2, replay_share=0.3)
    alone = train_adapter(tmp_path / "new", tmp_path / "alone", base, recipe)
    manifest = train_adapter(tmp_path / "new", tmp_path / "a", base, recipe, replay=data)
    assert (manifest.training["examples"], manifest.training["replayed"]) == (10, 3)
    assert alone.training["replayed"] == 0
    assert manifest.adapter_sha256 != alone.adapter_sha256


def test_an_adapter_that_is_held_to_its_base_says_more_of_what_it_would_on_what_is_replayed(
    base: Path, data: Path, tmp_path: Path
) -> None:
    rows = shop_history()[:9]
    for row in rows:
        row |= {"id": f"new-{row['id']}", "split": "train"}
        row["turns"][1]["text"] = "Ask again tomorrow, ask again tomorrow."
    prepare([write_lines(tmp_path / "new.jsonl", rows)], tmp_path / "new", Detector())
    learnt, tokenizer = load_base(base)
    earlier = list(examples_of(load_rows(data, "train")))[:8]
    apart = []
    for keep in (0.0, 30.0):
        recipe = adapter_recipe(max_steps=16, replay_share=0.5, keep=keep)
        adapter = tmp_path / f"keep-{keep}"
        manifest = train_adapter(tmp_path / "new", adapter, base, recipe, replay=data)
        tuned = PeftModel.from_pretrained(load_base(base)[0], adapter)
        asked = [encode(e, tokenizer, manifest.template, 96) for e in earlier]
        tensors = collate(asked, tokenizer.pad_token_id)
        told = tensors.pop("labels")[:, 1:] != IGNORED
        with torch.no_grad():
            own, before = (m(**tensors).logits[:, :-1][told].float() for m in (tuned, learnt))
        apart.append(float(kl_div(own.log_softmax(-1), before.log_softmax(-1), log_target=True)))
    assert 0 < apart[1] < 0.5 * apart[0]


@pytest.mark.slow
def test_two_processes_train_one_adapter(base: Path, data: Path, tmp_path: Path) -> None:
    recipe = {"method": "lora", "epochs": 1, "batch_size": 4, "max_tokens": 96, "rank": 4,
              "learning_rate": 5e-3, "threads": 1}  # fmt: skip
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command = ["-m", "finetune", "train", "--data", str(data), "--base", str(base)]
    command += ["--recipe", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "adapter")]
    environment = os.environ | {"ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(
        [*launch, *command], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr[-2000:]
    manifest = validate_adapter(tmp_path / "adapter", base)
    assert manifest.training["examples"] == 50
    assert manifest.training["steps"] == 7  # 13 batches between two
    assert not checkpoints_of(tmp_path / "adapter").exists()


def test_a_whole_model_can_be_trained_to_compare_with(
    base: Path, data: Path, tmp_path: Path
) -> None:
    recipe = WholeModelRecipe(max_steps=12, batch_size=4, max_tokens=96, learning_rate=5e-3)
    report = train_whole(data, tmp_path / "whole", base, recipe)
    assert report.training.last_loss < report.training.first_loss
    assert report.base_sha256 == base_digest(tmp_path / "whole") != base_digest(base)


def test_a_search_keeps_its_trials_and_takes_the_best(
    base: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = adapter_recipe(max_steps=3)
    with pytest.raises(DataError, match="no dialogue for validation"):
        best_recipe(data, tmp_path / "adapter", base, recipe, 2)
    data = kept_for_validation(tmp_path)
    losses = iter([3.0, 1.0, 2.0])
    tried: list[AdapterRecipe] = []

    def training(data: Path, out: Path, base: Path, recipe: AdapterRecipe) -> None:
        tried.append(recipe)
        train_adapter(data, out, base, recipe)

    monkeypatch.setattr(search, "train_adapter", training)
    monkeypatch.setattr(search, "validation_loss", lambda *_: next(losses))
    best_recipe(data, tmp_path / "adapter", base, recipe, 2)
    best = best_recipe(data, tmp_path / "adapter", base, recipe, 3)
    assert len(tried) == 3
    assert best.model_copy(update={"max_steps": 3}) == tried[1]
    written = load_recipe(tmp_path / "adapter.training" / "search.yaml", AdapterRecipe)
    assert written.learning_rate == tried[1].learning_rate


def test_the_loss_of_the_replies_kept_back_is_that_of_the_validation_split(
    base: Path, lora: Path, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="no validation dialogue"):
        validation_loss(data, base, lora)
    assert 0 < validation_loss(kept_for_validation(tmp_path), base, lora) < 5


def kept_for_validation(folder: Path) -> Path:
    """The toy's history with a tenth of it for validation."""
    rows = [
        row | {"split": "validation" if n % 10 == 1 else row["split"]}
        for n, row in enumerate(shop_history())
    ]
    prepare([write_lines(folder / "kept.jsonl", rows)], folder / "kept", Detector())
    return folder / "kept"


def test_batches_hold_examples_of_like_length_and_each_epoch_other_ones() -> None:
    lengths = [10 * (n % 7) + n % 3 for n in range(101)]
    sampler = loop._LikeLengths(lengths, 4, 1)
    first, again = list(sampler), list(sampler)
    assert first == again
    assert sorted(first) == list(range(101))
    batches = [[lengths[n] for n in first[i : i + 4]] for i in range(0, 100, 4)]
    assert sum(max(b) - min(b) for b in batches) / len(batches) < 8
    sampler.set_epoch(1)
    assert list(sampler) != first


def test_a_model_that_cannot_be_exported_is_an_error(base: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(base, other)
    config = json.loads((other / "config.json").read_text())
    config |= {"model_type": "stablelm", "architectures": ["StableLmForCausalLM"]}
    (other / "config.json").write_text(json.dumps(config))
    (other / "SHA256").unlink()
    with pytest.raises(BaseModelError, match="cannot be exported"):
        exported(other, None, tmp_path / "engines")
    assert not list((tmp_path / "engines").iterdir())


def test_support_is_judged_by_the_callable_given(base: Path, data: Path, tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []

    def always(reply: str, passages: Any) -> bool:
        seen.append((reply, len(passages)))
        return True

    scores = evaluate(data, base, None, always, tmp_path, limit=3, max_new_tokens=4)
    assert scores.supported == 1.0
    assert [count for _, count in seen] == [1, 1, 1]
