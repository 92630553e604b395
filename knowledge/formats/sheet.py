"""Spreadsheets (.xlsx): a sheet of records is a document a row, any other a table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any

from knowledge.formats.records import fields_of, has_text, row_of
from knowledge.formats.source import Source
from knowledge.formats.table import markdown_table

_MEMBER = "xl/workbook.xml"
_CURRENCY = re.compile(r"[$£€¥]|(?<=\[\$)[A-Z]{3}")
_DECIMALS = re.compile(r"0\.(0+)")
_QUOTED = re.compile(r'"([^"]*)"')
_MAX_CELLS = 200_000


def from_xlsx(source: Source) -> Iterator[dict[str, Any]]:
    """What a reader of the file sees: values as they are formatted, no hidden sheet, row, column.

    Raises ValueError for more than 200,000 cells.
    """
    source.archive(_MEMBER).close()
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        book = load_workbook(source.path, data_only=True)
    except (InvalidFileException, KeyError) as error:
        raise ValueError(f"is damaged: {error}") from error
    read = 0
    for sheet in book.worksheets:
        if sheet.max_row * sheet.max_column > _MAX_CELLS:
            raise ValueError(f"sheet {sheet.title!r} spans more than {_MAX_CELLS:,} cells")
        seen, hidden = _rows(sheet)
        if sheet.sheet_state == "visible" and len(seen) > 0:
            read += 1
            name = f"{source.name}-{sheet.title}" if len(book.worksheets) > 1 else source.name
            yield from _documents(source, name, sheet.title, seen, "\n".join(hidden))
    if not read:
        raise ValueError("has no text")


def _documents(
    source: Source, name: str, title: str, rows: list[list[str]], hidden: str
) -> Iterator[dict[str, Any]]:
    header, *body = rows
    if has_text(header) and body:
        for number, row in enumerate(body, start=1):
            fields = fields_of(dict(zip(header, row, strict=False)))
            if fields["text"]:
                yield row_of(source, fields, f"{name}-{number}")
    else:
        text = "\n".join(markdown_table(rows))
        yield source.row({"id": name, "title": title, "text": text, "hidden": hidden})


def _rows(sheet: Any) -> tuple[list[list[str]], list[str]]:
    """(visible rows with an entry, texts in hidden cells); merged cells hold their value."""
    merged = {
        (row, column): sheet.cell(area.min_row, area.min_col)
        for area in sheet.merged_cells.ranges
        for row in range(area.min_row, area.max_row + 1)
        for column in range(area.min_col, area.max_col + 1)
    }
    columns = sheet.column_dimensions
    seen: list[list[str]] = []
    hidden: list[str] = []
    for cells in sheet.iter_rows():
        row = []
        for cell in cells:
            text = _shown(merged.get((cell.row, cell.column), cell))
            letter = getattr(cell, "column_letter", "")
            out = sheet.sheet_state != "visible" or sheet.row_dimensions[cell.row].hidden
            if out or (letter and columns[letter].hidden):
                hidden += [text] if text else []
            else:
                row.append(text)
        if any(row):
            seen.append(row)
    return seen, hidden


def _shown(cell: Any) -> str:
    """A cell's value as the sheet shows it: percent, currency, days."""
    value = cell.value
    style = str(getattr(cell, "number_format", "") or "")
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if not isinstance(value, int | float):
        return str(value).strip()
    if "%" in style:
        return f"{round(value * 100, 6):g}%"
    decimals = _DECIMALS.search(style)
    number = f"{value:.{len(decimals.group(1))}f}" if decimals else f"{round(value, 6):.15g}"
    if currency := _CURRENCY.search(style):
        sign = currency.group()
        return f"{sign} {number}" if len(sign) == 3 else f"{sign}{number}"
    unit = _QUOTED.search(style)
    return f"{number}{unit.group(1)}" if unit else number
