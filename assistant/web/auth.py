"""Who works here: passwords, signed sessions, and a lock after too many wrong tries.

home/staff.json (mode 600) holds the secret that signs sessions, argon2 hashes of the passwords
made at first start, and sessions that were logged out before they expired.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import os
import secrets
import sys
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from itsdangerous import BadData, URLSafeSerializer

from assistant.errors import SettingsError
from assistant.settings import WebSettings

Role = Literal["agent", "operator"]
ROLES: tuple[Role, ...] = get_args(Role)
COOKIE = "frontdesk_staff"
MAX_TRIES, WINDOW_SECONDS = 10, 15 * 60
_MAX_ADDRESSES = 10_000
# One argon2 verification takes 64 MiB, so a flood of log-ins must not run many at once.
_VERIFICATIONS = threading.BoundedSemaphore(2)


@dataclass(frozen=True, slots=True)
class Session:
    """A member of staff who has logged in; `expires` is in seconds since 1970."""

    id: str
    role: Role
    name: str
    language: str
    expires: float


class StaffFile:
    """home/staff.json, written whole and readable by its owner only. Raises SettingsError."""

    def __init__(self, home: Path) -> None:
        self.path = home / "staff.json"
        self._lock = threading.Lock()
        self._values = self._read()

    @property
    def secret(self) -> str:
        """The key that signs sessions."""
        return str(self._values["secret"])

    def hash_of(self, role: Role) -> str:
        """The stored password hash, or nothing."""
        return str(self._values["passwords"].get(role, ""))

    def keep_hash(self, role: Role, password_hash: str) -> None:
        """Store a password's hash."""
        with self._lock:
            self._values["passwords"][role] = password_hash
            self._write()

    def end(self, session: Session) -> None:
        """Remember that a session was logged out, until it would have expired anyway."""
        with self._lock:
            now = time.time()
            ended = {k: v for k, v in self._values["ended"].items() if v > now}
            self._values["ended"] = ended | {session.id: session.expires}
            self._write()

    def has_ended(self, session_id: str) -> bool:
        """Whether the session was logged out."""
        return session_id in self._values["ended"]

    def _read(self) -> dict[str, Any]:
        fresh = {"secret": secrets.token_urlsafe(32), "passwords": {}, "ended": {}}
        try:
            values = json.loads(self.path.read_text(encoding="utf-8"))
            if not all(isinstance(values[key], type(fresh[key])) for key in fresh):
                raise TypeError("a key has the wrong type")
        except FileNotFoundError:
            self._values = fresh
            self._write()
            return fresh
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SettingsError(
                f"{self.path} cannot be read ({error}); delete it to have new passwords made"
            ) from error
        return cast("dict[str, Any]", values)

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(f"staff.{os.getpid()}.partial")
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(self._values, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.path)


class Passwords:
    """One password a role: the one in the settings, else one made at first start."""

    def __init__(
        self,
        settings: WebSettings,
        staff: StaffFile,
        hasher: PasswordHasher | None = None,
        announce: Callable[[str], object] = lambda line: print(line, file=sys.stderr),
    ) -> None:
        self._hasher = hasher or PasswordHasher()
        self._hashes: dict[str, str] = {}
        self._fingerprints: dict[str, str] = {}
        chosen: Mapping[Role, str] = {
            "agent": settings.agent_password,
            "operator": settings.operator_password,
        }
        for role in ROLES:
            if not chosen[role] and not staff.hash_of(role):
                password = secrets.token_urlsafe(12)
                staff.keep_hash(role, self._hasher.hash(password))
                announce(f"Frontdesk made the {role} password, shown only now: {password}")
            self._hashes[role] = (
                self._hasher.hash(chosen[role]) if chosen[role] else staff.hash_of(role)
            )
            self._fingerprints[role] = _keyed(staff.secret, chosen[role] or staff.hash_of(role))
        self._nobody = self._hasher.hash(secrets.token_urlsafe(12))

    def verify(self, role: str, password: str) -> bool:
        """Whether this is the role's password; an unknown role takes as long to refuse."""
        with _VERIFICATIONS:
            try:
                self._hasher.verify(self._hashes.get(role, self._nobody), password)
            except (VerificationError, InvalidHashError):
                return False
        return role in self._hashes

    def fingerprint(self, role: Role) -> str:
        """Changes with the password, so that its sessions end when it is changed."""
        return self._fingerprints[role]


class Sessions:
    """Sessions in signed cookies: made at log-in, read at every request, ended at log-out."""

    def __init__(self, staff: StaffFile, passwords: Passwords, hours: float) -> None:
        self._staff = staff
        self._passwords = passwords
        self._seconds = hours * 3600
        self._signer = URLSafeSerializer(staff.secret, salt="frontdesk-staff")

    def start(self, role: Role, name: str, language: str) -> Session:
        """A new session."""
        expires = time.time() + self._seconds
        return Session(secrets.token_urlsafe(16), role, name, language, expires)

    def token(self, session: Session) -> str:
        """The cookie's value."""
        key = self._passwords.fingerprint(session.role)
        return str(self._signer.dumps(asdict(session) | {"key": key}))

    def read(self, cookies: Mapping[str, str]) -> Session | None:
        """The session in a request's cookies, or None if it is forged, over or logged out."""
        try:
            values = self._signer.loads(cookies.get(COOKIE, ""))
            key = values.pop("key")
            session = Session(**values)
            current = hmac.compare_digest(key, self._passwords.fingerprint(session.role))
        except (BadData, TypeError, KeyError, AttributeError):
            return None
        over = session.expires < time.time() or self._staff.has_ended(session.id)
        return session if current and not over else None

    def in_language(self, session: Session, language: str) -> Session:
        """The same session with another interface language."""
        return replace(session, language=language)

    def end(self, session: Session) -> None:
        """Log out: the cookie is worthless from now on, wherever it is kept."""
        self._staff.end(session)


class Lockout:
    """Counts tries by role and address; ten in a quarter of an hour, then it is closed.

    A try is counted before the password is looked at, so that tries sent at once count too.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tries: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    def count(self, role: str, address: str) -> float:
        """Count a try: 0 when it is allowed, else the seconds until the next one is."""
        key, now = self._key(role, address), self._clock()
        with self._lock:
            tries = self._tries.setdefault(key, deque())
            while tries and now - tries[0] >= WINDOW_SECONDS:
                tries.popleft()
            if len(tries) >= MAX_TRIES:
                return WINDOW_SECONDS - (now - tries[0])
            tries.append(now)
            self._tries.move_to_end(key)
            while len(self._tries) > _MAX_ADDRESSES:
                self._tries.popitem(last=False)
            return 0.0

    def forgive(self, role: str, address: str) -> None:
        """Forget the tries: the right password was given."""
        with self._lock:
            self._tries.pop(self._key(role, address), None)

    @staticmethod
    def _key(role: str, address: str) -> tuple[str, str]:
        """Unknown roles count as one; one customer of a provider owns a whole IPv6 /64."""
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return role if role in ROLES else "", address
        network = ipaddress.ip_network((ip, 64), strict=False) if ip.version == 6 else ip
        return role if role in ROLES else "", str(network)


def _keyed(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()[:16]
