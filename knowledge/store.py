"""One version of the passages on disk: documents, chunks, vectors, terms and a vector index."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from knowledge.errors import VersionError
from knowledge.segment import TOKENS
from knowledge.terms import Terms
from knowledge.types import (
    Chunk,
    Document,
    FileRecord,
    Finding,
    chunk_from_json,
    document_from_json,
    finding_from_json,
)
from knowledge.vector_index import (
    INDEX_ERRORS,
    INDEXING,
    Placed,
    Scope,
    VectorIndex,
    write_index,
    write_index_apart,
)

CHUNKS, DOCUMENTS, FILES, FINDINGS, VECTORS, MANIFEST, LEXICAL = (
    "chunks.jsonl", "documents.jsonl", "files.jsonl", "findings.jsonl", "vectors.npy",
    "manifest.json", "lexical",
)  # fmt: skip
# A scope of no more chunks is scanned: exact, and faster than the index (1 ms for 10,000).
EXACT_UP_TO = 20_000
PREPARED = "prepared"  # in a version that waits to be published: see knowledge.versions


def scope_of(chunk: Chunk) -> Scope:
    """The scope a chunk belongs to."""
    return Scope(chunk.language, chunk.for_staff)


def _write_jsonl(path: Path, rows: Iterable[Document | FileRecord | Chunk | Finding]) -> None:
    with path.open("wb") as file:
        file.writelines(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)


def _read_jsonl(path: Path) -> list[dict[str, Any]]:
    with path.open("rb") as file:
        return [orjson.loads(line) for line in file]


@dataclass(frozen=True, slots=True)
class Contents:
    """All that a version holds; `vectors` has one row a chunk."""

    documents: Sequence[Document]
    files: Sequence[FileRecord]
    chunks: Sequence[Chunk]
    vectors: NDArray[np.float32]
    findings: Sequence[Finding]
    manifest: dict[str, Any]


def write_version(
    folder: Path,
    contents: Contents,
    before: Store | None = None,
    *,
    apart: bool = False,
    server: str = "",
) -> None:
    """Write a version, verify what Chroma gives back, then write the manifest.

    The manifest's presence means the version is complete; its `basis` is the version whose place
    it is to take. Where little has changed since `before`, its vector index is copied and changed;
    `apart` makes it anew in a process that sees no text; with a `server` it is made there. Raises
    VersionError when Chroma does not
    hold every id with its vector.
    """
    folder.mkdir(parents=True)
    _write_jsonl(folder / DOCUMENTS, contents.documents)
    _write_jsonl(folder / FILES, contents.files)
    _write_jsonl(folder / CHUNKS, contents.chunks)
    _write_jsonl(folder / FINDINGS, contents.findings)
    np.save(folder / VECTORS, contents.vectors)
    _index(folder, contents, before, apart, server)
    _write_terms(folder, contents.chunks, before)
    (folder / PREPARED).write_text(contents.manifest["basis"])
    os.sync()  # a version that survives a power cut is whole
    partial = folder / f"{MANIFEST}.partial"
    partial.write_text(
        json.dumps(contents.manifest | {"tokens": TOKENS, "indexing": INDEXING}, indent=1)
    )
    partial.replace(folder / MANIFEST)


def _index(
    folder: Path, contents: Contents, before: Store | None, apart: bool, server: str
) -> None:
    wanted = placed(contents.chunks, contents.vectors)
    if server:
        write_index(folder, wanted, {}, None, server)
    elif apart:
        write_index_apart(folder, wanted)
    elif (
        before
        and before.manifest.get("encoder") == contents.manifest.get("encoder")
        and before.manifest.get("indexing") == INDEXING
    ):
        write_index(folder, wanted, placed(before.chunks, before.vectors), before.folder)
    else:
        write_index(folder, wanted, {}, None)


def _write_terms(folder: Path, chunks: Sequence[Chunk], before: Store | None) -> None:
    """Write each scope's terms; those of texts that `before` holds are taken over."""
    for scope, rows in rows_by_scope(chunks).items():
        wanted = [chunks[r] for r in rows]
        held = before.chunks_of(scope) if before else []
        row_of = {c.embedding_key: n for n, c in enumerate(held)}
        kept = [row_of.get(c.embedding_key) for c in wanted]
        new = [c.indexed_text for c, row in zip(wanted, kept, strict=True) if row is None]
        terms = before.terms(scope).updated(kept, new) if before and held else Terms.of(new)
        terms.save(folder / LEXICAL / scope.collection)


def rows_by_scope(chunks: Sequence[Chunk]) -> dict[Scope, list[int]]:
    """The rows of each scope's chunks, in order."""
    rows: dict[Scope, list[int]] = {}
    for row, chunk in enumerate(chunks):
        rows.setdefault(scope_of(chunk), []).append(row)
    return dict(sorted(rows.items()))


def placed(chunks: Sequence[Chunk], vectors: NDArray[np.float32]) -> dict[str, Placed]:
    """What each scope's collection holds, by its name; vectors has one row a chunk."""
    return {
        scope.collection: Placed([chunks[r].id for r in rows], vectors[rows])
        for scope, rows in rows_by_scope(chunks).items()
    }


def read_documents(folder: Path) -> list[Document]:
    """The documents of a version, as they were loaded."""
    return [document_from_json(row) for row in _read_jsonl(folder / DOCUMENTS)]


def read_chunks(folder: Path) -> list[Chunk]:
    """The chunks that a version serves."""
    return [chunk_from_json(row) for row in _read_jsonl(folder / CHUNKS)]


class Store:
    """An immutable version, opened for reading; what it holds is read when it is asked for.

    Raises VersionError when it is incomplete.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / MANIFEST).is_file():
            raise VersionError(f"version {folder.name} is incomplete; run `knowledge refresh`")
        self.folder = folder
        self.manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        self._index = VectorIndex(folder)

    @cached_property
    def chunks(self) -> list[Chunk]:
        """The chunks that the version serves."""
        return read_chunks(self.folder)

    @cached_property
    def vectors(self) -> NDArray[np.float32]:
        """Their vectors, a row a chunk."""
        vectors: NDArray[np.float32] = np.load(self.folder / VECTORS)
        return vectors

    @cached_property
    def row_of(self) -> dict[str, int]:
        """The row of each chunk by its id."""
        return {chunk.id: row for row, chunk in enumerate(self.chunks)}

    @cached_property
    def rows(self) -> dict[Scope, NDArray[np.int64]]:
        """The rows of each scope."""
        return {s: np.array(rows) for s, rows in rows_by_scope(self.chunks).items()}

    @property
    def scopes(self) -> list[Scope]:
        """The scopes that hold chunks."""
        return list(self.rows)

    @cached_property
    def _scanned(self) -> dict[Scope, NDArray[np.float32]]:
        """The vectors of the scopes that are scanned."""
        small = {s: held for s, held in self.rows.items() if len(held) <= EXACT_UP_TO}
        return {s: self.vectors[held] for s, held in small.items()}

    @cached_property
    def _documents(self) -> list[Document]:
        return read_documents(self.folder)

    def load(self) -> None:
        """Read all that queries need, so that they go on when the version is pruned."""
        for _ in (self.row_of, self._scanned, self.vectors):
            pass

    def documents(self) -> list[Document]:
        """The documents of the version, as they were loaded."""
        return self._documents

    def chunks_of(self, scope: Scope) -> list[Chunk]:
        """A scope's chunks, in the order of its terms."""
        return [self.chunks[r] for r in self.rows.get(scope, ())]

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

    def findings(self) -> list[Finding]:
        """What the inspector found in the documents, but for what was held back."""
        path = self.folder / FINDINGS
        return [finding_from_json(row) for row in _read_jsonl(path)] if path.exists() else []

    def nearest(
        self, scope: Scope, vector: NDArray[np.float32], count: int
    ) -> list[tuple[int, float]]:
        """(row, cosine) of the count chunks nearest to vector (dimensions,), best first: exactly
        in a scope of at most EXACT_UP_TO chunks, by Chroma's HNSW index in a larger one, exactly
        again where that cannot be asked: on a read-only disk, or while its server is away."""
        scanned = self._scanned.get(scope)
        if scanned is None:
            try:
                return self.nearest_indexed(scope, vector, count)
            except INDEX_ERRORS:
                scanned = self.vectors[self.rows[scope]]
            if not self._index.place.server:  # files will not be there later either
                self._scanned[scope] = scanned
        cosines = scanned @ vector
        first = np.argsort(-cosines, kind="stable")[:count]
        return [(int(self.rows[scope][i]), float(cosines[i])) for i in first]

    def nearest_indexed(
        self, scope: Scope, vector: NDArray[np.float32], count: int
    ) -> list[tuple[int, float]]:
        """The same by the index, whatever the scope's size."""
        most = min(count, len(self.rows[scope]))
        found = self._index.nearest(scope.collection, vector, most)
        return [(self.row_of[i], cosine) for i, cosine in found]

    def collection(self, scope: Scope) -> Any:
        """A scope's collection; Chroma is opened with the first."""
        return self._index.collection(scope.collection)

    def close(self) -> None:
        """Let go of Chroma's files."""
        self._index.close()
