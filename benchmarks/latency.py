"""Milliseconds of one turn without a language model, warm, by stage.

    python -m benchmarks.latency [--home HOME] [--rounds N]

Turns are the golden questions, one after another in one process; the encoder's forward pass is
named separately, and beside it plain sentence-transformers on the same machine as a ratio.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from assistant.build import build_assistant, build_knowledge
from assistant.settings import load_settings
from assistant.types import Utterance
from benchmarks.asking import read_jsonl
from knowledge.build import open_refresher
from knowledge.minilm import minilm_folder

DEMO = Path(__file__).parent.parent / "assistant" / "demo" / "shop"


def main() -> None:
    """Print p50 and p95 by stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(home=arguments.home or Path(folder))
        refresher = open_refresher(
            settings.home, settings.engines, settings.knowledge, lambda stage, done, total: None
        )
        refresher.refresh([DEMO / "documents"])
        knowledge = build_knowledge(settings)
        assistant = build_assistant(settings, knowledge)
        questions = [q["text"] for q in read_jsonl(DEMO / "golden.jsonl")]
        for text in questions[:20]:
            assistant.respond(Utterance(text))
        stages: dict[str, list[float]] = {}
        for _ in range(arguments.rounds):
            for text in questions:
                for stage, value in assistant.respond(Utterance(text)).latency_ms.items():
                    stages.setdefault(stage, []).append(value)
        for stage, values in stages.items():
            p50, p95 = np.percentile(values, (50, 95))
            print(f"{stage:12} p50 {p50:7.2f}  p95 {p95:7.2f}")
        ours = [_milliseconds(lambda t=t: knowledge.encoder.embed([t])) for t in questions]
        print(f"{'encoder':12} p50 {median(ours):7.2f}  p95 {np.percentile(ours, 95):7.2f}")
        from sentence_transformers import SentenceTransformer

        reference = SentenceTransformer(str(minilm_folder()), device="cpu")
        reference.encode(questions[:5])
        theirs = [_milliseconds(lambda t=t: reference.encode([t])) for t in questions]
        ratio = median(theirs) / median(ours)
        print(f"sentence-transformers p50 {median(theirs):.2f}; ratio {ratio:.1f}")


def _milliseconds(work) -> float:  # type: ignore[no-untyped-def]
    started = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started)


if __name__ == "__main__":
    main()
