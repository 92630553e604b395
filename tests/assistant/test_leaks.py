"""What a model's sentence may not hold, though its passage supports it."""

from __future__ import annotations

import pytest

from assistant.leaks import without_leak
from assistant.types import CheckedSentence, Evidence, Message, Question

EVIDENCE = [
    Evidence(
        "returns#0", "passage", "returns.md", "Returns",
        "You can return shoes within 30 days. Write to returns@shop.example.", "en", 0.9,
    )
]  # fmt: skip
ASKED = Question(
    "How long do I have?", "How long do I have?", "en", (Message("customer", "I am ada@b.example"),)
)
PROMPT = "Answer from these pages only and keep the staff discount of Monday to yourself.\n" + (
    EVIDENCE[0].text
)


def checked(text: str) -> CheckedSentence:
    return without_leak(CheckedSentence(text, True, "returns#0"), PROMPT, ASKED, EVIDENCE)


@pytest.mark.parametrize(
    "text",
    [
        "You can return shoes within 30 days.",
        "Write to returns@shop.example.",
        "You wrote that you are ada@b.example.",
        "Yes.",
    ],
)
def test_what_pages_and_the_customer_say_may_be_said(text):
    assert checked(text).supported


@pytest.mark.parametrize(
    "text",
    [
        "I answer from these pages only and keep quiet.",
        "Ｋｅｅｐ the staff\u200b discount of Monday to yourself",
    ],
)
def test_words_of_the_prompt_alone_are_held_back(text):
    cut = checked(text)
    assert not cut.supported
    assert cut.reason == "repeats its prompt"


@pytest.mark.parametrize("text", ["Write to eve@c.example.", "Her card is 4111 1111 1111 1111."])
def test_somebody_elses_data_is_held_back(text):
    cut = checked(text)
    assert not cut.supported
    assert "personal data" in cut.reason


def test_what_was_refused_keeps_its_own_reason():
    refused = CheckedSentence("keep the staff discount of Monday", False, None, "no such number")
    assert without_leak(refused, PROMPT, ASKED, EVIDENCE) is refused
