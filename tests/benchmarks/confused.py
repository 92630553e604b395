"""A server that tells every tenth history the words of another conversation.

python -m tests.benchmarks.confused --home HOME --port PORT
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

from assistant.conversations import Conversations, StoredMessage
from tests import served

_asked = count(1)
_whole = Conversations.messages


def confused(self: Conversations, *given: Any, **named: Any) -> list[StoredMessage]:
    """The messages, now and then as if somebody else had said them."""
    messages = _whole(self, *given, **named)
    if next(_asked) % 10:
        return messages
    return [replace(message, message_id=f"x{message.message_id}") for message in messages]


if __name__ == "__main__":
    Conversations.messages = confused  # type: ignore[method-assign]
    served.main()
