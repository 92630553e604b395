"""Pruning: what is left is an ordinary model, and the units that speak are left."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from finetune.base import save_base, train_tokenizer
from finetune.errors import BaseModelError, DataError
from finetune.models import load_base
from finetune.prune import prune

TEXTS = ["Shoes can be returned within 30 days.", "Delivery to Ireland costs 5.90 euros."] * 3
UNITS, SPEAKING = 128, 64


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Two layers, of whose 128 units every other one says nothing."""
    tokenizer = train_tokenizer(TEXTS, 320)
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=UNITS, num_hidden_layers=2,
        num_attention_heads=2, tie_word_embeddings=True, bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    for layer in model.model.layers:
        layer.mlp.up_proj.weight.data[::2] = 0
    save_base(model, tokenizer, tmp_path / "base")
    return tmp_path / "base"


def test_units_that_say_nothing_go_and_nothing_changes(base: Path, tmp_path: Path) -> None:
    report = prune(base, TEXTS, tmp_path / "small", 0.5)
    assert report.units == (UNITS, SPEAKING)
    assert report.parameters[0] - report.parameters[1] == 2 * 3 * 32 * (UNITS - SPEAKING)
    whole, tokenizer = load_base(base, quantised=False)
    small, _ = load_base(tmp_path / "small", quantised=False)
    ids = tokenizer(TEXTS[0], return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        difference = whole(input_ids=ids).logits - small(input_ids=ids).logits
    assert difference.abs().max() < 1e-4


def test_fewer_units_than_speak_change_what_is_said(base: Path, tmp_path: Path) -> None:
    assert prune(base, TEXTS, tmp_path / "same", 1.0).units == (UNITS, UNITS)
    assert prune(base, TEXTS, tmp_path / "least", 0.05).units == (UNITS, 64)


def test_text_and_an_empty_folder_are_needed(base: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no text"):
        prune(base, [], tmp_path / "small", 0.5)
    with pytest.raises(BaseModelError, match="not empty"):
        prune(base, TEXTS, base, 0.5)
