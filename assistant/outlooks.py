"""Outlooks for pages that are drawn every few seconds: worked out aside, and kept.

The shop's own system may take seconds to tell of its orders, and a page must not wait for it: what
is not known yet is nothing for now, and there at one of the next looks.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from assistant.conversations import Conversation
from assistant.errors import AssistantError
from assistant.propensity import Outlook, Propensity

log = logging.getLogger(__name__)
Look = Callable[[Conversation], Outlook | None]
_MOST_KEPT = 4096
_MOST_WAITING = 256
Key = tuple[str, str]


def no_outlook(_: Conversation) -> Outlook | None:
    """For pages of a shop without a model."""
    return None


class Outlooks:
    """The outlook of each conversation's customer, as it was when the conversation began: nothing
    that is said in it can change it. `worked_out` counts them."""

    def __init__(self, propensity: Propensity) -> None:
        self._propensity = propensity
        self._kept: OrderedDict[Key, Outlook | None] = OrderedDict()
        self._waiting: dict[Key, Future[None]] = {}
        self._lock = threading.Lock()
        self.worked_out = 0
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="outlooks")

    def peek(self, conversation: Conversation) -> Outlook | None:
        """What is known already; what is not is worked out meanwhile."""
        served = self._propensity.served if conversation.customer_id else ""
        if not served:
            return None
        key = conversation.id, served
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            if key not in self._waiting and len(self._waiting) < _MOST_WAITING:
                self._waiting[key] = self._worker.submit(self._work_out, key, conversation)
        return None

    def settle(self, seconds: float = 10.0) -> None:
        """Wait until what was asked for is worked out."""
        with self._lock:
            waiting = list(self._waiting.values())
        for future in waiting:
            future.result(seconds)

    def _work_out(self, key: Key, conversation: Conversation) -> None:
        found: Outlook | None = None
        try:
            found = self._propensity.outlook(conversation.customer_id, conversation.created)
        except AssistantError as error:  # not tried again: the shop's system has other work
            log.warning("an outlook could not be worked out: %s", type(error).__name__)
        finally:
            with self._lock:
                self._waiting.pop(key, None)
                self._kept[key] = found
                self.worked_out += 1
                while len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)
