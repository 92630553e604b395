"""Words of the chat page in each interface language, one YAML file a language."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path

import yaml

_FOLDER = Path(__file__).parent / "chat_texts"
DEFAULT = "en"


@dataclass(frozen=True, slots=True)
class Texts:
    """All words of the page; a YAML file with a missing or unknown key does not load."""

    code: str
    language_name: str
    brand_role: str
    skip_to_input: str
    other_language: str
    new_chat: str
    person: str
    person_waiting: str
    person_here: str
    welcome_title: str
    welcome_text: str
    starters_label: str
    starters: list[str]
    conversation: str
    you: str
    assistant: str
    agent: str
    sending: str
    stage_language: str
    stage_intent: str
    stage_retrieval: str
    stage_generation: str
    stage_grounding: str
    sources: str
    open_source: str
    since: str
    until: str
    in_force: str
    close: str
    why: str
    quoted: str
    open_page: str
    choices_label: str
    products: str
    filters: str
    take_away: str
    helpful: str
    not_helpful: str
    reason_label: str
    send: str
    thanks_up: str
    thanks_down: str
    unanswered: str
    try_again: str
    waiting_title: str
    waiting_text: str
    waiting_leave: str
    agent_title: str
    agent_text: str
    closed_title: str
    closed_text: str
    message_label: str
    placeholder: str
    composer_note: str
    not_sent: str
    slow_down: str
    stop: str
    get_help: str
    more: str
    download: str
    delete_chat: str
    delete_sure: str
    deleted: str
    position: str
    wait_about: str
    away: str
    email_label: str
    email_kept: str
    email_wrong: str
    reopen: str
    open_chat: str
    close_chat: str
    day: str
    months: list[str]

    def stage(self, name: str) -> str:
        """What a stage of the turn is called."""
        return str(getattr(self, f"stage_{name}", self.sending))

    def date(self, day: date) -> str:
        """A date as this language writes it."""
        return self.day.format(year=day.year, month=self.months[day.month - 1], day=day.day)


@lru_cache
def languages() -> tuple[str, ...]:
    """Interface languages, the default one first."""
    found = sorted(path.stem for path in _FOLDER.glob("*.yaml"))
    return (DEFAULT, *(code for code in found if code != DEFAULT))


@lru_cache
def texts(language: str) -> Texts:
    """The words in a language; an unknown one gets the default's."""
    code = language if language in languages() else DEFAULT
    values = yaml.safe_load((_FOLDER / f"{code}.yaml").read_text(encoding="utf-8"))
    return Texts(code=code, **values)


def preferred(accept_language: str) -> str:
    """The interface language for a browser's Accept-Language header, the best one we have."""
    wanted = []
    for position, part in enumerate(accept_language.split(",")):
        match = re.fullmatch(r"\s*([A-Za-z]{2,3})[\w-]*\s*(?:;\s*q=([\d.]+))?\s*", part)
        if match and match[1].lower() in languages():
            wanted.append((-float(match[2] or 1), position, match[1].lower()))
    return min(wanted)[2] if wanted else DEFAULT
