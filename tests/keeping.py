"""What the tests of kept data share: a store with rows in every table, and its rows to compare."""

from __future__ import annotations

import gzip
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import zstandard
from sqlalchemy import Connection, Float, Integer, Table, insert, inspect, select, table, text

from assistant import tables
from assistant.conversations import Conversations

ROWS = 7  # a table
WORDS = "Où est ma commande ? \"quoted\" 'single' %s :name \\ 订单在哪里\n\t🙂 " + "long " * 400


def fill(store: Conversations) -> None:
    """Put rows of all kinds of values into every table that there is."""
    with store.engine.begin() as connection:
        for one in tables.metadata.sorted_tables:
            connection.execute(insert(one), [_row(one, n) for n in range(ROWS)])


def rows(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables but Alembic's own, as the database has them."""
    names = set(inspect(connection).get_table_names()) - {"alembic_version"}
    return {
        name: sorted(map(tuple, connection.execute(select(text("*")).select_from(table(name)))), key=repr)
        for name in sorted(names)
    }  # fmt: skip


def files_with(marks: Iterable[str], folder: Path) -> dict[str, list[str]]:
    """The files below a folder that hold any of the marks, byte for byte."""
    found = {
        mark: [str(p) for p in folder.rglob("*") if p.is_file() and mark.encode() in p.read_bytes()]
        for mark in marks
    }
    return {mark: paths for mark, paths in found.items() if paths}


def lines(path: Path, *values: object) -> Path:
    """Write a file of lines, packed as its name says: texts as they are, other values as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join((v if isinstance(v, str) else json.dumps(v)) + "\n" for v in values)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    elif path.suffix == ".zst":
        path.write_bytes(zstandard.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


def unpacked(home: Path) -> Iterator[tuple[str, bytes]]:
    """The files below a folder, with what they hold when they are unpacked."""
    for path in home.rglob("*"):
        if path.is_file():
            raw = path.read_bytes()
            if path.suffix == ".gz":
                raw = gzip.decompress(raw)
            elif path.suffix == ".zst":
                raw = zstandard.ZstdDecompressor().decompressobj().decompress(raw)
            yield str(path), raw


def sqlite_schema(path: Path) -> str:
    """The statements that made a database."""
    connection = sqlite3.connect(path)
    try:
        query = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL"
        return ";\n".join(sql for (sql,) in connection.execute(query))
    finally:
        connection.close()


def write_for(
    home: str, name: str, conversation: str, seconds: float, begin: Any, results: Any
) -> None:
    """Write messages, one after another, and report how many: what a process of its own does."""
    store, count = Conversations.in_home(Path(home)), 0
    begin.wait(120)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        store.add(conversation, "customer", f"{name}-{count}", f"{name}-{count}")
        count += 1
    store.close()
    results.put((name, count))


def _row(one: Table, number: int) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for column in one.columns:
        kind = column.type
        if column.nullable and number % 2:
            values[column.name] = None
        elif isinstance(kind, Float):
            values[column.name] = 1_790_000_000.123456 + number
        elif isinstance(kind, Integer):
            values[column.name] = number + 1
        elif one is tables.messages and column.name == "reply":
            values[column.name] = json.dumps(_reply(number), ensure_ascii=False)
        else:
            length = getattr(kind, "length", None)
            values[column.name] = f"{number} {WORDS}"[: length or len(WORDS)]
    return values


def _reply(number: int) -> dict[str, Any]:
    cited = [{"evidence_id": f"page-{number}#0"}, {"evidence_id": f"page-{number}#1"}]
    return {"outcome": "answer", "citations": cited, "trace": {"version": "20260901-080000-000000"}}
