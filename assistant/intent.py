"""Route an utterance to an intent, and an intent to the skill that serves it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np

from assistant.explain import word_weights
from assistant.types import Intent, WordWeight
from knowledge.intent_classifier import OUT_OF_SCOPE, IntentClassifier

Skill = Literal[
    "knowledge", "orders", "products", "recommendations", "small_talk", "person"
]  # fmt: skip
ORDER_STATUS = "order_status"
PRODUCT_SEARCH, PRODUCT_INFO, SIZE_HELP = "product_search", "product_info", "size_help"
BOT_IDENTITY = "bot_identity"
UNKNOWN = Intent("unknown", 0.0)
_SKILL_OF: dict[str, Skill] = {
    "greeting": "small_talk",
    "thanks": "small_talk",
    BOT_IDENTITY: "small_talk",
    "human_agent": "person",
    ORDER_STATUS: "orders",
    PRODUCT_SEARCH: "products",
    PRODUCT_INFO: "products",
}
_RANKED = 3


class Router:
    """A trained classifier, and the bands in which it is believed."""

    def __init__(self, classifier: IntentClassifier) -> None:
        self.classifier = classifier
        self.word_weights = lru_cache(maxsize=512)(self._word_weights)

    def route(self, text: str, language: str) -> Intent:
        """The most likely intent with the next ones; out of scope where none is likely and the
        language is one that the classifier was taught."""
        manifest = self.classifier.manifest
        probabilities = self.classifier.probabilities([text])[0]
        order = np.argsort(-probabilities)[:_RANKED]
        ranked = [(manifest.labels[n], round(float(probabilities[n]), 4)) for n in order]
        best = ranked[0][1]
        advice = manifest.bands.advice(best)
        # Who may be asking for a person is never told that the shop does not deal with that.
        is_told = advice == "out_of_scope" and manifest.knows(language)
        if is_told and _SKILL_OF.get(ranked[0][0]) != "person":
            return Intent(OUT_OF_SCOPE, round(1 - best, 4), tuple(ranked[:-1]))
        # What it cannot read looks like a question about the assistant itself.
        is_read = manifest.knows(language) or ranked[0][0] != BOT_IDENTITY
        sure = advice == "route" and is_read
        either = () if sure else self._either(ranked[:2])
        return Intent(*ranked[0], tuple(ranked[1:]), is_sure=sure, either=either)

    def _word_weights(self, text: str, intent: str) -> tuple[WordWeight, ...]:
        """Which words of a text moved an intent; none for what the classifier has no label for."""
        labels = self.classifier.manifest.labels
        if intent not in labels:
            return ()
        return word_weights(self.classifier.probabilities, text, labels.index(intent))

    def _either(self, ranked: Sequence[tuple[str, float]]) -> tuple[str, ...]:
        """The two, where it is likely one of them and both are questions for the knowledge base:
        who may want a person is not asked first. Several intents at once are no either-or."""
        manifest, names = self.classifier.manifest, tuple(name for name, _ in ranked)
        likely = sum(probability for _, probability in ranked) >= manifest.bands.sure
        told = {"small_talk", "person"} & {_SKILL_OF.get(name) for name in names}
        return names if likely and not manifest.several and not told else ()

    def skill(self, intent: Intent) -> Skill:
        """The skill that serves intent; where it is unsure, the knowledge base is asked."""
        return _SKILL_OF.get(intent.name, "knowledge") if intent.is_sure else "knowledge"
