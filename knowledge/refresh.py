"""Bring the knowledge base to what the sources hold now: prepare beside, verify, publish."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

from chromadb.errors import ChromaError

from knowledge.drafting import Draft, Drafter, by_severity
from knowledge.embedding import Embedding, InProcess
from knowledge.encoder import Encoder
from knowledge.errors import EmptyKnowledge, VersionError
from knowledge.inspection.inspector import Inspector
from knowledge.load import Loader
from knowledge.pending import Pending
from knowledge.quarantine import Quarantine
from knowledge.settings import KnowledgeSettings
from knowledge.store import Contents, Store, write_version
from knowledge.types import Finding, Progress, RefreshReport, Rehearsal, document_of, silent
from knowledge.versions import Versions

Rehearse = Callable[[str], Rehearsal]  # takes a version's name


class Refresher:
    """Prepares a new version beside the served one and moves the pointer when it is whole. Passages
    are embedded in this process, or as `embedding` does it."""

    def __init__(
        self,
        versions: Versions,
        loader: Loader,
        encoder: Encoder,
        inspector: Inspector,
        settings: KnowledgeSettings,
        progress: Progress = silent,
        rehearse: Rehearse = lambda version: Rehearsal(),
        embedding: Embedding | None = None,
    ) -> None:
        self.versions = versions
        self.pending = Pending(versions.root)
        self.quarantine = Quarantine(versions.root)
        self.drafter = Drafter(
            loader, embedding or InProcess(encoder), inspector, settings,
            self.pending, self.quarantine, progress,
        )  # fmt: skip
        self.settings = settings
        self.progress = progress
        self.rehearse = rehearse

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
            draft = self.drafter.draft(paths, reused, before)
            kept_back = dry_run or not draft.served or (strict and draft.is_questionable)
            version = before.folder.name if before else ""
            rehearsal = Rehearsal()
            if not (kept_back or draft.same):
                version = self._prepare(paths, draft, reused, version)
                rehearsal = self.rehearse(version)
                if not prepare:
                    self.versions.publish(version)
                self.versions.prune(self.settings.keep_versions)
            if not dry_run:
                self.quarantine.keep(draft.blocked, draft.chunks)
                self.pending.clear()
        published = not kept_back and (draft.same or not prepare)
        return draft.report(version, rehearsal, published, time.monotonic() - started)

    def _is_untouched(self, paths: Sequence[Path], before: Store) -> bool:
        """Whether the same files gave the version before, inspected today, all of them read and
        nothing let in since: then no document needs to be opened."""
        made = before.manifest
        return (
            made.get("encoder") == self.drafter.encoder.name
            and made.get("inspector") == self.drafter.inspector.name
            and made.get("inspected") == date.today().isoformat()
            and made.get("cut") == self.drafter.cut()
            and made.get("rejected") == 0
            and not {h.key for h in self.quarantine.held()} & self.quarantine.allowed()
            and self.drafter.loader.keys(paths) == {f.path: f.key for f in before.files()}
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

    def _prepare(
        self, paths: Sequence[Path], draft: Draft, before: Store | None, basis: str
    ) -> str:
        """Write a version beside the served one, `basis`; its name."""
        name = self.versions.new_name()
        manifest = {
            "version": name,
            "basis": basis,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "sources": [str(p.resolve()) for p in paths],
            "encoder": self.drafter.encoder.name,
            "inspector": self.drafter.inspector.name,
            "inspected": date.today().isoformat(),
            "cut": self.drafter.cut(),
            "documents": len(draft.loaded.documents),
            "passages": len(draft.served),
            "changes": draft.changes,
            "quarantined": sorted({document_of(p) for f in draft.blocked for p in f.passages}),
            "rejected": len(draft.loaded.rejected),
        }
        self.progress("write", 0, 1)
        loaded = draft.loaded
        contents = Contents(
            loaded.documents, loaded.files, draft.served, draft.vectors, draft.findings, manifest
        )
        folder, server = self.versions.folder / name, self.settings.chroma
        write_version(folder, contents, before, server=server)
        self.progress("write", 1, 1)
        return name


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
        findings=tuple(sorted((*blocked, *served.findings()), key=by_severity)),
        seconds=round(seconds, 3),
        published=not dry_run,
    )
