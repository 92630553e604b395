"""Instruction tuning at toy size, and the optimizer that it shares with pre-training."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from finetune.base import pretrain
from finetune.errors import BaseModelError, DataError
from finetune.examples import Example
from finetune.instruct import instruct
from finetune.manifest import DIGEST, base_digest, validate_base
from finetune.models import load_tokenizer, template_for
from finetune.optimizer import MuonWithAdamW
from finetune.prompt import QUOTE
from finetune.settings import BaseRecipe, InstructRecipe
from tests.finetune.test_train import cut_off

EXAMPLES = [
    Example((f"Returns: {n} days.",), (), "How long?", f"You have {n} days [1].")
    for n in range(10, 40)
]
RECIPE = InstructRecipe(
    max_steps=12, batch_size=4, max_tokens=128, learning_rate=5e-3, optimizer="muon", threads=1
)


def test_tuning_lowers_the_loss_of_replies_kept_back(base: Path, tmp_path: Path) -> None:
    short, long = (
        instruct(
            base, EXAMPLES, EXAMPLES[:4], tmp_path / f"{n}", RECIPE.model_copy(update={"max_steps": n})
        )
        for n in (1, 40)
    )  # fmt: skip
    assert short.held_out_loss
    assert long.held_out_loss
    assert long.held_out_loss < 0.7 * short.held_out_loss
    assert (tmp_path / "40" / "tokenizer.json").is_file()


def test_a_run_that_was_cut_off_ends_with_the_same_weights(base: Path, tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={"checkpoint_steps": 4})
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    instruct(base, EXAMPLES, (), whole, recipe)
    cut_off(lambda: instruct(base, EXAMPLES, (), cut, recipe), step=6)
    instruct(base, EXAMPLES, (), cut, recipe, resume=True)
    one, other = (load_file(f / "model.safetensors") for f in (whole, cut))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_nothing_is_overwritten_and_nothing_to_learn_is_an_error(
    base: Path, tmp_path: Path
) -> None:
    with pytest.raises(BaseModelError, match="not empty"):
        instruct(base, EXAMPLES, (), base, RECIPE)
    with pytest.raises(DataError, match="no replies"):
        instruct(base, (), (), tmp_path / "out", RECIPE)


def test_texts_kept_back_are_measured_with_grouped_heads(
    tmp_path: Path, base_recipe: BaseRecipe
) -> None:
    source = tmp_path / "texts.jsonl"
    source.write_text("".join(f'{{"text": "Parcel {n} is on its way."}}\n' for n in range(200)))
    update = {"held_out_share": 0.2, "key_value_heads": 1, "optimizer": "muon"}
    report = pretrain([source], tmp_path / "base", base_recipe.model_copy(update=update))
    assert report.held_out_loss
    assert 0 < report.held_out_loss < 6


def test_another_models_tokenizer_can_be_taken_over(
    base: Path, tmp_path: Path, base_recipe: BaseRecipe
) -> None:
    source = tmp_path / "texts.jsonl"
    source.write_text('{"text": "Parcels."}\n' * 20)
    pretrain([source], tmp_path / "out", base_recipe, tokenizer_folder=base)
    tokenizers = [(f / "tokenizer.json").read_bytes() for f in (base, tmp_path / "out")]
    assert tokenizers[0] == tokenizers[1]
    (tmp_path / "empty").mkdir()
    with pytest.raises(BaseModelError, match="no tokenizer"):
        pretrain([source], tmp_path / "other", base_recipe, tokenizer_folder=tmp_path / "empty")


def test_a_model_folder_that_was_changed_is_refused(base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "base"
    shutil.copytree(base, folder)
    validate_base(folder)
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(BaseModelError, match="SHA256"):
        validate_base(folder)


def test_a_schedule_sets_the_rate_of_both_parts() -> None:
    model = nn.ModuleDict({"embed": nn.Embedding(8, 4), "linear": nn.Linear(4, 4)})
    optimizer = MuonWithAdamW(model, 0.1, 0.0)
    muon, adamw = optimizer.parts
    assert [p.ndim for g in muon.param_groups for p in g["params"]] == [2]
    assert len([p for g in adamw.param_groups for p in g["params"]]) == 2
    for restored in (False, True):
        if restored:
            optimizer.load_state_dict(optimizer.state_dict())
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5)
        assert {g["lr"] for part in optimizer.parts for g in part.param_groups} == {0.05}


def test_packed_and_renumbered_lessons_are_learned_too(base: Path, tmp_path: Path) -> None:
    update = {"packed": True, "renumbered": 1, "max_steps": 40}
    recipe = RECIPE.model_copy(update=update)
    report = instruct(base, EXAMPLES, EXAMPLES[:4], tmp_path / "packed", recipe)
    once = instruct(
        base, EXAMPLES, EXAMPLES[:4], tmp_path / "1", RECIPE.model_copy(update={"max_steps": 1})
    )
    assert report.examples == 2 * len(EXAMPLES)
    assert report.held_out_loss
    assert once.held_out_loss
    assert report.held_out_loss < 0.7 * once.held_out_loss


def test_a_model_from_before_quotes_is_given_their_token(base: Path, tmp_path: Path) -> None:
    tokenizer = json.loads((base / "tokenizer.json").read_text())
    old = tmp_path / "old"
    shutil.copytree(base, old)
    tokenizer["added_tokens"] = [t for t in tokenizer["added_tokens"] if t["content"] != QUOTE]
    del tokenizer["model"]["vocab"][QUOTE]
    (old / "tokenizer.json").write_text(json.dumps(tokenizer))
    settings = json.loads((old / "tokenizer_config.json").read_text())
    for name, value in list(settings.items()):
        if isinstance(value, list):
            settings[name] = [v for v in value if v != QUOTE]
    (old / "tokenizer_config.json").write_text(json.dumps(settings))
    (old / DIGEST).write_text(base_digest(old) + "\n")
    assert not template_for(load_tokenizer(old)).quote
    recipe = RECIPE.model_copy(update={"max_steps": 1})
    instruct(old, EXAMPLES, (), tmp_path / "new", recipe)
    assert template_for(load_tokenizer(tmp_path / "new")).quote == QUOTE + "[{number}] {text}\n"
