"""Log-in with the company's provider: a real one, small, that signs its tokens and checks PKCE."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response
from pydantic import ValidationError

from assistant import tables
from assistant.accounts import Accounts
from assistant.conversations import Conversations
from assistant.errors import SettingsError
from assistant.settings import load_settings
from assistant.web.auth import COOKIE
from assistant.web.oidc import Oidc, role_of
from tests.provider import CLIENT, SECRET, Provider, jwk, oidc_settings, serving
from tests.staffing import HOST, accounts_of, chat_service, staff_app, staff_settings

CALLBACK = f"{HOST}/login/oidc/callback"


@pytest.fixture(scope="module")
def served() -> Iterator[Provider]:
    with serving(Provider(CALLBACK)) as provider:
        yield provider


@pytest.fixture
def provider(served: Provider) -> Provider:
    served.reset()
    return served


class Browser:
    """Somebody who logs in with the provider."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self.store: Conversations = app.state.store
        self.client = TestClient(app, HOST, follow_redirects=False)

    @property
    def accounts(self) -> Accounts:
        return accounts_of(self.store)

    def begin(self, to: str = "") -> str:
        """To the provider and back, as far as the address that leads back to us."""
        sent = self.client.get("/login/oidc", params={"to": to} if to else {})
        assert sent.status_code == 302, sent.text
        back = httpx.get(sent.headers["location"], follow_redirects=False)
        return str(back.headers["location"])

    def log_in(self, to: str = "") -> Response:
        return self.client.get(self.begin(to))

    def is_in(self) -> bool:
        return COOKIE in self.client.cookies


@contextmanager
def house(home: Path, url: str) -> Iterator[FastAPI]:
    """The staff's pages, with a provider."""
    settings = staff_settings(home).model_copy(update={"oidc": oidc_settings(url)})
    service = chat_service(settings)
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield staff_app(settings, service, monkeypatch)
    service.conversations.close()


@pytest.fixture(scope="module")
def app(served: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    with house(tmp_path_factory.mktemp("home"), served.url) as built:
        yield built


@pytest.fixture
def vera(app: FastAPI, served: Provider) -> Browser:
    """Vera, whom nobody here has seen yet."""
    served.reset()
    browser = Browser(app)
    with browser.store.engine.begin() as connection:
        connection.execute(tables.staff.delete().where(tables.staff.c.subject.is_not(None)))
        connection.execute(tables.staff_sessions.delete())
    return browser


def test_the_log_in_offers_the_provider_and_keeps_the_password(vera: Browser) -> None:
    page = vera.client.get("/login?to=/bench").text
    assert (
        '<a class="sd-button sd-with" href="/login/oidc?to=/bench">Log in with Example ID</a>'
        in page
    )
    assert 'name="password"' in page


def test_whom_the_provider_vouches_for_is_let_in(vera: Browser) -> None:
    answer = vera.log_in("/bench")
    assert answer.status_code == 200
    assert 'content="0; url=/bench/"' in answer.text
    assert vera.client.get("/bench/").status_code == 200
    account = vera.accounts.get("vera")
    assert (account.name, account.role, account.outside, account.must_change) == (
        "Vera", "agent", True, False,
    )  # fmt: skip
    assert [e["what"] for e in vera.store.audit(2)] == ["log_in", "user_add"]
    assert vera.client.get("/staff/password").text.count("company") == 1


def test_the_state_waits_in_a_cookie_that_is_gone_afterwards(vera: Browser) -> None:
    sent = vera.client.get("/login/oidc")
    cookie = sent.headers["set-cookie"].casefold()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "max-age=600" in cookie
    asked = parse_qs(urlsplit(sent.headers["location"]).query)
    for name in ("state", "nonce", "code_challenge"):
        assert len(asked[name][0]) >= 20
    assert "frontdesk_oidc" in vera.client.cookies
    vera.log_in()
    assert "frontdesk_oidc" not in vera.client.cookies


def test_a_role_follows_the_claim_at_each_log_in(vera: Browser, provider: Provider) -> None:
    vera.log_in()
    first = vera.client.cookies[COOKIE]
    provider.claims["groups"] = ["it", "support"]
    assert 'url=/operator/"' in vera.log_in().text
    assert vera.accounts.get("vera").role == "admin"
    vera.client.cookies.clear()
    vera.client.cookies.set(COOKIE, first)
    assert vera.client.get("/desk/").status_code == 303, "the session with the old role is over"


def test_an_address_cannot_take_over_an_account_that_has_a_password(
    vera: Browser, provider: Provider
) -> None:
    provider.claims |= {"preferred_username": "root", "email": "root@shop.example", "name": "Root"}
    vera.log_in()
    assert vera.accounts.get("root").role == "admin"
    assert not vera.accounts.get("root").outside
    assert vera.accounts.get("root-2").role == "agent"


FORGED: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://evil.example"}, "another client": {"aud": "other"},
    "several clients, ours not among them": {"aud": ["other", "third"], "azp": CLIENT},
    "another nonce": {"nonce": "forged"}, "no nonce": {"nonce": None},
    "expired": {"exp": int(time.time()) - 3600}, "no expiry": {"exp": None}, "no subject": {"sub": None},
    "another party": {"aud": [CLIENT, "other"], "azp": "other"},
}  # fmt: skip


@pytest.mark.parametrize("kind", FORGED)
def test_a_token_with_wrong_claims_lets_nobody_in(
    vera: Browser, provider: Provider, kind: str
) -> None:
    provider.claims |= FORGED[kind]
    answer = vera.log_in()
    assert (answer.status_code, "did not work" in answer.text) == (401, True)
    assert not vera.is_in()
    assert all(not a.outside for a in vera.accounts.all())


@pytest.mark.parametrize("alg", ["none", "HS256", "RS256"])
def test_a_token_that_the_provider_has_not_signed_lets_nobody_in(
    vera: Browser, provider: Provider, alg: str
) -> None:
    provider.header = {"alg": alg, "kid": "one"}
    provider.signer = {
        "none": None,
        "HS256": jwk.OctKey.import_key(SECRET.ljust(32)),
        "RS256": jwk.RSAKey.generate_key(2048, {"kid": "one"}),
    }[alg]
    assert vera.log_in().status_code == 401
    assert not vera.is_in()


def test_another_state_or_another_browser_lets_nobody_in(vera: Browser) -> None:
    back = vera.begin()
    other = TestClient(vera.app, HOST, follow_redirects=False)
    assert other.get(back).status_code == 401, "a browser that has begun nothing"
    other.get("/login/oidc")
    assert other.get(back).status_code == 401, "a browser that has begun another log-in"
    assert COOKIE not in other.cookies
    forged = back.replace("state=", "state=x")
    assert vera.client.get(forged).status_code == 401
    assert not vera.is_in()


def test_an_answer_is_good_once(vera: Browser) -> None:
    back = vera.begin()
    kept = vera.client.cookies["frontdesk_oidc"]
    assert vera.client.get(back).status_code == 200
    vera.client.cookies.clear()
    vera.client.cookies.set("frontdesk_oidc", kept, path="/login/oidc")
    assert vera.client.get(back).status_code == 401
    assert not vera.is_in()


@pytest.mark.parametrize(
    "query", ["", "?error=access_denied", "?code=x", "?state=x", "?code=x&state=x"]
)
def test_an_odd_answer_leads_back_to_the_log_in(vera: Browser, query: str) -> None:
    vera.begin()
    answer = vera.client.get(f"/login/oidc/callback{query}")
    assert (answer.status_code, "did not work" in answer.text) == (401, True)


def test_who_has_no_role_here_or_is_disabled_is_told_to_ask(
    vera: Browser, provider: Provider
) -> None:
    provider.claims["groups"] = ["sales"]
    answer = vera.log_in()
    assert (answer.status_code, "no role here" in answer.text) == (403, True)
    provider.claims["groups"] = ["support"]
    vera.log_in()
    vera.accounts.switch("vera", False, "Root")
    vera.client.cookies.clear()
    answer = vera.log_in()
    assert (answer.status_code, "Ask an admin" in answer.text) == (403, True)
    assert not vera.is_in()


def test_a_provider_that_is_another_than_it_was_discovered_is_not_believed(
    provider: Provider, tmp_path: Path
) -> None:
    provider.metadata = {"issuer": "https://evil.example"}
    with house(tmp_path, provider.url) as fresh:
        answer = Browser(fresh).client.get("/login/oidc")
    assert (answer.status_code, "did not work" in answer.text) == (502, True)


def test_a_provider_that_is_down_leaves_the_password(tmp_path: Path) -> None:
    with house(tmp_path, "http://127.0.0.1:9") as fresh:
        answer = Browser(fresh).client.get("/login/oidc")
    assert (answer.status_code, 'name="password"' in answer.text) == (502, True)


@pytest.mark.parametrize(("claim", "claims", "role"), [
    ("groups", {"groups": ["support"]}, "agent"), ("groups", {"groups": "it"}, "admin"),
    ("groups", {"groups": ["support", "knowledge"]}, "operator"), ("groups", {"groups": ["sales"]}, None),
    ("groups", {}, None), ("groups", {"groups": [{"it": 1}, 7, None]}, None),
    ("realm.roles", {"realm": {"roles": ["it"]}}, "admin"), ("realm.roles", {"realm": "it"}, None),
    ("https://shop/roles", {"https://shop/roles": ["it"]}, "admin"),
])  # fmt: skip
def test_the_claim_says_the_role(claim: str, claims: dict[str, Any], role: str | None) -> None:
    assert role_of(claims, oidc_settings("https://id.example", role_claim=claim)) == role


@pytest.mark.parametrize("wrong", [
    {"discovery": "http://id.example/.well-known/openid-configuration"}, {"discovery": "https://id.example"},
    {"client_id": ""}, {"scopes": "email"}, {"roles": {}}, {"roles": {"support": "king"}}, {"typo": 1},
])  # fmt: skip
def test_settings_that_cannot_work_are_refused_at_the_start(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        oidc_settings("https://id.example", **wrong)


def test_the_environment_names_the_provider_too() -> None:
    settings = load_settings(environment={
        "FRONTDESK_OIDC__DISCOVERY": "https://id.example/realms/shop/.well-known/openid-configuration",
        "FRONTDESK_OIDC__CLIENT_ID": "frontdesk", "FRONTDESK_OIDC__ROLES": '{"support": "agent"}',
    })  # fmt: skip
    assert settings.oidc.roles == {"support": "agent"}


def test_without_the_extra_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "authlib.integrations.starlette_client", None)
    with pytest.raises(SettingsError, match="pip install"):
        Oidc(oidc_settings("https://id.example"), "secret")
