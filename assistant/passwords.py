"""Passwords of staff: Argon2id hashes, one-time passwords, and what may be chosen.

Argon2id's parameters are argon2-cffi's, RFC 9106's second choice (64 MiB, 3 passes, 4 lanes), which
are above OWASP's least (Password Storage Cheat Sheet: 19 MiB, 2 passes). A password that opens the
door alone has at least 15 characters, may have any, and must not be one that is guessed first; no
kinds of characters are demanded and none ends with time (NIST SP 800-63B-4, section 3.1.1.2).
"""

from __future__ import annotations

import secrets
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST, LONGEST = 15, 200  # characters
# 16 of 31 letters and digits that no one takes for another: 79 bits.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _GROUP = 4, 4
# What is left of a password without the words that everybody tries, and its different characters.
_LEAST_LEFT, _LEAST_DIFFERENT = 8, 6
_TRIED_FIRST = (
    "password", "passwort", "contraseña", "frontdesk", "administrator", "admin", "welcome",
    "letmein", "qwertyuiop", "qwerty", "1234567890", "123456", "abcdefgh", "secret", "密码",
)  # fmt: skip


class Passwords:
    """Hashes and verifies. A check without a stored hash takes as long as one with it."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._nobody = self._hasher.hash(secrets.token_urlsafe(12))

    def hash(self, password: str) -> str:
        """The Argon2id hash to store."""
        return self._hasher.hash(_normal(password))

    def verify(self, stored: str | None, password: str) -> bool:
        """Whether this is the password of a stored hash."""
        try:
            self._hasher.verify(stored or self._nobody, _normal(password))
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)


def one_time() -> str:
    """A password to be shown once and replaced at the first log-in: k7mq-4xwp-9rtn-h2vd."""
    group = ("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))
    return "-".join(group)


def weakness(password: str, *own_words: str) -> str:
    """Why a password may not be chosen: short, long, guessable, or "" when it may.

    `own_words` are what others would try first: the log-in, the name, the shop.
    """
    text = _normal(password)
    if len(text) < SHORTEST:
        return "short"
    if len(text) > LONGEST:
        return "long"
    left = text.casefold()
    for word in (*_TRIED_FIRST, *(_normal(w).casefold() for w in own_words)):
        left = left.replace(word, "") if len(word) > 1 else left
    if len(left) < _LEAST_LEFT or len(set(left)) < _LEAST_DIFFERENT or _is_run(left):
        return "guessable"
    return ""


def _normal(password: str) -> str:
    """One form for all keyboards (NIST SP 800-63B-4, section 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password.encode("utf-8", "replace").decode())


def _is_run(text: str) -> bool:
    """Whether each character follows the one before it: abcdef, 987654."""
    steps = {ord(b) - ord(a) for a, b in zip(text, text[1:], strict=False)}
    return len(steps) == 1 and abs(steps.pop()) <= 1
