"""Tables as markdown, the form in which the chunker gives each row its header."""

from __future__ import annotations

from collections.abc import Sequence


def markdown_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a markdown table, the first row being its header; empty rows are left out."""
    filled = [[_cell(c) for c in row] for row in rows if any(c.strip() for c in row)]
    if not filled:
        return []
    width = max(len(row) for row in filled)
    lines = ["| " + " | ".join([*row, *[""] * (width - len(row))]) + " |" for row in filled]
    return [lines[0], "|" + " --- |" * width, *lines[1:]]


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())
