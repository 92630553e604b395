"""Hybrid retrieval: what is near by meaning and what BM25 finds, put in a learnt order."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from chromadb.errors import ChromaError

from knowledge.encoder import Encoder, Vectors
from knowledge.errors import EmptyKnowledge, KnowledgeError
from knowledge.language import Detector
from knowledge.lexical import LexicalIndex
from knowledge.mentions import Mention, Titles
from knowledge.places import with_countries
from knowledge.rerank import Candidate, Reranker
from knowledge.settings import KnowledgeSettings
from knowledge.store import Store
from knowledge.types import Contradiction, Passage
from knowledge.vector_index import Scope
from knowledge.versions import Pointer

log = logging.getLogger(__name__)
_FOLLOW_SECONDS = 0.2
_MOST_MORE = 200  # chunks asked for beyond those wanted, in the place of some out of force
Mode = Literal["dense", "bm25", "fused", "reranked"]
MODES: tuple[Mode, ...] = ("dense", "bm25", "fused", "reranked")
Ranking = list[tuple[int, float]]  # (row of the chunk, score), best first


@dataclass(frozen=True, slots=True)
class Depth:
    """How far one search goes: chunks that each retriever hands to fusion, and passages that the
    reranker reads."""

    candidates: int
    passages: int

    @classmethod
    def of(cls, settings: KnowledgeSettings) -> Depth:
        """As the settings say."""
        return cls(settings.candidates, settings.rerank_passages)


class Index:
    """A version in memory, ready to be searched."""

    def __init__(self, store: Store, settings: KnowledgeSettings) -> None:
        store.load()
        self.store = store
        self.settings = settings
        self.place = {  # row -> (scope, position in the scope's lexical index)
            row: (scope, position)
            for scope, rows in store.rows.items()
            for position, row in enumerate(rows.tolist())
        }
        self.lexical = {scope: LexicalIndex(store.terms(scope)) for scope in store.scopes}
        visible = [scope for scope in store.scopes if not scope.for_staff]
        self.titles = Titles(
            (store.chunks[r].title_path[0] for s in visible for r in store.rows[s].tolist()),
            lambda word: sum(self.lexical[s].holding(word) for s in visible),
        )
        self._bounded = {  # rows that are not in force for ever
            scope: [
                r
                for r in rows.tolist()
                if store.chunks[r].valid_from or store.chunks[r].valid_until
            ]
            for scope, rows in store.rows.items()
        }

        self._out: dict[tuple[Scope, date], int] = {}
        self.contradictions = _contradictions(store)

    def scopes(self, language: str, for_staff: bool) -> list[Scope]:
        """Scopes to search: the language's own, or all where no passage is in it."""
        visible = [s for s in self.store.scopes if for_staff or not s.for_staff]
        return [s for s in visible if s.language == language] or visible

    def dense(self, scopes: Iterable[Scope], vector: Vectors, count: int, day: date) -> Ranking:
        """Nearest chunks in force on day, by cosine."""
        found: Ranking = []
        for scope in scopes:
            # As many more as are out of force, so that they cannot take the places of others.
            out = self._out_of_force(scope, day)
            near = self.store.nearest(scope, vector, count + min(out, _MOST_MORE))
            near = self._in_force(near, day)
            found += self._scan(scope, vector, day) if out and len(near) < count else near
        return sorted(found, key=lambda hit: -hit[1])[:count]

    def _scan(self, scope: Scope, vector: Vectors, day: date) -> Ranking:
        """All chunks of a scope that are in force on day: exact, for when the index falls short."""
        cosines = self.store.vectors @ vector
        return self._in_force([(row, float(cosines[row])) for row in self.store.rows[scope]], day)

    def bm25(self, scopes: Iterable[Scope], query: str, count: int, day: date) -> Ranking:
        """Best chunks in force on day, by BM25."""
        found = [
            (int(self.store.rows[s][position]), score)
            for s in scopes
            for position, score in self.lexical[s].best(
                query, count + min(self._out_of_force(s, day), _MOST_MORE)
            )
        ]
        return self._in_force(sorted(found, key=lambda hit: -hit[1]), day)[:count]

    def _out_of_force(self, scope: Scope, day: date) -> int:
        """How many of a scope's chunks are not in force on day; counted once a day."""
        if (scope, day) not in self._out:
            chunks = (self.store.chunks[r] for r in self._bounded[scope])
            self._out[scope, day] = sum(not c.valid_on(day) for c in chunks)
        return self._out[scope, day]

    def _in_force(self, ranking: Ranking, day: date) -> Ranking:
        return [hit for hit in ranking if self.store.chunks[hit[0]].valid_on(day)]


def _contradictions(store: Store) -> dict[str, list[Contradiction]]:
    """For each passage what others say against it; only what the inspector is sure of."""
    found: dict[str, list[Contradiction]] = {}
    for finding in store.findings():
        if finding.kind != "contradiction" or finding.severity != "warning":
            continue
        if not all(p in store.row_of for p in finding.passages):
            continue
        (one, other), (quote, other_quote) = finding.passages, finding.quotes
        chunks = [store.chunks[store.row_of[p]] for p in (one, other)]
        found.setdefault(one, []).append(Contradiction(quote, chunks[1], other_quote))
        found.setdefault(other, []).append(Contradiction(other_quote, chunks[0], quote))
    return found


class KnowledgeBase:
    """Searches the published version, and follows the pointer when it moves."""

    def __init__(
        self,
        versions: Pointer,
        encoder: Encoder,
        detector: Detector,
        reranker: Reranker,
        settings: KnowledgeSettings,
    ) -> None:
        self.versions = versions
        self.encoder = encoder
        self.detector = detector
        self.reranker = reranker
        self.settings = settings
        self._index: Index | None = None
        self._closed = threading.Event()
        self._follower: threading.Thread | None = None

    def index(self) -> Index:
        """The published version's index. Raises EmptyKnowledge when nothing is published.

        While following, the one before until the new one is loaded.
        """
        if self._index is None or not self._follower:
            self._load()
        assert self._index
        return self._index

    @property
    def version(self) -> str:
        """Name of the version that is searched, or nothing before the first search."""
        return self._index.store.folder.name if self._index else ""

    def _load(self) -> None:
        folder: Path = self.versions.current_folder()
        if self._index is None or self._index.store.folder != folder:
            self._index = Index(Store(folder), self.settings)

    def follow(self) -> None:
        """From now on load a version that is published in a thread beside the queries."""
        self._follower = threading.Thread(target=self._follow, daemon=True, name="versions")
        self._follower.start()

    def _follow(self) -> None:
        while not self._closed.wait(_FOLLOW_SECONDS):
            try:
                self._load()
            except EmptyKnowledge:  # all was withdrawn
                self._index = None
            except KnowledgeError as error:  # pruned while it was opened
                log.debug("no version to load: %s", error)
            except Exception:
                log.exception("the published version cannot be loaded; the one before is served")

    def close(self) -> None:
        """Let go of the version's files."""
        self._closed.set()
        if self._follower:
            self._follower.join()
        if self._index:
            self._index.store.close()
            self._index = None

    def search(
        self,
        query: str,
        k: int = 5,
        mode: Mode = "reranked",
        *,
        language: str = "",
        for_staff: bool = False,
        day: date | None = None,
    ) -> list[Passage]:
        """The k best passages for query, best first. Raises EmptyKnowledge."""
        language = language or self.detector.detect(query).language
        query = with_countries(query, language)
        candidates = self.candidates(
            query, self.encoder.embed([query])[0], k, mode, language, for_staff, day
        )
        return [Passage.of(c.chunk, c.score) for c in candidates[:k]]

    def mentions(self, text: str) -> list[Mention]:
        """The documents that text names; none where nothing is published."""
        try:
            return self.index().titles.in_text(text)
        except EmptyKnowledge:
            return []

    def contradictions(self, passage: str, day: date | None = None) -> list[Contradiction]:
        """What passages in force on day say against a passage (its id)."""
        today = day or date.today()
        return [c for c in self.index().contradictions.get(passage, ()) if c.other.valid_on(today)]

    def candidates(
        self,
        query: str,
        vector: Vectors,
        k: int,
        mode: Mode,
        language: str = "",
        for_staff: bool = False,
        day: date | None = None,
        depth: Depth | None = None,
    ) -> list[Candidate]:
        """Ranked candidates; `vector` is the query's embedding, made once for the whole turn. The
        depth is that of the settings if none is given."""
        depth = depth or Depth.of(self.settings)
        asked = (query, vector, k, mode, language, for_staff, day or date.today(), depth)
        index = self.index()
        try:
            return self._candidates(index, *asked)
        except ChromaError:
            self._load()  # its files are gone when a purge has just erased the version
            if self._index is None or self._index is index:
                raise
            return self._candidates(self._index, *asked)

    def _candidates(
        self,
        index: Index,
        query: str,
        vector: Vectors,
        k: int,
        mode: Mode,
        language: str,
        for_staff: bool,
        today: date,
        depth: Depth,
    ) -> list[Candidate]:
        language = language or self.detector.detect(query).language
        scopes = index.scopes(language, for_staff)
        count = max(depth.candidates, k)
        dense = index.dense(scopes, vector, count, today) if mode != "bm25" else []
        bm25 = index.bm25(scopes, query, count, today) if mode != "dense" else []
        found = merged(index, vector, dense, bm25)
        if mode in ("dense", "bm25"):
            return found
        known = self.encoder.known_share(query, language)
        if mode == "fused":
            return self.reranker.fuse(query, found, index, known)
        return self.reranker.rerank(query, found, index, known, depth.passages)


def merged(index: Index, vector: Vectors, dense: Ranking, bm25: Ranking) -> list[Candidate]:
    """What both retrievers found, each chunk once: the dense ones first, and not yet in an order
    unless one of the rankings is empty."""
    scores = dict(bm25)
    most = max(scores.values(), default=1.0)
    return [
        Candidate(
            row=row,
            score=score,
            cosine=float(index.store.vectors[row] @ vector),
            bm25=scores.get(row, 0.0) / most,
            chunk=index.store.chunks[row],
        )
        for row, score in dict([*dense, *bm25]).items()
    ]
