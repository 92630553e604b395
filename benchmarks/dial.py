"""The dial over random splits: found on half of the questions, judged on the other half.

    python -m benchmarks.dial [--splits 20] [--confidence .9]

The questions are those of benchmarks/shops and the demo shop's golden ones, each put to its own
shop by an assistant that answers whatever it finds. A promise is kept when the share of wrong ones
among the answered questions of the other half is at most what was asked for.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

import numpy as np

from assistant.dial import Trial, find_dial
from assistant.errors import DialError
from assistant.rehearsal import trials_of
from assistant.replay import golden_questions
from assistant.settings import Settings, load_settings
from benchmarks.shops import SHOPS
from finetune.command_line import DEMO
from knowledge.build import open_refresher
from knowledge.inspection.inspector import Uninspected
from knowledge.types import silent
from knowledge.versions import Versions

_SHARES = (0.05, 0.1)


def trials(settings: Settings, corpus: Path, questions: Path) -> list[Trial]:
    """Questions put to a shop of its own."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "engines").symlink_to(settings.engines.resolve())
        own = settings.model_copy(update={"home": home, "golden": questions})
        open_refresher(home, own.engines, own.knowledge, silent, inspector=Uninspected()).refresh(
            [corpus]
        )
        return trials_of(own, Versions(home).current(), golden_questions(questions))


def split(found: list[Trial], share: float, confidence: float, seed: int) -> dict[str, float]:
    """The dial of one half on the other; empty where the half does not support one."""
    order = random.Random(seed).sample(found, len(found))
    half = len(order) // 2
    try:
        dial = find_dial(order[:half], share, confidence)
    except DialError:
        return {}
    others = order[half:]
    answered = [t for t in others if t.relevance >= dial.threshold]
    wrong = sum(not t.right for t in answered)
    answerable = sum(t.answerable for t in others)
    return {
        "wrong": wrong / max(1, len(answered)),
        "right": (len(answered) - wrong) / answerable,
        "answered": sum(t.answerable for t in answered) / answerable,
    }


def main() -> None:
    """Measure; a line of JSON for each share."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--confidence", type=float, default=0.9)
    arguments = parser.parse_args()
    settings = load_settings()
    settings.engines.mkdir(parents=True, exist_ok=True)
    found: list[Trial] = []
    places = [(s / "corpus.jsonl", s / "questions.jsonl") for s in sorted(SHOPS.iterdir())]
    for corpus, questions in [*places, (DEMO / "documents", DEMO / "golden.jsonl")]:
        found += trials(settings, corpus, questions)
        print(f"{questions.parent.name}: {len(found)} questions", file=sys.stderr)
    for share in _SHARES:
        splits = [split(found, share, arguments.confidence, n) for n in range(arguments.splits)]
        held = [s for s in splits if s]
        means = {
            k: round(float(np.mean([s[k] for s in held])), 3) for k in (held[0] if held else {})
        }
        row = {
            "most_wrong": share,
            "questions": len(found),
            "splits": len(splits),
            "supported": len(held),
            "kept": sum(s["wrong"] <= share for s in held),
        }
        print(json.dumps(row | means), flush=True)


if __name__ == "__main__":
    main()
