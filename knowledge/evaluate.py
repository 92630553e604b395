"""Retrieval quality on a corpus with judged queries (BEIR's measures)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from knowledge.types import Passage

_CUTS = (1, 5, 10)


@dataclass(frozen=True, slots=True)
class JudgedQuery:
    """A query and the ids of the documents that answer it; `history` are earlier messages, as
    (role, text), oldest first."""

    id: str
    text: str
    relevant: frozenset[str]
    history: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """How well one query was answered: recall at 1, 5 and 10, and what BEIR measures at 10."""

    recall: tuple[float, ...]
    reciprocal_rank: float
    ndcg: float
    milliseconds: float


def ranked_documents(passages: Sequence[Passage]) -> list[str]:
    """Document ids in order of their best passage, each once."""
    return list(dict.fromkeys(p.document_id for p in passages))


def ndcg(ranked: Sequence[str], relevant: frozenset[str], k: int) -> float:
    """Normalised discounted cumulative gain at k with binary gains (Järvelin, Kekäläinen 2002)."""
    gain = sum(1 / math.log2(i + 2) for i, d in enumerate(ranked[:k]) if d in relevant)
    ideal = sum(1 / math.log2(i + 2) for i in range(min(k, len(relevant))))
    return gain / ideal if ideal else 0.0


def judge(
    search: Callable[[JudgedQuery], Sequence[Passage]],
    queries: Sequence[JudgedQuery],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Judgement]:
    """One judgement for each query that has an answer, in order."""
    judged = []
    answerable = [q for q in queries if q.relevant]
    for done, query in enumerate(answerable, start=1):
        started = time.perf_counter()
        found = search(query)
        milliseconds = 1000 * (time.perf_counter() - started)
        ranked = ranked_documents(found)
        first = next((n for n, d in enumerate(ranked[:10], 1) if d in query.relevant), 0)
        recall = tuple(len(query.relevant & set(ranked[:k])) / len(query.relevant) for k in _CUTS)
        judged.append(
            Judgement(
                recall,
                1 / first if first else 0.0,
                ndcg(ranked, query.relevant, 10),
                milliseconds,
            )
        )
        progress(done, len(answerable))
    return judged


def scores(judged: Sequence[Judgement]) -> dict[str, float]:
    """Mean recall@1/5/10, mrr@10, ndcg@10, and latency in ms; zeros for no judgement."""
    rows = [(*j.recall, j.reciprocal_rank, j.ndcg) for j in judged] or [(0.0,) * 5]
    names = ("recall@1", "recall@5", "recall@10", "mrr@10", "ndcg@10")
    means = np.mean(rows, axis=0)
    p50, p95 = np.percentile([j.milliseconds for j in judged] or [0.0], (50, 95))
    return {name: round(float(mean), 4) for name, mean in zip(names, means, strict=True)} | {
        "p50_ms": round(float(p50), 2),
        "p95_ms": round(float(p95), 2),
    }
