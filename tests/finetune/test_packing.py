"""Packed sequences: nothing is lost, and no example reads another."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

from finetune.examples import IGNORED, Encoded, collate
from finetune.models import load_base
from finetune.packing import collate_packs, packed


def rows(count: int, longest: int) -> list[Encoded]:
    rng = random.Random(3)
    lengths = [rng.randint(4, longest) for _ in range(count)]
    return [Encoded(tuple(rng.randrange(5, 250) for _ in range(n)), n // 2) for n in lengths]


def test_every_reply_is_learned_once_and_little_is_padded() -> None:
    given = rows(200, 60)
    packs = packed(given, 64, pad_id=0)
    learned = sorted(t for p in packs for t in p.labels.tolist() if t != IGNORED)
    assert learned == sorted(t for row in given for t in row.ids[row.prompt_tokens :])
    assert len(packs) <= 1.1 * sum(len(row.ids) for row in given) / 64 + 1


def test_a_row_as_long_as_the_sequence_fills_it() -> None:
    (pack,) = packed([Encoded(tuple(range(1, 17)), 4)], 16, pad_id=0)
    assert pack.ids.tolist() == list(range(1, 17))
    assert pack.positions.tolist() == list(range(16))


def test_an_example_costs_the_same_among_others(base: Path) -> None:
    model, tokenizer = load_base(base, quantised=False)
    model.eval()
    given = rows(5, 24)
    packs = packed(given, 96, tokenizer.pad_token_id)
    assert len(packs) == 1
    alone = [
        float(model(**collate([row], tokenizer.pad_token_id), use_cache=False).loss)
        * (len(row.ids) - row.prompt_tokens)
        for row in given
    ]
    learned = sum(len(row.ids) - row.prompt_tokens for row in given)
    with torch.inference_mode():
        together = float(model(**collate_packs(packs), use_cache=False).loss) * learned
    assert together == pytest.approx(sum(alone), rel=1e-4)
