"""Rows as CSV that a spreadsheet opens without running anything of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

# A cell that begins like this is a formula to a spreadsheet (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_lines(rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Each row as a line; None is an empty cell, and what looks like a formula becomes text."""
    for row in rows:
        line = io.StringIO()
        csv.writer(line).writerow(map(_cell, row))
        yield line.getvalue()


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
