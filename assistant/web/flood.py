"""How often customers may write: a limit a conversation, and one an address.

Counted over a window that moves (the package `limits`), by all processes together where they share
a Redis. Far above what people type: it bounds what a program can cost (OWASP LLM10, unbounded
consumption).
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from typing import Any

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.errors import ConfigurationError, StorageError
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import MovingWindowRateLimiter

from assistant.errors import InputError, SettingsError
from assistant.live import PAUSE_SECONDS, WAIT_SECONDS
from assistant.store_settings import SharedSettings
from assistant.web.lockout import network_of
from assistant.web_settings import WebSettings

log = logging.getLogger(__name__)


def address_of(request: Any) -> str:
    """Where a request (Starlette's or Gradio's) comes from; a listed proxy has said so."""
    client = getattr(request, "client", None)
    return str(client.host) if client else ""


class FloodError(InputError):
    """Too much was sent; `seconds` from now the next message is taken."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many messages; send this one again in {seconds} seconds")
        self.seconds = seconds


class Flood:
    """Counts what was taken: where Redis is shared and answers by all processes, else by this one.
    Raises SettingsError."""

    def __init__(self, settings: WebSettings, shared: SharedSettings | None = None) -> None:
        self._own = MovingWindowRateLimiter(MemoryStorage())
        self._shared = _shared_window(shared) if shared and shared.redis else None
        self._again = 0.0
        minutes = settings.flood_minutes
        self._one = RateLimitItemPerMinute(settings.most_messages, minutes)
        self._network = RateLimitItemPerMinute(settings.most_of_address, minutes)

    def count(self, address: str, conversation: str = "") -> None:
        """Count a message, or the beginning of a conversation. Raises FloodError.

        What is refused is not counted, so that who goes on trying gets in when it is time."""
        keys = [(self._network, network_of(address))] if address else []
        keys += [(self._one, conversation)] if conversation else []
        if self._shared and time.monotonic() >= self._again:
            try:
                return _count(self._shared, keys)
            except StorageError as error:
                self._again = time.monotonic() + PAUSE_SECONDS
                log.error("Redis cannot be reached, this process counts alone: %s", error)
        return _count(self._own, keys)


def _count(window: MovingWindowRateLimiter, keys: Sequence[tuple[RateLimitItem, str]]) -> None:
    for limit, key in keys:
        if not window.test(limit, key):
            reset = window.get_window_stats(limit, key).reset_time
            raise FloodError(max(1, math.ceil(reset - time.time())))
    for limit, key in keys:
        window.hit(limit, key)


def _shared_window(shared: SharedSettings) -> MovingWindowRateLimiter:
    patience = {"socket_timeout": WAIT_SECONDS, "socket_connect_timeout": WAIT_SECONDS}
    try:
        storage = storage_from_string(
            shared.redis, key_prefix=f"{shared.prefix}:flood", wrap_exceptions=True, **patience
        )
    except ConfigurationError as error:
        raise SettingsError(
            f"{error}; shared.redis is like redis://host:6379/0, and needs the extra: pip install"
            " frontdesk[redis]"
        ) from error
    return MovingWindowRateLimiter(storage)
