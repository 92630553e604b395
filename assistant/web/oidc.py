"""Log-in with the company's own provider: OpenID Connect, the code flow with PKCE, through Authlib.

State, nonce and the PKCE verifier wait in a signed cookie of ten minutes (OpenID Connect Core,
section 3.1; RFC 7636; RFC 9700, section 2.1). What the provider says in the role claim decides the
role, anew at each log-in. Nobody is matched by an e-mail address: an account belongs to issuer and
subject.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import anyio
from fastapi import APIRouter, Request
from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.responses import Response

from assistant.accounts import Account, AccountError
from assistant.errors import AssistantError, SettingsError
from assistant.roles import ROLES, Role
from assistant.web.forms import page
from assistant.web.gate import AREAS
from assistant.web.login import Entrance, login_form, way_in
from assistant.web_settings import OidcSettings

log = logging.getLogger(__name__)
START, CALLBACK = "/login/oidc", "/login/oidc/callback"
_COOKIE, _COOKIE_SECONDS = "frontdesk_oidc", 600
_TIMEOUT_SECONDS = 10.0
_MAX_SUBJECT = 512  # characters; OpenID Connect allows 255 for `sub`
# Signed with a key that only the provider has; neither "none" nor the client's own secret.
_ALGORITHMS = frozenset(
    f"{family}{bits}" for family in ("RS", "PS", "ES") for bits in (256, 384, 512)
) | {"EdDSA", "Ed25519"}


class OidcError(AssistantError):
    """The provider's word is not taken; the message says why, for the log."""


class Oidc:
    """The provider, as the settings name it. Raises SettingsError without the extra."""

    def __init__(self, settings: OidcSettings, secret: str) -> None:
        try:
            from authlib.integrations.starlette_client import OAuth
        except ImportError as error:
            raise SettingsError("[oidc] is set: pip install 'frontdesk[oidc]'") from error
        self.settings = settings
        self._signer = URLSafeTimedSerializer(secret, salt="oidc")
        self._client: Any = OAuth().register(
            "oidc",
            client_id=settings.client_id,
            client_secret=settings.client_secret,
            server_metadata_url=settings.discovery,
            client_kwargs={
                "scope": settings.scopes,
                "code_challenge_method": "S256",
                "timeout": _TIMEOUT_SECONDS,
            },
        )

    async def start(self, request: Request, to: str) -> Response:
        """Send the browser to the provider."""
        await self._metadata()
        request.scope["session"] = {"to": to}
        callback = str(request.url.replace(path=CALLBACK, query=""))
        response: Response = await self._client.authorize_redirect(request, callback)
        response.set_cookie(
            _COOKIE,
            self._signer.dumps(request.scope["session"]),
            max_age=_COOKIE_SECONDS,
            path=START,
            httponly=True,
            samesite="lax",  # the provider's page leads back here
            secure=request.url.scheme == "https",
        )
        return response

    async def finish(self, request: Request) -> tuple[Mapping[str, Any], str]:
        """The claims of whom the provider vouches for, and the page that was asked for. Raises
        OidcError, and whatever Authlib finds wrong."""
        try:
            kept = self._signer.loads(request.cookies.get(_COOKIE, ""), max_age=_COOKIE_SECONDS)
        except BadData as error:
            raise OidcError("there is no log-in under way in this browser") from error
        request.scope["session"] = kept
        metadata = await self._metadata()
        wanted = {
            "iss": {"essential": True, "value": metadata["issuer"]},
            "aud": {"essential": True, "value": self.settings.client_id},
        }
        token = await self._client.authorize_access_token(request, claims_options=wanted)
        claims = token.get("userinfo")
        if not claims:
            raise OidcError("the provider sent no ID token")
        return dict(claims), str(kept.get("to", ""))

    async def _metadata(self) -> dict[str, Any]:
        """What the provider says of itself, as far as it may be believed: its issuer has to be the
        discovery document's address (OpenID Connect Discovery, section 4.3)."""
        metadata: dict[str, Any] = await self._client.load_server_metadata()
        issuer = str(metadata.get("issuer", ""))
        if f"{issuer.rstrip('/')}/.well-known/openid-configuration" != self.settings.discovery:
            raise OidcError(f"the issuer {issuer!r} is not where it was discovered")
        key = "id_token_signing_alg_values_supported"
        metadata[key] = sorted(_ALGORITHMS & set(metadata.get(key) or ())) or ["RS256"]
        return metadata


def oidc_routes(oidc: Oidc, entrance: Entrance) -> APIRouter:
    """The routes that lead to the provider and back."""
    routes = APIRouter()

    def failed(request: Request, problem: str, status: int) -> Response:
        response = login_form(request, entrance, {}, problem, status)
        response.delete_cookie(_COOKIE, path=START)
        return response

    @routes.get(START)
    async def start(request: Request) -> Response:
        to = request.query_params.get("to", "")
        try:
            return await oidc.start(request, to if to in AREAS else "")
        except Exception as error:  # of Authlib, the network or the provider: nobody gets in
            log.warning("the log-in provider cannot be asked: %s", error)
            return failed(request, "oidc_failed", 502)

    @routes.get(CALLBACK)
    async def callback(request: Request) -> Response:
        try:
            claims, to = await oidc.finish(request)
        except Exception as error:  # as above
            log.warning("log-in with the provider failed: %s", error)
            return failed(request, "oidc_failed", 401)
        role = role_of(claims, oidc.settings)
        if role is None:
            log.warning("the provider gives %s no role here", claims["sub"])
            return failed(request, "oidc_no_role", 403)
        try:
            account = await anyio.to_thread.run_sync(_account, entrance, claims, role)
        except (AccountError, OidcError) as error:
            log.warning("log-in with the provider refused: %s", error)
            return failed(request, "oidc_refused", 403)
        # The page is met first, for a strict cookie is not sent on a way that began elsewhere.
        landing = page(request, "landing.html", target=way_in(account, to))
        landing.delete_cookie(_COOKIE, path=START)
        return await entrance.begin(request, account, landing)

    return routes


def role_of(claims: Mapping[str, Any], settings: OidcSettings) -> Role | None:
    """The role that the claim gives, the last of agent, operator and admin if it gives several."""
    value: Any = claims.get(settings.role_claim)
    if value is None:  # realm_access.roles: a claim within a claim
        value = claims
        for part in settings.role_claim.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
    said = value if isinstance(value, list) else [value]
    found = [settings.roles[s] for s in said if isinstance(s, str) and s in settings.roles]
    return max(found, key=ROLES.index) if found else settings.default_role


def _account(entrance: Entrance, claims: Mapping[str, Any], role: Role) -> Account:
    """The account of issuer and subject."""
    subject = f"{claims['iss']} {claims['sub']}"
    if len(subject) > _MAX_SUBJECT:
        raise OidcError("the subject is too long")
    said = (str(claims.get(k) or "") for k in ("preferred_username", "email", "sub"))
    login = next(text for text in said if text)
    return entrance.accounts.from_provider(subject, login, str(claims.get("name") or ""), role)
