"""Route an utterance to an intent, and an intent to the skill that serves it."""

from __future__ import annotations

from typing import Literal

import numpy as np

from assistant.types import Intent
from knowledge.classify import TextClassifier, features
from knowledge.encoder import Vectors

Skill = Literal["knowledge", "small_talk", "person"]
OUT_OF_SCOPE = "out_of_scope"
UNKNOWN = Intent("unknown", 0.0)
_SKILL_OF: dict[str, Skill] = {
    "greeting": "small_talk",
    "thanks": "small_talk",
    "bot_identity": "small_talk",
    "human_agent": "person",
}


class Router:
    """The encoder's vector and hashed terms through a calibrated linear head."""

    def __init__(self, classifier: TextClassifier, sure: float) -> None:
        self.classifier = classifier
        self.sure = sure

    def route(self, text: str, vector: Vectors, known: float) -> Intent:
        """The most likely intent with its probability and the two next ones."""
        probabilities = self.classifier.probabilities(features(text, vector, known))
        order = np.argsort(-probabilities)[:3]
        ranked = [(self.classifier.labels[i], round(float(probabilities[i]), 4)) for i in order]
        return Intent(*ranked[0], alternatives=tuple(ranked[1:]))

    def skill(self, intent: Intent) -> Skill:
        """The skill that serves intent; below the sure band, the knowledge base is asked."""
        if intent.confidence < self.sure:
            return "knowledge"
        return _SKILL_OF.get(intent.name, "knowledge")
