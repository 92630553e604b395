"""The vector index of a version: a Chroma collection for each scope, or language of the catalogue.

A scope is (language, for staff or not): scopes are kept apart because Chroma's metadata filter
costs 20 times an unfiltered query, and because customers must never see staff passages.
"""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import chromadb
import numpy as np
from chromadb.api.client import SharedSystemClient
from chromadb.config import Settings as ChromaSettings
from numpy.typing import NDArray

from knowledge.errors import VersionError

CHROMA = "chroma"
# Raise it when indexes are made differently, so that older ones are not copied.
INDEXING = 2
# Wider than Chroma's own (100, 100, 16), with which one passage in a hundred is not found by its
# own vector (benchmarks/RESULTS.md).
_HNSW = {"space": "cosine", "ef_construction": 200, "ef_search": 200, "max_neighbors": 32}
# Deleted vectors stay in an HNSW graph as dead ends: with more changes than this it is built anew.
_MAX_CHANGED_SHARE = 0.2
_ROUNDING = 1e-5  # of a component, by Chroma


class Scope(NamedTuple):
    """Passages that are searched together."""

    language: str
    for_staff: bool

    @property
    def collection(self) -> str:
        """Name of the Chroma collection that holds the scope."""
        return f"passages-{self.language}{'-staff' if self.for_staff else ''}"


class Placed(NamedTuple):
    """The vectors of a collection by the id of their chunk or product."""

    ids: list[str]
    vectors: NDArray[np.float32]


Collections = Mapping[str, Placed]  # by name


def client_of(folder: Path) -> Any:
    """Chroma over a version's folder."""
    settings = ChromaSettings(anonymized_telemetry=False, allow_reset=False)
    return chromadb.PersistentClient(str(folder / CHROMA), settings=settings)


def write_index(folder: Path, wanted: Collections, held: Collections, before: Path | None) -> None:
    """Write and verify the index of a version; where little has changed since the version
    `before`, which holds `held`, its index is copied and changed. Raises VersionError when Chroma
    does not hold every id with its vector."""
    if before:
        shutil.copytree(before / CHROMA, folder / CHROMA)
    client = client_of(folder)
    try:
        for name in held.keys() - wanted.keys():
            client.delete_collection(name)
        for name, placed in wanted.items():
            _fill_collection(client, name, placed, held.get(name))
    finally:
        client.close()
        SharedSystemClient.clear_system_cache()


def write_index_apart(folder: Path, wanted: Collections) -> None:
    """The same from the beginning, in a process of its own that never sees a text.

    Chroma's files hold memory that was never written to, and so whatever was read by the process
    that makes them: purged text must not come back in that way. Raises VersionError.
    """
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=write_index, args=(folder, wanted, {}, None))
    process.start()
    process.join()
    if process.exitcode != 0:
        raise VersionError("the index could not be written; see above, and try again")


def _fill_collection(client: Any, name: str, wanted: Placed, held: Placed | None) -> None:
    """Bring the collection from what it holds to what is wanted, and verify it."""
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
        client.delete_collection(name)
        held, new, gone = None, list(range(len(wanted.ids))), []
    if held is None:
        collection = client.create_collection(
            name, configuration={"hnsw": _HNSW}, embedding_function=None
        )
    else:
        collection = client.get_collection(name, embedding_function=None)
    batch = client.get_max_batch_size()
    # Not upserted: hnswlib moves a vector and leaves its old links, and ever fewer are found.
    gone += [wanted.ids[r] for r in new if wanted.ids[r] in rows_held] if held else []
    for start in range(0, len(gone), batch):
        collection.delete(ids=gone[start : start + batch])
    for start in range(0, len(new), batch):
        step = new[start : start + batch]
        collection.add(ids=[wanted.ids[r] for r in step], embeddings=wanted.vectors[step])
    verify(collection, wanted)


def verify(collection: Any, wanted: Placed) -> None:
    """Raise VersionError unless Chroma gives back every id with its vector."""
    held = collection.get(include=["embeddings"])
    if sorted(held["ids"]) != sorted(wanted.ids):
        raise VersionError(
            f"Chroma holds {len(held['ids'])} of {len(wanted.ids)} vectors; refresh again"
        )
    row_of = {chunk_id: row for row, chunk_id in enumerate(wanted.ids)}
    order = [row_of[chunk_id] for chunk_id in held["ids"]]
    off = np.abs(np.asarray(held["embeddings"]) - wanted.vectors[order])
    if not off.max(initial=0.0) <= _ROUNDING:
        raise VersionError("Chroma gives back other vectors than were stored; refresh again")
