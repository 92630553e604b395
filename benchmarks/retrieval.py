"""Retrieval on public sets: BM25, MiniLM with Chroma, both fused, and reranked, in one run.

    python -m benchmarks.retrieval [--most 300] [SET ...]

For each set: recall at 1 of each mode, and of all-MiniLM-L6-v2 as it comes ("plain", by exact
search); the share of misses at rank 1 of the better single one (of bm25, dense and plain) that
reranking cuts, with the 95% bootstrap interval of the difference in recall. A set is a folder below
FRONTDESK_DATA/data; of xquad each language is one, `xquad-zh-en` being Chinese questions put to
English passages.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assistant.judging import judge_modes, read_queries
from assistant.settings import Settings, load_settings
from benchmarks.passages import data_folder
from knowledge.encoder import MiniLM
from knowledge.evaluate import JudgedQuery, Judgement
from knowledge.formats import read_json_lines
from knowledge.minilm import minilm_folder
from knowledge.retrieve import MODES

LANGUAGES = ("en", "zh", "de", "es", "ru", "ar", "el", "hi", "ro", "th", "tr", "vi")
SETS = (
    "dstc11_track5", "tau_banking_knowledge", "clapnq_dev", "squad2_half_dev", "cmrc2018", "drcd",
    *(f"xquad-{code}" for code in LANGUAGES), "xquad-zh-en", "xquad-en-zh",
)  # fmt: skip
_SEED, _DRAWS = 1, 10_000
_MAX_BYTES = 500_000_000


@dataclass(frozen=True, slots=True)
class JudgedSet:
    """Passages ({id, title, text}) and queries ({id, text, relevant, history})."""

    corpus: list[dict[str, Any]]
    queries: list[dict[str, Any]]


def read_set(name: str, data: Path) -> JudgedSet:
    """A set by its name, the queries without an answer left out."""
    folder = data / "data" / name.split("-")[0]
    corpus = list(_rows(folder / "corpus.jsonl.gz"))
    if name.startswith("xquad-"):
        asked, held = (*name.split("-")[1:], name.split("-")[1])[:2]
        queries = [q for q in _rows(folder / "queries.jsonl.gz") if q["lang"] == asked]
        for query in queries:
            query["relevant"] = [f"{held}:{i.split(':', 1)[1]}" for i in query["relevant"]]
        corpus = [row for row in corpus if row["id"].startswith(f"{held}:")]
    elif name == "dstc11_track5":
        queries = [
            {
                "id": row["id"],
                "text": row["turns"][-1]["text"],
                "relevant": row["relevant"],
                "history": row["turns"][:-1],
            }
            for row in _rows(folder / "dev.jsonl.gz")
        ]
    else:
        (path,) = folder.glob("queries*.jsonl.gz")
        queries = list(_rows(path))
    fields = ("id", "title", "text")
    passages = [{k: row[k] for k in fields if k in row} for row in corpus]
    return JudgedSet(passages, [q for q in queries if q["relevant"]])


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    yield from read_json_lines(path, _MAX_BYTES)


def interval(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float]:
    """95% bootstrap interval of the mean difference over paired queries (Efron, 1979)."""
    difference = np.asarray(ours) - np.asarray(theirs)
    rng = np.random.default_rng(_SEED)
    means = [rng.choice(difference, len(difference)).mean() for _ in range(_DRAWS)]
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def plain_recall(judged: JudgedSet, queries: Sequence[JudgedQuery], engines: Path) -> list[float]:
    """Recall at 1 of all-MiniLM-L6-v2 as it comes, over whole passages."""
    encoder = MiniLM(minilm_folder(), engines)
    ids = [row["id"] for row in judged.corpus]
    texts = [f"{row.get('title', '')}\n{row['text']}" for row in judged.corpus]
    passages: NDArray[np.float32] = encoder.embed(texts)
    best = (encoder.embed([q.text for q in queries]) @ passages.T).argmax(1)
    return [
        float(ids[n] in q.relevant) / len(q.relevant) for n, q in zip(best, queries, strict=True)
    ]


def measure(judged: JudgedSet, settings: Settings) -> dict[str, float]:
    """What is printed of a set."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / "corpus.jsonl", Path(folder) / "queries.jsonl"]
        for path, rows in zip(paths, (judged.corpus, judged.queries), strict=True):
            path.write_text("\n".join(json.dumps(r) for r in rows), encoding="utf-8")
        queries = read_queries(paths[1], _MAX_BYTES)
        found = judge_modes(settings, paths[0], queries, MODES, lambda *shown: None)
    at_one = {mode: _first(judgements) for mode, judgements in found.items()}
    at_one["plain"] = plain_recall(judged, queries, settings.engines)  # type: ignore[index]
    means = {mode: float(np.mean(values)) for mode, values in at_one.items()}
    better = max(("bm25", "dense", "plain"), key=lambda mode: means[mode])
    low, high = interval(at_one["reranked"], at_one[better])
    # Of queries with several right passages the first rank can hold but one.
    most = float(np.mean([1 / len(q.relevant) for q in queries]))
    misses = most - means[better]
    return means | {
        "cut": 1 - (most - means["reranked"]) / misses if misses > 0 else 0.0,
        "low": low,
        "high": high,
        "p50_ms": float(np.median([j.milliseconds for j in found["reranked"]])),
    }


def _first(judgements: Sequence[Judgement]) -> list[float]:
    return [j.recall[0] for j in judgements]


def main() -> None:
    """Measure the sets named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"default: {' '.join(SETS)}")
    parser.add_argument("--most", type=int, default=300, help="queries of a set, drawn at random")
    arguments = parser.parse_args()
    data, settings = data_folder(), load_settings()
    for name in arguments.sets or SETS:
        judged = read_set(name, data)
        drawn = random.Random(_SEED).sample(
            judged.queries, min(arguments.most, len(judged.queries))
        )
        found = measure(JudgedSet(judged.corpus, drawn), settings)
        print(f"{name:22}", "  ".join(f"{k} {v:.3f}" for k, v in found.items()), flush=True)


if __name__ == "__main__":
    sys.exit(main())
