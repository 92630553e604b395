"""What language models read and wrote for a turn."""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """Requests to a language model, the tokens of their prompts and those that it wrote, and the
    seconds between the first and the last token written."""

    requests: int = 0
    read_tokens: int = 0
    written_tokens: int = 0
    seconds: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.requests + other.requests,
            self.read_tokens + other.read_tokens,
            self.written_tokens + other.written_tokens,
            self.seconds + other.seconds,
        )


class Tally:
    """Adds up the usage of a turn; several replies may be written for it at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.total = Usage()

    def add(self, usage: Usage) -> None:
        """Count a request that has ended, however it did."""
        with self._lock:
            self.total += usage
