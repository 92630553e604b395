"""The hand-off card, in English and Chinese."""

from __future__ import annotations

from typing import Any

import pytest

from assistant.conversations import Conversation, StoredMessage
from assistant.handoff_card import Collected, Doubt, HandoffCard, Tried, card_of, doubts_of

IN_2026 = 1.79e9


def talk(*said: tuple[str, str, dict[str, Any] | None], **known: Any) -> HandoffCard:
    values = {
        "id": "a", "state": "waiting", "language": "", "customer_id": None, "agent": None,
        "reason": "", "created": IN_2026, "updated": IN_2026,
    }  # fmt: skip
    contact, verdicts = known.pop("contact", ""), known.pop("verdicts", {})
    messages = [
        StoredMessage(n, str(n), role, text, reply, IN_2026)  # type: ignore[arg-type]
        for n, (role, text, reply) in enumerate(said, 1)
    ]
    return card_of(Conversation(**values | known), messages, verdicts, contact)


def customer(text: str) -> tuple[str, str, None]:
    return "customer", text, None


def answer(text: str, *titles: str) -> tuple[str, str, dict[str, Any]]:
    return "assistant", text, {"outcome": "answer", "citations": [{"title": t} for t in titles]}


def test_the_summary_is_the_customers_own_words() -> None:
    first, second, third = (
        "How long may I return   shoes that I wore?",
        "They cost 59 pounds and the sole came off",
        "So will I get my money back or not?",
    )
    card = talk(
        customer("Hi"), customer(first), customer("ok"), customer("And boots that are unworn?"),
        customer(second), customer(second), customer(third), customer("Thanks"),
    )  # fmt: skip
    assert card.first == "How long may I return shoes that I wore?"
    assert card.since == (second, third)
    assert card.left_out == 5


def test_the_summary_in_chinese() -> None:
    card = talk(
        customer("你好"), customer("收到的盘子碎了怎么办？"), customer("可以换新的盘子吗？")
    )
    assert card.first == "收到的盘子碎了怎么办？"
    assert card.since == ("可以换新的盘子吗？",)
    assert card.left_out == 1


def test_a_long_message_is_cut_and_a_greeting_is_better_than_nothing() -> None:
    card = talk(customer("broken plates " * 50))
    assert len(card.first) <= 240
    assert card.first.endswith("…")
    assert talk(customer("Hi")).first == "Hi"
    assert talk() == HandoffCard("", (), 0, (), (), "", ())


def test_what_was_collected_in_english() -> None:
    card = talk(
        customer("My order MW-1234567 of 3 March cost £1,025.90, post it to Brisbane please"),
        answer("Orders: MW-7654321, 5 May, £3, Canada."),
        customer("Write to ann@example.com, order mw-1234567, by 11/05/2026, or to Scotland"),
        customer_id="C-1",
        contact="ann@home.example",
    )
    assert card.collected == (
        Collected("customer", "C-1"),
        Collected("order", "MW-1234567"),
        Collected("email", "ann@home.example"),
        Collected("email", "ann@example.com"),
        Collected("country", "Australia"),
        Collected("country", "Scotland"),
        Collected("date", "3 March"),
        Collected("date", "11/05/2026"),
        Collected("amount", "£1,025.90"),
    ), "what the assistant said is not the customer's"


def test_what_was_collected_in_chinese() -> None:
    card = talk(customer("订单MW-1234567，11月5日下单，付了199元，寄到英国，电话13800138000"))
    assert [(c.kind, c.value) for c in card.collected] == [
        ("order", "MW-1234567"), ("phone", "13800138000"), ("country", "英国"), ("date", "11月5日"),
        ("amount", "199元"),
    ]  # fmt: skip


@pytest.mark.parametrize("text", [
    "My card is 4111 1111 1111 1111", "My password is hunter2!", "[EMAIL_1] said so",
    "I want 2 of the 3 items", "密码是abc12345",
])  # fmt: skip
def test_secrets_and_plain_numbers_are_not_collected(text: str) -> None:
    assert talk(customer(text)).collected == ()


def test_what_was_tried_with_sources_and_verdicts() -> None:
    clarify = ("assistant", "Which?", {"outcome": "clarify", "citations": []})
    card = talk(
        customer("Return shoes?"), clarify, answer("30 days.", "Returns", "Shoes"),
        answer("14 days."), verdicts={3: (False, "wrong shop")},
    )  # fmt: skip
    assert card.tried == (
        Tried("30 days.", ("Returns", "Shoes"), False, "wrong shop"),
        Tried("14 days.", (), None, ""),
    )


def test_why_it_was_handed_over_and_what_was_doubted() -> None:
    dropped = [{"text": "90 days.", "reason": "number not in the evidence: 90"}]
    reply = {
        "outcome": "handoff", "reason": "grounding:unsupported", "trace": {"dropped": dropped},
    }  # fmt: skip
    said = (customer("Return shoes?"), ("assistant", "I pass you on.", reply))
    card = talk(*said)
    assert card.reason == "grounding:unsupported"
    assert card.doubts == (Doubt("90 days.", "number not in the evidence: 90"),)
    assert talk(*said, reason="customer:asked").reason == "customer:asked"


def test_an_unsure_intent_is_a_doubt_where_no_sentence_was_dropped() -> None:
    reply = {"intent": "returns", "intent_confidence": 0.414, "trace": {"sure": False}}
    assert doubts_of(reply) == (Doubt(intent="returns", percent=41),)
    assert doubts_of(reply | {"trace": {"sure": True}}) == ()
    assert doubts_of(reply | {"trace": {}}) == (), "stored before it was told"
    assert doubts_of({}) == ()
