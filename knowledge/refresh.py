"""Bring the knowledge base to what the sources hold now: prepare beside, verify, publish."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from knowledge.chunk import chunk_document
from knowledge.encoder import Encoder
from knowledge.errors import EmptyKnowledge, SourceError
from knowledge.findings import inspect_chunks, inspect_documents
from knowledge.load import Loader
from knowledge.settings import KnowledgeSettings
from knowledge.store import Store, write_version
from knowledge.types import Chunk, Document, RefreshReport
from knowledge.versions import Versions

Progress = Callable[[str, int, int], None]  # (stage, done, of how many)
_EMBED_STEP = 256


class Refresher:
    """Prepares a new version beside the served one and moves the pointer when it is whole."""

    def __init__(
        self,
        versions: Versions,
        loader: Loader,
        encoder: Encoder,
        settings: KnowledgeSettings,
        progress: Progress = lambda stage, done, total: None,
    ) -> None:
        self.versions = versions
        self.loader = loader
        self.encoder = encoder
        self.settings = settings
        self.progress = progress

    def refresh(
        self, sources: Iterable[Path], *, dry_run: bool = False, strict: bool = False
    ) -> RefreshReport:
        """Publish what sources hold now, or with dry_run only say what would change.

        `strict` publishes nothing when there is a blocking finding or a rejected source. Raises
        SourceError when a source is missing or nothing can be read, VersionError when another
        refresh is running.
        """
        started = time.monotonic()
        paths = list(sources)
        with self.versions.writing():
            documents, rejected = self.loader.load(paths)
            if not documents:
                reasons = "; ".join(f"{r.source}: {r.reason}" for r in rejected[:3])
                raise SourceError(f"no document could be read ({reasons or 'no files found'})")
            before = self._published()
            changes = _changes(before.documents() if before else [], documents)
            chunks = [c for d in documents for c in self._chunks(d)]
            blocked = inspect_chunks(chunks)
            quarantined = {chunk_id for _, chunk_id in blocked}
            served = [c for c in chunks if c.id not in quarantined]
            findings = [f for f, _ in blocked] + inspect_documents(documents, date.today())
            held_back = dry_run or (strict and (blocked or rejected))
            name = self.versions.new_name()
            if not held_back:
                vectors = self._vectors(served, before)
                manifest = {
                    "version": name,
                    "created": datetime.now(UTC).isoformat(timespec="seconds"),
                    "encoder": self.encoder.name,
                    "sources": [str(p.resolve()) for p in paths],
                    "documents": len(documents),
                    "passages": len(served),
                    "changes": changes,
                }
                write_version(self.versions.folder / name, documents, served, vectors, manifest)
                self.versions.publish(name)
                self.versions.prune(self.settings.keep_versions)
            if before:
                before.close()
        counts = {
            kind: sum(k == kind for k, _ in changes) for kind in ("added", "changed", "removed")
        }
        return RefreshReport(
            version=self.versions.current() if held_back and before else "" if held_back else name,
            **counts,
            unchanged=len(documents) - counts["added"] - counts["changed"],
            passages=len(served),
            rejected=tuple(rejected),
            findings=tuple(findings),
            seconds=round(time.monotonic() - started, 3),
            published=not held_back,
            changes=changes,
        )

    def _published(self) -> Store | None:
        try:
            return Store(self.versions.current_folder())
        except EmptyKnowledge:
            return None

    def _chunks(self, document: Document) -> list[Chunk]:
        return chunk_document(
            document, self.settings.max_chunk_words, self.settings.overlap_sentences
        )

    def _vectors(self, chunks: Sequence[Chunk], before: Store | None) -> NDArray[np.float32]:
        """One row a chunk; vectors of unchanged text are taken from the version before."""
        known: dict[str, NDArray[np.float32]] = {}
        if before and before.manifest.get("encoder") == self.encoder.name:
            rows = zip(before.chunks, before.vectors, strict=True)
            known = {chunk.embedding_key: vector for chunk, vector in rows}
        missing = [c for c in chunks if c.embedding_key not in known]
        for start in range(0, len(missing), _EMBED_STEP):
            step = missing[start : start + _EMBED_STEP]
            vectors = self.encoder.embed([c.indexed_text for c in step])
            known |= {c.embedding_key: v for c, v in zip(step, vectors, strict=True)}
            self.progress("embed", min(start + _EMBED_STEP, len(missing)), len(missing))
        return np.stack([known[c.embedding_key] for c in chunks])


def _changes(before: Sequence[Document], after: Sequence[Document]) -> tuple[tuple[str, str], ...]:
    old = {d.id: d.content_hash for d in before}
    new = {d.id: d.content_hash for d in after}
    return (
        *(("added", i) for i in new if i not in old),
        *(("changed", i) for i in new if i in old and new[i] != old[i]),
        *(("removed", i) for i in old if i not in new),
    )
