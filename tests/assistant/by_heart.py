"""A tiny model that learns one reply by heart, the order number in it from the question."""

from __future__ import annotations

import json
from pathlib import Path

from finetune.base import pretrain
from finetune.prepare import prepare
from finetune.settings import BaseRecipe
from knowledge.language import Detector

FACT = "Unworn shoes can be returned within 30 days."


def dialogues(folder: Path) -> Path:
    """A prepared folder of dialogues that differ only in the order number, which is repeated."""
    rows = [
        {
            "id": f"d{i}", "language": "en", "split": "train",
            "passages": [{"text": f"returns: {FACT}"}],
            "turns": [{"role": "customer", "text": f"Shoes MW-10000{i:02d}?"},
                      {"role": "agent", "text": f"{FACT} Thank you for MW-10000{i:02d}."}],
        }
        for i in range(8)
    ]  # fmt: skip
    source = folder / "history.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    prepare([source], folder / "data", Detector())
    return folder / "data"


def base(folder: Path, data: Path) -> Path:
    """A base that was trained on them, in seconds."""
    recipe = BaseRecipe(
        max_steps=120, batch_size=4, max_tokens=64, learning_rate=1e-2, vocabulary=400,
        hidden_size=64, layers=2, heads=2, feed_forward=128, context_tokens=256, threads=1,
    )  # fmt: skip
    pretrain([data], folder / "base", recipe)
    return folder / "base"
