"""Sessions of staff: made at log-in, looked up at every request, over when somebody says so.

The cookie holds 256 random bits; the database holds their hash, so that nobody who reads it or a
backup has a session (OWASP Session Management Cheat Sheet). A session ends after `session_hours`
in any case, and when nothing was done for `idle_minutes`: NIST SP 800-63B-4, section 2.2.3, allows
24 hours and one hour for the second level of assurance. A page that looks for news does nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from sqlalchemy import delete, insert, select, update

from assistant import tables
from assistant.accounts import Account
from assistant.conversations import Conversations
from assistant.errors import SettingsError
from assistant.roles import Role, may

COOKIE = "frontdesk_staff"
_NOTED_SECONDS = 60  # what is done more often than this is not written down each time
_STAFF, _SESSIONS = tables.staff, tables.staff_sessions


@dataclass(frozen=True, slots=True)
class Session:
    """A member of staff who has logged in; `expires` is in seconds since 1970, and `id` is not the
    cookie's value but its hash."""

    id: str
    role: Role
    name: str
    language: str
    expires: float
    login: str = ""
    must_change: bool = False
    outside: bool = False
    seen: float = 0.0

    def may(self, needed: Role) -> bool:
        """Whether this is somebody who may do what a role is needed for."""
        return may(self.role, needed)


class StaffFile:
    """home/staff.json (mode 600): the secret that signs tokens. Raises SettingsError."""

    def __init__(self, home: Path) -> None:
        self.path = home / "staff.json"
        self.secret = self._read() or self._make()

    def _read(self) -> str:
        try:
            values = json.loads(self.path.read_text(encoding="utf-8"))
            if not isinstance(values["secret"], str) or not values["secret"]:
                raise TypeError("its secret is no text")
        except FileNotFoundError:
            return ""
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SettingsError(
                f"{self.path} cannot be read ({error}); delete it to have another secret made"
            ) from error
        return str(values["secret"])

    def _make(self) -> str:
        secret = secrets.token_urlsafe(32)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(f"staff.{os.getpid()}.{threading.get_ident()}.partial")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({"secret": secret}, file)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(partial, self.path)  # not renamed: another process may have been faster
        except FileExistsError:
            return self._read()
        finally:
            partial.unlink()
        return secret


class Sessions:
    """The open sessions, in the conversation store. Raises StoreError."""

    def __init__(
        self,
        store: Conversations,
        hours: float,
        idle_minutes: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self.seconds = hours * 3600
        self._idle_seconds = idle_minutes * 60
        self._clock = clock

    def start(self, account: Account, language: str) -> str:
        """A new session; returns the cookie's value. Sessions that are over are forgotten."""
        token, now = secrets.token_urlsafe(32), self._clock()
        row = {
            "id": _hash(token), "staff": account.id, "language": language, "seen": now,
            "expires": now + self.seconds,
        }  # fmt: skip
        over = (_SESSIONS.c.expires < now) | (_SESSIONS.c.seen < now - self._idle_seconds)
        with self.store.engine.begin() as connection:
            connection.execute(delete(_SESSIONS).where(over))
            connection.execute(insert(_SESSIONS).values(**row))
        return token

    def read(self, cookies: Mapping[str, str]) -> Session | None:
        """The session that a request's cookies open, with the role that the account has now; None
        if it is forged or over."""
        token, now = cookies.get(COOKIE, ""), self._clock()
        if not token:
            return None
        query = (
            select(_SESSIONS, _STAFF.c.role, _STAFF.c.name, _STAFF.c.login, _STAFF.c.must_change)
            .add_columns(_STAFF.c.subject)
            .join(_STAFF, _STAFF.c.id == _SESSIONS.c.staff)
            .where(
                _SESSIONS.c.id == _hash(token),
                _SESSIONS.c.expires > now,
                _SESSIONS.c.seen > now - self._idle_seconds,
                _STAFF.c.disabled == 0,
            )
        )
        with self.store.readers.connect() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        return Session(
            row.id, cast("Role", row.role), row.name, row.language, row.expires, row.login,
            bool(row.must_change), bool(row.subject), row.seen,
        )  # fmt: skip

    def note(self, session: Session) -> None:
        """Somebody did something: the idle time begins anew."""
        now = self._clock()
        if now - session.seen >= _NOTED_SECONDS:
            self._update(session, seen=now)

    def speak(self, session: Session, language: str) -> None:
        """Change the interface language."""
        self._update(session, language=language)

    def end(self, session: Session) -> None:
        """Log out: the cookie is worthless from now on, wherever it is kept."""
        with self.store.engine.begin() as connection:
            connection.execute(delete(_SESSIONS).where(_SESSIONS.c.id == session.id))

    def end_all(self, account: Account) -> None:
        """Log somebody out everywhere."""
        with self.store.engine.begin() as connection:
            connection.execute(delete(_SESSIONS).where(_SESSIONS.c.staff == account.id))

    def open_now(self) -> dict[int, int]:
        """How many sessions an account has open, by its id."""
        now = self._clock()
        fresh = (_SESSIONS.c.expires > now) & (_SESSIONS.c.seen > now - self._idle_seconds)
        found: dict[int, int] = {}
        with self.store.readers.connect() as connection:
            for key in connection.execute(select(_SESSIONS.c.staff).where(fresh)).scalars():
                found[key] = found.get(key, 0) + 1
        return found

    def _update(self, session: Session, **values: object) -> None:
        change = update(_SESSIONS).where(_SESSIONS.c.id == session.id).values(**values)
        with self.store.engine.begin() as connection:
            connection.execute(change)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
