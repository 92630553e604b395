"""Canned replies: what agents say often, each found by a shortcut."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from assistant import tables
from assistant.conversations import Conversations
from assistant.errors import InputError
from assistant.safety import clean

MAX_CHARACTERS = 4000
_SHORTCUT = re.compile(r"[\w-]{1,32}")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class CannedReply:
    """A reply to insert; `language` is empty where it suits every language, `updated` in seconds
    since 1970."""

    id: int
    shortcut: str
    language: str
    text: str
    who: str
    updated: float

    def filled(self, values: Mapping[str, str]) -> str:
        """The text with its placeholders replaced, `{name}` by `values["name"]`; unknown ones
        stay."""
        return _PLACEHOLDER.sub(lambda m: values.get(m[1], m[0]), self.text)


class CannedReplies:
    """The canned replies of a shop. Every change is in the audit log. Raises StoreError."""

    def __init__(self, store: Conversations) -> None:
        self.store = store

    def all(self, language: str = "") -> list[CannedReply]:
        """By shortcut; those in a language first, then those that suit every language."""
        with self.store.readers.connect() as connection:
            rows = connection.execute(select(tables.canned)).mappings()
            found = [CannedReply(**row) for row in rows]
        rank = {language: 0, "": 1}
        return sorted(found, key=lambda r: (rank.get(r.language, 2), r.shortcut, r.language))

    def save(self, shortcut: str, language: str, text: str, who: str, number: int = 0) -> bool:
        """Keep a reply, in place of the one with this number if there is one; False where another
        one has the shortcut in this language.

        Raises InputError for a shortcut that is not 1 to 32 letters, digits, - and _, and for an
        empty or endless text.
        """
        shortcut, text = shortcut.strip().removeprefix("/").casefold(), clean(text)
        if not _SHORTCUT.fullmatch(shortcut):
            raise InputError("a shortcut is 1 to 32 letters, digits, - and _")
        if not 0 < len(text) <= MAX_CHARACTERS:
            raise InputError(f"a canned reply has 1 to {MAX_CHARACTERS} characters")
        values = {
            "shortcut": shortcut, "language": language, "text": text, "who": who,
            "updated": time.time(),
        }  # fmt: skip
        change = update(tables.canned).where(tables.canned.c.id == number).values(**values)
        try:
            with self.store.engine.begin() as connection:
                if connection.execute(change).rowcount == 0:
                    connection.execute(insert(tables.canned).values(**values))
        except IntegrityError:
            return False
        self.store.log(who, "canned_save", shortcut)
        return True

    def delete(self, number: int, who: str) -> str:
        """Delete a reply; its shortcut, or nothing where there is none with this number."""
        columns = tables.canned.c
        with self.store.engine.begin() as connection:
            shortcut = connection.execute(
                select(columns.shortcut).where(columns.id == number)
            ).scalar()
            connection.execute(delete(tables.canned).where(columns.id == number))
        if shortcut:
            self.store.log(who, "canned_delete", shortcut)
        return shortcut or ""
