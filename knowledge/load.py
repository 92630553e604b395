"""Sources to documents. A file that cannot be read is rejected with a reason, the rest goes in;
a file that has not changed since the version before is not read again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from knowledge.extraction import Extractor, Limits, reason_of
from knowledge.language import Detector
from knowledge.sources import SourceFile, list_files
from knowledge.types import Document, FileRecord, Rejection, parse_day

# Raise it when formats are read differently, so that unchanged files are read again.
_READING = 1
_HASH_STEP = 1 << 20


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the sources hold: documents with unique ids, what was left out, and for each file the
    documents that came from it."""

    documents: list[Document]
    rejected: list[Rejection]
    files: list[FileRecord]


@dataclass(frozen=True, slots=True)
class Earlier:
    """What was loaded before; a file with the same key gives the same documents."""

    documents: dict[str, Document] = field(default_factory=dict)
    files: dict[str, FileRecord] = field(default_factory=dict)

    @classmethod
    def of(cls, documents: Iterable[Document], files: Iterable[FileRecord]) -> Earlier:
        """By id, and by path."""
        return cls({d.id: d for d in documents}, {f.path: f for f in files})

    def with_later(self, other: Earlier) -> Earlier:
        """The same, with what `other` has read since in the place of it."""
        return Earlier(self.documents | other.documents, self.files | other.files)

    def of_file(self, path: str, key: str) -> list[Document] | None:
        """The documents of a file that has not changed, or None."""
        record = self.files.get(path)
        if record is None or record.key != key:
            return None
        found = [self.documents.get(i) for i in record.documents]
        kept = [d for d in found if d and d.source == path]
        return kept if len(kept) == len(found) else None


class Loader:
    """Turns sources into documents; a document without a language gets the detected one."""

    def __init__(self, detector: Detector, limits: Limits | None = None) -> None:
        self.detector = detector
        self.limits = limits or Limits()

    def load(
        self,
        sources: Sequence[Path],
        earlier: Earlier | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
        keep: Callable[[FileRecord, Sequence[Document]], None] = lambda record, documents: None,
    ) -> Loaded:
        """Read what changed since `earlier`. `keep` is handed each file that was read, so that an
        interrupted load need not read it again. Raises SourceError (missing path)."""
        earlier = earlier or Earlier()
        files, rejected = list_files(sources)
        records: list[FileRecord] = []
        unique: dict[str, Document] = {}
        with Extractor(self.limits) as extractor:
            for done, file in enumerate(files, start=1):
                try:
                    key = self._key(file)
                    known = earlier.of_file(str(file.path), key)
                    found = (
                        [self._with_language(d) for d in self._read(file, extractor)]
                        if known is None
                        else known
                    )
                except (ValueError, OSError) as error:
                    rejected.append(Rejection(str(file.path), reason_of(error)))
                else:
                    record = _record(file, key, found)
                    if known is None:
                        keep(record, found)  # a full disk is no fault of the file
                    records.append(record)
                    rejected += _add(unique, found)
                progress(done, len(files))
        return Loaded(_in_usual_language(list(unique.values())), rejected, records)

    def keys(self, sources: Sequence[Path]) -> dict[str, str] | None:
        """The key of each file by its path, or None where one cannot be read."""
        files, rejected = list_files(sources)
        try:
            return None if rejected else {str(f.path): self._key(f) for f in files}
        except OSError:
            return None

    def _key(self, file: SourceFile) -> str:
        """Equal keys give equal documents: by content, and by what the documents are named."""
        digest = hashlib.sha256(repr((_READING, file.name, file.url)).encode())
        with file.path.open("rb") as stream:
            while block := stream.read(_HASH_STEP):
                digest.update(block)
        return digest.hexdigest()

    def _read(self, file: SourceFile, extractor: Extractor) -> list[Document]:
        rows = extractor.rows(file.path, file.name, file.url)
        return [_document(row, str(file.path)) for row in rows]

    def _with_language(self, document: Document) -> Document:
        language = document.language or self.detector.of_document(
            f"{document.title}\n{document.text}"
        )
        return replace(document, language=language)


def _document(row: dict[str, Any], source: str) -> Document:
    return Document(
        id=row["id"],
        title=row["title"],
        text=row["text"],
        language=str(row.get("language") or "").casefold().replace("_", "-").split("-")[0],
        source=source,
        url=str(row.get("url") or ""),
        audience=str(row.get("audience") or "public"),
        valid_from=parse_day(row.get("valid_from")),
        valid_until=parse_day(row.get("valid_until")),
        hidden=str(row.get("hidden") or ""),
    )


def _record(file: SourceFile, key: str, documents: Iterable[Document]) -> FileRecord:
    return FileRecord(str(file.path), key, tuple(d.id for d in documents))


def _add(unique: dict[str, Document], documents: Iterable[Document]) -> list[Rejection]:
    """Add documents; those whose id is taken are rejected."""
    rejected = []
    for document in documents:
        if document.id in unique:
            reason = f"id {document.id!r} is already used by {unique[document.id].source}"
            rejected.append(Rejection(document.source, reason))
        else:
            unique[document.id] = document
    return rejected


def _in_usual_language(documents: Sequence[Document]) -> list[Document]:
    """Where detection abstained, the language that most documents have."""
    known = [d.language for d in documents if d.language]
    usual = max(set(known), key=known.count) if known else "en"
    return [d if d.language else replace(d, language=usual) for d in documents]
