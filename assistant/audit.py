"""Reading the audit log: who did what, when, and which replies rest on it.

`Conversations.log` writes it. Pages go by the number of an entry, so that they keep their place
while entries are added.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, func, select

from assistant import tables
from assistant.cited import Cited, cited_since, evidence_subject, version_subject
from assistant.conversations import Conversations

PAGE = 50
MOST_COUNTED = 10_000
_MOST_NAMES = 200  # of people, or of kinds of actions, to choose from
_FETCHED = 1000  # entries at a time, where all are read
# What details tell of: a passage that was let in, before the reason (see Publisher.allow), and a
# curated answer, after its question (see CuratedAnswer.told).
_CITABLE = frozenset({"allow", "curated_add", "curated_change", "curated_enable"})
_PASSAGE = re.compile(r"(.+?#\d+): .*", re.DOTALL)
_CURATED = re.compile(r".* \((curated:[^()]+)\)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An entry; `what` is the kind of action, `created` is in seconds since 1970."""

    id: int
    who: str
    what: str
    detail: str
    created: float

    @property
    def subject(self) -> str:
        """What replies can rest on of that which was done (see `cited`), or ""."""
        if self.what in ("publish", "undo"):
            return version_subject(self.detail)
        about = _PASSAGE if self.what == "allow" else _CURATED
        told = about.fullmatch(self.detail) if self.what in _CITABLE else None
        return evidence_subject(told[1]) if told else ""


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which entries are wanted; what is left empty excludes none. `until` is the first moment that
    is too late; `words` stand in the detail, as they are written there."""

    who: str = ""
    whats: tuple[str, ...] = ()
    since: float | None = None
    until: float | None = None
    words: str = ""

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """The same in SQL."""
        columns = tables.audit.c
        if self.who:
            yield columns.who == self.who
        if self.whats:
            yield columns.what.in_(self.whats)
        if self.since is not None:
            yield columns.created >= self.since
        if self.until is not None:
            yield columns.created < self.until
        if self.words:
            yield columns.detail.icontains(self.words, autoescape=True)


ALL = AuditQuery()


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Entries, the newest first, and whether there are newer or older ones."""

    entries: tuple[AuditEntry, ...]
    newer: bool
    older: bool


class AuditTrail:
    """The entries of a store. Raises StoreError."""

    def __init__(self, store: Conversations) -> None:
        self.store = store

    def last(self) -> int:
        """The number of the newest entry; changes with each one."""
        with self.store.readers.connect() as connection:
            return connection.execute(select(func.max(tables.audit.c.id))).scalar() or 0

    def newest(self, query: AuditQuery = ALL, limit: int = PAGE) -> list[AuditEntry]:
        """The newest entries of a kind."""
        return self._before(query, 0, limit)

    def page(self, query: AuditQuery = ALL, before: int = 0, after: int = 0) -> AuditPage:
        """The newest page, or the one next `before` or `after` an entry."""
        if after:
            return self._newer_page(query, after)
        found = self._before(query, before, PAGE + 1)
        if before and not found:
            return self.page(query)
        return AuditPage(tuple(found[:PAGE]), newer=bool(before), older=len(found) > PAGE)

    def count(self, query: AuditQuery = ALL) -> int:
        """How many there are; above MOST_COUNTED only that there are more."""
        found = select(tables.audit.c.id).where(*query.conditions()).limit(MOST_COUNTED + 1)
        with self.store.readers.connect() as connection:
            counted = select(func.count()).select_from(found.subquery())
            return int(connection.execute(counted).scalar_one())

    def walk(self, query: AuditQuery = ALL) -> Iterator[AuditEntry]:
        """All of them, the newest first, a few at a time."""
        before = 0
        while found := self._before(query, before, _FETCHED):
            yield from found
            before = found[-1].id

    def people(self) -> list[str]:
        """Who has done something."""
        return self._values(tables.audit.c.who)

    def kinds(self) -> list[str]:
        """Which kinds of actions there are."""
        return self._values(tables.audit.c.what)

    def cited(self, entry: AuditEntry) -> Cited | None:
        """The replies since an entry that rest on what was done; None where none ever can."""
        if not entry.subject:
            return None
        with self.store.readers.connect() as connection:
            return cited_since(connection, entry.subject, entry.created)

    def _newer_page(self, query: AuditQuery, after: int) -> AuditPage:
        """The next newer one; what would fill less than a page is the newest."""
        columns = tables.audit.c
        wanted = select(tables.audit).where(*query.conditions(), columns.id > after)
        found = self._read(wanted.order_by(columns.id).limit(PAGE + 1))
        if len(found) <= PAGE:
            return self.page(query)
        return AuditPage(tuple(reversed(found[:PAGE])), newer=True, older=True)

    def _before(self, query: AuditQuery, before: int, limit: int) -> list[AuditEntry]:
        columns = tables.audit.c
        wanted = select(tables.audit).where(*query.conditions())
        if before:
            wanted = wanted.where(columns.id < before)
        return self._read(wanted.order_by(columns.id.desc()).limit(limit))

    def _read(self, query: Any) -> list[AuditEntry]:
        with self.store.readers.connect() as connection:
            return [AuditEntry(**row) for row in connection.execute(query).mappings()]

    def _values(self, column: Column[str]) -> list[str]:
        """The values of a column in order: one step along its index for each, however long the
        log is, where DISTINCT would read it all."""
        found = select(func.min(column).label("value")).cte("found", recursive=True)
        following = select(func.min(column)).where(column > found.c.value).scalar_subquery()
        found = found.union_all(select(following).where(found.c.value.is_not(None)))
        query = select(found.c.value).where(found.c.value.is_not(None)).limit(_MOST_NAMES)
        with self.store.readers.connect() as connection:
            return list(connection.execute(query).scalars())
