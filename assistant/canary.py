"""A canary: a new adapter answers a share of the conversations, until it is shown to be worse.

Worse means that more conversations are handed off, lose sentences that nothing supports, or get a
thumb down. Each is a test of two rates that may be looked at after every conversation: the product
of e-values of Turner, Ly and Grünwald, "Generic e-variables for exact sequential k-sample tests
that allow for optional stopping" (arXiv 2106.02693). By Ville's inequality an adapter that is not
worse is stopped with a probability of FALSE_STOPS at most, however long it runs.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

from assistant.conversations import Conversations, StoredMessage
from assistant.served import ServedModel
from finetune.registry import Canary

log = logging.getLogger(__name__)

FALSE_STOPS = 0.05
_PRIOR = 0.5  # pseudo-counts of either outcome, before anything is seen
_EVERY_SECONDS, _FOLLOWED_SECONDS = 60.0, 2.0


class WorseRate:
    """Evidence that the canary's rate of a bad outcome is above that of the others.

    Conversations count in pairs, one of each, so that the share of the canary does not matter.
    """

    def __init__(self) -> None:
        self.evidence = 1.0
        self._waiting: tuple[list[bool], list[bool]] = ([], [])
        self._bad = [_PRIOR, _PRIOR]
        self._pairs = 0

    def add(self, bad: bool, canary: bool) -> None:
        """Count a conversation."""
        self._waiting[canary].append(bad)
        if all(self._waiting):
            self._pair(self._waiting[0].pop(0), self._waiting[1].pop(0))

    def _pair(self, served: bool, canary: bool) -> None:
        whole = self._pairs + 2 * _PRIOR
        first, second = (bad / whole for bad in self._bad)
        if second > first:  # nothing is bet on the canary being better
            common = (first + second) / 2
            for seen, rate in ((served, first), (canary, second)):
                self.evidence *= (rate if seen else 1 - rate) / (common if seen else 1 - common)
        self._bad[0] += served
        self._bad[1] += canary
        self._pairs += 1


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of a conversation; `thumb_down` is None where the customer said nothing."""

    conversation_id: str
    handed_off: bool
    unsupported: bool
    thumb_down: bool | None


def seen_since(conversations: Conversations, since: float) -> list[Seen]:
    """The conversations that began since then, oldest first."""
    verdicts: dict[str, bool] = {}
    for rating in conversations.ratings():
        bad = not rating["helpful"]
        verdicts[rating["conversation_id"]] = verdicts.get(rating["conversation_id"], False) or bad
    began = [
        (messages[0].id, _seen(name, messages, verdicts.get(name)))
        for name, messages in conversations.threads(since)
        if messages and messages[0].created >= since
    ]
    # Always in the same order: the test forgets what a look before it saw.
    return [seen for _, seen in sorted(began, key=lambda pair: pair[0])]


def _seen(name: str, messages: Iterable[StoredMessage], thumb_down: bool | None) -> Seen:
    replies = [m.reply for m in messages if m.reply]
    return Seen(
        name,
        any(r["outcome"] == "handoff" for r in replies),
        any((r.get("trace") or {}).get("dropped") for r in replies),
        thumb_down,
    )


def verdict(canary: Canary, seen: Iterable[Seen]) -> str:
    """Why the canary is to be stopped, or ""."""
    tests = {
        "more hand-offs": WorseRate(),
        "more unsupported sentences": WorseRate(),
        "more thumbs down": WorseRate(),
    }
    needed = len(tests) / FALSE_STOPS
    for one in seen:
        outcomes = (one.handed_off, one.unsupported, one.thumb_down)
        for (reason, test), bad in zip(tests.items(), outcomes, strict=True):
            if bad is not None:
                test.add(bad, canary.takes(one.conversation_id))
            if test.evidence >= needed:
                return reason
    return ""


class CanaryWatch:
    """Has the served model follow the registry, looks at the conversations now and then, and stops
    a canary that does worse."""

    def __init__(self, served: ServedModel, conversations: Conversations) -> None:
        self.served = served
        self.conversations = conversations
        self._over = threading.Event()

    def start(self) -> None:
        """Follow and look, in a thread of its own."""
        threading.Thread(target=self._run, name="canary", daemon=True).start()

    def close(self) -> None:
        """Look no more."""
        self._over.set()

    def look(self) -> str:
        """Stop the canary if it is worse; why, or ""."""
        canary = self.served.canary
        if canary is None:
            return ""
        if reason := verdict(canary, seen_since(self.conversations, canary.since)):
            self.served.registry.stop_canary()
            self.served.heed()
            self.conversations.log("canary", "stopped", f"{canary.name}: {reason}")
            log.warning("the canary %s is stopped: %s", canary.name, reason)
        return reason

    def _run(self) -> None:
        looked = time.monotonic()
        while not self._over.wait(_FOLLOWED_SECONDS):
            try:
                self.served.heed()
                if time.monotonic() - looked >= _EVERY_SECONDS:
                    looked = time.monotonic()
                    self.look()
            except Exception:  # the next look may succeed
                log.exception("the canary could not be looked at")
