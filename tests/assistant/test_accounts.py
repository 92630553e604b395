"""Accounts: who is let in, who may be changed, what is written down, and the command line."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from typer.testing import CliRunner

from assistant import passwords, tables
from assistant.accounts import AccountError, Accounts, clean_name
from assistant.commands import app
from assistant.conversations import Conversations
from assistant.passwords import LONGEST, SHORTEST, Passwords, one_time, weakness
from assistant.roles import ROLES, may
from tests.staffing import quick_hasher

GOOD = "four lamps under ice"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Conversations]:
    opened = Conversations.in_home(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def accounts(store: Conversations) -> Accounts:
    return Accounts(store, Passwords(quick_hasher()), "Maplewick")


def audited(store: Conversations) -> list[tuple[str, str, str]]:
    return [(e["who"], e["what"], e["detail"]) for e in reversed(store.audit())]


# Passwords.


def test_passwords_are_kept_as_argon2id_with_more_than_owasps_least() -> None:
    hashed = Passwords().hash(GOOD)
    memory, passes = map(int, re.findall(r"m=(\d+),t=(\d+)", hashed)[0])
    assert hashed.startswith("$argon2id$")
    assert memory >= 19 * 1024
    assert passes >= 2


def test_a_password_is_the_same_on_every_keyboard() -> None:
    own = Passwords(quick_hasher())
    assert own.verify(own.hash("ｐａｓｓ Å words are 4"), "pass \u0041\u030a words are 4")


@given(st.text(max_size=250))
def test_any_text_can_be_tried_as_a_password(text: str) -> None:
    own = Passwords(quick_hasher())
    assert not own.verify(None, text)
    assert not own.verify("no hash at all", text)
    assert weakness(text) in ("", "short", "long", "guessable")


@pytest.mark.parametrize(("password", "problem"), [
    (GOOD, ""), ("fourteen chars", "short"), ("灯下四盏冰冷的旧铜灯一二三四五", ""), ("x" * 201, "long"),
    ("aaaaaaaaaaaaaaaa", "guessable"), ("abababababababab", "guessable"),
    ("1234567890123456", "guessable"), ("zyxwvutsrqponmlk", "guessable"),
    ("passwordpassword", "guessable"), ("FrontdeskAdmin123", "guessable"),
    ("ada.lovelace-1815", "guessable"), ("Maplewick Ada 2026", "guessable"),
    ("correct horse battery", ""), (" " * 15 + "x", "guessable"),
])  # fmt: skip
def test_a_password_is_judged_by_its_length_and_by_what_is_tried_first(
    password: str, problem: str
) -> None:
    assert weakness(password, "ada.lovelace", "Ada", "Maplewick") == problem


def test_a_one_time_password_is_long_random_and_easy_to_read_out() -> None:
    made = {one_time() for _ in range(200)}
    assert len(made) == 200
    for password in made:
        assert re.fullmatch(r"([a-hjkmnp-z2-9]{4}-){3}[a-hjkmnp-z2-9]{4}", password)
        assert SHORTEST <= len(password) <= LONGEST


def test_the_hash_is_renewed_at_the_next_log_in_when_its_parameters_are_too_weak(
    store: Conversations, accounts: Accounts
) -> None:
    accounts.add("ada", "agent", "Root")
    accounts.choose("ada", GOOD)
    stronger = Accounts(store, Passwords(PasswordHasher(2, 16, 1)))
    assert "m=8,t=1" in stored(store, "ada")
    assert stronger.check("ada", "wrong") is None
    assert "m=8,t=1" in stored(store, "ada")
    assert stronger.check("ada", GOOD)
    assert "m=16,t=2" in stored(store, "ada")
    assert stronger.check("ada", GOOD)


def stored(store: Conversations, login: str) -> str:
    with store.readers.connect() as connection:
        query = select(tables.staff.c.password).where(tables.staff.c.login == login)
        return str(connection.execute(query).scalar())


# Accounts.


def test_the_first_admin_is_made_once_and_has_to_choose_a_password(accounts: Accounts) -> None:
    password = accounts.make_first()
    first = accounts.check("admin", password)
    assert first
    assert (first.role, first.must_change) == ("admin", True)
    assert accounts.make_first() == ""


def test_no_first_admin_is_made_where_somebody_works(accounts: Accounts) -> None:
    accounts.add("ada", "agent", "command line")
    assert accounts.make_first() == ""
    assert [a.login for a in accounts.all()] == ["ada"]


def test_of_two_processes_that_start_at_once_one_makes_the_first_account(
    accounts: Accounts, store: Conversations
) -> None:
    other = Accounts(store, accounts._passwords)

    class Slow(Passwords):
        def hash(self, password: str) -> str:
            assert other.make_first()
            return super().hash(password)

    slower = Accounts(store, Slow(quick_hasher()))
    assert slower.make_first() == ""
    assert [account.login for account in accounts.all()] == ["admin"]


def test_a_one_time_password_is_kept_nowhere(store: Conversations, tmp_path: Path) -> None:
    own = Accounts(store, Passwords(quick_hasher()))
    _, first = own.add("ada", "agent", "Root")
    second = own.reset("ada", "Root")
    store.close()
    kept = b"".join(p.read_bytes() for p in tmp_path.iterdir())
    assert first.encode() not in kept
    assert second.encode() not in kept


def test_a_reset_replaces_the_password_and_choosing_ends_the_one_time_password(
    accounts: Accounts,
) -> None:
    _, first = accounts.add("ada", "agent", "Root")
    second = accounts.reset("ada", "Root")
    assert accounts.check("ada", first) is None
    assert accounts.check("ada", second)
    accounts.choose("ada", GOOD)
    assert accounts.check("ada", second) is None
    chosen = accounts.check("ADA ", GOOD)
    assert chosen
    assert not chosen.must_change


def test_who_is_disabled_does_not_get_in_until_enabled_again(accounts: Accounts) -> None:
    accounts.add("ada", "agent", "Root")
    accounts.choose("ada", GOOD)
    assert accounts.switch("ada", False, "Root").disabled
    assert accounts.check("ada", GOOD) is None
    accounts.switch("ada", True, "Root")
    assert accounts.check("ada", GOOD)


@pytest.mark.parametrize(("login", "role", "name", "problem"), [
    ("", "agent", "", "login"), ("a b", "agent", "", "login"), ("x" * 65, "agent", "", "login"),
    ("<b>", "agent", "", "login"), ("ada\u202e", "agent", "", "login"), ("ADA", "agent", "B", "taken"),
    ("bruno", "agent", "ada", "name_taken"), ("bruno", "customer", "", "role"),
    ("bruno", "", "", "role"), ("bruno", "agent", "\u200b", "name"),
])  # fmt: skip
def test_an_account_that_cannot_be_told_from_another_is_refused(
    accounts: Accounts, login: str, role: str, name: str, problem: str
) -> None:
    accounts.add("ada", "agent", "Root", "Ada")
    with pytest.raises(AccountError) as caught:
        accounts.add(login, role, "Root", name)
    assert caught.value.problem == problem
    assert len(accounts.all()) == 1


def test_a_name_is_one_line_of_what_can_be_seen() -> None:
    assert clean_name(" A\u202eda\n  L. \x00") == "Ada L."
    assert len(clean_name("x" * 500)) == 40


@pytest.mark.parametrize("remove", [
    lambda accounts: accounts.switch("root", False, "Root"),
    lambda accounts: accounts.change_role("root", "agent", "Root"),
])  # fmt: skip
def test_the_last_admin_stays(accounts: Accounts, remove: object) -> None:
    accounts.add("root", "admin", "tests")
    accounts.add("gone", "admin", "tests")
    accounts.switch("gone", False, "tests")
    with pytest.raises(AccountError, match="last admin"):
        remove(accounts)  # type: ignore[operator]
    accounts.switch("gone", True, "tests")
    remove(accounts)  # type: ignore[operator]
    assert [a.login for a in accounts.all() if a.role == "admin" and not a.disabled] == ["gone"]


def test_two_admins_who_dismiss_each_other_at_once_leave_one(accounts: Accounts) -> None:
    for round_ in range(10):
        pair = [f"a{round_}", f"b{round_}"]
        for login in pair:
            accounts.add(login, "admin", "tests")
        for account in accounts.all():
            if account.login not in pair and not account.disabled:
                accounts.switch(account.login, False, "tests")
        start = threading.Barrier(2)
        said: list[str] = []

        def dismiss(login: str, start: threading.Barrier = start, said: list[str] = said) -> None:
            start.wait()
            try:
                accounts.switch(login, False, "tests")
            except AccountError as error:
                said.append(error.problem)

        threads = [threading.Thread(target=dismiss, args=(login,)) for login in pair]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert said == ["last_admin"]


def test_everything_that_is_done_to_an_account_is_written_down(
    accounts: Accounts, store: Conversations
) -> None:
    accounts.add("ada", "agent", "Root")
    accounts.change_role("ada", "operator", "Root")
    accounts.change_role("ada", "operator", "Root")
    accounts.reset("ada", "Root")
    accounts.choose("ada", GOOD)
    accounts.switch("ada", False, "Root")
    accounts.switch("ada", True, "Root")
    assert audited(store) == [
        ("Root", "user_add", "ada (agent)"),
        ("Root", "user_role", "ada (agent → operator)"),
        ("Root", "user_reset", "ada"),
        ("ada", "user_password", "ada"),
        ("Root", "user_disable", "ada"),
        ("Root", "user_enable", "ada"),
    ]


def test_a_change_that_fails_changes_nothing(accounts: Accounts, store: Conversations) -> None:
    accounts.add("ada", "agent", "Root")
    before = (accounts.all(), audited(store), stored(store, "ada"))
    for wrong in (
        lambda: accounts.change_role("ada", "king", "Root"),
        lambda: accounts.change_role("nobody", "agent", "Root"),
        lambda: accounts.reset("nobody", "Root"),
        lambda: accounts.switch("nobody", False, "Root"),
        lambda: accounts.choose("ada", "short"),
    ):
        with pytest.raises(AccountError):
            wrong()
    assert (accounts.all(), audited(store), stored(store, "ada")) == before


@pytest.mark.parametrize("role", ROLES)
def test_an_admin_may_do_everything_and_others_what_is_theirs(role: str) -> None:
    allowed = {needed for needed in ROLES if may(role, needed)}
    assert allowed == (set(ROLES) if role == "admin" else {role})
    assert not any(may(nobody, needed) for nobody in ("", "customer", "Admin") for needed in ROLES)


# From the company's provider.


def test_the_provider_makes_an_account_and_changes_its_role(
    accounts: Accounts, store: Conversations
) -> None:
    accounts.add("ada", "agent", "Root", "Ada")
    made = accounts.from_provider("https://id 1", "ada", "Ada", "agent")
    assert (made.login, made.name, made.outside) == ("ada-2", "Ada-2", True)
    again = accounts.from_provider("https://id 1", "other", "Other", "operator")
    assert (again.id, again.login, again.role) == (made.id, "ada-2", "operator")
    assert audited(store)[-2:] == [
        ("log-in provider", "user_add", "ada-2 (agent)"),
        ("log-in provider", "user_role", "ada-2 (agent → operator)"),
    ]


def test_who_comes_from_the_provider_has_no_password_here(accounts: Accounts) -> None:
    accounts.from_provider("https://id 1", "vera", "Vera", "agent")
    for wrong in (lambda: accounts.reset("vera", "Root"), lambda: accounts.choose("vera", GOOD)):
        with pytest.raises(AccountError) as caught:
            wrong()
        assert caught.value.problem == "outside"
    assert accounts.check("vera", "") is None


def test_the_provider_lets_nobody_in_who_is_disabled_here(accounts: Accounts) -> None:
    accounts.from_provider("https://id 1", "vera", "Vera", "agent")
    accounts.switch("vera", False, "Root")
    with pytest.raises(AccountError, match="disabled"):
        accounts.from_provider("https://id 1", "vera", "Vera", "agent")


def test_the_provider_cannot_take_the_last_admin_away(accounts: Accounts) -> None:
    accounts.from_provider("https://id 1", "vera", "Vera", "admin")
    with pytest.raises(AccountError, match="last admin"):
        accounts.from_provider("https://id 1", "vera", "Vera", "agent")


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None
)
@given(st.text(max_size=80), st.text(max_size=80))
def test_whatever_the_provider_calls_somebody_the_account_can_be_kept(
    accounts: Accounts, login: str, name: str
) -> None:
    with accounts.store.engine.begin() as connection:
        connection.execute(tables.staff.delete())
    made = [accounts.from_provider(f"https://id {n}", login, name, "agent") for n in range(3)]
    assert len({a.login for a in made}) == len({a.name.casefold() for a in made}) == 3
    assert all(0 < len(a.login) <= 64 and 0 < len(a.name) <= 40 for a in made)


# The command line.


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.setattr(passwords, "PasswordHasher", quick_hasher)

    def go(*words: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(app, ["user", *words, "--home", str(tmp_path)])
        return result.exit_code, result.stdout, result.stderr

    return go


def test_the_command_line_does_what_an_admin_does(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = run("add", "root", "--role", "admin", "--name", "Root")
    assert code == 0
    password = re.search(r"shown only now: (\S+)", out)
    assert password
    store = Conversations.in_home(tmp_path)
    accounts = Accounts(store, Passwords(quick_hasher()))
    assert accounts.check("root", password[1])
    _, out, _ = run("add", "ada", "--role", "agent", "--json")
    assert json.loads(out)["login"] == "ada"
    assert accounts.check("ada", json.loads(out)["password"])
    assert "operator" in run("role", "ada", "operator")[1]
    assert "disabled" in run("disable", "ada")[1]
    assert run("enable", "ada")[0] == 0
    told = json.loads(run("reset", "ada", "--json")[1])
    assert accounts.check("ada", told["password"])
    listed = json.loads(run("list", "--json")[1])["users"]
    assert [(u["login"], u["role"]) for u in listed] == [("root", "admin"), ("ada", "operator")]
    assert "password" not in run("list")[1].replace("has to choose a password", "")
    assert {who for who, _, _ in audited(store)} == {"command line"}
    store.close()


@pytest.mark.parametrize(("words", "told"), [
    (("add", "ada", "--role", "king"), "king is no role: agent, operator, admin"),
    (("role", "nobody", "agent"), "there is no account nobody"),
    (("disable", "root"), "root is the last admin"), (("reset", "nobody"), "there is no account"),
])  # fmt: skip
def test_a_command_that_fails_says_why_in_one_line(run, words: tuple[str, ...], told: str) -> None:  # type: ignore[no-untyped-def]
    run("add", "root", "--role", "admin")
    code, out, err = run(*words)
    assert (code, out) == (1, "")
    assert told in err
    assert len(err.splitlines()) == 1
