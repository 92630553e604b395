"""A scripted assistant that announces what it does."""

from __future__ import annotations

import time

from assistant.types import Answer, Reply, SentenceReady, StageStarted, Utterance
from assistant.watch import Listener, ignore
from tests.staffing import ScriptedAssistant


class Announcing(ScriptedAssistant):
    """Announces what it does, as the pipeline does; `slow` questions can be stopped."""

    def respond(self, utterance: Utterance, listen: Listener = ignore) -> Reply:
        listen(StageStarted("retrieval", "en"))
        if "slow" in utterance.text:
            for _ in range(200):
                time.sleep(0.05)
                listen(StageStarted("generation", "en"))
        reply = super().respond(utterance)
        if isinstance(reply.outcome, Answer):
            for sentence in reply.outcome.sentences:
                listen(SentenceReady(sentence))
        return reply
