"""Split documents along headings and sentences, with overlap and a title path."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from knowledge.segment import is_cjk, split_sentences
from knowledge.types import Chunk, Document

# Raise it when documents are cut differently, so that unchanged ones are cut again.
CHUNKING = 1
_HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*#*$")
_TABLE_ROW = re.compile(r"^\s*\|.*\|\s*$")


@dataclass(frozen=True, slots=True)
class Unit:
    """A piece that is never cut; `starts_line` when a line of the document begins with it."""

    text: str
    starts_line: bool


def length_in_words(text: str) -> float:
    """Words of spaced text; for Chinese and Japanese 1.6 characters count as one word."""
    return len(text) / 1.6 if is_cjk(text) else len(text.split())


def _sections(document: Document) -> Iterator[tuple[tuple[str, ...], str]]:
    """(title path, text) for each stretch between headings; a heading equal to the title is it."""
    path: list[tuple[int, str]] = []
    lines: list[str] = []

    def section() -> tuple[tuple[str, ...], str]:
        return (document.title, *(title for _, title in path)), "\n".join(lines).strip()

    for line in document.text.splitlines():
        heading = _HEADING.match(line)
        if not heading:
            lines.append(line)
            continue
        yield section()
        lines.clear()
        level, title = len(heading.group(1)), heading.group(2)
        path = [(lv, t) for lv, t in path if lv < level]
        if title.casefold() != document.title.casefold():
            path.append((level, title))
    yield section()


def table_rows_as_sentences(lines: list[str]) -> list[str]:
    """Turn a markdown table into one sentence a row, each with the header's words."""
    cells = [[c.strip() for c in line.strip().strip("|").split("|")] for line in lines]
    rows = [row for row in cells if not all(re.fullmatch(r":?-*:?", c) for c in row)]
    if len(rows) < 2:
        return ["; ".join(row) for row in rows]
    header, *body = rows
    return [
        "; ".join(f"{h}: {c}" if h else c for h, c in zip(header, row, strict=False) if c) + "."
        for row in body
    ]


def _units(text: str) -> list[Unit]:
    """Sentences, list items and table rows: the smallest pieces that are never cut."""
    units: list[Unit] = []
    table: list[str] = []
    for line in [*text.splitlines(), ""]:
        if _TABLE_ROW.match(line):
            table.append(line)
            continue
        if table:
            units.extend(Unit(row, True) for row in table_rows_as_sentences(table))
            table = []
        units.extend(Unit(s, n == 0) for n, s in enumerate(split_sentences(line)))
    return units


def _bounded(units: list[Unit], max_words: int) -> Iterator[Unit]:
    """Units no longer than max_words; a longer one is cut at spaces (or characters)."""
    for unit in units:
        if length_in_words(unit.text) <= max_words:
            yield unit
        elif is_cjk(unit.text):
            step = int(max_words * 1.6)
            for i in range(0, len(unit.text), step):
                yield Unit(unit.text[i : i + step], unit.starts_line and i == 0)
        else:
            words = unit.text.split()
            for i in range(0, len(words), max_words):
                piece = " ".join(words[i : i + max_words])
                yield Unit(piece, unit.starts_line and i == 0)


def _joined(units: list[Unit]) -> str:
    """The units as running text, lines kept."""
    text = ""
    for unit in units:
        space = "" if is_cjk(unit.text) else " "
        text += ("\n" if unit.starts_line else space) + unit.text
    return text.strip()


def _pack(units: list[Unit], max_words: int, overlap: int) -> list[str]:
    """Join units to chunks of at most max_words, repeating the last `overlap` units."""
    chunks: list[list[Unit]] = []
    current: list[Unit] = []
    for unit in _bounded(units, max_words):
        if current and length_in_words(_joined([*current, unit])) > max_words:
            chunks.append(current)
            tail = current[-overlap:] if overlap else []
            fits = length_in_words(_joined([*tail, unit])) <= max_words
            current = list(tail) if fits and len(tail) < len(current) else []
        current.append(unit)
    if current:
        chunks.append(current)
    return [_joined(chunk) for chunk in chunks]


def chunk_document(document: Document, max_words: int, overlap: int) -> list[Chunk]:
    """Chunks of a document in reading order; ids are `document id` + `#` + position."""
    pieces = [
        (path, piece)
        for path, text in _sections(document)
        for piece in _pack(_units(text), max_words, overlap)
    ]
    return [
        Chunk(
            id=f"{document.id}#{position}",
            document_id=document.id,
            title_path=path,
            text=text,
            language=document.language,
            source=document.source,
            url=document.url,
            audience=document.audience,
            valid_from=document.valid_from,
            valid_until=document.valid_until,
        )
        for position, (path, text) in enumerate(pieces)
    ]
