"""Erase a person on request: from the conversation store, and from every file below the home.

What is erased, what is left to the shop to decide, and what has learnt from it is said in a
receipt, which repeats nothing of the person. At the end every file is searched once more, byte by
byte. The knowledge base is the shop's own text: pages that hold a person's words are named with the
command that purges them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select, update

from assistant import tables
from assistant.conversations import Conversations
from assistant.database import scrub
from assistant.errors import InputError
from assistant.removal import remove_conversations
from assistant.reviewed import reviewed_dialogue
from assistant.sealed import MAGIC
from assistant.settings import Settings
from assistant.traces import Traces, is_log, is_packed, is_rows, long_enough
from knowledge.pii import Masker

ERASED = "[erased]"
_SQLITE = b"SQLite format 3\0"
_SHOPS = (
    "knowledge",
    "catalogue",
    "documents",
)  # folders of the home that hold the shop's own texts
_SAID_BY = ("customer", "agent")
_BATCH = 500  # texts a query
# Of files with other names only numbers are expected: weights, vectors, compiled models.
_WORDY = frozenset({
    ".jsonl", ".json", ".csv", ".tsv", ".txt", ".log", ".md", ".html", ".yaml", ".toml", ".out",
    ".err",
})  # fmt: skip
_POSTGRES = {
    "place": "the database server",
    "do": "VACUUM FULL at a quiet time; archived logs and dumps go when their own time is over",
}
# (folders, does a value of JSON concern the person?, the person's records as dialogues to learn
# from) -> {"training_sets": [{path, rows}], "to_train_anew": [{path, because}]}
Forget = Callable[
    [Sequence[Path], Callable[[Any], bool], Iterable[Mapping[str, Any]]],
    dict[str, list[dict[str, Any]]],
]


@dataclass(frozen=True, slots=True)
class Person:
    """Whose conversations these are. `related` are customers that they belong to, whose other
    conversations were not asked for."""

    conversations: tuple[str, ...]
    traces: Traces
    related: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was done. `rows` by table; `files` are those that lost something, with how many places;
    `training_sets` were written anew, `to_train_anew` has learnt from them; `to_decide` are places
    of the shop's own that hold words or names of the person, with what to do; `left` are files that
    still hold any, and should be none."""

    conversations: int
    rows: dict[str, int]
    files: tuple[dict[str, Any], ...]
    training_sets: tuple[dict[str, Any], ...]
    to_train_anew: tuple[dict[str, Any], ...]
    to_decide: tuple[dict[str, str], ...]
    left: tuple[str, ...]
    searched: dict[str, int]
    related: tuple[str, ...] = field(default=())


def find_person(
    store: Conversations, customer: str = "", conversation: str = "", email: str = ""
) -> Person:
    """The conversations of a customer, of an e-mail address that was left or written in them, or
    one by its id. Raises InputError unless one of the three is given."""
    if sum(map(bool, (customer, conversation, email))) != 1:
        raise InputError("say whom: --customer ID, --conversation ID or --email ADDRESS")
    columns = tables.conversations.c
    with store.readers.connect() as connection:
        if email:
            ids = _written_by(connection, email)
        else:
            which = columns.customer_id == customer if customer else columns.id == conversation
            ids = list(connection.execute(select(columns.id).where(which)).scalars())
        names = {customer, email.casefold(), *ids} - {""}
        owners = select(columns.customer_id).where(columns.id.in_(ids)).distinct()
        related = set(connection.execute(owners).scalars()) - {None, customer}
        names |= _values(connection, tables.contacts.c.email, ids)
        names |= _values(connection, tables.identity_tries.c.order_number, ids)
        texts = _own(connection, [text for name in ids for text in _said(store, name)], ids)
    masked = map(Masker().mask, texts)
    traces = Traces(frozenset(names), long_enough([*texts, *masked]))
    return Person(tuple(ids), traces, tuple(sorted(related)))


def erase(
    settings: Settings, store: Conversations, person: Person, forget: Forget, also: Sequence[Path]
) -> Receipt:
    """Erase a person from the store, and from the files below the home and the folders `also`.

    The audit log keeps that it was done, and counts. Raises StoreError, OSError.
    """
    roots = [settings.home, *also, *([settings.golden] if settings.golden else [])]
    records = [r for c in person.conversations if (r := reviewed_dialogue(store, c))]
    forgotten = forget(roots, person.traces.in_row, records)
    files = [
        {"path": str(path), "places": places}
        for path in _files(roots)
        if not _is_shops(path, settings.home) and (places := _clean(path, person.traces))
    ]
    # The store comes last: what is left of the files after a kill is found by what it holds.
    with store.engine.begin() as connection:
        rows = remove_conversations(connection, person.conversations)
        rows["audit"] = _redact(connection, person.traces)
        shops = list(_mentions(connection, person.traces))
    scrub(store.engine)
    counts = {"conversations": len(person.conversations), "files": len(files)}
    store.log("erasure", "erase", json.dumps(counts))
    searched: Counter[str] = Counter()
    found = list(_search(roots, person.traces, searched))
    to_decide = shops + [_decision(p, settings.home) for p in found if _is_shops(p, settings.home)]
    to_decide += [_sealed(p) for r in roots for p in r.rglob("*") if _is_backup(p)]
    if store.engine.dialect.name == "postgresql":
        to_decide.append(_POSTGRES)
    return Receipt(
        conversations=len(person.conversations),
        rows=dict(+rows),
        files=tuple(files),
        training_sets=tuple(forgotten["training_sets"]),
        to_train_anew=tuple(forgotten["to_train_anew"]),
        to_decide=tuple(to_decide),
        left=tuple(str(p) for p in found if not _is_shops(p, settings.home)),
        searched=dict(searched),
        related=person.related,
    )


def _written_by(connection: Connection, email: str) -> list[str]:
    """The conversations in which an address was left, or a customer wrote it."""
    contacts, said = tables.contacts.c, tables.messages.c
    address = re.compile(rf"(?<![\w.+-]){re.escape(email)}(?![\w-])", re.IGNORECASE)
    left = select(contacts.conversation_id, contacts.email).where(contacts.email.icontains(email))
    wrote = select(said.conversation_id, said.text).where(
        said.role == "customer", said.text.icontains(email, autoescape=True)
    )
    found = [*connection.execute(left), *connection.execute(wrote)]
    return list(dict.fromkeys(key for key, text in found if address.search(text)))


def _values(connection: Connection, column: Any, ids: Sequence[str]) -> set[str]:
    query = select(column).where(column.table.c.conversation_id.in_(ids))
    return {str(value).casefold() for value in connection.execute(query).scalars()}


def _said(store: Conversations, conversation: str) -> Iterator[str]:
    """What a customer and agents said, wrote down and were told in their own words."""
    for message in store.messages(conversation):
        if message.role in _SAID_BY:
            yield message.text
        yield str(((message.reply or {}).get("trace") or {}).get("standalone") or "")
    notes, edits, ratings = tables.notes.c, tables.edits.c, tables.ratings.c
    with store.readers.connect() as connection:
        for column in (notes.text, edits.sent, ratings.reason):
            of = column.table.c.conversation_id == conversation
            yield from connection.execute(select(column).where(of)).scalars()


def _own(connection: Connection, texts: Sequence[str], ids: Sequence[str]) -> list[str]:
    """Of what was said that which others did not say too: a canned reply tells of nobody."""
    messages, common = tables.messages.c, set()
    for first in range(0, len(texts), _BATCH):
        some = texts[first : first + _BATCH]
        others = messages.text.in_(some) & messages.conversation_id.not_in(ids)
        common |= set(connection.execute(select(messages.text).where(others)).scalars())
    for shops in (tables.canned.c.text, tables.curated.c.answer):
        common |= set(connection.execute(select(shops)).scalars())
    return [text for text in texts if text not in common]


def _redact(connection: Connection, traces: Traces) -> int:
    """Empty the details of audit entries that tell of the person; who did what, and when, stays."""
    log, changed = tables.audit, 0
    for key, detail in connection.execute(select(log.c.id, log.c.detail)).all():
        if traces.in_text(detail):
            connection.execute(update(log).where(log.c.id == key).values(detail=ERASED))
            changed += 1
    return changed


def _mentions(connection: Connection, traces: Traces) -> Iterator[dict[str, str]]:
    """Where the shop's own tables repeat the person: curated answers and canned replies."""
    for table, advice in ((tables.curated, "curated answer"), (tables.canned, "canned reply")):
        for row in connection.execute(select(table)).mappings():
            if traces.in_row(dict(row)):
                yield {"place": f"{advice} {row['id']}", "do": "change or delete it in the room"}


def _files(roots: Sequence[Path]) -> Iterator[Path]:
    """The files that may hold words, each once."""
    below = (p for root in roots for p in (root, *root.rglob("*")) if p.is_file())
    found = {p.resolve() for p in below}
    for path in sorted(found):
        if {x.casefold() for x in path.suffixes} & _WORDY or not path.suffix or _is_database(path):
            yield path


def _is_database(path: Path) -> bool:
    """Whether a file is a database, or its log of changes."""
    return path.name.endswith("-wal") or _begins(path, _SQLITE)


def _clean(path: Path, traces: Traces) -> int:
    """Take the person out of a file of words; how many places."""
    if _is_database(path):
        return 0
    with suppress(FileNotFoundError):  # another process's, which has moved it into its place
        if is_rows(path) or (is_packed(path) and is_log(path)):
            return traces.drop_rows(path)
        return 0 if is_packed(path) else traces.overwrite(path)
    return 0


def _search(roots: Sequence[Path], traces: Traces, counts: Counter[str]) -> Iterator[Path]:
    """The files that tell of the person still."""
    for path in _files(roots):
        with suppress(FileNotFoundError):
            counts["files"] += 1
            counts["bytes"] += path.stat().st_size
            if traces.in_file(path):
                yield path


def _is_shops(path: Path, home: Path) -> bool:
    """Whether a file is the shop's own text or record."""
    inside = path.relative_to(home.resolve()) if path.is_relative_to(home.resolve()) else Path()
    return inside.parts[:1] in {(name,) for name in _SHOPS} or inside.name == "records.sqlite"


def _decision(path: Path, home: Path) -> dict[str, str]:
    inside = path.relative_to(home.resolve())
    if inside.name == "records.sqlite":
        return {"place": str(path), "do": "the shop's orders: erase there what no law keeps"}
    if inside.parts[0] == "documents":
        return {"place": str(path), "do": f"python -m knowledge purge {path}"}
    return {"place": str(path), "do": "python -m knowledge purge DOCUMENT, if it is the person's"}


def _sealed(path: Path) -> dict[str, str]:
    return {"place": str(path), "do": "a backup holds what was there when it was made: delete it"}


def _is_backup(path: Path) -> bool:
    return path.is_file() and _begins(path, MAGIC)


def _begins(path: Path, magic: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except FileNotFoundError:
        return False
