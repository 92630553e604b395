"""One version of the passages on disk: chunks, vectors, and a Chroma collection per scope.

A scope is (language, for staff or not): scopes are kept apart because Chroma's metadata filter
costs 20 times an unfiltered query, and because customers must never see staff passages.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import chromadb
import numpy as np
from chromadb.api.client import SharedSystemClient
from chromadb.config import Settings as ChromaSettings
from numpy.typing import NDArray

from knowledge.errors import VersionError
from knowledge.types import (
    Chunk,
    Document,
    chunk_from_json,
    chunk_to_json,
    document_from_json,
    document_to_json,
)

CHUNKS, DOCUMENTS, VECTORS, MANIFEST, CHROMA = (
    "chunks.jsonl", "documents.jsonl", "vectors.npy", "manifest.json", "chroma",
)  # fmt: skip


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


def _write_jsonl(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _read_jsonl(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def write_version(
    folder: Path,
    documents: Sequence[Document],
    chunks: Sequence[Chunk],
    vectors: NDArray[np.float32],
    manifest: dict[str, Any],
) -> None:
    """Write a version, verify what Chroma gives back, then write the manifest.

    The manifest's presence means the version is complete. `vectors` has one row a chunk.
    Raises VersionError when Chroma does not hold every id.
    """
    folder.mkdir(parents=True)
    _write_jsonl(folder / DOCUMENTS, [document_to_json(d) for d in documents])
    _write_jsonl(folder / CHUNKS, [chunk_to_json(c) for c in chunks])
    np.save(folder / VECTORS, vectors)
    client = _client(folder)
    try:
        for scope in sorted({scope_of(c) for c in chunks}):
            rows = [i for i, c in enumerate(chunks) if scope_of(c) == scope]
            _fill_collection(client, scope, [chunks[i].id for i in rows], vectors[rows])
    finally:
        client.close()
        SharedSystemClient.clear_system_cache()
    partial = folder / f"{MANIFEST}.partial"
    partial.write_text(json.dumps(manifest, indent=1))
    partial.replace(folder / MANIFEST)


def _fill_collection(
    client: Any, scope: Scope, ids: list[str], vectors: NDArray[np.float32]
) -> None:
    collection = client.create_collection(
        scope.collection, configuration={"hnsw": {"space": "cosine"}}, embedding_function=None
    )
    batch = client.get_max_batch_size()
    for start in range(0, len(ids), batch):
        stop = start + batch
        collection.add(ids=ids[start:stop], embeddings=vectors[start:stop])
    held = collection.get(include=["embeddings"])
    if sorted(held["ids"]) != sorted(ids):
        raise VersionError(f"Chroma holds {len(held['ids'])} of {len(ids)} passages; refresh again")
    row_of = {chunk_id: row for row, chunk_id in enumerate(ids)}
    order = [row_of[chunk_id] for chunk_id in held["ids"]]
    if not np.allclose(np.asarray(held["embeddings"]), vectors[order], atol=1e-5):
        raise VersionError("Chroma gives back other vectors than were stored; refresh again")


class Store:
    """An immutable version, opened for reading. Raises VersionError when it is incomplete."""

    def __init__(self, folder: Path) -> None:
        if not (folder / MANIFEST).is_file():
            raise VersionError(f"version {folder.name} is incomplete; run `knowledge refresh`")
        self.folder = folder
        self.manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        self.chunks = [chunk_from_json(row) for row in _read_jsonl(folder / CHUNKS)]
        self.vectors: NDArray[np.float32] = np.load(folder / VECTORS)
        self.row_of = {chunk.id: row for row, chunk in enumerate(self.chunks)}
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
        return [document_from_json(row) for row in _read_jsonl(self.folder / DOCUMENTS)]

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
