"""Retrieval quality on a corpus with judged queries (BEIR's measures)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from knowledge.types import Passage


@dataclass(frozen=True, slots=True)
class JudgedQuery:
    """A query and the ids of the documents that answer it; `history` are earlier messages."""

    id: str
    text: str
    relevant: frozenset[str]
    history: tuple[str, ...] = ()


def ranked_documents(passages: Sequence[Passage]) -> list[str]:
    """Document ids in order of their best passage, each once."""
    return list(dict.fromkeys(p.document_id for p in passages))


def ndcg(ranked: Sequence[str], relevant: frozenset[str], k: int) -> float:
    """Normalised discounted cumulative gain at k with binary gains (Järvelin, Kekäläinen 2002)."""
    gain = sum(1 / math.log2(i + 2) for i, d in enumerate(ranked[:k]) if d in relevant)
    ideal = sum(1 / math.log2(i + 2) for i in range(min(k, len(relevant))))
    return gain / ideal if ideal else 0.0


def evaluate(
    search: Callable[[JudgedQuery], Sequence[Passage]],
    queries: Sequence[JudgedQuery],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, float]:
    """Mean recall@1/5/10, mrr@10, ndcg@10 over queries that have an answer, and latency in ms."""
    rows, times = [], []
    judged = [q for q in queries if q.relevant]
    for done, query in enumerate(judged, start=1):
        started = time.perf_counter()
        found = search(query)
        times.append(1000 * (time.perf_counter() - started))
        ranked = ranked_documents(found)
        hits = [i for i, d in enumerate(ranked[:10]) if d in query.relevant]
        recalls = [len(query.relevant & set(ranked[:k])) / len(query.relevant) for k in (1, 5, 10)]
        rows.append(
            (*recalls, 1 / (hits[0] + 1) if hits else 0.0, ndcg(ranked, query.relevant, 10))
        )
        progress(done, len(judged))
    means = np.mean(rows, axis=0) if rows else np.zeros(5)
    names = ("recall@1", "recall@5", "recall@10", "mrr@10", "ndcg@10")
    p50, p95 = np.percentile(times, (50, 95)) if times else (0.0, 0.0)
    scores = {name: round(float(mean), 4) for name, mean in zip(names, means, strict=True)}
    return {"queries": len(queries)} | scores | {
        "p50_ms": round(float(p50), 2), "p95_ms": round(float(p95), 2),
    }  # fmt: skip
