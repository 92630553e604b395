"""What a new version would hold: documents read, cut, embedded and inspected, each only where it is
new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from knowledge.chunk import CHUNKING, chunk_document
from knowledge.embedding import Embedding
from knowledge.errors import SourceError
from knowledge.inspection.inspector import Inspector
from knowledge.load import Earlier, Loaded, Loader
from knowledge.pending import Pending
from knowledge.quarantine import Quarantine
from knowledge.settings import KnowledgeSettings
from knowledge.store import Store
from knowledge.types import (
    SEVERITIES,
    Chunk,
    Document,
    Finding,
    Progress,
    RefreshReport,
    Rehearsal,
    Seen,
)

_EMBED_STEP = 256


@dataclass(frozen=True, slots=True)
class Draft:
    """What a new version would hold: `chunks` are all, `served` those that are not held back, with
    their vectors; `same` says that the version before holds just this, from the same files."""

    loaded: Loaded
    chunks: Sequence[Chunk]
    served: Sequence[Chunk]
    vectors: NDArray[np.float32]
    blocked: Sequence[Finding]
    findings: Sequence[Finding]
    changes: tuple[tuple[str, str], ...]
    same: bool

    @property
    def is_questionable(self) -> bool:
        """Whether something is held back or could not be read."""
        return bool(self.blocked or self.loaded.rejected)

    def report(
        self, version: str, rehearsal: Rehearsal, published: bool, seconds: float
    ) -> RefreshReport:
        """What a refresh that made the version of it says."""
        counts = Counter(kind for kind, _ in self.changes)
        return RefreshReport(
            version=version,
            added=counts["added"],
            changed=counts["changed"],
            removed=counts["removed"],
            unchanged=len(self.loaded.documents) - counts["added"] - counts["changed"],
            passages=len(self.served),
            rejected=tuple(self.loaded.rejected),
            findings=tuple(sorted((*self.blocked, *self.findings), key=by_severity)),
            seconds=round(seconds, 3),
            published=published,
            changes=self.changes,
            answers=rehearsal.answers,
            remarks=rehearsal.remarks,
        )


class Drafter:
    """Drafts versions; what an interrupted refresh had read and embedded is in `pending`."""

    def __init__(
        self,
        loader: Loader,
        embedding: Embedding,
        inspector: Inspector,
        settings: KnowledgeSettings,
        pending: Pending,
        quarantine: Quarantine,
        progress: Progress,
    ) -> None:
        self.loader = loader
        self.embedding = embedding
        self.encoder = embedding.encoder
        self.inspector = inspector
        self.settings = settings
        self.pending = pending
        self.quarantine = quarantine
        self.progress = progress

    def draft(self, paths: Sequence[Path], reused: Store | None, before: Store | None) -> Draft:
        """What a new version would hold; what `reused` holds is not made again."""
        loaded = self._load(paths, reused)
        chunks = self._chunks(loaded.documents, reused)
        seen = self._seen(loaded.documents, chunks, reused)
        orders = self._orders(loaded.documents, chunks, seen)
        blocked = [f for f in orders if f.severity == "blocking"]
        quarantined = {passage for finding in blocked for passage in finding.passages}
        served = [c for c in chunks if c.id not in quarantined]
        same = reused is not None and self._is_served(loaded, served, reused)
        vectors = reused.vectors if reused and same else self._vectors(served, reused)
        findings = self.inspector.inspect(
            loaded.documents, served, vectors, seen, date.today(), self.progress
        )
        return Draft(
            loaded=loaded,
            chunks=chunks,
            served=served,
            vectors=vectors,
            blocked=blocked,
            findings=[*(f for f in orders if f.severity != "blocking"), *findings],
            changes=_changes(before.documents() if before else [], loaded.documents),
            same=same,
        )

    def cut(self) -> dict[str, int]:
        """What decides how documents are cut; kept in the manifest."""
        return {
            "chunking": CHUNKING,
            "words": self.settings.max_chunk_words,
            "overlap": self.settings.overlap_sentences,
        }

    def _load(self, paths: Sequence[Path], before: Store | None) -> Loaded:
        """Read the files that neither the version before nor an interrupted refresh has read."""
        earlier = Earlier.of(before.documents(), before.files()) if before else Earlier()
        loaded = self.loader.load(
            paths,
            earlier.with_later(self.pending.loaded()),
            partial(self.progress, "read"),
            self.pending.keep_file,
        )
        if not loaded.documents:
            reasons = "; ".join(f"{r.source}: {r.reason}" for r in loaded.rejected[:3])
            raise SourceError(f"no document could be read ({reasons or 'no files found'})")
        return loaded

    def _chunks(self, documents: Sequence[Document], before: Store | None) -> list[Chunk]:
        """The documents cut; those that are as they were keep the chunks they had."""
        kept: dict[str, list[Chunk]] = {}
        same: set[Document] = set()
        if before and before.manifest.get("cut") == self.cut():
            partly = set(before.manifest["quarantined"])
            same = {d for d in before.documents() if d.id not in partly}
            for chunk in before.chunks:
                kept.setdefault(chunk.document_id, []).append(chunk)
        chunks: list[Chunk] = []
        for done, document in enumerate(documents, start=1):
            chunks += (
                kept[document.id]
                if document in same and document.id in kept
                else chunk_document(
                    document, self.settings.max_chunk_words, self.settings.overlap_sentences
                )
            )
            self.progress("cut", done, len(documents))
        return chunks

    def _seen(
        self, documents: Sequence[Document], chunks: Sequence[Chunk], before: Store | None
    ) -> Seen:
        """What this inspector found in the version before, and what is as it was."""
        if before is None or before.manifest.get("inspector") != self.inspector.name:
            return Seen()
        same = set(before.documents()) & set(documents)
        kept = {d.id for d in same}
        held = {c.id: c for c in before.chunks}
        unchanged = frozenset(c.id for c in chunks if c.document_id in kept and held.get(c.id) == c)
        changed = {d.id for d in documents} - kept
        return Seen(
            date.fromisoformat(before.manifest["inspected"]),
            tuple(before.findings()),
            unchanged,
            tuple(c for c in before.chunks if c.document_id in changed),
        )

    def _orders(
        self, documents: Sequence[Document], chunks: Sequence[Chunk], seen: Seen
    ) -> list[Finding]:
        """Orders to the assistant in what is new, but for texts that an operator has let in."""
        allowed = self.quarantine.allowed()
        looked_at = [
            c for c in chunks if c.id not in seen.unchanged and c.embedding_key not in allowed
        ]
        new = {c.document_id for c in looked_at}
        return self.inspector.orders(
            looked_at, [d for d in documents if d.hidden.strip() and d.id in new], seen
        )

    def _is_served(self, loaded: Loaded, chunks: Sequence[Chunk], before: Store) -> bool:
        """Whether the version before holds just this, from the same files."""
        return (
            before.manifest.get("encoder") == self.encoder.name
            and before.manifest.get("inspector") == self.inspector.name
            and before.chunks == chunks
            and before.files() == loaded.files
            and before.documents() == loaded.documents
        )

    def _vectors(self, chunks: Sequence[Chunk], before: Store | None) -> NDArray[np.float32]:
        """One row a chunk; only text that no earlier version or refresh embedded is embedded."""
        known = self.pending.vectors(self.encoder.name)
        if before and before.manifest.get("encoder") == self.encoder.name:
            rows = zip(before.chunks, before.vectors, strict=True)
            known |= {chunk.embedding_key: vector for chunk, vector in rows}
        keys = [c.embedding_key for c in chunks]
        missing = {k: c for k, c in zip(keys, chunks, strict=True) if k not in known}
        # Longest first: batches of like length, and the time left is not underrated.
        order = sorted(missing.items(), key=lambda item: -len(item[1].indexed_text))
        steps = [order[i : i + _EMBED_STEP] for i in range(0, len(order), _EMBED_STEP)]
        texts = ([c.indexed_text for _, c in step] for step in steps)
        done = 0
        # Without a step nothing is asked for: workers are not started where all is known.
        for step, vectors in zip(steps, self.embedding.embed(texts) if steps else (), strict=True):
            self.pending.keep_vectors(self.encoder.name, [k for k, _ in step], vectors)
            known |= {k: v for (k, _), v in zip(step, vectors, strict=True)}
            done += len(step)
            self.progress("embed", done, len(order))
        return np.stack([known[k] for k in keys]) if keys else self.encoder.embed([])


def by_severity(finding: Finding) -> int:
    """Gravest first."""
    return SEVERITIES.index(finding.severity)


def _changes(before: Sequence[Document], after: Sequence[Document]) -> tuple[tuple[str, str], ...]:
    old = {d.id: d.content for d in before}
    new = {d.id: d.content for d in after}
    return (
        *(("added", i) for i in new if i not in old),
        *(("changed", i) for i in new if i in old and new[i] != old[i]),
        *(("removed", i) for i in old if i not in new),
    )
