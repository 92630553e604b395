"""A small OpenID provider that signs its tokens and checks PKCE, for tests of the log-in with it."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Annotated, Any

import pytest
import uvicorn
from fastapi import FastAPI, Form, Header, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response

from assistant.web_settings import OidcSettings

pytest.importorskip("authlib", reason="the extra oidc is not installed")
jwk, jws = pytest.importorskip("joserfc.jwk"), pytest.importorskip("joserfc.jws")

CLIENT, SECRET = "frontdesk", "client's secret"


class Provider:
    """An OpenID provider: discovery, authorization with PKCE, tokens, keys. What it says of whoever
    logs in is `claims`; `header` and `signer` say how it signs. Where it `asks`, people click."""

    def __init__(self, callback: str, asks: bool = False) -> None:
        self.callback, self.asks = callback, asks
        self.key = jwk.RSAKey.generate_key(2048, {"kid": "one"})
        self.claims: dict[str, Any]
        self.header: dict[str, Any]
        self.signer: Any
        self.metadata: dict[str, Any]
        self._codes: dict[str, dict[str, str]] = {}
        self.url = ""
        self.app = self._routes()
        self.reset()

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
        ) -> Response:  # fmt: skip
            if (client_id, redirect_uri) != (CLIENT, self.callback) or response_type != "code":
                raise HTTPException(400, "unknown client")
            assert code_challenge_method == "S256"
            assert "openid" in scope.split()
            code = secrets.token_urlsafe()
            self._codes[code] = {"nonce": nonce, "challenge": code_challenge}
            back = f"{redirect_uri}?code={code}&state={state}"
            if self.asks:
                return HTMLResponse(f'<p>It is <a href="{escape(back)}">me</a>.</p>')
            return RedirectResponse(back, 302)

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
            if kept is None or challenge != kept["challenge"] or redirect_uri != self.callback:
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


@contextmanager
def serving(provider: Provider, host: str = "127.0.0.1") -> Iterator[Provider]:
    """The provider at an address of this machine, for as long as the context lasts."""
    server = uvicorn.Server(uvicorn.Config(provider.app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    provider.url = f"http://{host}:{server.servers[0].sockets[0].getsockname()[1]}"
    yield provider
    server.should_exit = True
    thread.join(10)


def oidc_settings(url: str, **other: Any) -> OidcSettings:
    values: dict[str, Any] = {
        "discovery": f"{url}/.well-known/openid-configuration", "client_id": CLIENT,
        "client_secret": SECRET, "name": "Example ID",
        "roles": {"support": "agent", "knowledge": "operator", "it": "admin"},
    }  # fmt: skip
    return OidcSettings(**(values | other))
