"""Logging in: passwords, sessions, the lock after wrong tries, and the form."""

from __future__ import annotations

import json
import stat
import time
from dataclasses import replace
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from fastapi.testclient import TestClient

from assistant.errors import SettingsError
from assistant.settings import WebSettings
from assistant.web.auth import (
    COOKIE,
    MAX_TRIES,
    WINDOW_SECONDS,
    Lockout,
    Passwords,
    Sessions,
    StaffFile,
)
from assistant.web.login import clean_name
from tests.staffing import AGENT, HOST, OPERATOR, log_in

QUICK = PasswordHasher(1, 8, 1)
ORIGIN = {"origin": HOST}


def parts(home: Path, hours: float = 1.0, **web: str) -> tuple[StaffFile, Sessions, list[str]]:
    """The parts as they are made at start, and what was announced."""
    said: list[str] = []
    staff = StaffFile(home)
    passwords = Passwords(WebSettings(**web), staff, QUICK, said.append)  # type: ignore[arg-type]
    return staff, Sessions(staff, passwords, hours), said


# Passwords.


def test_missing_passwords_are_made_once_and_only_their_hashes_are_kept(tmp_path: Path) -> None:
    staff, _, said = parts(tmp_path)
    assert len(said) == 2
    assert stat.S_IMODE(staff.path.stat().st_mode) == 0o600
    made = {line.split()[3]: line.rsplit(": ", 1)[1] for line in said}
    stored = staff.path.read_text()
    assert not any(password in stored for password in made.values())
    again = Passwords(WebSettings(), StaffFile(tmp_path), QUICK, said.append)  # type: ignore[call-arg]
    assert len(said) == 2, "the second start announces nothing"
    assert again.verify("agent", made["agent"])
    assert not again.verify("operator", made["agent"])


def test_a_password_in_the_settings_is_not_written_anywhere(tmp_path: Path) -> None:
    staff, _, said = parts(tmp_path, agent_password=AGENT, operator_password=OPERATOR)
    assert said == []
    assert json.loads(staff.path.read_text())["passwords"] == {}


def test_an_unknown_role_has_no_password(tmp_path: Path) -> None:
    passwords = Passwords(WebSettings(), StaffFile(tmp_path), QUICK, [].append)  # type: ignore[call-arg]
    assert not passwords.verify("admin", "")


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"secret": 1, "passwords": {}, "ended": {}}'])
def test_a_damaged_staff_file_says_what_repairs_it(tmp_path: Path, content: str) -> None:
    (tmp_path / "staff.json").write_text(content)
    with pytest.raises(SettingsError, match="delete it"):
        StaffFile(tmp_path)


# Sessions.


def test_a_session_survives_a_restart_and_a_forged_one_does_not(tmp_path: Path) -> None:
    _, sessions, _ = parts(tmp_path)
    session = sessions.start("agent", "Ada", "en")
    token = sessions.token(session)
    assert sessions.read({COOKIE: token}) == session
    _, restarted, _ = parts(tmp_path)
    assert restarted.read({COOKIE: token}) == session
    for forged in ("", "x", token[:-2], token.replace(".", "..", 1), "e30." + token.split(".")[1]):
        assert sessions.read({COOKIE: forged}) is None
    (tmp_path / "other").mkdir()
    _, elsewhere, _ = parts(tmp_path / "other")
    assert elsewhere.read({COOKIE: token}) is None


def test_a_session_ends_with_time_log_out_and_a_new_password(tmp_path: Path) -> None:
    staff, sessions, _ = parts(tmp_path, agent_password="before", operator_password="o")
    session = sessions.start("agent", "Ada", "en")
    over = replace(session, expires=time.time() - 1)
    assert sessions.read({COOKIE: sessions.token(over)}) is None
    _, changed, _ = parts(tmp_path, agent_password="after", operator_password="o")
    assert changed.read({COOKIE: sessions.token(session)}) is None
    sessions.end(session)
    assert staff.has_ended(session.id)
    _, restarted, _ = parts(tmp_path, agent_password="before", operator_password="o")
    assert restarted.read({COOKIE: sessions.token(session)}) is None


# Lock-out.


def test_the_eleventh_try_waits_and_time_opens_the_lock() -> None:
    now = [0.0]
    lockout = Lockout(lambda: now[0])
    assert [lockout.count("agent", "10.0.0.1") for _ in range(MAX_TRIES)] == [0.0] * MAX_TRIES
    assert lockout.count("agent", "10.0.0.1") == WINDOW_SECONDS
    assert lockout.count("operator", "10.0.0.1") == 0, "another role"
    assert lockout.count("agent", "10.0.0.2") == 0, "another address"
    now[0] = WINDOW_SECONDS
    assert lockout.count("agent", "10.0.0.1") == 0


def test_addresses_of_one_ipv6_network_count_together() -> None:
    lockout = Lockout()
    tries = [lockout.count("agent", f"2001:db8::{n:x}") for n in range(MAX_TRIES + 1)]
    assert tries[-1] > 0
    assert lockout.count("agent", "2001:db8:0:1::1") == 0


def test_after_ten_wrong_passwords_the_right_one_is_refused_too(client: TestClient) -> None:
    assert [log_in(client, "agent", "wrong") for _ in range(10)] == [401] * 10
    assert log_in(client, "agent") == 429
    assert log_in(client, "operator") == 303


def test_a_forwarded_address_does_not_open_the_lock(client: TestClient) -> None:
    form = {"role": "agent", "name": "A", "password": "wrong"}
    answers = [
        client.post("/login", data=form, headers=ORIGIN | {"x-forwarded-for": f"10.1.1.{n}"})
        for n in range(11)
    ]
    assert answers[-1].status_code == 429


def test_wrong_role_and_wrong_password_get_the_same_reply(client: TestClient) -> None:
    replies = [
        client.post("/login", data={"role": role, "name": "A", "password": "x"}, headers=ORIGIN)
        for role in ("agent", "nobody")
    ]
    assert replies[0].status_code == replies[1].status_code == 401
    assert replies[0].text == replies[1].text


# The form.


def test_what_was_typed_comes_back_escaped_and_the_password_never(client: TestClient) -> None:
    form = {"role": '"><script>', "name": "<b>Ada</b>", "password": "secret-words"}
    page = client.post("/login", data=form, headers=ORIGIN).text
    assert "<b>Ada" not in page
    assert '"><script>' not in page
    assert "secret-words" not in page


def test_a_huge_form_is_not_read_to_its_end(client: TestClient) -> None:
    form = {"role": "agent", "name": "A", "password": "x" * 100_000}
    assert client.post("/login", data=form, headers=ORIGIN).status_code == 401


def test_a_name_is_needed_and_cannot_hide_characters(client: TestClient) -> None:
    assert log_in(client, "agent", name=" \u200b ") == 422
    assert clean_name(" A\u202eda\n  L. \x00") == "Ada L."
    assert len(clean_name("x" * 500)) == 40


def test_the_language_follows_the_browser_and_can_be_changed(client: TestClient) -> None:
    chinese = client.get("/login", headers={"accept-language": "zh-CN,zh;q=0.9"}).text
    assert 'lang="zh"' in chinese
    log_in(client, "agent")
    answer = client.post("/staff/language", data={"language": "zh"}, headers=ORIGIN)
    assert answer.headers["location"] == "/desk/"
    assert "此页面" in client.get("/operator/").text
    client.post("/staff/language", data={"language": "../en"}, headers=ORIGIN)
    assert "此页面" in client.get("/operator/").text
