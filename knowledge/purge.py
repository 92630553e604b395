"""Erase withdrawn text: from what is served, from every earlier version, and from uploads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from knowledge.errors import SourceError
from knowledge.pending import Pending
from knowledge.quarantine import Quarantine
from knowledge.store import Contents, Store, read_documents, write_version
from knowledge.types import Document, document_of
from knowledge.vector_index import Place
from knowledge.versions import Versions


@dataclass(frozen=True, slots=True)
class PurgeReport:
    """What was erased. `version` is served now, empty when nothing is left; `remaining` are files
    outside the home that still hold the text: a refresh would bring it back."""

    documents: tuple[str, ...]
    versions: tuple[str, ...]
    files: tuple[str, ...]
    remaining: tuple[str, ...]
    version: str


def purge(versions: Versions, what: str) -> PurgeReport:
    """Erase the documents with the id `what`, or read from the file or folder `what`.

    The served version is made anew without them, its index from the beginning; versions that held
    them go, and so do those made after one that did, whose index was copied from it. Raises
    SourceError when no version holds such a document, VersionError when a refresh is running.
    """
    with versions.writing():
        held = {n: _named(read_documents(versions.folder / n), what) for n in versions.complete()}
        found = {d.id: d for documents in held.values() for d in documents}
        if not found:
            raise SourceError(f"no version holds a document with the id or source {what!r}")
        tainted = min(name for name, documents in held.items() if documents)
        current = versions.current()
        version = current
        if current >= tainted:
            version = _without(versions, current, set(found))
        gone = [n for n in versions.complete() if n >= tainted and n != version]
        for name in gone:
            versions.remove(versions.folder / name)
        versions.prune_leftovers()
        Pending(versions.root).clear()
        Quarantine(versions.root).forget(set(found))
        sources = sorted({d.source for d in found.values() if Path(d.source).is_file()})
        own = [s for s in sources if Path(s).resolve().is_relative_to(versions.root.parent)]
        for source in own:
            Path(source).unlink()
    return PurgeReport(
        documents=tuple(sorted(found)),
        versions=tuple(gone),
        files=tuple(own),
        remaining=tuple(s for s in sources if s not in own),
        version=version,
    )


def _named(documents: Sequence[Document], what: str) -> list[Document]:
    path = Path(what).resolve()
    return [
        d
        for d in documents
        if d.id == what or d.source == what or Path(d.source).resolve().is_relative_to(path)
    ]


def _without(versions: Versions, current: str, ids: set[str]) -> str:
    """A version like the current one without the documents, published; its name, or nothing when
    no document is left."""
    store = Store(versions.folder / current)
    try:
        rows = [n for n, c in enumerate(store.chunks) if c.document_id not in ids]
        documents = [d for d in store.documents() if d.id not in ids]
        if not rows:
            versions.withdraw()
            return ""
        name = versions.new_name()
        manifest = store.manifest | {
            "version": name,
            "basis": current,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "documents": len(documents),
            "passages": len(rows),
            "changes": [("removed", d.id) for d in store.documents() if d.id in ids],
        }
        files = [
            replace(f, documents=tuple(i for i in f.documents if i not in ids), key="")
            if ids & set(f.documents)
            else f
            for f in store.files()
        ]
        chunks = [store.chunks[n] for n in rows]
        findings = [f for f in store.findings() if not ids & set(map(document_of, f.passages))]
        contents = Contents(documents, files, chunks, store.vectors[rows], findings, manifest)
        server = Place.of(store.folder).server
        write_version(versions.folder / name, contents, apart=True, server=server)
    finally:
        store.close()
    versions.publish(name)
    return name
