"""Log-in with the company's provider: a real one, small, that signs its tokens and checks PKCE."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Form, Header, HTTPException
from fastapi.responses import RedirectResponse
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
from assistant.web_settings import OidcSettings
from tests.staffing import HOST, accounts_of, chat_service, staff_app, staff_settings

pytest.importorskip("authlib", reason="the extra oidc is not installed")
jwk, jws = pytest.importorskip("joserfc.jwk"), pytest.importorskip("joserfc.jws")

CLIENT, SECRET = "frontdesk", "client's secret"
CALLBACK = f"{HOST}/login/oidc/callback"


class Provider:
    """An OpenID provider: discovery, authorization with PKCE, tokens, keys. What it says of whoever
    logs in is `claims`; `forge` changes how the next ID token is signed."""

    def __init__(self) -> None:
        self.key = jwk.RSAKey.generate_key(2048, {"kid": "one"})
        self.claims: dict[str, Any] = {}
        self.header: dict[str, Any] = {"alg": "RS256", "kid": "one"}
        self.signer: Any = self.key
        self.metadata: dict[str, Any] = {}
        self.asked: dict[str, str] = {}
        self._codes: dict[str, dict[str, str]] = {}
        self.url = ""
        self.app = self._routes()

    def reset(self) -> None:
        """Honest again, and Vera logs in."""
        self.claims = {
            "sub": "v-1",
            "preferred_username": "vera",
            "name": "Vera",
            "groups": ["support"],
        }
        self.header, self.signer, self.metadata = {"alg": "RS256", "kid": "one"}, self.key, {}

    def _routes(self) -> FastAPI:
        app = FastAPI()

        @app.get("/.well-known/openid-configuration")
        def discovery() -> dict[str, Any]:
            return {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
                "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            } | self.metadata

        @app.get("/authorize")
        def authorize(
            client_id: str, redirect_uri: str, state: str, nonce: str, code_challenge: str,
            code_challenge_method: str, response_type: str, scope: str,
        ) -> RedirectResponse:  # fmt: skip
            if (client_id, redirect_uri) != (CLIENT, CALLBACK) or response_type != "code":
                raise HTTPException(400, "unknown client")
            assert code_challenge_method == "S256"
            assert "openid" in scope.split()
            code = secrets.token_urlsafe()
            self.asked = {"state": state, "nonce": nonce}
            self._codes[code] = {"nonce": nonce, "challenge": code_challenge}
            return RedirectResponse(f"{redirect_uri}?code={code}&state={state}", 302)

        @app.post("/token")
        def token(
            code: Annotated[str, Form()], code_verifier: Annotated[str, Form()],
            redirect_uri: Annotated[str, Form()], grant_type: Annotated[str, Form()],
            authorization: Annotated[str, Header()],
        ) -> dict[str, Any]:  # fmt: skip
            kept = self._codes.pop(code, None)
            own = base64.b64encode(f"{CLIENT}:client%27s%20secret".encode()).decode()
            plain = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
            digest = hashlib.sha256(code_verifier.encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            if kept is None or challenge != kept["challenge"] or redirect_uri != CALLBACK:
                raise HTTPException(400, "invalid_grant")
            if (
                authorization not in (f"Basic {own}", f"Basic {plain}")
                or grant_type != "authorization_code"
            ):
                raise HTTPException(401, "invalid_client")
            return {
                "access_token": "at",
                "token_type": "Bearer",
                "id_token": self._id_token(kept["nonce"]),
            }

        @app.get("/keys")
        def keys() -> dict[str, Any]:
            return {"keys": [self.key.as_dict(private=False)]}

        return app

    def _id_token(self, nonce: str) -> str:
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 60,
            "nonce": nonce,
        } | self.claims
        body = json.dumps({k: v for k, v in claims.items() if v is not None}).encode()
        if self.header["alg"] == "none":
            parts = (json.dumps(self.header).encode(), body)
            return ".".join(base64.urlsafe_b64encode(p).rstrip(b"=").decode() for p in parts) + "."
        signed = jws.serialize_compact(
            self.header, body, self.signer, algorithms=[self.header["alg"]]
        )
        return str(signed)


@pytest.fixture(scope="module")
def served() -> Iterator[Provider]:
    provider = Provider()
    server = uvicorn.Server(uvicorn.Config(provider.app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    provider.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    yield provider
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def provider(served: Provider) -> Provider:
    served.reset()
    return served


def oidc_settings(url: str, **other: Any) -> OidcSettings:
    values: dict[str, Any] = {
        "discovery": f"{url}/.well-known/openid-configuration", "client_id": CLIENT,
        "client_secret": SECRET, "name": "Example ID",
        "roles": {"support": "agent", "knowledge": "operator", "it": "admin"},
    }  # fmt: skip
    return OidcSettings(**(values | other))


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
