"""The room "Users and roles": for admins alone, with a one-time password that is shown once."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from assistant.accounts import Accounts
from assistant.service import ChatService
from assistant.web.auth import Session, Sessions
from assistant.web.room.page import RoomPage, Screen
from assistant.web.room.panel import Detail, Done
from assistant.web.room.users import ROOM, UsersNewPanel, UsersPanel
from assistant.web.staff_html import Words, staff_texts
from tests.staffing import cookies, hire

ATTACK = "<img src=x onerror=alert(1)>"


class Papers:
    """A panel of the operators' own room, that does nothing."""

    name, room = "papers", "documents"

    def state(self) -> tuple[()]:
        return ()

    def render(self, words: Words) -> str:
        return "papers"

    def act(self, detail: Detail, session: Session) -> Done | None:
        return None


class Visitor:
    """Somebody in front of the operators' page."""

    def __init__(self, page: RoomPage, name: str, room: str = ROOM, language: str = "en") -> None:
        self.page = page
        self.request: Any = SimpleNamespace(cookies=cookies(page.sessions, name, language))
        self.shown: Screen = page.open(room, self.request)

    def act(self, **detail: object) -> Screen:
        event: Any = SimpleNamespace(_data=detail)
        screen = self.page.act(event, self.shown["room"], self.shown["seen"], self.request)
        self.shown = self.shown | screen
        return screen

    def poll(self) -> Screen:
        screen = self.page.poll(self.shown["room"], self.shown["seen"], self.request)
        self.shown = self.shown | screen
        return screen


@pytest.fixture
def accounts(service: ChatService) -> Accounts:
    return hire(service.conversations)


@pytest.fixture
def page(accounts: Accounts, sessions: Sessions) -> RoomPage:
    panels = [Papers(), UsersNewPanel(accounts), UsersPanel(accounts, sessions)]
    return RoomPage(panels, sessions, "operator", "operator_title", only={ROOM: "admin"})


@pytest.fixture
def root(page: RoomPage) -> Visitor:
    return Visitor(page, "Root")


def once(screen: Screen) -> str:
    """The one-time password that a screen shows."""
    found = re.search(r"<code>([^<]+)</code>", screen.get("users_new", ""))
    return found[1] if found else ""


def test_an_admin_adds_somebody_whose_password_is_shown_to_that_admin_alone(
    page: RoomPage, root: Visitor, accounts: Accounts
) -> None:
    other = Visitor(page, "Root")
    screen = root.act(act="users_add", login="zoe@shop.example", name="Zoé", role="agent")
    assert accounts.check("zoe@shop.example", once(screen))
    assert "Zoé can log in now" in screen["notice"]
    assert "zoe@shop.example" in screen["users"]
    assert once(root.poll()) == "", "nothing new is sent"
    seen = other.poll()
    assert "zoe@shop.example" in seen["users"]
    assert once(seen) == ""
    assert once(root.act(act="users_noted")) == ""
    assert once(Visitor(page, "Root").shown) == ""


def test_a_poll_that_is_answered_after_its_room_was_left_shows_nothing_for_long(
    page: RoomPage, accounts: Accounts
) -> None:
    root = Visitor(page, "Root")
    accounts.change_role("ada", "operator", "Root")
    late = page.poll(root.shown["room"], root.shown["seen"], root.request)
    root.act(act="room", name="documents")
    root.shown |= late  # arrives now, with the panels of the room before
    assert root.shown["users"]
    root.poll()
    assert root.shown["users"] == ""
    assert root.poll() == {}


@pytest.mark.parametrize(("detail", "told", "role", "disabled"), [
    ({"act": "users_role", "role": "operator"}, "The role of Ada is changed", "operator", False),
    ({"act": "users_disable"}, "Ada is disabled and logged out", "agent", True),
    ({"act": "users_end"}, "Ada is logged out everywhere", "agent", False),
    ({"act": "users_reset"}, "Ada has a new one-time password", "agent", False),
])  # fmt: skip
def test_what_an_admin_does_to_somebody_ends_their_sessions(
    root: Visitor, accounts: Accounts, sessions: Sessions, detail: dict[str, str], told: str,
    role: str, disabled: bool,
) -> None:  # fmt: skip
    ada = cookies(sessions, "Ada")
    screen = root.act(login="ada", **detail)
    assert told in screen["notice"]
    assert sessions.read(ada) is None
    account = accounts.get("ada")
    assert (account.role, account.disabled) == (role, disabled)
    assert accounts.store.audit()[0]["who"] == "Root"
    if password := once(screen):
        assert accounts.check("ada", password)


def test_the_last_admin_is_told_to_make_another_one(root: Visitor, accounts: Accounts) -> None:
    for detail in ({"act": "users_disable"}, {"act": "users_role", "role": "agent"}):
        screen = root.act(login="root", **detail)
        assert "Make somebody else an admin first" in screen["notice"]
    assert not accounts.get("root").disabled
    assert accounts.get("root").role == "admin"


@pytest.mark.parametrize(("detail", "told"), [
    ({"login": "a b"}, "letters, digits and"), ({"login": "ada"}, "user name ada"),
    ({"login": "zoe", "name": "Ada"}, "has the name Ada"), ({"login": "zoe", "role": "king"}, "no such role"),
    ({"login": ATTACK}, "&lt;img src=x"), ({}, "letters, digits and"), ({"login": 7}, "letters, digits and"),
])  # fmt: skip
def test_an_account_that_cannot_be_made_is_refused_with_its_reason(
    root: Visitor, accounts: Accounts, detail: dict[str, object], told: str
) -> None:
    before = len(accounts.all())
    screen = root.act(**({"act": "users_add", "name": "", "role": "agent"} | detail))
    assert told in screen["notice"]
    assert ATTACK not in screen["notice"]
    assert "users_new" not in screen, "what was written stays in the form"
    assert len(accounts.all()) == before


def test_an_operator_sees_no_room_of_users_and_cannot_act_in_it(
    page: RoomPage, accounts: Accounts
) -> None:
    mina = Visitor(page, "Mina")
    assert mina.shown["room"] == "documents"
    assert mina.shown["users"] == mina.shown["users_new"] == ""
    before = accounts.all()
    mina.shown["room"] = ROOM  # as a browser may claim
    for detail in (
        {"act": "users_add", "login": "evil", "role": "admin"}, {"act": "room", "name": ROOM},
        {"act": "users_role", "login": "mina", "role": "admin"}, {"act": "users_reset", "login": "root"},
    ):  # fmt: skip
        screen = mina.act(**detail)
        assert not screen.get("users")
        assert not screen.get("users_new")
        mina.shown["room"] = ROOM
        assert not mina.poll().get("users")
    assert accounts.all() == before


def test_an_admin_who_is_one_no_more_is_logged_out_before_the_next_act(
    page: RoomPage, root: Visitor, accounts: Accounts
) -> None:
    accounts.change_role("mina", "admin", "Root")
    mina = Visitor(page, "Mina")
    root.act(act="users_role", login="mina", role="operator")
    with pytest.raises(Exception, match="log in again"):
        mina.act(act="users_role", login="root", role="agent")
    assert accounts.get("root").role == "admin"


def test_names_are_escaped_and_both_languages_say_all(page: RoomPage, accounts: Accounts) -> None:
    accounts.from_provider("https://id 1", "eve", ATTACK, "agent")
    accounts.switch("bruno", False, "tests")
    accounts.reset("dora", "tests")
    for language in ("en", "zh"):
        html = Visitor(page, "Root", language=language).shown["users"]
        words = staff_texts(language)
        assert ATTACK not in html
        for key in ("users_disabled", "users_outside", "users_must_change", "role_admin"):
            assert words[key] in html
