"""Curated answers: what an operator wrote for a question that matters, given word for word.

Kept in the conversation store with how often each was shown; `curated_match` finds the one that
answers a question.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from assistant import tables
from assistant.conversations import Conversations
from assistant.errors import InputError
from assistant.safety import clean
from assistant.same_question import plain
from knowledge.types import parse_day

REASON = "curated"  # of an answer that rests on one
_EVIDENCE = "curated:"
MAX_QUESTION, MAX_ANSWER, MAX_WORDINGS = 300, 4000, 50  # characters, characters, wordings
_EXPIRES_SOON = timedelta(days=30)
_MESSAGES = {
    "missing": "there is no curated answer {detail}",
    "no_question": "write the question",
    "long_question": "a question has at most {detail} characters",
    "many_wordings": "a question has at most {detail} other wordings",
    "no_answer": "write the answer",
    "long_answer": "an answer has at most {detail} characters",
    "no_language": "say which language it is in, as a code like en",
    "day": "a day is written as 2026-12-24, not {detail}",
    "dates": "the last day is before the first",
    "taken": "another answer that is in use has this question: {detail}",
}


class CuratedError(InputError):
    """A curated answer that cannot be kept; `problem` is why, a key of the messages, and `detail`
    what it is about."""

    def __init__(self, problem: str, detail: str = "") -> None:
        super().__init__(_MESSAGES[problem].format(detail=detail))
        self.problem = problem
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Draft:
    """What an operator writes. `wordings` are other ways to ask the question; the days are
    inclusive, None is open-ended."""

    question: str
    answer: str
    language: str
    wordings: tuple[str, ...] = ()
    valid_from: date | None = None
    valid_until: date | None = None
    enabled: bool = True

    def checked(self) -> Draft:
        """The draft as it is kept. Raises CuratedError."""
        question, answer = clean(" ".join(self.question.split())), clean(self.answer)
        written = {clean(" ".join(w.split())): None for w in self.wordings}
        wordings = tuple(w for w in written if w and w != question)
        language = self.language.strip().lower()
        for problem, holds, detail in (
            ("no_question", not plain(question), ""),
            ("long_question", max(map(len, (question, *wordings))) > MAX_QUESTION, MAX_QUESTION),
            ("many_wordings", len(wordings) > MAX_WORDINGS, MAX_WORDINGS),
            ("no_answer", not any(map(str.isalnum, answer)), ""),
            ("long_answer", len(answer) > MAX_ANSWER, MAX_ANSWER),
            ("no_language", not (language.isalpha() and len(language) in (2, 3)), ""),
            ("dates", (self.valid_until or date.max) < (self.valid_from or date.min), ""),
        ):
            if holds:
                raise CuratedError(problem, str(detail))
        return replace(self, question=question, answer=answer, wordings=wordings, language=language)


@dataclass(frozen=True, slots=True)
class CuratedAnswer(Draft):
    """A draft that is kept; times are seconds since 1970, `who` made the last change."""

    id: str = ""
    created: float = 0.0
    updated: float = 0.0
    who: str = ""

    @property
    def evidence_id(self) -> str:
        """What an answer that rests on it cites."""
        return _EVIDENCE + self.id

    @property
    def told(self) -> str:
        """How the audit log names it; it may be found by its evidence id later."""
        return f"{self.question} ({self.evidence_id})"

    @property
    def texts(self) -> tuple[str, ...]:
        """All ways to ask the question."""
        return (self.question, *self.wordings)

    def in_force(self, day: date) -> bool:
        """True when customers may get it on that day."""
        return self.state(day) in ("on", "expiring")

    def state(self, day: date) -> str:
        """off, expired, later (its first day is to come), expiring (within 30 days) or on."""
        if not self.enabled:
            return "off"
        if self.valid_from and day < self.valid_from:
            return "later"
        if self.valid_until is None:
            return "on"
        if day > self.valid_until:
            return "expired"
        return "expiring" if self.valid_until - day <= _EXPIRES_SOON else "on"

    def meets(self, other: CuratedAnswer) -> bool:
        """True when there may be a day on which both are in use, for the same language."""
        starts = max(x.valid_from or date.min for x in (self, other))
        ends = min(x.valid_until or date.max for x in (self, other))
        return starts <= ends and self.language == other.language


@dataclass(frozen=True, slots=True)
class Hits:
    """How often an answer was shown, and when last."""

    count: int
    last: float


class CuratedAnswers:
    """The curated answers of a shop. Every change is in the audit log. Raises CuratedError and
    StoreError."""

    def __init__(self, store: Conversations) -> None:
        self.store = store

    def all(self) -> list[CuratedAnswer]:
        """All of them, by language and question."""
        with self.store.readers.connect() as connection:
            return _rows(connection)

    def get(self, key: str) -> CuratedAnswer:
        """The one with this id."""
        found = {a.id: a for a in self.all()}
        if key not in found:
            raise CuratedError("missing", key)
        return found[key]

    def revision(self) -> tuple[int, float]:
        """Changes with every change, whichever process makes it."""
        query = select(func.count(), func.coalesce(func.sum(tables.curated.c.updated), 0.0))
        with self.store.readers.connect() as connection:
            count, updated = connection.execute(query.select_from(tables.curated)).one()
        return int(count), float(updated)

    def add(self, draft: Draft, who: str) -> CuratedAnswer:
        """Keep a new one."""
        return self.put([("", draft)], who)[0]

    def change(self, key: str, draft: Draft, who: str) -> CuratedAnswer:
        """Replace what one says."""
        self.get(key)
        return self.put([(key, draft)], who)[0]

    def put(self, drafts: Sequence[tuple[str, Draft]], who: str) -> list[CuratedAnswer]:
        """Keep all of (id, draft) or none: in place of the one with this id, or as a new one."""
        return self._keep(drafts, who)

    def enable(self, key: str, who: str) -> CuratedAnswer:
        """Customers may get it."""
        return self._switch(key, True, who)

    def disable(self, key: str, who: str) -> CuratedAnswer:
        """Customers do not get it any more; it stays."""
        return self._switch(key, False, who)

    def delete(self, key: str, who: str) -> CuratedAnswer:
        """Take it away, with its hits."""
        gone, kept, hits = self.get(key), tables.curated, tables.curated_hits
        with self.store.engine.begin() as connection:
            connection.execute(delete(kept).where(kept.c.id == key))
            connection.execute(delete(hits).where(hits.c.curated_id == key))
        self.store.log(who, "curated_delete", gone.told)
        return gone

    def hit(self, key: str, conversation_id: str, message: int) -> None:
        """It was shown in a message of a conversation; a message counts once."""
        values = {
            "curated_id": key, "conversation_id": conversation_id, "message": message,
            "created": time.time(),
        }  # fmt: skip
        with suppress(IntegrityError), self.store.engine.begin() as connection:
            connection.execute(insert(tables.curated_hits).values(**values))

    def hits(self) -> dict[str, Hits]:
        """Those of each that was shown, by id."""
        columns = tables.curated_hits.c
        query = select(columns.curated_id, func.count(), func.max(columns.created))
        with self.store.readers.connect() as connection:
            rows = connection.execute(query.group_by(columns.curated_id)).all()
        return {key: Hits(int(count), float(last)) for key, count, last in rows}

    def shown_in(self, key: str, limit: int = 10) -> list[str]:
        """The conversations in which it was shown, the latest first."""
        columns = tables.curated_hits.c
        query = (
            select(columns.conversation_id)
            .where(columns.curated_id == key)
            .group_by(columns.conversation_id)
            .order_by(func.max(columns.created).desc())
            .limit(limit)
        )
        with self.store.readers.connect() as connection:
            return list(connection.execute(query).scalars())

    def _switch(self, key: str, enabled: bool, who: str) -> CuratedAnswer:
        switched = replace(self.get(key), enabled=enabled)
        what = "curated_enable" if enabled else "curated_disable"
        return self._keep([(key, switched)], who, what)[0]

    def _keep(
        self, drafts: Sequence[tuple[str, Draft]], who: str, what: str = ""
    ) -> list[CuratedAnswer]:
        checked = [(key, draft.checked()) for key, draft in drafts]
        kept: list[CuratedAnswer] = []
        with self.store.engine.begin() as connection:
            held = {a.id: a for a in _rows(connection)}
            for key, draft in checked:
                now, before = time.time(), held.get(key)
                answer = CuratedAnswer(
                    **{f.name: getattr(draft, f.name) for f in fields(Draft)},
                    id=key or secrets.token_hex(5),
                    created=before.created if before else now,
                    updated=now,
                    who=who,
                )
                if taken := _taken(answer, held.values()):
                    raise CuratedError("taken", taken)
                held[answer.id] = answer
                connection.execute(delete(tables.curated).where(tables.curated.c.id == answer.id))
                connection.execute(insert(tables.curated).values(**_values(answer)))
                kept.append(answer)
        for (key, _), answer in zip(drafts, kept, strict=True):
            self.store.log(who, what or ("curated_change" if key else "curated_add"), answer.told)
        return kept


def key_of(evidence_id: str) -> str:
    """The id of the curated answer that a reply cites."""
    return evidence_id.removeprefix(_EVIDENCE)


def with_plain_days(answer: CuratedAnswer) -> dict[str, Any]:
    """Its fields, days in ISO form."""
    values = {f.name: getattr(answer, f.name) for f in fields(answer)}
    days = {name: values[name] for name in ("valid_from", "valid_until")}
    return values | {name: day.isoformat() if day else None for name, day in days.items()}


def _values(answer: CuratedAnswer) -> dict[str, Any]:
    wordings = json.dumps(answer.wordings, ensure_ascii=False)
    return with_plain_days(answer) | {"wordings": wordings, "enabled": int(answer.enabled)}


def _rows(connection: Connection) -> list[CuratedAnswer]:
    columns = tables.curated.c
    query = select(tables.curated).order_by(columns.language, columns.question)
    return [_answer(dict(row)) for row in connection.execute(query).mappings()]


def _answer(row: dict[str, Any]) -> CuratedAnswer:
    days = {name: parse_day(row[name]) for name in ("valid_from", "valid_until")}
    wordings = tuple(json.loads(row["wordings"]))
    return CuratedAnswer(**(row | days | {"wordings": wordings, "enabled": bool(row["enabled"])}))


def _taken(answer: CuratedAnswer, held: Iterable[CuratedAnswer]) -> str:
    """The question of another one in use that answers one of the same questions, or ""."""
    if not answer.enabled:
        return ""
    own = {plain(text, answer.language) for text in answer.texts}
    for rival in (a for a in held if a.id != answer.id and a.enabled and a.meets(answer)):
        if not own.isdisjoint(plain(text, rival.language) for text in rival.texts):
            return rival.question
    return ""
