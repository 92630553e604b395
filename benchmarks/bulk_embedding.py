"""Passages a second embedded in one process, and by one and two workers of Ray.

    FRONTDESK_DATA=... python -m benchmarks.bulk_embedding [--passages 10000] [--workers 1,2]

Each has one thread for each worker. The time is from the first passage to the last one's vector,
Ray's start and the loading of the encoders aside, which are told beside it. All vectors must be the
same, bit for bit. Bar: two workers at least 1.6 times as fast as one.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence

import numpy as np

from assistant.settings import load_settings
from benchmarks.passages import rows
from knowledge.embedding import Embedding, InProcess
from knowledge.encoder import Vectors, load_encoder
from knowledge.ray_embedding import RayEmbedding
from knowledge.settings import KnowledgeSettings

_STEP, BAR = 256, 1.6


def measure(embedding: Embedding, texts: Sequence[str]) -> tuple[float, float, Vectors]:
    """Seconds until the first step's vectors, passages a second after it, and all vectors."""

    def steps() -> Iterator[Sequence[str]]:
        for start in range(0, len(texts), _STEP):
            yield texts[start : start + _STEP]

    started = time.perf_counter()
    found, first = [], 0.0
    for vectors in embedding.embed(steps()):
        first = first or time.perf_counter()
        found.append(vectors)
    seconds = time.perf_counter() - first
    return first - started, (len(texts) - len(found[0])) / seconds, np.concatenate(found)


def main() -> None:
    """Print a line for each way, and whether the bar is met."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--passages", type=int, default=10_000)
    parser.add_argument("--workers", default="1,2")
    arguments = parser.parse_args()
    # Longest first, as in a refresh.
    texts = sorted((f"{r['title']}\n{r['text']}" for r in rows(arguments.passages)), key=len)[::-1]
    engines = load_settings().engines
    encoder = load_encoder(None, engines, 1, bulk=True)
    ways: dict[str, Embedding] = {"one process": InProcess(encoder)}
    for count in map(int, arguments.workers.split(",")):
        settings = KnowledgeSettings(embedding="ray", embedding_workers=count, threads=1)
        ways[f"{count} workers"] = RayEmbedding(encoder, engines, settings)
    rates: dict[str, float] = {}
    expected: Vectors | None = None
    for name, embedding in ways.items():
        start, rates[name], vectors = measure(embedding, texts)
        expected = vectors if expected is None else expected
        same = bool(np.array_equal(vectors, expected))
        shown = {"passages/s": round(rates[name], 1), "start s": round(start, 1), "same": same}
        print(f"{name:12}", json.dumps(shown), flush=True)
        if not same:
            sys.exit(f"{name}: other vectors than one process makes")
    if {"1 workers", "2 workers"} <= rates.keys():
        ratio = rates["2 workers"] / rates["1 workers"]
        print(
            f"2 workers against 1: {ratio:.2f} (bar {BAR}): {'met' if ratio >= BAR else 'missed'}"
        )


if __name__ == "__main__":
    main()
