"""The vector index of a version: a Chroma collection for each scope, or language of the catalogue.

A scope is (language, for staff or not): scopes are kept apart because Chroma's metadata filter
costs 20 times an unfiltered query, and because customers must never see staff passages.

An index is in Chroma's files below its version, or on a Chroma server, which a version says of
itself: one that went to the server is read from there. The server holds ids and vectors, no text.
"""

from __future__ import annotations

import logging
import multiprocessing
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import chromadb
import httpx
import numpy as np
from chromadb.api.client import SharedSystemClient
from chromadb.config import Settings as ChromaSettings
from chromadb.errors import ChromaError
from numpy.typing import NDArray

from knowledge.errors import VersionError

log = logging.getLogger(__name__)
CHROMA = "chroma"  # folder of a version that holds its index
SERVER = "chroma-server"  # file of a version that holds the address of the server with its index
# What an index that cannot be asked now raises.
INDEX_ERRORS = (ChromaError, VersionError, httpx.HTTPError)
_PAGE = 2_000  # vectors that are read back at once
_OPEN_SECONDS = 2.0  # for a server to say that it is there
_ASK_SECONDS = 5.0  # for what it finds: a customer waits
_WRITE_SECONDS = 600.0  # for what it takes in: an index of many vectors is made meanwhile
_REST_SECONDS = 30.0  # for which a server that did not answer is not asked
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


@dataclass(frozen=True, slots=True)
class Place:
    """Where the index of the version in `folder` is: on `server`, if there is one."""

    folder: Path
    server: str

    @classmethod
    def of(cls, folder: Path) -> Place:
        """That of a version that was written."""
        marker = folder / SERVER
        return cls(folder, marker.read_text().strip() if marker.is_file() else "")

    def client(self, seconds: float) -> Any:
        """Chroma there; a server has so many seconds for each answer. Raises VersionError when it
        cannot be reached."""
        settings = ChromaSettings(anonymized_telemetry=False, allow_reset=False)
        if not self.server:
            return chromadb.PersistentClient(str(self.folder / CHROMA), settings=settings)
        at = urlsplit(self.server)
        secure = at.scheme == "https"
        try:
            # The client waits without end, and asks before it can be told not to.
            httpx.get(f"{self.server}/api/v2/heartbeat", timeout=_OPEN_SECONDS)
            client = chromadb.HttpClient(
                at.hostname or "", at.port or (443 if secure else 80), secure, settings=settings
            )
        except (ValueError, httpx.HTTPError) as error:  # the former: chromadb's own
            raise VersionError(f"the Chroma server {self.server} cannot be reached") from error
        client._server._session.timeout = httpx.Timeout(seconds, connect=_OPEN_SECONDS)
        return client

    def name(self, collection: str) -> str:
        """What a collection is called there: on a server, among those of other versions."""
        return f"{self._prefix}{collection}" if self.server else collection

    def drop(self) -> None:
        """Delete what is on the server, before the folder goes. Raises VersionError."""
        if not self.server:
            return
        client = self.client(_WRITE_SECONDS)
        try:
            for collection in client.list_collections():
                if collection.name.startswith(self._prefix):
                    client.delete_collection(collection.name)
        except (ChromaError, httpx.HTTPError) as error:
            raise VersionError(
                f"{self.folder.name} cannot be deleted from {self.server}: {error}"
            ) from error
        finally:
            client.close()

    @property
    def _prefix(self) -> str:
        return f"{self.folder.parent.parent.name}-{self.folder.name}-"


class VectorIndex:
    """The index of a version, opened when it is first asked."""

    def __init__(self, folder: Path) -> None:
        self.place = Place.of(folder)
        self._client: Any = None
        self._collections: dict[str, Any] = {}
        self._again = 0.0

    def nearest(
        self, name: str, vector: NDArray[np.float32], count: int
    ) -> list[tuple[str, float]]:
        """(id, cosine) of the count vectors of a collection nearest to vector (dimensions,), best
        first. A server that fails is left alone for a while. Raises one of INDEX_ERRORS."""
        if time.monotonic() < self._again:
            raise VersionError(f"the Chroma server {self.place.server} is left alone for a while")
        try:
            found = self.collection(name).query(
                query_embeddings=[vector], n_results=count, include=["distances"]
            )
        except INDEX_ERRORS as error:
            log.warning("%s: no index (%s); it is scanned", name, error)
            if self.place.server:
                self._again = time.monotonic() + _REST_SECONDS
            raise
        return [(i, 1 - d) for i, d in zip(found["ids"][0], found["distances"][0], strict=True)]

    def collection(self, name: str) -> Any:
        """A collection. Raises one of INDEX_ERRORS."""
        if name not in self._collections:
            self._client = self._client or self.place.client(_ASK_SECONDS)
            self._collections[name] = self._client.get_collection(
                self.place.name(name), embedding_function=None
            )
        return self._collections[name]

    def close(self) -> None:
        """Let go of Chroma's files, or of the connection."""
        if self._client:
            self._client.close()


def write_index(
    folder: Path, wanted: Collections, held: Collections, before: Path | None, server: str = ""
) -> None:
    """Write and verify the index of a version, in its folder or on a server; where little has
    changed since the version `before`, which holds `held` in its folder, that index is copied and
    changed. Raises VersionError when Chroma does not hold every id with its vector."""
    if before is None or server or Place.of(before).server:
        held = {}
    if held and before:
        shutil.copytree(before / CHROMA, folder / CHROMA)
    if server:
        (folder / SERVER).write_text(server)
    place = Place(folder, server)
    client = place.client(_WRITE_SECONDS)
    try:
        for name in held.keys() - wanted.keys():
            client.delete_collection(name)
        for name, placed in wanted.items():
            _fill_collection(client, place.name(name), placed, held.get(name))
    except httpx.HTTPError as error:
        raise VersionError(f"the Chroma server {server} failed: {error}; refresh again") from error
    finally:
        client.close()
        if not server:
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
    """Raise VersionError unless Chroma gives back every id with its vector, and no others."""
    row_of = {chunk_id: row for row, chunk_id in enumerate(wanted.ids)}
    held = 0
    for start in range(0, len(wanted.ids), _PAGE):
        page = collection.get(ids=wanted.ids[start : start + _PAGE], include=["embeddings"])
        held += len(page["ids"])
        order = [row_of[chunk_id] for chunk_id in page["ids"]]
        off = np.abs(np.asarray(page["embeddings"]) - wanted.vectors[order])
        if not off.max(initial=0.0) <= _ROUNDING:
            raise VersionError("Chroma gives back other vectors than were stored; refresh again")
    if not held == len(wanted.ids) == collection.count():
        raise VersionError(
            f"Chroma holds {held} of {len(wanted.ids)} vectors, and {collection.count()} in all;"
            " refresh again"
        )
