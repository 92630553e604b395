"""Read support dialogues in the formats they are kept in: JSON Lines and CSV, also .gz and .zst.

JSON Lines: the native record {"id","turns":[{"role","text"}]}, ShareGPT {"conversations":[{"from",
"value"}]} and OpenAI {"messages":[{"role","content"}]}. CSV: one row a turn, with the columns
conversation_id, role and text. Native fields such as intent are read in every format.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard

from finetune.errors import DataError
from finetune.prompt import Role, Turn
from knowledge.errors import SourceError
from knowledge.formats import format_of, read_text
from knowledge.sources import files_of

MAX_FILE_BYTES = 2_000_000_000
FORMATS = (".jsonl", ".csv")
_ROLES: dict[str, Role | None] = {
    "customer": "customer", "user": "customer", "human": "customer", "client": "customer",
    "agent": "agent", "assistant": "agent", "gpt": "agent", "bot": "agent", "model": "agent",
    # Not said by either side: instructions and a tool's output.
    "system": None, "developer": None, "tool": None, "function": None,
}  # fmt: skip
_FIELDS = ("id", "intent", "customer_id", "split", "language", "passages")


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One conversation as it was read. `passages` are document ids, or texts given as such."""

    id: str
    turns: tuple[Turn, ...]
    passages: tuple[str | dict[str, Any], ...] = ()
    intent: str = ""
    customer_id: str = ""
    split: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A record that could not be used: where it stood, and why."""

    place: str
    reason: str


def read_dialogues(sources: Iterable[Path]) -> Iterator[Dialogue | Dropped]:
    """Dialogues of files and folders, in order.

    A record that cannot be used comes as Dropped. Raises DataError for a file that is missing, of
    an unknown format, damaged, or without a single dialogue.
    """
    try:
        paths = list(files_of(sources))
    except SourceError as error:
        raise DataError(str(error)) from error
    for path in paths:
        used = False
        for item in _records(path):
            used = used or isinstance(item, Dialogue)
            yield item
        if not used:
            raise DataError(f"{path} holds no dialogue; see `python -m finetune prepare --help`")


def _records(path: Path) -> Iterator[Dialogue | Dropped]:
    if format_of(path) not in FORMATS:
        raise DataError(f"{path}: only {', '.join(FORMATS)} (also .gz, .zst) can be read")
    try:
        text = read_text(path, MAX_FILE_BYTES)
        rows = list(_csv_rows(text)) if format_of(path) == ".csv" else list(_json_rows(text))
    except (OSError, EOFError, ValueError, csv.Error, zstandard.ZstdError) as error:
        raise DataError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    stem = path.name.split(".")[0]
    for number, row in rows:
        place = f"{path}:{number}"
        if row is None:
            yield Dropped(place, "not JSON")
            continue
        try:
            yield _dialogue(row, f"{stem}-{number}")
        except _UnusableError as error:
            yield Dropped(place, str(error))


class _UnusableError(ValueError):
    """The reason why a record is dropped, as it is counted."""


def _json_rows(text: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError):
                yield number, None


def _csv_rows(text: str) -> Iterator[tuple[int, Any]]:
    """Records put together from rows with the same conversation_id."""
    reader = csv.DictReader(io.StringIO(text))
    columns = [(c or "").strip().casefold() for c in reader.fieldnames or ()]
    if missing := {"conversation_id", "role", "text"} - set(columns):
        raise ValueError(f"column {', '.join(sorted(missing))} is missing; it has {columns}")
    reader.fieldnames = columns
    found: dict[str, tuple[int, dict[str, Any]]] = {}
    for number, row in enumerate(reader, start=2):
        key = row["conversation_id"] or f"row-{number}"
        _, record = found.setdefault(key, (number, {"id": key, "turns": []}))
        record["turns"].append({"role": row["role"], "text": row["text"]})
        for name in _FIELDS[1:-1]:
            record[name] = record.get(name) or row.get(name)
        if row.get("passages"):
            record["passages"] = row["passages"].split("|")
    yield from found.values()


def dialogue_of(row: Any, usual_id: str) -> Dialogue:
    """The dialogue of a record in any of the formats. Raises DataError for one without turns."""
    try:
        return _dialogue(row, usual_id)
    except _UnusableError as error:
        raise DataError(str(error)) from error


def _dialogue(row: Any, usual_id: str) -> Dialogue:
    if not isinstance(row, dict):
        raise _UnusableError("not a JSON object")
    if isinstance(row.get("turns"), list):
        turns = [_turn(t, "role", "text") for t in row["turns"]]
    elif isinstance(row.get("conversations"), list):
        turns = [_turn(t, "from", "value") for t in row["conversations"]]
    elif isinstance(row.get("messages"), list):
        turns = [_turn(t, "role", "content") for t in row["messages"]]
    else:
        raise _UnusableError("no turns, conversations or messages")
    passages = row.get("passages") or []
    if not isinstance(passages, list) or not all(isinstance(p, str | dict) for p in passages):
        raise _UnusableError("passages are not a list")
    return Dialogue(
        id=str(row.get("id") or usual_id),
        turns=tuple(t for t in turns if t),
        passages=tuple(passages),
        **{name: str(row.get(name) or "") for name in _FIELDS[1:-1]},
    )


def _turn(value: Any, role_key: str, text_key: str) -> Turn | None:
    """A turn, or None for one that neither side said. What else it holds is left alone: so far no
    run learns from the `edited_from` of a reviewed reply."""
    if not isinstance(value, dict):
        raise _UnusableError("a turn is not an object")
    name = str(value.get(role_key) or "").strip().casefold()
    if name not in _ROLES:
        raise _UnusableError("a turn has an unknown role")
    role = _ROLES[name]
    if role is None:
        return None
    text = value.get(text_key)
    if isinstance(text, list):  # OpenAI's content parts
        text = "\n".join(str(p.get("text") or "") for p in text if isinstance(p, dict))
    if text is None and value.get("tool_calls"):
        return None
    if not isinstance(text, str):
        raise _UnusableError("a turn has no text")
    return Turn(role, text)
