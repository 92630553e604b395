"""Read documents from files and folders: markdown, html, text, csv, jsonl (also .gz and .zst).

A file that cannot be read is rejected with a reason and the rest goes in.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import trafilatura
import yaml
import zstandard

from knowledge.errors import SourceError
from knowledge.language import Detector
from knowledge.types import Document, Rejection, parse_day

FORMATS = frozenset({".md", ".markdown", ".html", ".htm", ".txt", ".csv", ".jsonl"})
_COMPRESSIONS = frozenset({".gz", ".zst"})
_FIELDS = ("id", "title", "text", "language", "url", "audience", "valid_from", "valid_until")
_FRONT_MATTER = re.compile(r"\A---\s*\n(.*?)\n---\s*\n?(.*)\Z", re.DOTALL)
_FIRST_HEADING = re.compile(r"^#\s+(.+?)\s*#*$", re.MULTILINE)


def format_of(path: Path) -> str:
    """The extension that names the format, compression left out: `faq.jsonl.gz` -> `.jsonl`."""
    suffixes = [s.casefold() for s in path.suffixes]
    if suffixes and suffixes[-1] in _COMPRESSIONS:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def read_text(path: Path, max_bytes: int) -> str:
    """The text of a file, decompressed; at most max_bytes.

    Raises ValueError when it is larger, not UTF-8, or holds NUL bytes (so it is not text).
    """
    if path.suffix == ".gz":
        with gzip.open(path) as stream:
            raw = stream.read(max_bytes + 1)
    elif path.suffix == ".zst":
        decompressor = zstandard.ZstdDecompressor(max_window_size=2**27)
        with path.open("rb") as file, decompressor.stream_reader(file) as reader:
            raw = reader.read(max_bytes + 1)
    else:
        with path.open("rb") as file:
            raw = file.read(max_bytes + 1)
    if len(raw) > max_bytes:
        raise ValueError(f"larger than {max_bytes:,} bytes (setting knowledge.max_file_bytes)")
    if b"\x00" in raw:
        raise ValueError("holds NUL bytes, so it is not a text file")
    return raw.decode("utf-8-sig")


def _clean(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.replace("\r\n", "\n").splitlines()).strip()


def _row(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Values with the fields a document has; unknown fields are ignored, text is required."""
    row = {k: values.get(k) for k in _FIELDS}
    row["text"] = _clean(str(row["text"] or ""))
    if not row["text"]:
        raise ValueError("has no text")
    row["id"] = str(row["id"] or path.name.split(".")[0])
    row["title"] = str(row["title"] or row["id"])
    return row


def _markdown(path: Path, text: str) -> Iterator[dict[str, Any]]:
    front: dict[str, Any] = {}
    if match := _FRONT_MATTER.match(text):
        front = yaml.safe_load(match.group(1)) or {}
        if not isinstance(front, dict):
            raise ValueError("front matter is not a list of `key: value` lines")
        text = match.group(2)
    heading = _FIRST_HEADING.search(text)
    yield _row(path, {"title": heading and heading.group(1), "text": text} | front)


def _html(path: Path, text: str) -> Iterator[dict[str, Any]]:
    body = trafilatura.extract(text, output_format="markdown", include_tables=True, fast=True)
    metadata = trafilatura.extract_metadata(text)
    yield _row(path, {"title": metadata.title if metadata else None, "text": body})


def _plain(path: Path, text: str) -> Iterator[dict[str, Any]]:
    first = text.strip().splitlines()[0] if text.strip() else ""
    title = first if len(first) <= 100 and not first.endswith((".", "。")) else None
    yield _row(path, {"title": title, "text": text})


def _csv(path: Path, text: str) -> Iterator[dict[str, Any]]:
    """Columns as the JSONL record's fields; `question` and `answer` make an FAQ pair."""
    reader = csv.DictReader(io.StringIO(text), strict=True)
    columns = {c.strip().casefold() for c in reader.fieldnames or () if c}
    if not columns & {"text", "answer"}:
        raise ValueError(
            f"needs a column `text`, or `question` and `answer`; has {sorted(columns)}"
        )
    for number, raw in enumerate(reader, start=1):
        if None in raw or None in raw.values():
            raise ValueError(f"row {number} has not as many cells as the header")
        values: dict[str, Any] = {k.strip().casefold(): v for k, v in raw.items()}
        values.setdefault("id", f"{path.name.split('.')[0]}-{number}")
        values.setdefault("title", values.get("question"))
        values.setdefault("text", values.get("answer"))
        yield _row(path, values)


def _jsonl(path: Path, text: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
            if not isinstance(values, dict):
                raise ValueError("is not a JSON object")
            yield _row(path, {"id": f"{path.name.split('.')[0]}-{number}"} | values)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error


_READERS = {
    ".md": _markdown,
    ".markdown": _markdown,
    ".html": _html,
    ".htm": _html,
    ".txt": _plain,
    ".csv": _csv,
    ".jsonl": _jsonl,
}


def files_of(sources: Iterable[Path]) -> Iterator[Path]:
    """Files named by sources, folders in a fixed order. Raises SourceError if one is missing."""
    for source in sources:
        if source.is_dir():
            yield from sorted(
                p for p in source.rglob("*") if p.is_file() and not p.name.startswith(".")
            )
        elif source.is_file():
            yield source
        else:
            raise SourceError(f"{source} does not exist; give an existing file or folder")


class Loader:
    """Turns sources into documents; a document without a language gets the detected one."""

    def __init__(self, detector: Detector, max_file_bytes: int = 50_000_000) -> None:
        self.detector = detector
        self.max_file_bytes = max_file_bytes

    def load(self, sources: Iterable[Path]) -> tuple[list[Document], list[Rejection]]:
        """Documents with unique ids, and what was left out. Raises SourceError (missing path)."""
        documents: dict[str, Document] = {}
        rejected: list[Rejection] = []
        for path in files_of(sources):
            try:
                read = list(self._documents(path))
            except (
                ValueError,
                OSError,
                EOFError,
                csv.Error,
                yaml.YAMLError,
                zstandard.ZstdError,
            ) as e:
                rejected.append(Rejection(str(path), _reason(e)))
                continue
            for document in read:
                if document.id in documents:
                    other = documents[document.id].source
                    reason = f"id {document.id!r} is already used by {other}"
                    rejected.append(Rejection(str(path), reason))
                else:
                    documents[document.id] = document
        return self._with_languages(documents.values()), rejected

    def _documents(self, path: Path) -> Iterator[Document]:
        reader = _READERS.get(format_of(path))
        if reader is None:
            known = ", ".join(sorted(FORMATS))
            raise ValueError(f"format {format_of(path) or path.name!r} is not supported ({known})")
        for row in reader(path, read_text(path, self.max_file_bytes)):
            yield Document(
                id=row["id"],
                title=row["title"],
                text=row["text"],
                language=str(row["language"] or "").casefold().split("-")[0],
                source=str(path),
                url=str(row["url"] or ""),
                audience=str(row["audience"] or "public"),
                valid_from=parse_day(row["valid_from"]),
                valid_until=parse_day(row["valid_until"]),
            )

    def _with_languages(self, documents: Iterable[Document]) -> list[Document]:
        """Fill in languages; where detection abstains, the one most documents have."""
        rows = list(documents)
        languages = [d.language or self.detector.of_document(f"{d.title}\n{d.text}") for d in rows]
        known = [language for language in languages if language]
        usual = max(set(known), key=known.count) if known else "en"
        return [_in_language(d, lang or usual) for d, lang in zip(rows, languages, strict=True)]


def _in_language(document: Document, language: str) -> Document:
    return document if document.language == language else replace(document, language=language)


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"is not UTF-8 text (byte {error.start}); save it as UTF-8"
    return " ".join(str(error).split())[:300] or type(error).__name__
