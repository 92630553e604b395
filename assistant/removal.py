"""How words leave the conversation store: those of withdrawn documents, of whole conversations, and
of old ones that are kept for their figures.

Each function works within a transaction that is open; `database.settle` and `scrub` then take the
words off the disk.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, CursorResult, Executable, Table, delete, select, update

from assistant import tables
from assistant.cited import forget_cited
from knowledge.types import document_of

_WITHDRAWN, _OVER = "[withdrawn]", ""
_BATCH = 500  # ids a statement: SQLite takes 32,766 values, and each holds the lock
# What is kept of a reply whose words are not: what is counted, and which passages it rested on.
_COUNTED = frozenset({"outcome", "reason", "language", "intent", "generator"})
_COUNTED_OF_TRACE = frozenset({"version", "intents"})
_COUNTED_ANYWHERE = frozenset({"evidence_id"})
_WORDY = (tables.contacts, tables.notes, tables.edits, tables.identity_tries, tables.tasks)


def remove_conversations(connection: Connection, ids: Iterable[str]) -> Counter[str]:
    """Take conversations away with all that belongs to them, in whatever table; rows by table."""
    removed: Counter[str] = Counter()
    for some in _batches(ids):
        for table, column in _owned():
            gone = _run(connection, delete(table).where(column.in_(some)))
            removed[table.name] += gone
    return +removed


def blank_conversations(connection: Connection, ids: Iterable[str]) -> Counter[str]:
    """Take the words out of conversations, and who they were with, and leave what is counted:
    outcomes, reasons, times, verdicts. They are closed. How many rows of each table that concerns.
    """
    messages, talks, ratings = tables.messages, tables.conversations, tables.ratings
    blanked: Counter[str] = Counter()
    for some in _batches(ids):
        rows = connection.execute(
            select(messages.c.id, messages.c.reply).where(messages.c.conversation_id.in_(some))
        ).all()
        for key, stored in rows:
            kept = json.dumps(_counted(json.loads(stored))) if stored else None
            values = {"text": _OVER, "reply": kept}
            connection.execute(update(messages).where(messages.c.id == key).values(**values))
        blanked["messages"] += len(rows)
        over = {"customer_id": None, "agent": None, "state": "closed"}
        talk = update(talks).where(talks.c.id.in_(some)).values(**over)
        blanked["conversations"] += _run(connection, talk)
        silent = update(ratings).where(ratings.c.conversation_id.in_(some)).values(reason="")
        connection.execute(silent)
        for table in _WORDY:
            gone = delete(table).where(table.c.conversation_id.in_(some))
            blanked[table.name] += _run(connection, gone)
    return +blanked


def withdraw_documents(connection: Connection, documents: Collection[str]) -> int:
    """Take the words of withdrawn documents out of the stored replies; how many held some. A reply
    keeps its outcome and its place."""
    columns, edits = tables.messages.c, tables.edits.c
    changed = 0
    held: set[str] = set()  # conversations whose later prompts repeat what was withdrawn
    rows = connection.execute(
        select(columns.id, columns.conversation_id, columns.reply)
        .where(columns.reply.is_not(None))
        .order_by(columns.id)
    ).all()
    for key, conversation_id, stored in rows:
        full = json.loads(stored)
        reply, cited = _without_documents(full, documents)
        if reply is not None:
            changed += 1
            held.add(conversation_id)
        elif conversation_id in held and (full.get("trace") or {}).get("prompt"):
            reply = full | {"trace": full["trace"] | {"prompt": ""}}
        else:
            continue
        values = {"reply": json.dumps(reply, ensure_ascii=False)}
        if cited:
            values["text"] = _WITHDRAWN
            forget_cited(connection, key)
        connection.execute(update(tables.messages).where(columns.id == key).values(**values))
    for key, evidence_id in connection.execute(select(edits.id, edits.evidence_id)).all():
        if document_of(evidence_id) in documents:
            connection.execute(delete(tables.edits).where(edits.id == key))
    return changed


def _owned() -> Iterator[tuple[Table, Any]]:
    """Each table that belongs to conversations, with the column that says to which."""
    for table in tables.metadata.sorted_tables:
        if "conversation_id" in table.c:
            yield table, table.c.conversation_id
    yield tables.conversations, tables.conversations.c.id


def _batches(ids: Iterable[str]) -> Iterator[Sequence[str]]:
    rest = list(ids)
    while rest:
        yield rest[:_BATCH]
        rest = rest[_BATCH:]


def _run(connection: Connection, statement: Executable) -> int:
    """How many rows a statement changed."""
    result = connection.execute(statement)
    assert isinstance(result, CursorResult)
    return result.rowcount


def _counted(reply: dict[str, Any]) -> dict[str, Any]:
    """A reply without its words, else as it was: of as many sentences, with all its figures."""
    trace = _emptied(reply.get("trace") or {}, _COUNTED_OF_TRACE)
    return {**_emptied(reply, _COUNTED), "trace": trace}


def _emptied(value: Any, kept: Collection[str] = ()) -> Any:
    """A value of JSON with every text in it empty, save those below the keys that are kept."""
    if isinstance(value, dict):
        return {
            key: inner if key in kept or key in _COUNTED_ANYWHERE else _emptied(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_emptied(inner) for inner in value]
    return _OVER if isinstance(value, str) else value


def _without_documents(
    reply: dict[str, Any], documents: Collection[str]
) -> tuple[dict[str, Any] | None, bool]:
    """(the reply without what rests on the documents, or None when nothing does; whether what the
    customer read rested on them)."""

    def rests(part: dict[str, Any]) -> bool:
        return document_of(str(part.get("evidence_id") or "")) in documents

    trace = reply.get("trace") or {}
    cited = any(map(rests, reply.get("citations") or ()))
    considered = any(map(rests, trace.get("considered") or ()))
    if not cited and not considered:
        return None, False
    kept = [c for c in trace.get("considered") or () if not rests(c)]
    recalled = [r for r in trace.get("recalled") or () if not rests(r)]
    reply = reply | {
        "trace": trace
        | {"considered": kept, "recalled": recalled, "dropped": [], "rests_on": [], "prompt": ""}
    }
    if cited:
        reply |= {"reply": _WITHDRAWN, "citations": [], "sentences": []}
    return reply, cited
