"""What each mode of a search finds for one question, and how long each stage takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, TypeVar

from chromadb.errors import ChromaError

from knowledge.errors import VersionError
from knowledge.rerank import Candidate
from knowledge.retrieve import Depth, KnowledgeBase, Mode, merged

T = TypeVar("T")
Stage = Literal["embedding", "dense", "bm25", "fused", "reranked"]
STAGES: tuple[Stage, ...] = ("embedding", "dense", "bm25", "fused", "reranked")


@dataclass(frozen=True, slots=True)
class ByMode:
    """The candidates of each mode, best first, a candidate's score being that of the mode; and the
    milliseconds of each stage by itself: fusing is without the retrievers that it fuses."""

    rankings: Mapping[Mode, Sequence[Candidate]]
    milliseconds: Mapping[Stage, float]


def by_mode(knowledge: KnowledgeBase, query: str, language: str, depth: Depth) -> ByMode:
    """Search the served version as a turn does; `query` has its towns' countries named.

    Raises EmptyKnowledge, and VersionError when the version is erased meanwhile.
    """
    milliseconds: dict[Stage, float] = {}

    def timed(stage: Stage, work: Callable[[], T]) -> T:
        started = time.perf_counter()
        result = work()
        milliseconds[stage] = 1000 * (time.perf_counter() - started)
        return result

    index, today, count = knowledge.index(), date.today(), depth.candidates
    scopes = index.scopes(language, for_staff=False)
    vector = timed("embedding", lambda: knowledge.encoder.embed([query])[0])
    try:
        dense = timed("dense", lambda: index.dense(scopes, vector, count, today))
    except ChromaError as error:
        raise VersionError("this version was erased just now; search again") from error
    bm25 = timed("bm25", lambda: index.bm25(scopes, query, count, today))
    found = merged(index, vector, dense, bm25)
    known = knowledge.encoder.known_share(query, language)
    reranker = knowledge.reranker
    fused = timed("fused", lambda: reranker.fuse(query, found, index, known))
    reranked = timed(
        "reranked", lambda: reranker.rerank(query, found, index, known, depth.passages)
    )
    return ByMode(
        {
            "dense": merged(index, vector, dense, []),
            "bm25": merged(index, vector, [], bm25),
            "fused": fused,
            "reranked": reranked,
        },
        milliseconds,
    )
