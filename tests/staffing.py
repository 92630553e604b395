"""What the tests of the staff's pages share: a scripted assistant and an application around it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import anyio
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import insert

from assistant import passwords, tables
from assistant.accounts import Account, Accounts
from assistant.contract import reply_to_json, trace_of
from assistant.conversations import Conversations, StoredMessage
from assistant.generation import QuotingComposer
from assistant.roles import Role
from assistant.service import ChatService
from assistant.settings import Settings, WebSettings
from assistant.types import (
    Answer,
    CheckedSentence,
    Citation,
    Evidence,
    Handoff,
    Intent,
    Reply,
    Utterance,
    WordWeight,
)
from assistant.watch import Listener, ignore
from assistant.web import publishing
from assistant.web.auth import COOKIE, Sessions, StaffFile
from assistant.web.guard import Guard
from assistant.web.staff import mount_staff
from assistant.web.uploads import Uploads

AGENT, OPERATOR, ADMIN = "agents-pass", "operators-pass", "admins-pass"
HOST = "http://testserver"
# Who works here: the name, the role, and the password. The log-in is the name.
PEOPLE: dict[str, tuple[Role, str]] = {
    "Ada": ("agent", AGENT), "Bruno": ("agent", AGENT), "Dora": ("agent", AGENT),
    "王芳": ("agent", AGENT), "Mina": ("operator", OPERATOR), "Root": ("admin", ADMIN),
}  # fmt: skip
QUOTE = "You can return an unused item within 30 days of delivery."


class ScriptedAssistant:
    """Answers what speaks of returning, hands everything else off; implements `respond`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.generator = QuotingComposer()
        self.router = SimpleNamespace(word_weights=lambda text, intent: (WordWeight(text, 0.42),))

    def respond(self, utterance: Utterance, listen: Listener = ignore) -> Reply:
        evidence = Evidence(
            "en-returns-general#1", "passage", "returns.md", "Returns › How long you have",
            QUOTE + " Bring the receipt.", "en", 0.93, QUOTE,
        )  # fmt: skip
        other = Evidence(
            "en-refund-times#2", "passage", "refunds.md", "Refund times", "…", "en", 0.31,
            "Refunds arrive within 5 working days.",
        )  # fmt: skip
        dropped = CheckedSentence(
            "Returns are free for 90 days.", False, "en-returns-general#1", "90 is not in it"
        )
        common = {
            "language": "zh" if any(c >= "\u4e00" for c in utterance.text) else "en",
            "latency_ms": {
                "language": 0.8, "intent": 6.1, "retrieval": 41.5, "generation": 12.0,
                "grounding": 3.3, "total": 64.2,
            },
            "considered": (evidence, other),
            "standalone": utterance.text,
        }  # fmt: skip
        if "return" in utterance.text:
            intent = Intent("return_policy", 0.91, (("refund_status", 0.05), ("exchange", 0.02)))
            sentence = CheckedSentence(QUOTE, True, evidence.id)
            citation = Citation(evidence.id, evidence.source, evidence.title, QUOTE, evidence.text)
            answer = Answer(QUOTE, (sentence,), (citation,))
            return Reply(answer, intent=intent, dropped=(dropped,), **common)  # type: ignore[arg-type]
        intent = Intent("complaint", 0.55, (("return_policy", 0.2), ("exchange", 0.1)))
        handoff = Handoff("A colleague will take over.", "grounding:unsupported")
        return Reply(handoff, intent=intent, **common)  # type: ignore[arg-type]


def reply_body(reply: Reply) -> dict[str, object]:
    """A reply as the service stores it."""
    return reply_to_json(reply) | {"trace": trace_of(reply)}


def stored(text: str, number: int = 1) -> StoredMessage:
    """The scripted reply to a text, as a stored message."""
    reply = ScriptedAssistant(staff_settings(Path())).respond(Utterance(text))
    said = reply.outcome.text
    return StoredMessage(number, str(number), "assistant", said, reply_body(reply), 1.0)


def staff_settings(home: Path, **web: object) -> Settings:
    """Settings of the web, in a home."""
    return Settings(home=home, web=WebSettings(**web))  # type: ignore[arg-type]


def chat_service(settings: Settings) -> ChatService:
    """The real service and store around the scripted assistant."""
    assistant = ScriptedAssistant(settings)
    return ChatService(assistant, Conversations.in_home(settings.home))  # type: ignore[arg-type]


def quick_hasher() -> PasswordHasher:
    """Hashes passwords with next to no work."""
    return PasswordHasher(1, 8, 1)


def staff_app(
    settings: Settings, service: ChatService, monkeypatch: pytest.MonkeyPatch,
    command: Sequence[str] | None = None,
) -> FastAPI:  # fmt: skip
    """The staff's pages as app.py mounts them, with quick password hashes."""
    monkeypatch.setattr(passwords, "PasswordHasher", quick_hasher)
    hire(service.conversations)
    if command:
        monkeypatch.setattr(publishing, "COMMAND", tuple(command))
    app = FastAPI()
    app.state.store = service.conversations
    app.add_middleware(Guard)
    mount_staff(app, settings, service, StaffFile(settings.home))
    return app


def accounts_of(store: Conversations) -> Accounts:
    """The accounts, with quick password hashes."""
    return Accounts(store, passwords.Passwords(quick_hasher()), "Maplewick")


def hire(store: Conversations, *names: str) -> Accounts:
    """Give everybody, or these, an account with a password that does not have to be changed."""
    accounts = accounts_of(store)
    known = {a.name for a in accounts.all()}
    wanted = {n: PEOPLE.get(n, ("agent", AGENT)) for n in names or PEOPLE if n not in known}
    rows = [
        {"login": name.casefold(), "name": name, "role": role, "must_change": 0, "disabled": 0,
         "password": quick_hasher().hash(password), "created": 1.0}
        for name, (role, password) in wanted.items()
    ]  # fmt: skip
    if rows:
        with store.engine.begin() as connection:
            connection.execute(insert(tables.staff), rows)
    return accounts


def cookies(sessions: Sessions, name: str, language: str = "en") -> dict[str, str]:
    """The cookies of somebody who has logged in."""
    return {COOKIE: sessions.start(account(sessions, name), language)}


def account(sessions: Sessions, name: str) -> Account:
    """Somebody's account, in the store that keeps the sessions."""
    return hire(sessions.store, name).get(name)


def log_in(client: TestClient, role: str, password: str = "", name: str = "") -> int:
    """Log somebody in who has a role; returns the status."""
    name = name or next(n for n, (has, _) in PEOPLE.items() if has == role)
    form = {"login": name, "password": password or PEOPLE[name][1]}
    reply = client.post("/login", data=form, headers={"origin": HOST}, follow_redirects=False)
    return reply.status_code


def keep(uploads: Uploads, name: str, text: str = "Some words.") -> bool:
    """Upload a document; returns whether it replaced a document."""

    async def parts() -> AsyncIterator[bytes]:
        for character in text:
            yield character.encode()

    async def receive() -> bool:
        return (await uploads.receive(name, parts()))[1]

    return anyio.run(receive)
