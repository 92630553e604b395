"""Markdown and plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from knowledge.formats.html import COMMENT, hidden_in_markup
from knowledge.formats.source import Source

_FRONT_MATTER = re.compile(r"\A---\s*\n(.*?)\n---\s*\n?(.*)\Z", re.DOTALL)
_FIRST_HEADING = re.compile(r"^#\s+(.+?)\s*#*$", re.MULTILINE)


def markdown(source: Source) -> Iterator[dict[str, Any]]:
    """One document; front matter gives its fields, the first heading its title."""
    text = source.text()
    front: dict[str, Any] = {}
    if match := _FRONT_MATTER.match(text):
        front = yaml.safe_load(match.group(1)) or {}
        if not isinstance(front, dict):
            raise ValueError("front matter is not a list of `key: value` lines")
        text = match.group(2)
    heading = _FIRST_HEADING.search(text)
    fields = {"title": heading and heading.group(1), "text": COMMENT.sub("", text)} | front
    yield source.row(fields | {"hidden": hidden_in_markup(text)})


def plain(source: Source) -> Iterator[dict[str, Any]]:
    """One document; a short first line that is no sentence is its title."""
    text = source.text()
    first = text.strip().splitlines()[0] if text.strip() else ""
    title = first if len(first) <= 100 and not first.endswith((".", "。")) else None
    yield source.row({"title": title, "text": text})
