"""Order look-ups in a conversation: who is identified, and what is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assistant import phrases
from assistant.build import with_store
from assistant.conversations import Conversations, StoredMessage
from assistant.errors import RecordsError
from assistant.orders.identification import MOST_TRIES
from assistant.orders.skill import OrderSkill
from assistant.orders.telling import status_of
from assistant.records.seam import Records
from assistant.records.sqlite import SqliteRecords
from assistant.service import ChatService
from assistant.settings import OrderSettings
from assistant.types import Handoff
from knowledge.encoder import Encoder
from knowledge.language import Detector
from tests.assistant.fakes import FixedRouter, FixedSkill, assistant_with
from tests.assistant.records.test_records import ADA, BEN, ORDERS

NUMBER = OrderSettings().number  # type: ignore[call-arg]
NOTHING = FixedSkill(outcome=Handoff("I could not find this.", "retrieval:unsupported"))


class Broken:
    """A system that cannot be reached."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        def fail(*_: object) -> None:
            raise RecordsError("timed out")

        return fail


class Talk:
    """A shop whose orders can be looked up, and conversations with it."""

    def __init__(
        self,
        store: Conversations,
        records: Records,
        encoder: Encoder,
        detector: Detector,
        intent: str = "order_status",
        knowledge: FixedSkill = NOTHING,
        confidence: float = 0.9,
    ) -> None:
        router = FixedRouter(intent, confidence)
        assistant = assistant_with(encoder, detector, router=router, skill=knowledge)
        skill = OrderSkill(records, NUMBER, knowledge)
        assistant.skills = {**assistant.skills, "orders": skill}
        assistant = with_store(assistant, store)
        self.service = ChatService(assistant, store)

    def start(self, customer: str | None = None) -> str:
        return self.service.start("en", customer).id

    def say(self, conversation: str, text: str) -> StoredMessage:
        said = self.service.send(conversation, text)
        assert said is not None
        return said

    def reason(self, conversation: str, text: str) -> str:
        reply = self.say(conversation, text).reply
        assert reply is not None
        return str(reply["reason"])


@pytest.fixture
def store(tmp_path: Path) -> Conversations:
    return Conversations.in_home(tmp_path)


@pytest.fixture
def records(tmp_path: Path) -> SqliteRecords:
    return SqliteRecords.create(tmp_path / "records.sqlite", (ADA, BEN), ORDERS)


@pytest.fixture
def talk(
    store: Conversations, records: SqliteRecords, encoder: Encoder, detector: Detector
) -> Talk:
    return Talk(store, records, encoder, detector)


def test_an_order_is_told_to_who_knows_its_number_and_address(talk: Talk) -> None:
    mine = talk.start()
    assert talk.reason(mine, "Where is my order?") == "orders:unidentified"
    assert talk.reason(mine, "MW-10001") == "orders:email"
    told = talk.say(mine, "ada@shop.example")
    assert told.reply is not None
    assert told.reply["outcome"] == "answer"
    assert told.text.splitlines()[0] == (
        "Order MW-10001 of 1 November 2026: Boots (40), £84.90 in all."
    )
    assert "under the tracking number T1" in told.text
    assert [c["evidence_id"] for c in told.reply["citations"]] == ["order:MW-10001"]
    assert all(s["supported"] for s in told.reply["sentences"])


def test_who_is_identified_once_is_not_asked_again(talk: Talk, store: Conversations) -> None:
    mine = talk.start()
    talk.say(mine, "Where is MW-10001? I am ada@shop.example")
    assert talk.reason(mine, "and MW-10002?") == "orders:status"
    held = store.get(mine)
    assert held is not None
    assert held.customer_id == "C-1"
    assert store.audit()[0]["what"] == "identified"


def test_a_known_customer_is_told_of_the_order_that_is_under_way(
    store: Conversations, tmp_path: Path, encoder: Encoder, detector: Detector
) -> None:
    over = replace(ORDERS[1], state="delivered")
    records = SqliteRecords.create(tmp_path / "r.sqlite", (ADA,), (ORDERS[0], over))
    talk = Talk(store, records, encoder, detector)
    assert "MW-10001" in talk.say(talk.start("C-1"), "Where is my order?").text


def test_of_several_the_customer_chooses(talk: Talk) -> None:
    mine = talk.start("C-1")
    asked = talk.say(mine, "Where is my order?")
    assert asked.reply is not None
    assert asked.reply["reason"] == "orders:several"
    assert asked.reply["choices"] == ["MW-10002", "MW-10001"]
    assert "MW-10002" in talk.say(mine, "MW-10002").text


def test_another_customers_order_is_as_one_that_is_not_there(talk: Talk) -> None:
    mine = talk.start("C-1")
    other, none = (talk.say(mine, f"Where is {n}?").text for n in ("MW-20001", "MW-99999"))
    assert other.replace("MW-20001", "MW-99999") == none
    assert "Boots" not in other


def test_a_conversation_stays_with_whom_it_belongs_to(talk: Talk) -> None:
    mine = talk.start("C-1")
    assert talk.reason(mine, "MW-20001 ben@shop.example") == "orders:unknown"


def test_an_order_that_an_agent_named_identifies_nobody(talk: Talk) -> None:
    mine = talk.start()
    talk.service.hand_off(mine)
    talk.service.take_over(mine, "Mina")
    talk.service.reply_as(mine, "Mina", "Is it MW-10001, ada@shop.example?")
    talk.service.hand_back(mine, "Mina")
    assert talk.reason(mine, "Where is my order?") == "orders:unidentified"


def test_guessing_ends_with_a_person_in_one_conversation_and_over_many(talk: Talk) -> None:
    mine = talk.start()
    talk.say(mine, "Where is MW-10001?")
    reasons = [talk.reason(mine, f"guess{n}@shop.example") for n in range(MOST_TRIES)]
    assert reasons == ["orders:unknown"] * MOST_TRIES
    assert talk.reason(mine, "ada@shop.example") == "orders:too_often"
    # The right address does not help either, from wherever it comes, until a day is over.
    assert talk.reason(talk.start(), "MW-10001 ada@shop.example") == "orders:too_often"
    assert talk.reason(talk.start(), "MW-20001 ben@shop.example") == "orders:status"


def test_a_typing_error_costs_nothing_once_it_is_mended(talk: Talk) -> None:
    for _ in range(MOST_TRIES):
        mine = talk.start()
        assert talk.reason(mine, "MW-10001 adda@shop.example") == "orders:unknown"
        assert talk.reason(mine, "ada@shop.example") == "orders:status"


def test_a_system_that_is_away_leads_to_a_person(
    store: Conversations, encoder: Encoder, detector: Detector
) -> None:
    talk = Talk(store, Broken(), encoder, detector)  # type: ignore[arg-type]
    assert talk.reason(talk.start(), "MW-10001 ada@shop.example") == "orders:records"
    assert talk.reason(talk.start("C-1"), "Where is my order?") == "orders:records"


def test_what_the_pages_answer_is_answered_from_them(
    store: Conversations, records: SqliteRecords, encoder: Encoder, detector: Detector
) -> None:
    from tests.assistant.fakes import PASSAGE

    talk = Talk(store, records, encoder, detector, knowledge=FixedSkill(PASSAGE))
    said = talk.say(talk.start(), "How do I follow a parcel?")
    assert said.reply is not None
    assert said.reply["citations"][0]["evidence_id"] == "returns#0"


@pytest.mark.parametrize(
    ("intent", "confidence", "text", "reason"),
    [
        ("greeting", 0.9, "MW-10001", "orders:email"),
        ("order_status", 0.4, "Wo bleibt denn meine Bestellung MW-10001?", "orders:email"),
        ("delivery_problem", 0.9, "The boots of MW-10001 came with a torn sole", "retrieval:unsupported"),
        ("human_agent", 0.9, "MW-10001", "customer:asked"),
        ("returns", 0.9, "my address is ada@shop.example now", "retrieval:unsupported"),
    ],
)  # fmt: skip
def test_what_is_about_an_order_and_what_is_not(
    intent: str, confidence: float, text: str, reason: str,
    store: Conversations, records: SqliteRecords, encoder: Encoder, detector: Detector,
) -> None:  # fmt: skip
    talk = Talk(store, records, encoder, detector, intent, NOTHING, confidence)
    assert talk.reason(talk.start(), text) == reason


@pytest.mark.parametrize("language", phrases.languages())
def test_every_state_has_words_in_every_language(language: str) -> None:
    states = [k for k in phrases._phrases("en") if k.startswith("order_state_")]
    assert len(states) > 15
    for state in states:
        told = status_of(replace(ORDERS[0], state=state.removeprefix("order_state_")), language)
        assert phrases._phrases(language)[state].split("{")[0] in told
    odd = status_of(replace(ORDERS[0], state="on_the_moon"), language)
    assert "on the moon" in odd


def test_what_is_not_known_is_not_told() -> None:
    bare = replace(
        ORDERS[0], parcels=(), earliest=None, latest=None, changed=None, state="delivered"
    )
    assert status_of(bare, "en").splitlines() == [
        "Order MW-10001 of 1 November 2026: Boots (40), £84.90 in all.",
        "It has been delivered.",
    ]
    late = replace(ORDERS[0], latest=date(2026, 12, 1), earliest=None)
    assert "between 1 December 2026 and 1 December 2026" in status_of(late, "en")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_words_of_one_customer_bring_out_anothers_order(data: st.DataObject, talk: Talk) -> None:
    """Ada, known or not, says whatever; nothing of Ben's order is ever shown."""
    mine = talk.start(data.draw(st.sampled_from([None, "C-1"])))
    pieces = st.sampled_from(
        ["MW-20001", "MW-10001", "ada@shop.example", "where is", "my order", "it is Ben's", "C-2"]
    )
    for words in data.draw(st.lists(st.lists(pieces, min_size=1, max_size=4), max_size=3)):
        said = talk.service.send(mine, " ".join(words))
        if said is None:  # a person has taken over
            return
        assert "2 November 2026" not in said.text
        cited = [c["evidence_id"] for c in (said.reply or {})["citations"]]
        assert "order:MW-20001" not in cited
