"""The lock after too many tries to log in, by account and by address.

At most ten in a quarter of an hour each, right ones not counted (OWASP Authentication Cheat Sheet,
"Account Lockout"; NIST SP 800-63B-4, section 3.2.2, allows a hundred in a row). What is no account
is counted like one, so that the lock does not tell which there are.
"""

from __future__ import annotations

import hashlib
import ipaddress
import time
from collections.abc import Callable

from sqlalchemy import Connection, delete, func, insert, select

from assistant import tables
from assistant.accounts import plain_login
from assistant.conversations import Conversations
from assistant.database import lock

MAX_TRIES, WINDOW_SECONDS = 10, 15 * 60
_MAX_LOGIN = 64
_LOCK = 0x4C6F67496E  # of PostgreSQL's advisory locks; any number that nobody else takes
_TRIES = tables.login_tries


class Lockout:
    """Counts tries, in the conversation store: for all processes, and past a restart. A try is
    counted before the password is looked at, so that tries sent at once count too. What is kept is
    a hash of the account and of the address, and no longer than it counts. Raises StoreError."""

    def __init__(self, store: Conversations, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock

    def count(self, login: str, address: str) -> float:
        """Count a try: 0 when it is allowed, else the seconds until the next one is."""
        now, keys = self._clock(), _keys(login, address)
        with self._store.engine.begin() as connection:
            lock(connection, _LOCK)
            connection.execute(delete(_TRIES).where(_TRIES.c.created <= now - WINDOW_SECONDS))
            wait = max(_wait(connection, key, now) for key in keys)
            if wait <= 0:
                rows = [{"key": key, "created": now} for key in keys]
                connection.execute(insert(_TRIES), rows)
            return wait

    def is_closed(self, login: str, address: str) -> bool:
        """Whether the next try would be refused."""
        now = self._clock()
        with self._store.readers.connect() as connection:
            return any(_wait(connection, key, now) > 0 for key in _keys(login, address))

    def forgive(self, login: str, address: str) -> None:
        """The right password was given: forget the account's tries, and this one of the address."""
        account, network = _keys(login, address)
        latest = select(func.max(_TRIES.c.id)).where(_TRIES.c.key == network).scalar_subquery()
        with self._store.engine.begin() as connection:
            connection.execute(delete(_TRIES).where(_TRIES.c.key == account))
            connection.execute(delete(_TRIES).where(_TRIES.c.id == latest))


def _wait(connection: Connection, key: str, now: float) -> float:
    """Seconds until this key may try again, 0 for now."""
    query = select(_TRIES.c.created).where(
        _TRIES.c.key == key, _TRIES.c.created > now - WINDOW_SECONDS
    )
    tries = connection.execute(query.order_by(_TRIES.c.created)).scalars().all()
    return WINDOW_SECONDS - (now - tries[0]) if len(tries) >= MAX_TRIES else 0.0


def network_of(address: str) -> str:
    """What stands for one customer of a provider: an IPv4 address, or a whole IPv6 /64."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return str(ipaddress.ip_network((ip, 64), strict=False) if ip.version == 6 else ip)


def _keys(login: str, address: str) -> tuple[str, str]:
    """What is counted: the account, and the address."""
    account, network = plain_login(login)[:_MAX_LOGIN], network_of(address)
    return _hash(f"account {account}"), _hash(f"address {network}")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
