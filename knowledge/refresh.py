"""Bring the knowledge base to what the sources hold now: prepare beside, verify, publish."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from chromadb.errors import ChromaError
from numpy.typing import NDArray

from knowledge.chunk import CHUNKING, chunk_document
from knowledge.encoder import Encoder
from knowledge.errors import EmptyKnowledge, SourceError, VersionError
from knowledge.inspection.inspector import Inspector
from knowledge.load import Earlier, Loaded, Loader
from knowledge.pending import Pending
from knowledge.quarantine import Quarantine
from knowledge.settings import KnowledgeSettings
from knowledge.store import Contents, Store, write_version
from knowledge.types import (
    SEVERITIES,
    Chunk,
    Document,
    Finding,
    RefreshReport,
    Seen,
    document_of,
)
from knowledge.versions import Versions

Progress = Callable[[str, int, int], None]  # (stage, done, of how many)
Replay = Callable[[str], Sequence[Any]]  # a version's name to the answers that it would change
_EMBED_STEP = 256


class Refresher:
    """Prepares a new version beside the served one and moves the pointer when it is whole."""

    def __init__(
        self,
        versions: Versions,
        loader: Loader,
        encoder: Encoder,
        inspector: Inspector,
        settings: KnowledgeSettings,
        progress: Progress = lambda stage, done, total: None,
        replay: Replay = lambda version: (),
    ) -> None:
        self.versions = versions
        self.pending = Pending(versions.root)
        self.quarantine = Quarantine(versions.root)
        self.loader = loader
        self.encoder = encoder
        self.inspector = inspector
        self.settings = settings
        self.progress = progress
        self.replay = replay

    def refresh(
        self,
        sources: Iterable[Path],
        *,
        dry_run: bool = False,
        prepare: bool = False,
        strict: bool = False,
        rebuild: bool = False,
    ) -> RefreshReport:
        """Publish what sources hold now, or with dry_run only say what would change and what was
        found; with prepare the new version is made and left to be looked at and published.

        Nothing new is published when nothing has changed; `rebuild` makes all anew. `strict`
        publishes nothing when there is a blocking finding or a rejected source; where all passages
        are held back, nothing is published either. Raises
        SourceError when a source is missing or nothing can be read, VersionError when another
        refresh is running or the disk is full.
        """
        started = time.monotonic()
        paths = list(sources)
        with _clear_disk_errors(), self.versions.writing(), self._published() as before:
            if rebuild:
                self.pending.clear()
            elif before and self._is_untouched(paths, before):
                blocked = [held.finding for held in self.quarantine.held()]
                if not (strict and blocked):
                    return _nothing_to_do(before, blocked, dry_run, time.monotonic() - started)
            reused = None if rebuild else before
            loaded = self._load(paths, reused)
            changes = _changes(before.documents() if before else [], loaded.documents)
            chunks = self._chunks(loaded.documents, reused)
            seen = self._seen(loaded.documents, chunks, reused)
            orders = self._orders(loaded.documents, chunks, seen)
            blocked = [f for f in orders if f.severity == "blocking"]
            quarantined = {passage for finding in blocked for passage in finding.passages}
            served = [c for c in chunks if c.id not in quarantined]
            same = reused is not None and self._is_served(loaded, served, reused)
            vectors = reused.vectors if reused and same else self._vectors(served, reused)
            findings = [f for f in orders if f.severity != "blocking"]
            findings += self.inspector.inspect(
                loaded.documents, served, vectors, seen, date.today(), self.progress
            )
            kept_back = dry_run or not served or (strict and bool(blocked or loaded.rejected))
            version = before.folder.name if before else ""
            answers: Sequence[Any] = ()
            if not (kept_back or same):
                manifest = {
                    "basis": version,
                    "sources": [str(p.resolve()) for p in paths],
                    "changes": changes,
                    "quarantined": sorted({document_of(p) for p in quarantined}),
                    "rejected": len(loaded.rejected),
                }
                version = self._prepare(loaded, served, vectors, findings, manifest, reused)
                answers = self.replay(version)
                if not prepare:
                    self.versions.publish(version)
                self.versions.prune(self.settings.keep_versions)
            if not dry_run:
                self.quarantine.keep(blocked, chunks)
                self.pending.clear()
        counts = {
            kind: sum(k == kind for k, _ in changes) for kind in ("added", "changed", "removed")
        }
        return RefreshReport(
            version=version,
            **counts,
            unchanged=len(loaded.documents) - counts["added"] - counts["changed"],
            passages=len(served),
            rejected=tuple(loaded.rejected),
            findings=tuple(sorted((*blocked, *findings), key=_by_severity)),
            seconds=round(time.monotonic() - started, 3),
            published=not kept_back and (same or not prepare),
            changes=changes,
            answers=tuple(answers),
        )

    def _is_untouched(self, paths: Sequence[Path], before: Store) -> bool:
        """Whether the same files gave the version before, inspected today, all of them read and
        nothing let in since: then no document needs to be opened."""
        made = before.manifest
        return (
            made.get("encoder") == self.encoder.name
            and made.get("inspector") == self.inspector.name
            and made.get("inspected") == date.today().isoformat()
            and made.get("cut") == self._cut()
            and made.get("rejected") == 0
            and not {h.key for h in self.quarantine.held()} & self.quarantine.allowed()
            and self.loader.keys(paths) == {f.path: f.key for f in before.files()}
        )

    @contextmanager
    def _published(self) -> Iterator[Store | None]:
        try:
            store = Store(self.versions.current_folder())
        except EmptyKnowledge:
            yield None
            return
        try:
            yield store
        finally:
            store.close()

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

    def _cut(self) -> dict[str, int]:
        """What decides how documents are cut; kept in the manifest."""
        return {
            "chunking": CHUNKING,
            "words": self.settings.max_chunk_words,
            "overlap": self.settings.overlap_sentences,
        }

    def _chunks(self, documents: Sequence[Document], before: Store | None) -> list[Chunk]:
        """The documents cut; those that are as they were keep the chunks they had."""
        kept: dict[str, list[Chunk]] = {}
        same: set[Document] = set()
        if before and before.manifest.get("cut") == self._cut():
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
        """What this inspector found in the version before, and which passages are as they were."""
        if before is None or before.manifest.get("inspector") != self.inspector.name:
            return Seen()
        same = set(before.documents()) & set(documents)
        kept = {d.id for d in same}
        held = {c.id: c for c in before.chunks}
        unchanged = frozenset(c.id for c in chunks if c.document_id in kept and held.get(c.id) == c)
        day = date.fromisoformat(before.manifest["inspected"])
        return Seen(day, tuple(before.findings()), unchanged)

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
            looked_at, [d for d in documents if d.hidden.strip() and d.id in new]
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

    def _prepare(
        self,
        loaded: Loaded,
        chunks: Sequence[Chunk],
        vectors: NDArray[np.float32],
        findings: Sequence[Finding],
        manifest: dict[str, Any],
        before: Store | None,
    ) -> str:
        """Write a version beside the served one; its name."""
        name = self.versions.new_name()
        manifest = manifest | {
            "version": name,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "encoder": self.encoder.name,
            "inspector": self.inspector.name,
            "inspected": date.today().isoformat(),
            "cut": self._cut(),
            "documents": len(loaded.documents),
            "passages": len(chunks),
        }
        self.progress("write", 0, 1)
        contents = Contents(
            loaded.documents, loaded.files, chunks, vectors, tuple(findings), manifest
        )
        write_version(self.versions.folder / name, contents, before)
        self.progress("write", 1, 1)
        return name

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
        for start in range(0, len(order), _EMBED_STEP):
            step = order[start : start + _EMBED_STEP]
            vectors = self.encoder.embed([c.indexed_text for _, c in step])
            self.pending.keep_vectors(self.encoder.name, [k for k, _ in step], vectors)
            known |= {k: v for (k, _), v in zip(step, vectors, strict=True)}
            self.progress("embed", min(start + _EMBED_STEP, len(order)), len(order))
        return np.stack([known[k] for k in keys]) if keys else self.encoder.embed([])


@contextmanager
def _clear_disk_errors() -> Iterator[None]:
    """Say what repairs a full or read-only disk, whoever met it."""
    try:
        yield
    except (OSError, ChromaError) as error:
        number = error.errno if isinstance(error, OSError) else None
        said = str(error) if isinstance(error, ChromaError) else ""
        if number in {errno.EROFS, errno.EACCES, errno.EPERM} or "readonly" in said:
            raise VersionError(
                f"cannot write the knowledge base ({error}); make its folder writable. "
                "The published version is unchanged"
            ) from error
        if number in {errno.ENOSPC, errno.EDQUOT} or "full" in said:
            raise VersionError(
                "the disk is full; free some space and refresh again. "
                "The published version is unchanged"
            ) from error
        raise


def _nothing_to_do(
    served: Store, blocked: Sequence[Finding], dry_run: bool, seconds: float
) -> RefreshReport:
    """The report of a refresh that finds everything as it was."""
    return RefreshReport(
        version=served.folder.name,
        added=0,
        changed=0,
        removed=0,
        unchanged=served.manifest["documents"],
        passages=served.manifest["passages"],
        findings=tuple(sorted((*blocked, *served.findings()), key=_by_severity)),
        seconds=round(seconds, 3),
        published=not dry_run,
    )


def _by_severity(finding: Finding) -> int:
    return SEVERITIES.index(finding.severity)


def _changes(before: Sequence[Document], after: Sequence[Document]) -> tuple[tuple[str, str], ...]:
    old = {d.id: d.content for d in before}
    new = {d.id: d.content for d in after}
    return (
        *(("added", i) for i in new if i not in old),
        *(("changed", i) for i in new if i in old and new[i] != old[i]),
        *(("removed", i) for i in old if i not in new),
    )
