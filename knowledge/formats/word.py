"""Word documents (.docx): paragraphs and tables in order, headings by their style."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from knowledge.formats.source import Source
from knowledge.formats.table import markdown_table

_MEMBER = "word/document.xml"
_HEADING = re.compile(r"^(?:heading|标题)\s*(\d)$", re.IGNORECASE)
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
# Text that tracked changes have deleted or moved away.
_GONE = frozenset({f"{_W}del", f"{_W}moveFrom"})
_BREAKS = {f"{_W}tab": " ", f"{_W}br": "\n", f"{_W}cr": "\n"}


def from_docx(source: Source) -> Iterator[dict[str, Any]]:
    """One document; hidden runs are left out of its text."""
    source.archive(_MEMBER).close()
    import docx
    from docx.opc.exceptions import PackageNotFoundError
    from docx.table import Table

    try:
        document = docx.Document(str(source.path))
    except (PackageNotFoundError, KeyError) as error:
        raise ValueError(f"is damaged: {error}") from error
    lines: list[str] = []
    hidden: list[str] = []
    title = document.core_properties.title or None
    for block in document.iter_inner_content():
        if isinstance(block, Table):
            rows = [[_text(c._tc, hidden).replace("\n", " ") for c in r.cells] for r in block.rows]
            lines += ["", *markdown_table(rows), ""]
            continue
        text = _text(block._p, hidden).strip()
        style = str(block.style.name) if block.style is not None else ""
        if heading := _HEADING.match(style):
            title = title or text
            lines.append(f"\n{'#' * int(heading.group(1))} {text}")
        elif style == "Title" and text:
            title = text
        elif text:
            listed = "list" in style.casefold() or bool(block._p.xpath("./w:pPr/w:numPr"))
            lines.append(f"- {text}" if listed else f"{text}\n")
    yield source.row({"title": title, "text": "\n".join(lines), "hidden": "\n".join(hidden)})


def _text(element: Any, hidden: list[str]) -> str:
    """What a reader sees of a paragraph or cell; hidden runs are added to `hidden`."""
    seen: list[str] = []
    for paragraph in [element] if element.tag == f"{_W}p" else element.iter(f"{_W}p"):
        for node in paragraph.iter(f"{_W}t", *_BREAKS):
            parents = list(node.iterancestors())
            if any(p.tag in _GONE for p in parents):
                continue
            text = _BREAKS.get(node.tag) or node.text or ""
            run = next((p for p in parents if p.tag == f"{_W}r"), None)
            if run is not None and run.find(f"{_W}rPr/{_W}vanish") is not None:
                hidden.append(text)
            else:
                seen.append(text)
        seen.append("\n")
    return "".join(seen).strip()
