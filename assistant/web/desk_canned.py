"""The canned replies on the agents' page: the list to choose from, and the sheet to keep them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assistant import phrases
from assistant.canned import MAX_CHARACTERS, CannedReplies
from assistant.errors import InputError
from assistant.web.auth import Session
from assistant.web.room.panel import Notice
from assistant.web.staff_html import Words, render


@dataclass(frozen=True, slots=True)
class Choice:
    """A canned reply to insert, its placeholders filled in."""

    id: int
    shortcut: str
    language: str
    text: str


class CannedSheet:
    """What agents do with canned replies; `shop` is what customers know the shop by."""

    def __init__(self, replies: CannedReplies, shop: str) -> None:
        self.replies = replies
        self.shop = shop

    def choices(self, language: str, agent: str) -> tuple[Choice, ...]:
        """What this agent may insert in a conversation, its language first."""
        values = {"name": agent, "shop": self.shop}
        return tuple(
            Choice(r.id, r.shortcut, r.language, r.filled(values))
            for r in self.replies.all(language)
        )

    def act(self, detail: Mapping[str, Any], session: Session) -> Notice | None:
        """What the agent did; None when that has nothing to do with canned replies."""
        match detail:
            case {"act": "canned_save", "shortcut": str(shortcut), "language": str(language),
                  "text": str(text)} if language in ("", *phrases.languages()):  # fmt: skip
                return self._save(shortcut, language, text, session, _number(detail))
            case {"act": "canned_delete"}:
                shortcut = self.replies.delete(_number(detail), session.name)
                return Notice("canned_deleted" if shortcut else "canned_gone", shortcut)
            case {"act": "canned_save"}:
                return Notice("canned_invalid")
        return None

    def _save(
        self, shortcut: str, language: str, text: str, session: Session, number: int
    ) -> Notice:
        try:
            saved = self.replies.save(shortcut, language, text, session.name, number)
        except InputError:
            return Notice("canned_invalid")
        return Notice("canned_saved" if saved else "canned_taken", shortcut)

    def render(self, words: Words, notice: Notice) -> str:
        """The sheet, closed."""
        languages = {
            code: phrases.language_name(code, words["code"]) for code in phrases.languages()
        }
        return render(
            "canned.html",
            words=words,
            replies=self.replies.all(),
            languages=languages,
            notice=notice,
            max_characters=MAX_CHARACTERS,
        )


def _number(detail: Mapping[str, Any]) -> int:
    """The number of a reply; the browser sends it, so it is checked."""
    number = detail.get("id", "")
    return int(number) if isinstance(number, str) and number.isdecimal() and len(number) < 10 else 0
