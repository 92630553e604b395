"""Routing: what the bands of a classifier mean for a turn."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from assistant.intent import Router
from knowledge.intent_classifier import OUT_OF_SCOPE, Bands, IntentClassifier, Manifest

LABELS = ("greeting", "human_agent", "returns", "shipping_info")


def router(*probabilities: float, labels: tuple[str, ...] = LABELS) -> Router:
    """One whose classifier gives these probabilities to the labels."""

    def fixed(texts: Sequence[str]) -> Any:
        return np.array([probabilities] * len(texts))

    manifest = Manifest(labels, 1.0, Bands(0.4, 0.7), languages=("en", "zh"))
    return Router(cast(IntentClassifier, SimpleNamespace(manifest=manifest, probabilities=fixed)))


@pytest.mark.parametrize(
    ("probabilities", "name", "skill"),
    [
        ((0.9, 0.05, 0.03, 0.02), "greeting", "small_talk"),
        ((0.05, 0.9, 0.03, 0.02), "human_agent", "person"),
        ((0.03, 0.05, 0.9, 0.02), "returns", "knowledge"),
        ((0.6, 0.2, 0.1, 0.1), "greeting", "knowledge"),
        ((0.3, 0.25, 0.25, 0.2), OUT_OF_SCOPE, "knowledge"),
        ((0.2, 0.35, 0.25, 0.2), "human_agent", "knowledge"),
    ],
)
def test_a_sure_intent_has_its_skill_and_an_unsure_one_asks_the_knowledge_base(
    probabilities: tuple[float, ...], name: str, skill: str
):
    with_bands = router(*probabilities)
    intent = with_bands.route("hello", "en")
    assert intent.name == name
    assert with_bands.skill(intent) == skill


def test_alternatives_are_the_next_likely_ones():
    intent = router(0.1, 0.05, 0.8, 0.05).route("send it back", "en")
    assert (intent.confidence, intent.alternatives[0]) == (0.8, ("greeting", 0.1))
    outside = router(0.3, 0.25, 0.25, 0.2).route("who wrote hamlet", "en")
    assert (outside.confidence, outside.alternatives[0]) == (0.7, ("greeting", 0.3))


def test_between_two_intents_both_are_named_and_between_many_none():
    assert router(0.1, 0.05, 0.5, 0.35).route("it came broken", "en").either == (
        "returns",
        "shipping_info",
    )
    assert router(0.2, 0.15, 0.45, 0.2).route("something else", "en").either == ()
    assert router(0.05, 0.35, 0.5, 0.1).route("complain to someone", "en").either == ()
    assert router(0.0, 0.0, 0.8, 0.2).route("send it back", "en").either == ()


def test_nothing_is_out_of_scope_in_a_language_that_was_not_taught():
    unlikely = router(0.3, 0.25, 0.25, 0.2)
    assert unlikely.route("wer schrieb hamlet", "de").name == "greeting"
    assert unlikely.route("wer schrieb hamlet", "de").is_sure is False
    assert unlikely.route("谁写了哈姆雷特", "zh").name == OUT_OF_SCOPE


def test_a_question_that_it_cannot_read_is_not_taken_for_one_about_the_assistant():
    labels = ("bot_identity", "greeting", "returns", "account")
    asked = router(0.8, 0.1, 0.05, 0.05, labels=labels)
    assert asked.skill(asked.route("Who are you?", "en")) == "small_talk"
    assert asked.skill(asked.route("Wie lösche ich mein Konto?", "de")) == "knowledge"
    greeted = router(0.1, 0.8, 0.05, 0.05, labels=labels)
    assert greeted.skill(greeted.route("Hallo", "de")) == "small_talk"
