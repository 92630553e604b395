"""Who a conversation belongs to: the token that opens it, and the customer whom the shop knows.

A shop that knows its customer signs a JSON Web Token (RFC 7519, HS256) with the secret that it
shares with Frontdesk: `sub` is the customer's id, `exp` at most an hour away, `jti` makes it valid
once. Nothing that a customer types says who they are.
"""

from __future__ import annotations

import time

import jwt
from itsdangerous import BadData, URLSafeSerializer

from assistant.conversations import Conversations
from assistant.errors import InputError

_LONGEST_SECONDS = 3600
_LEAST_SECRET = 32  # characters: RFC 7518, section 3.2, asks for 256 bits
_LONGEST_ID = 64


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
