"""Values that cross the stages of the knowledge base."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

Progress = Callable[[str, int, int], None]  # (stage, done, of how many)


def silent(stage: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


# Of a finding, gravest first.
SEVERITIES = ("blocking", "warning", "notice")
# Audiences whose passages a customer never sees.
STAFF_AUDIENCES = frozenset({"agents", "agent", "staff", "internal"})


@dataclass(frozen=True, slots=True)
class Document:
    """One FAQ or policy document as it was loaded.

    `valid_from` and `valid_until` are inclusive days; None is open-ended.
    """

    id: str
    title: str
    text: str
    language: str
    source: str
    url: str = ""
    audience: str = "public"
    valid_from: date | None = None
    valid_until: date | None = None
    hidden: str = ""  # what the file holds and its readers do not see; never served

    @property
    def content(self) -> tuple[Any, ...]:
        """Everything a customer could see; the place it was loaded from is left out."""
        days = (self.valid_from, self.valid_until)
        return self.id, self.title, self.text, self.language, self.url, self.audience, *days


@dataclass(frozen=True, slots=True)
class Chunk:
    """An indexed piece of a document; `title_path` runs from the document to the section."""

    id: str
    document_id: str
    title_path: tuple[str, ...]
    text: str
    language: str
    source: str
    url: str = ""
    audience: str = "public"
    valid_from: date | None = None
    valid_until: date | None = None

    @property
    def indexed_text(self) -> str:
        """What is embedded and tokenised: the title path, then the text."""
        return " - ".join(self.title_path) + "\n" + self.text

    @property
    def embedding_key(self) -> str:
        """Equal keys have equal vectors, so unchanged text is never embedded again."""
        return hashlib.sha256(self.indexed_text.encode()).hexdigest()

    @property
    def for_staff(self) -> bool:
        """True when customers must not see it."""
        return self.audience.casefold() in STAFF_AUDIENCES

    def valid_on(self, day: date) -> bool:
        """True when the passage is in force on day."""
        return not (
            (self.valid_from and day < self.valid_from)
            or (self.valid_until and day > self.valid_until)
        )


def document_of(passage_id: str) -> str:
    """The id of the document that a passage is a piece of."""
    return passage_id.rsplit("#", 1)[0]


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk returned for a query; `score` is cosine, BM25, fused or reranked, by mode."""

    id: str
    document_id: str
    title: str
    title_path: tuple[str, ...]
    text: str
    source: str
    language: str
    score: float
    url: str = ""
    valid_from: date | None = None
    valid_until: date | None = None

    @classmethod
    def of(cls, chunk: Chunk, score: float) -> Passage:
        """The passage of a chunk with its score for one query."""
        return cls(
            id=chunk.id,
            document_id=chunk.document_id,
            title=chunk.title_path[0],
            title_path=chunk.title_path,
            text=chunk.text,
            source=chunk.source,
            language=chunk.language,
            score=score,
            url=chunk.url,
            valid_from=chunk.valid_from,
            valid_until=chunk.valid_until,
        )


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A statement of one passage (`quote`) that `other_quote` in another passage contradicts."""

    quote: str
    other: Chunk
    other_quote: str


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file that was read: `key` is equal for equal content, `documents` are their ids."""

    path: str
    key: str
    documents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rejection:
    """A source, or a document in it, that was left out, and why."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Something an operator should look at; a blocking one quarantines its `passages` (ids).

    `quotes` are the words that give it away; of a contradiction one of each passage, of a duplicate
    the titles of both documents.
    """

    kind: str  # injected, hidden, expired, contradiction, duplicate or comparison
    severity: str  # one of SEVERITIES
    sources: tuple[str, ...]
    detail: str
    passages: tuple[str, ...] = ()
    quotes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """What the version before was found to hold, on `day`.

    `unchanged` passages (ids) are in it as they are now; `changed` are the passages that documents
    had there which have changed since.
    """

    day: date | None = None
    findings: tuple[Finding, ...] = ()
    unchanged: frozenset[str] = frozenset()
    changed: tuple[Chunk, ...] = ()

    def cleared(self, kind: str) -> Iterator[Chunk]:
        """The changed passages of documents about which nothing of the kind was found: what still
        stands of them need not be read again."""
        found = {document_of(p) for f in self.findings if f.kind == kind for p in f.passages}
        return (c for c in self.changed if c.document_id not in found)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What putting questions to a version told before it is published: the answers that change
    (JSON values), and what the operator should know."""

    answers: tuple[Any, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RefreshReport:
    """What a refresh did. Counts are documents, `passages` those published."""

    version: str
    added: int
    changed: int
    removed: int
    unchanged: int
    passages: int
    rejected: tuple[Rejection, ...] = ()
    findings: tuple[Finding, ...] = ()
    seconds: float = 0.0
    published: bool = True
    changes: tuple[tuple[str, str], ...] = field(default=())  # (added|changed|removed, document id)
    answers: tuple[Any, ...] = ()  # the answers to questions replayed that change
    remarks: tuple[str, ...] = ()


def parse_day(value: Any) -> date | None:
    """An ISO day, or None for an empty value. Raises ValueError for anything else."""
    if value in (None, ""):
        return None
    return value if isinstance(value, date) else date.fromisoformat(str(value)[:10])


def document_from_json(row: dict[str, Any]) -> Document:
    """From its fields as JSON values, days in ISO form."""
    days = {k: parse_day(row.get(k)) for k in ("valid_from", "valid_until")}
    return Document(**(row | days))


def chunk_from_json(row: dict[str, Any]) -> Chunk:
    """From its fields as JSON values, days in ISO form."""
    days = {k: parse_day(row.get(k)) for k in ("valid_from", "valid_until")}
    return Chunk(**(row | days | {"title_path": tuple(row["title_path"])}))


def finding_from_json(row: dict[str, Any]) -> Finding:
    """From its fields as JSON values."""
    lists = ("sources", "passages", "quotes")
    return Finding(**(row | {name: tuple(row[name]) for name in lists}))
