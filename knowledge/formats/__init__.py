"""Formats a document may come in, each with the function that reads it into rows.

A reader gets a Source and yields rows: dicts of the fields of a document, which may be missing
except `text`, and `hidden`: what the file holds and its readers do not see. It raises ValueError,
or its library's own error, for a file that it cannot read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from knowledge.formats.source import Source, format_of, read_json_lines, read_text

__all__ = ["FORMATS", "Source", "format_of", "read_json_lines", "read_rows", "read_text"]

# Modules are imported when a file needs them: office libraries take half a second.
_READERS = {
    ".md": "text:markdown",
    ".markdown": "text:markdown",
    ".txt": "text:plain",
    ".csv": "records:from_csv",
    ".jsonl": "records:from_jsonl",
    ".json": "records:from_json",
    ".html": "html:from_html",
    ".htm": "html:from_html",
    ".pdf": "pdf:from_pdf",
    ".docx": "word:from_docx",
    ".xlsx": "sheet:from_xlsx",
}
FORMATS = frozenset(_READERS)


def read_rows(source: Source) -> Iterator[dict[str, Any]]:
    """The rows of a file. Raises ValueError for an unknown format."""
    name = _READERS.get(source.format)
    if name is None:
        known = ", ".join(sorted(FORMATS))
        raise ValueError(f"format {source.format or source.path.name!r} is not supported ({known})")
    module, function = name.split(":")
    reader: Callable[[Source], Iterator[dict[str, Any]]] = getattr(
        import_module(f"knowledge.formats.{module}"), function
    )
    return reader(source)
