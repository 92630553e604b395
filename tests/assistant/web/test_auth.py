"""Logging in: sessions, the lock after too many tries, the form, and the choice of a password."""

from __future__ import annotations

import json
import re
import secrets
import stat
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response
from sqlalchemy import select

from assistant import passwords, tables
from assistant.accounts import Accounts
from assistant.conversations import Conversations
from assistant.errors import SettingsError
from assistant.passwords import Passwords
from assistant.service import ChatService
from assistant.web.auth import COOKIE, Sessions, StaffFile
from assistant.web.lockout import MAX_TRIES, WINDOW_SECONDS, Lockout
from assistant.web.login import Entrance, login_app
from assistant.web.staff import mount_staff
from tests.keeping import rows
from tests.staffing import AGENT, HOST, accounts_of, cookies, hire, log_in, quick_hasher

ORIGIN = {"origin": HOST}
GOOD = "four lamps under ice"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Conversations]:
    opened = Conversations.in_home(tmp_path)
    yield opened
    opened.close()


# The file with the secret.


def test_the_secret_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    made = StaffFile(tmp_path)
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert StaffFile(tmp_path).secret == made.secret
    assert len(made.secret) >= 43, "256 bits"


def test_processes_that_start_at_once_have_one_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faster: list[StaffFile] = []

    def token(size: int) -> str:
        monkeypatch.setattr(secrets, "token_urlsafe", drawn)
        faster.append(StaffFile(tmp_path))
        return drawn(size)

    drawn = secrets.token_urlsafe
    monkeypatch.setattr(secrets, "token_urlsafe", token)
    assert StaffFile(tmp_path).secret == faster[0].secret
    assert [path.name for path in tmp_path.iterdir()] == ["staff.json"]


def test_a_file_of_an_earlier_version_keeps_its_secret(tmp_path: Path) -> None:
    old = {"secret": "s" * 43, "passwords": {"agent": "$argon2id$"}, "ended": {}}
    (tmp_path / "staff.json").write_text(json.dumps(old))
    assert StaffFile(tmp_path).secret == "s" * 43


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"secret": 1}', '{"secret": ""}'])
def test_a_damaged_staff_file_says_what_repairs_it(tmp_path: Path, content: str) -> None:
    (tmp_path / "staff.json").write_text(content)
    with pytest.raises(SettingsError, match="delete it"):
        StaffFile(tmp_path)


# The first start.


def test_the_first_start_tells_the_admins_one_time_password_once(
    service: ChatService, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "PasswordHasher", quick_hasher)
    settings = service.assistant.settings
    started = []
    for _ in range(2):
        started.append(FastAPI())
        mount_staff(started[-1], settings, service, StaffFile(settings.home))
    told = capsys.readouterr()
    assert told.out == ""
    (password,) = re.findall(r"shown only now: (\S+)", told.err)
    client = TestClient(started[-1], follow_redirects=False)
    form = {"login": "admin", "password": password, "to": "/operator"}
    answer = client.post("/login", data=form, headers=ORIGIN)
    assert answer.headers["location"] == "/staff/password"
    assert client.get("/operator/").headers["location"] == "/staff/password"


# Sessions.


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_session_survives_a_restart_and_a_forged_one_is_none(store: Conversations) -> None:
    sessions = Sessions(store, 1.0, 60.0)
    held = cookies(sessions, "Ada")
    session = Sessions(store, 1.0, 60.0).read(held)
    assert session
    assert (session.name, session.role, session.login) == ("Ada", "agent", "ada")
    for forged in (
        "",
        "x",
        held[COOKIE][:-1],
        held[COOKIE] + "A",
        session.id,
        "\udc80",
        "a" * 9000,
    ):
        assert sessions.read({COOKIE: forged}) is None


def test_the_store_holds_no_token_that_opens_a_session(store: Conversations) -> None:
    token = cookies(Sessions(store, 1.0, 60.0), "Ada")[COOKIE]
    with store.readers.connect() as connection:
        kept = connection.execute(select(tables.staff_sessions)).all()
    assert len(kept) == 1
    assert token not in str(kept)


def test_two_log_ins_never_share_a_token(store: Conversations) -> None:
    sessions = Sessions(store, 1.0, 60.0)
    assert len({cookies(sessions, "Ada")[COOKIE] for _ in range(20)}) == 20


def test_a_session_ends_after_its_hours_whatever_is_done(store: Conversations) -> None:
    clock = Clock()
    sessions = Sessions(store, 2.0, 60.0, clock)
    held = cookies(sessions, "Ada")
    for _ in range(3):
        clock.now += 40 * 60 - 1
        if session := sessions.read(held):
            sessions.note(session)
    assert sessions.read(held), "it was used all the time"
    clock.now += 10
    assert sessions.read(held) is None


def test_a_session_ends_when_nothing_is_done_and_looking_is_not_doing(store: Conversations) -> None:
    clock = Clock()
    sessions = Sessions(store, 12.0, 30.0, clock)
    held = cookies(sessions, "Ada")
    clock.now += 29 * 60
    session = sessions.read(held)
    assert session
    sessions.note(session)
    for _ in range(29):
        clock.now += 60
        assert sessions.read(held)
    clock.now += 61
    assert sessions.read(held) is None


def test_sessions_that_are_over_are_forgotten_at_the_next_log_in(store: Conversations) -> None:
    clock = Clock()
    sessions = Sessions(store, 12.0, 30.0, clock)
    cookies(sessions, "Ada")
    clock.now += 31 * 60
    cookies(sessions, "Bruno")
    with store.readers.connect() as connection:
        assert len(connection.execute(select(tables.staff_sessions)).all()) == 1


def test_a_log_out_ends_one_session_and_no_other(store: Conversations) -> None:
    sessions = Sessions(store, 1.0, 60.0)
    here, there = cookies(sessions, "Ada"), cookies(sessions, "Ada")
    session = sessions.read(here)
    assert session
    assert sessions.open_now() == {hire(store).get("ada").id: 2}
    sessions.end(session)
    assert sessions.read(here) is None
    assert sessions.read(there)


@pytest.mark.parametrize("change", [
    lambda accounts: accounts.change_role("ada", "operator", "Root"),
    lambda accounts: accounts.reset("ada", "Root"),
    lambda accounts: accounts.switch("ada", False, "Root"),
    lambda accounts: accounts.choose("ada", GOOD),
])  # fmt: skip
def test_what_an_admin_changes_ends_the_sessions_at_once(
    store: Conversations, change: Callable[[Accounts], object]
) -> None:
    sessions = Sessions(store, 1.0, 60.0)
    ada, mina = cookies(sessions, "Ada"), cookies(sessions, "Mina")
    change(hire(store))
    assert sessions.read(ada) is None
    assert sessions.read(mina), "those of others stay"


# Lock-out.


def test_the_eleventh_try_waits_and_time_opens_the_lock(store: Conversations) -> None:
    now = [0.0]
    lockout = Lockout(store, lambda: now[0])
    assert [lockout.count("ada", f"10.0.0.{n}") for n in range(MAX_TRIES)] == [0.0] * MAX_TRIES
    assert lockout.count("ada", "10.0.0.99") == WINDOW_SECONDS, "an account, from any address"
    assert lockout.count("ＡＤＡ ", "10.0.0.98") == WINDOW_SECONDS, "however it is written"
    assert lockout.count("mina", "10.0.0.1") == 0, "another account"
    now[0] = WINDOW_SECONDS
    assert lockout.count("ada", "10.0.0.99") == 0


def test_an_address_may_not_try_more_often_whoever_it_says_it_is(
    store: Conversations,
) -> None:
    lockout = Lockout(store)
    tries = [lockout.count(f"user{n}", "10.0.0.1") for n in range(MAX_TRIES + 1)]
    assert tries[MAX_TRIES - 1] == 0
    assert tries[MAX_TRIES] > 0
    assert lockout.count("user99", "10.0.0.2") == 0


def test_the_lock_holds_after_a_restart_and_what_is_kept_names_nobody(tmp_path: Path) -> None:
    now = [0.0]
    for _ in range(MAX_TRIES):  # a process each
        one = Conversations.in_home(tmp_path)
        assert Lockout(one, lambda: now[0]).count("ada", "10.0.0.1") == 0
        one.close()
    store = Conversations.in_home(tmp_path)
    assert Lockout(store, lambda: now[0]).count("ada", "10.0.0.2") > 0
    with store.readers.connect() as connection:
        kept = repr(rows(connection)["login_tries"])
        assert "ada" not in kept
        assert "10.0.0" not in kept
    now[0] = WINDOW_SECONDS
    assert Lockout(store, lambda: now[0]).count("mina", "10.0.0.9") == 0
    with store.readers.connect() as connection:
        assert len(rows(connection)["login_tries"]) == 2, "what counts no more is forgotten"


def test_of_tries_sent_at_once_by_several_processes_ten_are_let_through(tmp_path: Path) -> None:
    stores = [Conversations.in_home(tmp_path) for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        waits = list(
            pool.map(lambda n: Lockout(stores[n % 4]).count("ada", f"10.0.0.{n}"), range(24))
        )
    assert sum(wait == 0 for wait in waits) == MAX_TRIES


def test_a_refused_try_does_not_make_the_wait_longer(store: Conversations) -> None:
    now = [0.0]
    lockout = Lockout(store, lambda: now[0])
    for _ in range(MAX_TRIES):
        lockout.count("ada", "10.0.0.1")
    now[0] = WINDOW_SECONDS - 1
    assert lockout.count("ada", "10.0.0.1") == 1
    now[0] = WINDOW_SECONDS
    assert lockout.count("ada", "10.0.0.1") == 0


def test_the_right_password_forgives_the_account_and_not_the_address(
    store: Conversations,
) -> None:
    lockout = Lockout(store)
    for _ in range(9):
        lockout.count("ada", "10.0.0.1")
    lockout.count("mallory", "10.0.0.1")  # who has an account
    lockout.forgive("mallory", "10.0.0.1")
    assert lockout.count("bruno", "10.0.0.1") == 0, "the tenth that is counted"
    assert lockout.count("bruno", "10.0.0.1") > 0
    assert lockout.count("ada", "10.0.0.2") == 0, "nine were counted for the account"
    assert lockout.count("ada", "10.0.0.3") > 0


@pytest.mark.parametrize(("first", "second", "together"), [
    ("2001:db8::1", "2001:db8::ffff", True), ("2001:db8::1", "2001:db8:0:1::1", False),
    ("::ffff:10.0.0.1", "10.0.0.1", True), ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
])  # fmt: skip
def test_addresses_of_one_customer_of_a_provider_count_together(
    store: Conversations, first: str, second: str, together: bool
) -> None:
    lockout = Lockout(store)
    for n in range(MAX_TRIES):
        lockout.count(f"user{n}", first)
    assert (lockout.count("other", second) > 0) is together


def test_after_ten_wrong_passwords_the_right_one_is_refused_too(client: TestClient) -> None:
    assert [log_in(client, "agent", "wrong", "Bruno") for _ in range(10)] == [401] * 10
    assert log_in(client, "agent", name="Bruno") == 429


def test_a_forwarded_address_does_not_open_the_lock(client: TestClient) -> None:
    answers = [
        client.post(
            "/login",
            data={"login": f"forwarded{n}", "password": "wrong"},
            headers=ORIGIN | {"x-forwarded-for": f"10.1.1.{n}"},
        )
        for n in range(11)
    ]
    assert answers[-1].status_code == 429


def test_a_lock_is_written_down_once_and_without_what_was_typed(service: ChatService) -> None:
    entrance = Entrance(hire(service.conversations), Sessions(service.conversations, 1.0, 60.0))
    alone = TestClient(gated(entrance))
    for _ in range(12):
        alone.post("/login", data={"login": "my-own-password", "password": "x"})
    entries = [e for e in service.conversations.audit() if e["what"] == "user_locked"]
    assert len(entries) == 1
    assert "my-own-password" not in str(entries)


# Equal replies, equal times.


def gated(entrance: Entrance) -> FastAPI:
    """The entrance as the gate calls it, for somebody who has not logged in."""
    routes = login_app(entrance)

    @routes.middleware("http")
    async def nobody(request, call_next):  # type: ignore[no-untyped-def]
        request.state.staff = None
        return await call_next(request)

    return routes


WRONG = {"ada": "an account", "nobody": "none", "gone": "one that is disabled", "vera": "outside"}


@pytest.fixture
def slow(store: Conversations) -> TestClient:
    """The log-in with a hasher that takes its time, as the real one does."""
    accounts = hire(store, "Ada", "Root")
    hasher = PasswordHasher(2, 8192, 1)
    accounts = Accounts(store, Passwords(hasher))
    with store.engine.begin() as connection:
        connection.execute(tables.staff.update().values(password=hasher.hash("x" * 20)))
    accounts.add("gone", "agent", "tests")
    accounts.switch("gone", False, "tests")
    accounts.from_provider("https://id.example v", "vera", "Vera", "agent")
    entrance = Entrance(accounts, Sessions(store, 1.0, 60.0))
    entrance.lockout = Lockout(store, iter(range(0, 10**9, 1000)).__next__)  # never closes
    return TestClient(gated(entrance))


def test_whether_there_is_an_account_is_not_to_be_read_from_the_reply(slow: TestClient) -> None:
    replies = {who: slow.post("/login", data={"login": who, "password": "w"}) for who in WRONG}
    said = {(r.status_code, r.text.replace(f'"{who}"', '"?"')) for who, r in replies.items()}
    assert len(said) == 1
    headers = {tuple(sorted((k, v) for k, v in r.headers.items() if k != "content-length"))
               for r in replies.values()}  # fmt: skip
    assert len(headers) == 1


def test_whether_there_is_an_account_is_not_to_be_read_from_the_time(slow: TestClient) -> None:
    times: dict[str, list[float]] = {who: [] for who in WRONG}
    for _ in range(15):
        for who in WRONG:
            begun = time.perf_counter()
            slow.post("/login", data={"login": who, "password": "wrong"})
            times[who].append(time.perf_counter() - begun)
    usual = sorted(statistics.median(t) for t in times.values())
    assert usual[-1] < 1.5 * usual[0], {who: statistics.median(t) for who, t in times.items()}


def test_every_wrong_log_in_is_hashed_exactly_once(
    store: Conversations, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = hire(store)
    accounts.switch("bruno", False, "tests")
    accounts.from_provider("https://id.example v", "vera", "Vera", "agent")
    hashed: list[str] = []
    verify = PasswordHasher.verify

    def counting(self: PasswordHasher, stored: str, password: str) -> bool:
        hashed.append(stored.split("$")[3])
        return bool(verify(self, stored, password))

    monkeypatch.setattr(PasswordHasher, "verify", counting)
    for who in ("ada", "nobody", "bruno", "vera", "", "x" * 1000):
        assert accounts.check(who, "wrong") is None
    assert len(hashed) == 6
    assert len(set(hashed)) == 1, "with the same parameters"


# The form.


def test_what_was_typed_comes_back_escaped_and_the_password_never(client: TestClient) -> None:
    form = {"login": "<b>Ada</b>", "to": '"><script>', "password": "secret-words"}
    page = client.post("/login", data=form, headers=ORIGIN).text
    assert "&lt;b&gt;Ada" in page
    assert "<b>Ada" not in page
    assert '"><script>' not in page
    assert "secret-words" not in page


def test_a_huge_form_is_not_read_to_its_end(client: TestClient) -> None:
    form = {"login": "ada", "password": "x" * 100_000}
    assert client.post("/login", data=form, headers=ORIGIN).status_code == 401


@pytest.mark.parametrize(("role", "wanted", "target"), [
    ("agent", "", "/desk/"), ("agent", "/bench", "/bench/"), ("agent", "/operator", "/desk/"),
    ("operator", "", "/operator/"), ("operator", "/desk", "/operator/"),
    ("admin", "", "/operator/"), ("admin", "/desk", "/desk/"),
    ("agent", "https://evil.example", "/desk/"), ("agent", "//evil.example", "/desk/"),
])  # fmt: skip
def test_a_log_in_leads_to_the_page_that_was_asked_for_and_nowhere_else(
    client: TestClient, role: str, wanted: str, target: str
) -> None:
    name = {"agent": "Ada", "operator": "Mina", "admin": "Root"}[role]
    password = {"agent": AGENT, "operator": "operators-pass", "admin": "admins-pass"}[role]
    form = {"login": name, "password": password, "to": wanted}
    answer = client.post("/login", data=form, headers=ORIGIN)
    assert (answer.status_code, answer.headers["location"]) == (303, target)


def test_a_log_in_gives_a_new_session_and_ends_the_one_before(client: TestClient) -> None:
    client.cookies.set(COOKIE, "chosen-by-somebody-else")
    tokens = ["chosen-by-somebody-else"]
    for _ in range(2):
        form = {"login": "ada", "password": AGENT}
        answer = client.post("/login", data=form, headers=ORIGIN)
        tokens.append(answer.cookies[COOKIE])
        client.cookies.clear()
        client.cookies.set(COOKIE, tokens[-1])
    assert all(a != b for a, b in pairwise(tokens))
    assert client.get("/desk/").status_code == 200
    client.cookies.clear()
    client.cookies.set(COOKIE, tokens[1])
    assert client.get("/desk/").status_code == 303, "the one before is over"


def test_the_language_follows_the_browser_and_can_be_changed(client: TestClient) -> None:
    chinese = client.get("/login", headers={"accept-language": "zh-CN,zh;q=0.9"}).text
    assert 'lang="zh"' in chinese
    log_in(client, "agent")
    answer = client.post("/staff/language", data={"language": "zh"}, headers=ORIGIN)
    assert answer.headers["location"] == "/desk/"
    assert "此页面" in client.get("/operator/").text
    client.post("/staff/language", data={"language": "../en"}, headers=ORIGIN)
    assert "此页面" in client.get("/operator/").text
    back = ORIGIN | {"referer": f"{HOST}/bench/"}
    answer = client.post("/staff/language", data={"language": "en"}, headers=back)
    assert answer.headers["location"] == "/bench/"


# The choice of a password.


class Newcomer:
    """Somebody who has logged in with a one-time password."""

    def __init__(self, app: FastAPI, client: TestClient) -> None:
        self.client = client
        login = f"new{time.monotonic_ns()}"
        _, self.password = accounts_of(app.state.store).add(login, "agent", "Root")
        form = {"login": login, "password": self.password}
        answer = client.post("/login", data=form, headers=ORIGIN)
        assert answer.headers["location"] == "/staff/password"

    def choose(self, new: str, again: str = "", now: str = "") -> Response:
        form = {"password": now or self.password, "new": new, "again": again or new}
        return self.client.post("/staff/password", data=form, headers=ORIGIN)


@pytest.fixture
def newcomer(app: FastAPI, client: TestClient) -> Newcomer:
    return Newcomer(app, client)


def test_who_has_a_one_time_password_gets_nowhere_before_choosing_another(
    newcomer: Newcomer,
) -> None:
    client = newcomer.client
    assert client.get("/desk/").headers["location"] == "/staff/password"
    assert client.get("/desk/gradio_api/info").status_code == 403
    assert client.get("/bench/comparison.json").status_code == 403
    assert client.get("/staff/password").status_code == 200
    before = client.cookies[COOKIE]
    assert newcomer.choose(GOOD).headers["location"] == "/desk/"
    assert client.cookies[COOKIE] != before
    assert client.get("/desk/").status_code == 200


@pytest.mark.parametrize(("new", "again", "now", "status", "told"), [
    ("short words", "", "", 422, "too short"), (GOOD, "other words than these", "", 422, "not the same"),
    (GOOD, "", "wrong", 401, "is another one"), ("password-password", "", "", 422, "easy to guess"),
    ("aaaaaaaaaaaaaaaaaaaa", "", "", 422, "easy to guess"), ("123456789012345678", "", "", 422, "easy to guess"),
])  # fmt: skip
def test_a_password_that_may_not_be_chosen_is_refused_with_its_reason(
    newcomer: Newcomer, new: str, again: str, now: str, status: int, told: str
) -> None:
    answer = newcomer.choose(new, again, now)
    assert answer.status_code == status
    (alert,) = re.findall(r'role="alert">([^<]+)<', answer.text)
    assert told in alert
    assert 'aria-invalid="true"' in answer.text
    assert new not in answer.text
    assert newcomer.client.get("/desk/").status_code == 303


def test_the_one_time_password_cannot_be_kept(newcomer: Newcomer) -> None:
    assert "you have now" in newcomer.choose(newcomer.password).text


def test_whoever_steals_a_session_cannot_guess_the_password_with_it(client: TestClient) -> None:
    log_in(client, "agent", name="Dora")
    form = {"password": "wrong", "new": GOOD, "again": GOOD}
    answers = [client.post("/staff/password", data=form, headers=ORIGIN) for _ in range(11)]
    assert [a.status_code for a in answers] == [401] * 10 + [429]


def test_nobody_chooses_a_password_without_a_session(client: TestClient) -> None:
    assert client.get("/staff/password").headers["location"] == "/login"
    answer = client.post("/staff/password", data={"new": GOOD}, headers=ORIGIN)
    assert answer.headers["location"] == "/login"
