"""The lock after too many tries to log in, by account and by address.

At most ten in a quarter of an hour each, right ones not counted (OWASP Authentication Cheat Sheet,
"Account Lockout"; NIST SP 800-63B-4, section 3.2.2, allows a hundred in a row). What is no account
is counted like one, so that the lock does not tell which there are.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from assistant.accounts import plain_login

MAX_TRIES, WINDOW_SECONDS = 10, 15 * 60
_MAX_KEYS = 50_000  # those tried longest ago are forgotten first
_MAX_LOGIN = 64
Key = tuple[str, str]


class Lockout:
    """Counts tries. A try is counted before the password is looked at, so that tries sent at once
    count too."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tries: OrderedDict[Key, deque[float]] = OrderedDict()

    def count(self, login: str, address: str) -> float:
        """Count a try: 0 when it is allowed, else the seconds until the next one is."""
        with self._lock:
            wait = max(self._wait(key) for key in _keys(login, address))
            if wait <= 0:
                for key in _keys(login, address):
                    self._tries.setdefault(key, deque()).append(self._clock())
                    self._tries.move_to_end(key)
                while len(self._tries) > _MAX_KEYS:
                    self._tries.popitem(last=False)
            return wait

    def is_closed(self, login: str, address: str) -> bool:
        """Whether the next try would be refused."""
        with self._lock:
            return any(self._wait(key) > 0 for key in _keys(login, address))

    def forgive(self, login: str, address: str) -> None:
        """The right password was given: forget the account's tries, and this one of the address."""
        account, network = _keys(login, address)
        with self._lock:
            self._tries.pop(account, None)
            if tries := self._tries.get(network):
                tries.pop()

    def _wait(self, key: Key) -> float:
        """Seconds until this key may try again, 0 for now; old tries are dropped."""
        tries, now = self._tries.get(key, deque()), self._clock()
        while tries and now - tries[0] >= WINDOW_SECONDS:
            tries.popleft()
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


def _keys(login: str, address: str) -> tuple[Key, Key]:
    """What is counted: the account, and the address."""
    return ("account", plain_login(login)[:_MAX_LOGIN]), ("address", network_of(address))
