"""Look whether the published version is whole: every passage, vector, term and index entry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from knowledge.errors import KnowledgeError
from knowledge.store import Store, placed
from knowledge.vector_index import INDEX_ERRORS, verify
from knowledge.versions import Versions


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What the published version holds, and what is wrong with it: nothing, in a whole one."""

    version: str
    documents: int
    passages: int
    problems: tuple[str, ...]


def check(versions: Versions) -> CheckReport:
    """Read all of the published version. Raises EmptyKnowledge, or VersionError when it cannot
    even be opened."""
    store = Store(versions.current_folder())
    try:
        return CheckReport(
            version=store.folder.name,
            documents=len(store.documents()),
            passages=len(store.chunks),
            problems=tuple(_problems(store)),
        )
    finally:
        store.close()


def _problems(store: Store) -> Iterator[str]:
    if len(store.vectors) != len(store.chunks):
        yield f"{len(store.vectors)} vectors for {len(store.chunks)} passages"
        return
    if len(store.row_of) != len(store.chunks):
        yield "two passages have one id"
    known = {d.id for d in store.documents()}
    for chunk in store.chunks:
        if chunk.document_id not in known:
            yield f"{chunk.id} belongs to no document"
    wanted_of = placed(store.chunks, store.vectors)
    for scope in store.scopes:
        wanted = wanted_of[scope.collection]
        try:
            verify(store.collection(scope), wanted)
        except (KnowledgeError, *INDEX_ERRORS) as error:
            yield f"{scope.collection}: {error}"
        if len(store.terms(scope)) != len(wanted.ids):
            yield f"{scope.collection}: its terms are those of other passages"
