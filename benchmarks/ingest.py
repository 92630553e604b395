"""First ingest, no-op and a refresh of one document in a hundred, beside the rivals.

    FRONTDESK_DATA=... RIVALS_PYTHON=.../bin/python python -m benchmarks.ingest \\
        [--passages 10000] [--rivals langchain,llamaindex,haystack]

All embed the same passages with the same weights (all-MiniLM-L6-v2), one after another on the same
machine with as many threads; see rivals/README.md. Ours is the whole refresh, from the file to the
published version, findings included. Top-5 overlap is with an exact search over the vectors in
single precision that LangChain stored.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from assistant.build import build_knowledge
from assistant.settings import load_settings
from benchmarks.asking import read_jsonl
from benchmarks.passages import questions, rows, with_changes, write
from knowledge.build import open_refresher
from knowledge.embedding import InProcess
from knowledge.minilm import minilm_folder
from knowledge.refresh import Refresher
from knowledge.store import Store
from knowledge.types import silent

_RIVALS = Path(__file__).parent / "rivals" / "main.py"
_QUESTIONS = 500


class Counting:
    """An encoder that counts what it embeds."""

    def __init__(self, encoder: Any) -> None:
        self.encoder = encoder
        self.name, self.dimensions = encoder.name, encoder.dimensions
        self.count = 0

    def embed(self, texts: Any) -> Any:
        """As the encoder does."""
        self.count += len(texts)
        return self.encoder.embed(texts)

    def known_share(self, text: str, language: str = "") -> float:
        """As the encoder does."""
        return float(self.encoder.known_share(text, language))


def ours(job: dict[str, Any], home: Path) -> dict[str, Any]:
    """What the same job takes here."""
    settings = load_settings(
        home=home, knowledge={"encoder": Path(job["encoder"]), "threads": job["threads"]}
    )
    refresher = open_refresher(home, settings.engines, settings.knowledge, silent)
    counting = Counting(refresher.drafter.encoder)
    refresher.drafter.embedding = InProcess(counting)
    counting.embed(["warm up"])
    result = {"first": _timed(refresher, job["corpus"])}
    knowledge = build_knowledge(settings)
    result["nearest"] = [
        [p.document_id for p in knowledge.search(q, 5, "dense")] for q in job["questions"]
    ]
    knowledge.close()
    result["noop"] = _timed(refresher, job["corpus"])
    counting.count = 0
    result["refresh"] = _timed(refresher, job["changed"])
    result["embedded"] = counting.count
    store = Store(refresher.versions.current_folder())
    held = {f"{c.document_id}\n{c.indexed_text}" for c in store.chunks}
    wanted = {f"{r['id']}\n{r['title']}\n{r['text']}" for r in read_jsonl(Path(job["changed"]))}
    store.close()
    return result | {"stale": len(held - wanted), "missing": len(wanted - held)}


def _timed(refresher: Refresher, source: str) -> float:
    """Seconds of a refresh from a file that always has the same name."""
    path = Path(source)
    served = path.with_name("served.jsonl")
    served.write_bytes(path.read_bytes())
    started = time.monotonic()
    refresher.refresh([served])
    return round(time.monotonic() - started, 3)


def rival(name: str, job: dict[str, Any], python: str) -> dict[str, Any]:
    """What the job takes a rival."""
    done = subprocess.run(
        [python, str(_RIVALS), name],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr.strip()[-1500:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def overlap(found: list[list[str]], exact: list[list[str]]) -> float:
    """Mean share of the exact five that were found."""
    return float(np.mean([len(set(a) & set(b)) / 5 for a, b in zip(found, exact, strict=True)]))


def main() -> None:
    """Print a line for each, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=10_000)
    parser.add_argument("--rivals", default="langchain,llamaindex,haystack")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    corpus = rows(arguments.passages)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        job = {
            "corpus": str(write(folder / "corpus.jsonl", corpus)),
            "changed": str(write(folder / "changed.jsonl", with_changes(corpus))),
            "questions": questions(corpus, min(_QUESTIONS, len(corpus))),
            "encoder": str(minilm_folder()),
            "threads": arguments.threads,
        }
        mine = ours(job, folder / "home")
        show("frontdesk", mine, {}, arguments.passages)
        python = os.environ.get("RIVALS_PYTHON", "")
        if not python:
            print("rivals skipped: set RIVALS_PYTHON, see rivals/README.md", file=sys.stderr)
        for name in arguments.rivals.split(",") if python else ():
            show(name, rival(name, job, python), mine, arguments.passages)


def show(who: str, result: dict[str, Any], mine: dict[str, Any], passages: int) -> None:
    """Print the figures of one; of a rival also the ratios to ours, as soon as they are known."""
    shown = {k: v for k, v in result.items() if k not in {"nearest", "exact"}}
    shown["passages/s"] = round(passages / result["first"], 1)
    if "exact" in result:
        shown["overlap_ours"] = round(overlap(mine["nearest"], result["exact"]), 4)
        shown["overlap_theirs"] = round(overlap(result["nearest"], result["exact"]), 4)
    if mine:
        shown["first_ratio"] = round(result["first"] / mine["first"], 2)
        for stage in ("noop", "refresh"):
            if result[stage]:
                shown[f"{stage}_ratio"] = round(mine[stage] / result[stage], 3)
    print(f"{who:11}", json.dumps(shown), flush=True)


if __name__ == "__main__":
    main()
