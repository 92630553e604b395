"""Accounts of staff: who works here, in which role, and how the first one comes to be.

Kept beside the conversations, with the sessions that they have open. A change of role, a new
password and a disabled account end these at once. Every change is in the audit log.
"""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any, cast

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from assistant import tables
from assistant.conversations import Conversations
from assistant.errors import InputError
from assistant.passwords import Passwords, one_time, weakness
from assistant.roles import ROLES, Role

FIRST = "admin"  # the log-in of the first account
MAX_LOGIN, MAX_NAME = 64, 40  # characters
_LOGIN = re.compile(rf"[\w.@+-]{{1,{MAX_LOGIN}}}")
_STAFF, _SESSIONS = tables.staff, tables.staff_sessions
_MESSAGES = {
    "missing": "there is no account {detail}",
    "login": f"a log-in has 1 to {MAX_LOGIN} letters, digits or . @ + - _, not {{detail}}",
    "taken": "the log-in {detail} is taken",
    "name": "give a name that can be seen",
    "name_taken": "the name {detail} is taken",
    "role": f"{{detail}} is no role: {', '.join(ROLES)}",
    "last_admin": "{detail} is the last admin; make another one first",
    "outside": "{detail} logs in with the company's provider and has no password here",
    "disabled": "the account {detail} is disabled",
    "short": "the password is too short",
    "long": "the password is too long",
    "guessable": "the password is easy to guess",
    "same": "choose another password than the one you have",
}


class AccountError(InputError):
    """A change that cannot be made; `problem` is a key of the messages, `detail` is about whom."""

    def __init__(self, problem: str, detail: str = "") -> None:
        super().__init__(_MESSAGES[problem].format(detail=detail))
        self.problem = problem
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Account:
    """A member of staff. `name` is what customers and colleagues see, and the audit log says;
    `outside` accounts log in with the company's provider. Times are seconds since 1970."""

    id: int
    login: str
    name: str
    role: Role
    must_change: bool
    disabled: bool
    outside: bool
    created: float
    logged_in: float | None


def clean_name(name: str) -> str:
    """A name in one line, without characters that cannot be seen."""
    seen = "".join(c for c in name if not unicodedata.category(c).startswith("C"))
    return " ".join(seen.split())[:MAX_NAME].strip()


def plain_login(login: str) -> str:
    """A log-in as it is compared: Ada and ＡＤＡ are one."""
    return unicodedata.normalize("NFKC", login).strip().casefold()


class Accounts:
    """The accounts of a shop. Raises AccountError and StoreError."""

    def __init__(
        self,
        store: Conversations,
        passwords: Passwords,
        shop: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self._passwords = passwords
        self._shop = shop
        self._clock = clock

    def all(self) -> list[Account]:
        """All accounts by role and name, those that are disabled last."""
        with self.store.readers.connect() as connection:
            found = [_account(row) for row in connection.execute(select(_STAFF))]
        return sorted(found, key=lambda a: (a.disabled, -ROLES.index(a.role), a.name.casefold()))

    def get(self, login: str) -> Account:
        """The account with this log-in."""
        with self.store.readers.connect() as connection:
            return _account(_row(connection, login))

    def make_first(self) -> str:
        """Where nobody has an account, make an admin's and return its one-time password."""
        with self.store.readers.connect() as connection:
            if connection.execute(select(_STAFF.c.id).limit(1)).first():
                return ""
        try:
            return self.add(FIRST, "admin", "Frontdesk", "Admin")[1]
        except (AccountError, IntegrityError):  # another process was faster
            return ""

    def add(self, login: str, role: str, who: str, name: str = "") -> tuple[Account, str]:
        """A new account, and its one-time password, which is kept nowhere."""
        plain, shown = plain_login(login), clean_name(name or login)
        if not _LOGIN.fullmatch(plain):
            raise AccountError("login", login)
        if not shown:
            raise AccountError("name")
        if role not in ROLES:
            raise AccountError("role", role)
        password = one_time()
        hashed = self._passwords.hash(password)
        with self.store.engine.begin() as connection:
            logins, names = _taken(connection)
            if plain in logins:
                raise AccountError("taken", plain)
            if shown.casefold() in names:
                raise AccountError("name_taken", shown)
            self._insert(connection, plain, shown, role, password=hashed, must_change=1)
        self.store.log(who, "user_add", f"{plain} ({role})")
        return self.get(plain), password

    def change_role(self, login: str, role: str, who: str) -> Account:
        """Give an account another role."""
        if role not in ROLES:
            raise AccountError("role", role)
        with self.store.engine.begin() as connection:
            row = _row(connection, login)
            if row.role == role:
                return _account(row)
            if role != "admin":
                _keep_an_admin(connection, row)
            self._change(connection, row.id, role=role)
        self.store.log(who, "user_role", f"{row.login} ({row.role} → {role})")
        return self.get(login)

    def reset(self, login: str, who: str) -> str:
        """A new one-time password in place of the one that an account has."""
        password = one_time()
        hashed = self._passwords.hash(password)
        with self.store.engine.begin() as connection:
            row = _row(connection, login)
            if row.subject:
                raise AccountError("outside", row.login)
            self._change(connection, row.id, password=hashed, must_change=1)
        self.store.log(who, "user_reset", row.login)
        return password

    def switch(self, login: str, on: bool, who: str) -> Account:
        """Enable an account, or disable it: it stays, for the audit log speaks of it."""
        with self.store.engine.begin() as connection:
            row = _row(connection, login)
            if not on:
                _keep_an_admin(connection, row)
            self._change(connection, row.id, disabled=int(not on))
        self.store.log(who, "user_enable" if on else "user_disable", row.login)
        return self.get(login)

    def check(self, login: str, password: str) -> Account | None:
        """The account whose log-in and password these are; whether there is one is not to be told
        from the time it takes (OWASP Authentication Cheat Sheet, "Authentication Responses")."""
        with self.store.readers.connect() as connection:
            query = select(_STAFF).where(_STAFF.c.login == plain_login(login))
            row = connection.execute(query).first()
        stored = row.password if row and not row.disabled else None
        if not self._passwords.verify(stored, password) or row is None:
            return None
        now: dict[str, Any] = {"logged_in": self._clock()}
        if self._passwords.is_outdated(row.password):
            now["password"] = self._passwords.hash(password)
        with self.store.engine.begin() as connection:
            connection.execute(update(_STAFF).where(_STAFF.c.id == row.id).values(**now))
        return _account(row)

    def choose(self, login: str, password: str) -> None:
        """Keep the password that somebody has chosen; all their sessions end."""
        with self.store.readers.connect() as connection:
            row = _row(connection, login)
        if row.subject:
            raise AccountError("outside", row.login)
        if problem := weakness(password, row.login, row.name, self._shop):
            raise AccountError(problem)
        if self._passwords.verify(row.password, password):
            raise AccountError("same")
        hashed = self._passwords.hash(password)
        with self.store.engine.begin() as connection:
            self._change(connection, row.id, password=hashed, must_change=0)
        self.store.log(row.name, "user_password", row.login)

    def from_provider(self, subject: str, login: str, name: str, role: Role) -> Account:
        """The account of whom the company's provider vouches for, made at the first log-in; its
        role is what the provider says now."""
        now = self._clock()
        with self.store.engine.begin() as connection:
            row = connection.execute(select(_STAFF).where(_STAFF.c.subject == subject)).first()
            if row is None:
                login, name = _free(connection, login, name)
                self._insert(connection, login, name, role, subject=subject, logged_in=now)
            else:
                login = row.login
                if row.disabled:
                    raise AccountError("disabled", login)
                if row.role != role:
                    if role != "admin":
                        _keep_an_admin(connection, row)
                    self._change(connection, row.id, role=role)
                here = _STAFF.c.id == row.id
                connection.execute(update(_STAFF).where(here).values(logged_in=now))
        if row is None:
            self.store.log("log-in provider", "user_add", f"{login} ({role})")
        elif row.role != role:
            self.store.log("log-in provider", "user_role", f"{login} ({row.role} → {role})")
        return self.get(login)

    def _insert(
        self, connection: Connection, login: str, name: str, role: str, **values: Any
    ) -> None:
        plain = {"must_change": 0, "disabled": 0, "created": self._clock()} | values
        try:
            connection.execute(insert(_STAFF).values(login=login, name=name, role=role, **plain))
        except IntegrityError:  # another process was faster
            raise AccountError("taken", login) from None

    @staticmethod
    def _change(connection: Connection, key: int, **values: Any) -> None:
        """Change an account; its sessions end in the same transaction."""
        connection.execute(update(_STAFF).where(_STAFF.c.id == key).values(**values))
        connection.execute(delete(_SESSIONS).where(_SESSIONS.c.staff == key))


def _row(connection: Connection, login: str) -> Row[Any]:
    row = connection.execute(select(_STAFF).where(_STAFF.c.login == plain_login(login))).first()
    if row is None:
        raise AccountError("missing", login)
    return row


def _account(row: Row[Any]) -> Account:
    return Account(
        row.id, row.login, row.name, cast("Role", row.role), bool(row.must_change),
        bool(row.disabled), bool(row.subject), row.created, row.logged_in,
    )  # fmt: skip


def _keep_an_admin(connection: Connection, row: Row[Any]) -> None:
    """Raises AccountError where nobody else is an admin. The rows stay locked until the end of the
    transaction, so that two admins cannot dismiss each other."""
    admins = (_STAFF.c.role == "admin", _STAFF.c.disabled == 0)
    query = select(_STAFF.c.id).where(*admins).order_by(_STAFF.c.id).with_for_update()
    if set(connection.execute(query).scalars()) == {row.id}:
        raise AccountError("last_admin", row.login)


def _taken(connection: Connection) -> tuple[set[str], set[str]]:
    """The log-ins, and the names in lower case, that are in use."""
    rows = connection.execute(select(_STAFF.c.login, _STAFF.c.name)).all()
    return {row.login for row in rows}, {row.name.casefold() for row in rows}


def _free(connection: Connection, login: str, name: str) -> tuple[str, str]:
    """A log-in and a name that nobody has, as near to these as can be."""
    logins, names = _taken(connection)
    plain = re.sub(r"[^\w.@+-]+", "-", plain_login(login))[: MAX_LOGIN - 4] or "staff"
    shown = clean_name(name or login)[: MAX_NAME - 4] or plain[: MAX_NAME - 4]
    for number in count(1):
        tail = f"-{number}" if number > 1 else ""
        if plain + tail not in logins and (shown + tail).casefold() not in names:
            return plain + tail, shown + tail
    raise AssertionError("never reached: there are more numbers than accounts")
