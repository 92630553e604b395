"""How often customers may write: a limit a conversation, and one an address.

Counted over a window that moves (the package `limits`). Far above what people type: it bounds what
a program can cost (OWASP LLM10, unbounded consumption).
"""

from __future__ import annotations

import math
import time
from typing import Any

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from assistant.errors import InputError
from assistant.web.lockout import network_of
from assistant.web_settings import WebSettings


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
    """Counts what this process has taken."""

    def __init__(self, settings: WebSettings) -> None:
        self._window = MovingWindowRateLimiter(MemoryStorage())
        minutes = settings.flood_minutes
        self._one = RateLimitItemPerMinute(settings.most_messages, minutes)
        self._network = RateLimitItemPerMinute(settings.most_of_address, minutes)

    def count(self, address: str, conversation: str = "") -> None:
        """Count a message, or the beginning of a conversation. Raises FloodError.

        What is refused is not counted, so that who goes on trying gets in when it is time."""
        keys = [(self._network, network_of(address))] if address else []
        keys += [(self._one, conversation)] if conversation else []
        for limit, key in keys:
            if not self._window.test(limit, key):
                reset = self._window.get_window_stats(limit, key).reset_time
                raise FloodError(max(1, math.ceil(reset - time.time())))
        for limit, key in keys:
            self._window.hit(limit, key)
