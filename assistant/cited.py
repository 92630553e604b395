"""Which replies rest on what: a version of the knowledge base, a passage, a curated answer.

What an answer rests on is kept beside it, a row a *subject*, so that the answers that rest on one
are found by an index and no reply is read for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from assistant import tables

MOST_COUNTED = 1000
_LATEST = 5
_EVIDENCE = "evidence:"


@dataclass(frozen=True, slots=True)
class Citing:
    """A reply: the conversation it was given in, and when, in seconds since 1970."""

    conversation_id: str
    created: float


@dataclass(frozen=True, slots=True)
class Cited:
    """How many replies rest on something, with the latest of them; a count above MOST_COUNTED says
    only that there are more."""

    count: int
    latest: tuple[Citing, ...] = ()


def version_subject(version: str) -> str:
    """The subject of all answers from a version of the knowledge base."""
    return f"version:{version}"


def evidence_subject(evidence_id: str) -> str:
    """The subject of the answers that cite a passage, or a curated answer."""
    return _EVIDENCE + evidence_id


def subjects_of(reply: Mapping[str, Any]) -> list[str]:
    """What a stored reply rests on; nothing where it cites nothing, as all but answers do."""
    cited = [evidence_subject(c["evidence_id"]) for c in reply.get("citations") or ()]
    version = (reply.get("trace") or {}).get("version")
    from_version = [version_subject(version)] if cited and version else []
    return list(dict.fromkeys(cited + from_version))


def keep_cited(
    connection: Connection, conversation_id: str, message: int, reply: Mapping[str, Any], at: float
) -> None:
    """Write down what a reply rests on, within the transaction that stores it."""
    rows = [
        {"subject": s, "conversation_id": conversation_id, "message": message, "created": at}
        for s in subjects_of(reply)
    ]
    if rows:
        connection.execute(insert(tables.cited), rows)


def forget_cited(connection: Connection, message: int) -> None:
    """A reply cites nothing any more: what it cited was withdrawn."""
    columns = tables.cited.c
    connection.execute(
        delete(tables.cited).where(
            columns.message == message, columns.subject.startswith(_EVIDENCE, autoescape=True)
        )
    )


def cited_since(connection: Connection, subject: str, since: float) -> Cited:
    """The replies since then that rest on a subject.

    The index on subject and time leads to just these rows, and no more of them are counted than
    MOST_COUNTED, so that a version that has answered for a year costs what one of a day does.
    """
    columns = tables.cited.c
    found = select(columns.conversation_id, columns.created).where(
        columns.subject == subject, columns.created >= since
    )
    bounded = found.with_only_columns(columns.id).limit(MOST_COUNTED + 1).subquery()
    count = connection.execute(select(func.count()).select_from(bounded)).scalar_one()
    latest = found.order_by(columns.created.desc()).limit(_LATEST)
    return Cited(count, tuple(Citing(*row) for row in connection.execute(latest)))
