"""One version of the passages on disk: chunks, vectors, and a Chroma collection per scope.

A scope is (language, for staff or not): scopes are kept apart because Chroma's metadata filter
costs 20 times an unfiltered query, and because customers must never see staff passages.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import chromadb
import numpy as np
from chromadb.api.client import SharedSystemClient
from chromadb.config import Settings as ChromaSettings
from numpy.typing import NDArray

from knowledge.errors import VersionError
from knowledge.segment import TOKENS
from knowledge.terms import Terms
from knowledge.types import (
    Chunk,
    Document,
    FileRecord,
    chunk_from_json,
    chunk_to_json,
    document_from_json,
    document_to_json,
)

CHUNKS, DOCUMENTS, FILES, VECTORS, MANIFEST, CHROMA, LEXICAL = (
    "chunks.jsonl", "documents.jsonl", "files.jsonl", "vectors.npy", "manifest.json", "chroma",
    "lexical",
)  # fmt: skip
PREPARED = "prepared"  # in a version that waits to be published: see knowledge.versions
# Deleted vectors stay in an HNSW graph as dead ends: with more changes than this it is built anew.
_MAX_CHANGED_SHARE = 0.2


class Scope(NamedTuple):
    """Passages that are searched together."""

    language: str
    for_staff: bool

    @property
    def collection(self) -> str:
        """Name of the Chroma collection that holds the scope."""
        return f"passages-{self.language}{'-staff' if self.for_staff else ''}"


def scope_of(chunk: Chunk) -> Scope:
    """The scope a chunk belongs to."""
    return Scope(chunk.language, chunk.for_staff)


def _client(folder: Path) -> Any:
    settings = ChromaSettings(anonymized_telemetry=False, allow_reset=False)
    return chromadb.PersistentClient(str(folder / CHROMA), settings=settings)


def _write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _read_jsonl(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@dataclass(frozen=True, slots=True)
class Contents:
    """All that a version holds; `vectors` has one row a chunk."""

    documents: Sequence[Document]
    files: Sequence[FileRecord]
    chunks: Sequence[Chunk]
    vectors: NDArray[np.float32]
    manifest: dict[str, Any]


def write_version(folder: Path, contents: Contents, before: Store | None = None) -> None:
    """Write a version, verify what Chroma gives back, then write the manifest.

    The manifest's presence means the version is complete; its `basis` is the version whose place
    it is to take. Where little has changed since
    `before`, its vector index is copied and changed. Raises VersionError when Chroma does not
    hold every id with its vector.
    """
    folder.mkdir(parents=True)
    _write_jsonl(folder / DOCUMENTS, map(document_to_json, contents.documents))
    _write_jsonl(folder / FILES, map(asdict, contents.files))
    _write_jsonl(folder / CHUNKS, map(chunk_to_json, contents.chunks))
    np.save(folder / VECTORS, contents.vectors)
    _write_index(folder, contents, before)
    _write_terms(folder, contents.chunks, before)
    (folder / PREPARED).write_text(contents.manifest["basis"])
    os.sync()  # a version that survives a power cut is whole
    partial = folder / f"{MANIFEST}.partial"
    partial.write_text(json.dumps(contents.manifest | {"tokens": TOKENS}, indent=1))
    partial.replace(folder / MANIFEST)


def _write_terms(folder: Path, chunks: Sequence[Chunk], before: Store | None) -> None:
    """Write each scope's terms; those of texts that `before` holds are taken over."""
    for scope in sorted({scope_of(c) for c in chunks}):
        wanted = [c for c in chunks if scope_of(c) == scope]
        held = before.chunks_of(scope) if before else []
        row_of = {c.embedding_key: n for n, c in enumerate(held)}
        kept = [row_of.get(c.embedding_key) for c in wanted]
        new = [c.indexed_text for c, row in zip(wanted, kept, strict=True) if row is None]
        terms = before.terms(scope).updated(kept, new) if before and held else Terms.of(new)
        terms.save(folder / LEXICAL / scope.collection)


class Placed(NamedTuple):
    """The vectors of a scope by the id of their chunk."""

    ids: list[str]
    vectors: NDArray[np.float32]


def _by_scope(chunks: Sequence[Chunk], vectors: NDArray[np.float32]) -> dict[Scope, Placed]:
    rows: dict[Scope, list[int]] = {}
    for row, chunk in enumerate(chunks):
        rows.setdefault(scope_of(chunk), []).append(row)
    return {s: Placed([chunks[r].id for r in rows[s]], vectors[rows[s]]) for s in sorted(rows)}


def _write_index(folder: Path, contents: Contents, before: Store | None) -> None:
    wanted = _by_scope(contents.chunks, contents.vectors)
    held: dict[Scope, Placed] = {}
    if before and before.manifest.get("encoder") == contents.manifest.get("encoder"):
        held = _by_scope(before.chunks, before.vectors)
        shutil.copytree(before.folder / CHROMA, folder / CHROMA)
    client = _client(folder)
    try:
        for scope in held.keys() - wanted.keys():
            client.delete_collection(scope.collection)
        for scope, placed in wanted.items():
            _fill_collection(client, scope, placed, held.get(scope))
    finally:
        client.close()
        SharedSystemClient.clear_system_cache()


def _fill_collection(client: Any, scope: Scope, wanted: Placed, held: Placed | None) -> None:
    """Bring the scope's collection from what it holds to what is wanted, and verify it."""
    rows_held = {chunk_id: row for row, chunk_id in enumerate(held.ids)} if held else {}
    new = [
        row
        for row, chunk_id in enumerate(wanted.ids)
        if held is None
        or (old := rows_held.get(chunk_id)) is None
        or not np.array_equal(held.vectors[old], wanted.vectors[row])
    ]
    gone = sorted(rows_held.keys() - set(wanted.ids))
    if held and len(new) + len(gone) > _MAX_CHANGED_SHARE * len(held.ids):
        client.delete_collection(scope.collection)
        held, new, gone = None, list(range(len(wanted.ids))), []
    if held is None:
        collection = client.create_collection(
            scope.collection, configuration={"hnsw": {"space": "cosine"}}, embedding_function=None
        )
    else:
        collection = client.get_collection(scope.collection, embedding_function=None)
    batch = client.get_max_batch_size()
    for start in range(0, len(gone), batch):
        collection.delete(ids=gone[start : start + batch])
    for start in range(0, len(new), batch):
        step = new[start : start + batch]
        collection.upsert(ids=[wanted.ids[r] for r in step], embeddings=wanted.vectors[step])
    _verify(collection, wanted)


def _verify(collection: Any, wanted: Placed) -> None:
    held = collection.get(include=["embeddings"])
    if sorted(held["ids"]) != sorted(wanted.ids):
        raise VersionError(
            f"Chroma holds {len(held['ids'])} of {len(wanted.ids)} passages; refresh again"
        )
    row_of = {chunk_id: row for row, chunk_id in enumerate(wanted.ids)}
    order = [row_of[chunk_id] for chunk_id in held["ids"]]
    if not np.allclose(np.asarray(held["embeddings"]), wanted.vectors[order], atol=1e-5):
        raise VersionError("Chroma gives back other vectors than were stored; refresh again")


def read_documents(folder: Path) -> list[Document]:
    """The documents of a version, as they were loaded."""
    return [document_from_json(row) for row in _read_jsonl(folder / DOCUMENTS)]


def read_chunks(folder: Path) -> list[Chunk]:
    """The chunks that a version serves."""
    return [chunk_from_json(row) for row in _read_jsonl(folder / CHUNKS)]


class Store:
    """An immutable version, opened for reading. Raises VersionError when it is incomplete."""

    def __init__(self, folder: Path) -> None:
        if not (folder / MANIFEST).is_file():
            raise VersionError(f"version {folder.name} is incomplete; run `knowledge refresh`")
        self.folder = folder
        self.manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        self.chunks = read_chunks(folder)
        self.vectors: NDArray[np.float32] = np.load(folder / VECTORS)
        self.row_of = {chunk.id: row for row, chunk in enumerate(self.chunks)}
        self._documents: list[Document] | None = None
        # Counted once: asking Chroma costs more than a query.
        self._sizes = Counter(scope_of(c) for c in self.chunks)
        self.scopes = sorted(self._sizes)
        self._client = _client(folder)
        self._collections = {
            s: self._client.get_collection(s.collection, embedding_function=None)
            for s in self.scopes
        }

    def documents(self) -> list[Document]:
        """The documents of the version, as they were loaded."""
        if self._documents is None:
            self._documents = read_documents(self.folder)
        return self._documents

    def chunks_of(self, scope: Scope) -> list[Chunk]:
        """A scope's chunks, in the order of its terms."""
        return [c for c in self.chunks if scope_of(c) == scope]

    def terms(self, scope: Scope) -> Terms:
        """The terms of a scope's chunks; made anew where the version has none of today's kind."""
        folder = self.folder / LEXICAL / scope.collection
        if self.manifest.get("tokens") == TOKENS and folder.is_dir():
            return Terms.load(folder)
        return Terms.of([c.indexed_text for c in self.chunks_of(scope)])

    def files(self) -> list[FileRecord]:
        """The files that the documents were read from."""
        rows = _read_jsonl(self.folder / FILES) if (self.folder / FILES).exists() else []
        return [FileRecord(r["path"], r["key"], tuple(r["documents"])) for r in rows]

    def nearest(
        self, scope: Scope, vector: NDArray[np.float32], count: int
    ) -> list[tuple[int, float]]:
        """(row, cosine) of the count chunks nearest to vector (dimensions,), best first."""
        found = self._collections[scope].query(
            query_embeddings=[vector],
            n_results=min(count, self._sizes[scope]),
            include=["distances"],
        )
        distances = found["distances"][0]
        return [(self.row_of[i], 1 - d) for i, d in zip(found["ids"][0], distances, strict=True)]

    def close(self) -> None:
        """Let go of Chroma's files."""
        self._client.close()
