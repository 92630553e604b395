"""A toy shop history and toy recipes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from finetune.settings import AdapterRecipe

_FACTS = [
    ("returns", "Unworn shoes can be returned within {n} days.", "How long can I return shoes?"),
    ("shipping", "Parcels to Ireland arrive in {n} working days.", "When does my parcel arrive?"),
    ("repairs", "A repair costs {n} pounds and takes a week.", "What does a repair cost?"),
]


def write_lines(path: Path, rows: list[Any]) -> Path:
    """JSON Lines at path."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def shop_history() -> list[dict[str, Any]]:
    """Dialogues whose replies repeat their passage."""
    rows = []
    for i in range(60):
        intent, fact, question = _FACTS[i % 3]
        fact = fact.format(n=10 + i)
        rows.append(
            {
                "id": f"d{i}",
                "customer_id": f"c{i}",
                "language": "en",
                "intent": intent,
                "split": "test" if i % 6 == 0 else "train",
                "passages": [{"text": f"{intent}: {fact}"}],
                "turns": [
                    {"role": "customer", "text": question},
                    {"role": "agent", "text": fact},
                ],
            }
        )
    return rows


def adapter_recipe(**changes: Any) -> AdapterRecipe:
    """A few steps; changes are fields of the recipe."""
    return AdapterRecipe(
        **{
            "max_steps": 8, "batch_size": 4, "max_tokens": 96, "learning_rate": 5e-3, "rank": 4,
            "alpha": 8, "dropout": 0.1, "checkpoint_steps": 4, "threads": 1,
        } | changes
    )  # fmt: skip


ADALORA = {"method": "adalora", "initial_rank": 6, "rank": 3, "prune_every": 1, "alpha": 64,
           "learning_rate": 2e-2}  # fmt: skip
