"""What a reply says of itself: words, places, reasons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from assistant.contract import reply_to_json, trace_of
from assistant.explain import plain_reason, span_of, word_weights
from assistant.types import (
    Answer,
    CheckedSentence,
    Citation,
    Clarify,
    Evidence,
    Handoff,
    Outcome,
    Refuse,
    Utterance,
)
from knowledge.encoder import Encoder
from knowledge.language import Detector
from tests.assistant.fakes import PASSAGE, assistant_with

TEXT = "Boots come back within 30 days.\nSocks stay with you, whatever the reason."


def piece(text: str = TEXT) -> Evidence:
    return Evidence("a#1", "passage", "a", "Returns › Boots", text, "en", 0.9)


def additive(texts: Sequence[str]) -> Any:
    """ "refund" adds .6, "not" takes .2, to .1; any other word nothing."""
    values = [0.1 + 0.6 * ("refund" in t) - 0.2 * ("not" in t.split()) for t in texts]
    return np.array([[1 - v, v] for v in values])


def test_the_weight_of_a_word_is_what_it_adds() -> None:
    found = {w.word: w.weight for w in word_weights(additive, "I want a refund, not today", 1)}
    assert found == {"I": 0, "want": 0, "a": 0, "refund": 0.6, "not": -0.2, "today": 0}


def test_weights_sum_to_what_the_message_adds_to_nothing() -> None:
    def jointly(texts: Sequence[str]) -> Any:
        """Both words together say more than each alone."""
        values = [0.9 if "lost" in t and "parcel" in t else 0.3 if t else 0.2 for t in texts]
        return np.array([[v] for v in values])

    found = word_weights(jointly, "lost my parcel", 0)
    assert sum(w.weight for w in found) == pytest.approx(0.7, abs=0.001)
    assert found[0].weight == pytest.approx(found[2].weight, abs=0.1)


def test_chinese_words_are_weighed_too_and_nothing_has_no_weights() -> None:
    found = word_weights(lambda texts: np.array([[len(t) / 10] for t in texts]), "我要退货", 0)
    assert "".join(w.word for w in found) == "我要退货"
    assert word_weights(additive, "?!", 1) == ()


def test_a_sentence_has_its_place_word_for_word_or_by_what_it_shares() -> None:
    exact = CheckedSentence("Boots come back within 30 days.", True, "a#1")
    start, end = span_of(exact, [piece()]) or (0, 0)
    assert TEXT[start:end] == exact.text
    reworded = CheckedSentence("You keep the socks whatever the reason is.", True, "a#1")
    start, end = span_of(reworded, [piece()]) or (0, 0)
    assert TEXT[start:end] == "Socks stay with you, whatever the reason."
    assert span_of(CheckedSentence("Something else entirely.", True, "a#1"), [piece()]) is None
    assert span_of(exact, []) is None


CITED = (Citation("a#1", "a", "Returns › Boots", "x"),)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Answer("x", (), CITED), "I quoted “Returns” because"),
        (Answer("x", (), CITED, "lm"), "in my own words from “Returns”"),
        (Answer("Hello!", (), (), reason="small_talk:greeting"), ""),
        (Clarify("Which?", "retrieval:unsure"), "none answers your question surely"),
        (Handoff("x", "retrieval:unsupported"), "only say what our pages support"),
        (Handoff("x", "customer:asked"), ""),
        (Refuse("x", "intent:out_of_scope"), "not about what"),
        (Refuse("x", "safety:injection"), ""),
    ],
)
def test_the_customer_is_told_why_where_the_reply_does_not_say_it(
    outcome: Outcome, expected: str
) -> None:
    found = plain_reason(outcome, "en")
    assert expected in found if expected else found == ""


def test_a_trace_says_where_sentences_stand_and_a_reply_why(
    encoder: Encoder, detector: Detector
) -> None:
    assistant = assistant_with(encoder, detector)
    reply = assistant.respond(Utterance("How long can I return it?"))
    (resting, *_) = trace_of(reply)["rests_on"]
    start, end = resting["span"]
    assert PASSAGE.text[start:end] == resting["sentence"]
    assert "I quoted" in reply_to_json(reply)["explanation"]
