"""Records: CSV, JSON Lines, and the JSON exports of help desks and shop systems."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

from knowledge.formats.html import text_of_html
from knowledge.formats.source import Source

# The names that exports use for a document's fields, the plainest first.
_ALIASES = {
    "id": ("id", "slug", "key"),
    "title": ("title", "question", "name", "heading", "subject", "标题", "问题", "问"),
    "text": ("text", "answer", "body", "content", "body_html", "内容", "答案", "回答", "答"),
    "language": ("language", "locale", "lang"),
    "url": ("url", "html_url", "link"),
    "audience": ("audience",),
    "valid_from": ("valid_from",),
    "valid_until": ("valid_until",),
}
_TAGS = re.compile(r"</?(?:p|div|br|ul|ol|li|h[1-6]|table|span|strong|a)\b[^>]*>", re.IGNORECASE)
_MAX_DEPTH = 12


def fields_of(values: dict[str, Any]) -> dict[str, Any]:
    """A record's values by the names of a document's fields; HTML text is made plain."""
    known = {str(k).strip().casefold(): v for k, v in values.items() if v not in (None, "")}
    fields = {
        field: next((known[a] for a in aliases if a in known), None)
        for field, aliases in _ALIASES.items()
    }
    text = fields["text"]
    if isinstance(text, str) and len(_TAGS.findall(text)) >= 2:
        fields["text"], fields["hidden"] = text_of_html(text)
    return fields


def row_of(source: Source, fields: dict[str, Any], name: str) -> dict[str, Any]:
    """The row of a record; its id is `name` where it gives none."""
    return source.row(fields | {"id": fields["id"] or name})


def has_text(names: Iterable[Any]) -> bool:
    """True when one of the names holds a document's text."""
    return bool({str(n).strip().casefold() for n in names} & set(_ALIASES["text"]))


def from_csv(source: Source) -> Iterator[dict[str, Any]]:
    """A document a row; `question` and `answer` make an FAQ pair."""
    reader = csv.DictReader(io.StringIO(source.text()), strict=True)
    columns = [c for c in reader.fieldnames or () if c]
    if not has_text(columns):
        raise ValueError(
            f"needs a column `text`, or `question` and `answer`; has {sorted(columns)}"
        )
    for number, raw in enumerate(reader, start=1):
        if None in raw or None in raw.values():
            raise ValueError(f"row {number} has not as many cells as the header")
        yield row_of(source, fields_of(raw), f"{source.name}-{number}")


def from_jsonl(source: Source) -> Iterator[dict[str, Any]]:
    """A document a line."""
    for number, line in enumerate(source.text().split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
            if not isinstance(values, dict):
                raise ValueError("is not a JSON object")
            yield row_of(source, fields_of(values), f"{source.name}-{number}")
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error


def from_json(source: Source) -> Iterator[dict[str, Any]]:
    """Every record with a text, however deep it lies in lists and objects."""
    try:
        values = json.loads(source.text())
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"is damaged JSON: {error}") from error
    number = 0
    for record in _records(values):
        number += 1
        yield row_of(source, fields_of(record), f"{source.name}-{number}")
    if not number:
        raise ValueError("holds no record with a `text`, or `question` and `answer`")


def _records(value: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    if depth > _MAX_DEPTH:
        raise ValueError("is nested too deeply")
    if isinstance(value, dict):
        texts = {k: v for k, v in value.items() if isinstance(v, str | int | float | date)}
        if has_text(k for k, v in texts.items() if isinstance(v, str) and v.strip()):
            yield texts
            return
    children = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list):
        for child in children:
            yield from _records(child, depth + 1)
