"""Who a conversation belongs to: the token that opens it, and the customer whom the shop knows.

A shop that knows its customer signs a JSON Web Token (RFC 7519, HS256) with the secret that it
shares with Frontdesk: `sub` is the customer's id, `exp` at most an hour away, `jti` makes it valid
once. Nothing that a customer types says who they are.
"""

from __future__ import annotations

import re
import time

import jwt
from itsdangerous import BadData, URLSafeSerializer
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from assistant.conversations import Conversations
from assistant.errors import InputError

_LONGEST_SECONDS = 3600
_LEAST_SECRET = 32  # characters: RFC 7518, section 3.2, asks for 256 bits
_LONGEST_ID = 64
_CONVERSATION = re.compile(r"/api/v1/conversations/([^/]+)(?:/.*)?")
REFUSAL = "give this conversation's token: Authorization: Bearer TOKEN"


class Tickets:
    """The bearer tokens of conversations, signed, so that nothing is stored."""

    def __init__(self, secret: str) -> None:
        self._signer = URLSafeSerializer(secret, salt="conversation")

    def issue(self, conversation_id: str) -> str:
        """The token that opens a conversation."""
        return str(self._signer.dumps(conversation_id))

    def opens(self, token: str, conversation_id: str) -> bool:
        """Whether a token was issued for a conversation."""
        try:
            return bool(self._signer.loads(token) == conversation_id)
        except BadData:
            return False


class TicketGate:
    """ASGI middleware: a conversation's token is looked at before anything that is sent is read."""

    def __init__(self, app: ASGIApp, tickets: Tickets) -> None:
        self.app = app
        self.tickets = tickets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it with 401."""
        target: ASGIApp = self.app
        # A browser asks with OPTIONS, and without the token, whether it may ask at all.
        if scope["type"] == "http" and scope["method"] != "OPTIONS":
            asked = _CONVERSATION.fullmatch(scope["path"])
            if asked and not self.tickets.opens(bearer(Headers(scope=scope)), asked[1]):
                target = JSONResponse({"detail": REFUSAL}, 401)
        await target(scope, receive, send)


def bearer(headers: Headers) -> str:
    """The token of a request, or nothing."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.casefold() == "bearer" else ""


class Identities:
    """Customers whom the shop vouches for, each token once."""

    def __init__(self, secret: str, store: Conversations) -> None:
        self._secret = secret
        self._store = store

    def customer(self, token: str) -> str:
        """The customer's id. Raises InputError when the token is not good, or was used."""
        if len(self._secret) < _LEAST_SECRET:
            raise InputError(
                "identities are not accepted here: set web.identity_secret to at least "
                f"{_LEAST_SECRET} characters"
            )
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=["HS256"],
                options={"require": ["sub", "exp", "jti"]},
            )
        except jwt.InvalidTokenError as error:
            raise InputError(f"the identity is not good: {error}") from error
        if claims["exp"] > time.time() + _LONGEST_SECONDS:
            raise InputError("the identity is valid for more than an hour; sign a shorter one")
        customer, once = str(claims["sub"]), str(claims["jti"])
        if not 0 < len(customer) <= _LONGEST_ID or len(once) > _LONGEST_ID:
            raise InputError(f"sub and jti of an identity have 1 to {_LONGEST_ID} characters")
        if not self._store.use_once(once, float(claims["exp"])):
            raise InputError("the identity was used before; sign another one")
        return customer
