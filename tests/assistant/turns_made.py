"""Finished turns for those who observe them."""

from __future__ import annotations

import time

from assistant.announcements import TurnFinished, turn_scope
from assistant.types import (
    Answer,
    CheckedSentence,
    Citation,
    GeneratorName,
    Handoff,
    Intent,
    Outcome,
    Reply,
)
from assistant.usage import Usage

SAID = "Your parcel for ada@customer.example is at 12 Mill Lane."
CONVERSATION = "k3Jx-conversation-of-ada"
_SUPPORTED = CheckedSentence(SAID, True, "returns#0")
_UNSUPPORTED = CheckedSentence("It is free for 90 days.", False, "returns#0", "90 is not in it")


def answer(generator: GeneratorName = "quote") -> Answer:
    cited = (Citation("returns#0", "returns.md", "Returns", SAID, SAID),)
    return Answer(SAID, (_SUPPORTED, _SUPPORTED), cited, generator)


def handoff(reason: str = "pipeline:error") -> Handoff:
    return Handoff("A colleague of Ada's will take over.", reason)


def finished(outcome: Outcome | None = None, usage: Usage | None = None) -> TurnFinished:
    """A turn of 2 s, of which it waited for 0.5 s."""
    reply = Reply(
        outcome or answer(),
        "en",
        Intent("return_policy", 0.9),
        latency_ms={"language": 2.0, "intent": 8.0, "retrieval": 400.0, "generation": 900.0,
                    "grounding": 100.0, "total": 1450.0},
        dropped=(_UNSUPPORTED,),
        standalone=f"Where is it? {SAID}",
        prompt=f"Passages: {SAID}",
        version="20260901-080000-000000",
        first_sentence_ms=700.0,
        stages_ms={"language": (0.0, 2.0), "intent": (3.0, 11.0), "retrieval": (11.0, 411.0),
                   "generation": (411.0, 1440.0), "grounding": (700.0, 1450.0)},
        usage=usage or Usage(),
    )  # fmt: skip
    with turn_scope() as turn:
        return TurnFinished(turn, CONVERSATION, reply, 2.0, 0.5, time.time())
