"""Changes of orders in a conversation: what is asked, proposed, agreed to and done."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assistant import phrases
from assistant.conversations import Conversations
from assistant.errors import ChangeRefusedError
from assistant.orders.wishes import names_wholly, says, wish
from assistant.records.changes import (
    Cancel,
    Case,
    Change,
    Readdress,
    Repay,
    Return,
    Swap,
    objection,
    worth,
)
from assistant.records.sqlite import SqliteRecords
from assistant.records.types import Allowed, Item, Order, Payment, Variant
from knowledge.encoder import Encoder
from knowledge.language import Detector
from tests.assistant.records.test_records import ADA, BEN, ORDERS, SIZES
from tests.assistant.test_orders import Talk

SOON, PAST = (datetime.now() + timedelta(days=sign * 30) for sign in (1, -1))
BOOTS = ORDERS[0].items[0]
SOCKS = Item("2", "P-2", "Wool socks", (), 2, Decimal("9.50"), "delivered")
SEALED = Item("3", "P-3", "Earplugs", (), 1, Decimal("4.00"), "delivered", returnable=False)
UNSENT = Allowed(cancel_until=SOON, address_until=SOON)
OPEN = replace(ORDERS[0], state="placed", allowed=UNSENT)
HERE = replace(
    ORDERS[1], state="delivered", items=(BOOTS, SOCKS, SEALED),
    allowed=Allowed(return_until=SOON, swap_until=SOON),
)  # fmt: skip
BENS = replace(ORDERS[2], allowed=Allowed(cancel_until=SOON, return_until=SOON, address_until=SOON))


@pytest.fixture
def store(tmp_path: Path) -> Conversations:
    return Conversations.in_home(tmp_path)


@pytest.fixture
def records(tmp_path: Path) -> SqliteRecords:
    return SqliteRecords.create(tmp_path / "records.sqlite", (ADA, BEN), (OPEN, HERE, BENS), SIZES)


@pytest.fixture
def talk(
    store: Conversations, records: SqliteRecords, encoder: Encoder, detector: Detector
) -> Talk:
    return Talk(store, records, encoder, detector, "order_change")


def made(records: SqliteRecords) -> list[tuple[str, str]]:
    """Customers and orders of what was changed."""
    with closing(sqlite3.connect(records.path)) as connection:
        return connection.execute("SELECT customer_id, number FROM changes").fetchall()


def reasons(talk: Talk, conversation: str, *texts: str) -> list[str]:
    return [talk.reason(conversation, text) for text in texts]


def case(order: Order) -> Case:
    return Case(order, ADA, {v.id: v for v in SIZES})


def objected(change: Change, order: Order | None) -> str:
    return objection(change, case(order) if order else None, datetime.now())


def now_of(records: SqliteRecords, order: Order) -> Order:
    found = records.order(order.customer_id, order.number)
    assert found is not None
    return found


def test_an_order_is_cancelled_when_its_customer_agrees(
    talk: Talk, records: SqliteRecords, store: Conversations
) -> None:
    mine = talk.start()
    asked = reasons(talk, mine, "Please cancel my order", "MW-10001", "ada@shop.example")
    assert asked == ["orders:unidentified", "orders:email", "orders:confirm"]
    assert now_of(records, OPEN).state == "placed"
    done = talk.say(mine, "Yes, please do")
    assert done.reply is not None
    assert done.reply["reason"] == "orders:done"
    assert done.text.startswith("Done, order MW-10001 is cancelled.\nOrder MW-10001 of")
    assert [c["evidence_id"] for c in done.reply["citations"]] == ["order:MW-10001"]
    assert now_of(records, OPEN).state == "cancelled"
    assert store.audit()[0]["what"] == "order_cancel"
    # Agreeing once more changes nothing more.
    talk.say(mine, "yes")
    assert made(records) == [("C-1", "MW-10001")]


def test_items_are_chosen_by_name_and_only_those_come_back(
    talk: Talk, records: SqliteRecords
) -> None:
    mine = talk.start("C-1")
    asked = talk.say(mine, "I want to send something back")
    assert asked.reply is not None
    assert asked.reply["choices"] == ["Boots", "Wool socks", "Everything"]
    assert "Earplugs" not in asked.text
    proposed = talk.say(mine, "the wool socks")
    assert "2 × Wool socks" in proposed.text
    assert "£19.00" in proposed.text
    assert talk.reason(mine, "ok") == "orders:done"
    after = now_of(records, HERE)
    assert [i.state for i in after.items] == ["shipped", "return_requested", "delivered"]
    # The boots can still come back, the socks cannot come back twice.
    assert objected(Return(HERE.number, ("1",)), after) == ""
    assert objected(Return(HERE.number, ("2",)), after) == "item"


def test_everything_is_what_may_come_back(talk: Talk, records: SqliteRecords) -> None:
    mine = talk.start("C-1")
    said = reasons(talk, mine, "please return my order", "Everything", "yes")
    assert said == ["orders:items", "orders:confirm", "orders:done"]
    states = [i.state for i in now_of(records, HERE).items]
    assert states == ["return_requested", "return_requested", "delivered"]


def test_an_address_is_shown_again_before_it_holds(talk: Talk, records: SqliteRecords) -> None:
    mine = talk.start("C-1")
    said = reasons(
        talk, mine, "I need to change the address of my order", "12 Mill Lane,\nYork YO1"
    )
    assert said == ["orders:address", "orders:confirm"]
    assert talk.say(mine, "yes").text.startswith("Done, order MW-10001 goes to: 12 Mill Lane, York")
    assert now_of(records, OPEN).address == "12 Mill Lane, York YO1"


@pytest.mark.parametrize("answer", ["No, leave it", "never mind", "nope"])
def test_who_does_not_agree_changes_nothing(
    talk: Talk, records: SqliteRecords, answer: str
) -> None:
    mine = talk.start("C-1")
    assert reasons(talk, mine, "cancel my order", answer) == ["orders:confirm", "orders:dropped"]
    talk.say(mine, "yes")
    assert made(records) == []


def test_a_question_between_is_answered_and_the_proposal_made_again(
    talk: Talk, records: SqliteRecords
) -> None:
    mine = talk.start("C-1")
    said = reasons(talk, mine, "cancel my order", "where is MW-10002?", "yes")
    assert said == ["orders:confirm", "orders:status", "orders:confirm"]
    assert made(records) == []
    assert talk.reason(mine, "yes") == "orders:done"


def test_agreeing_with_conditions_is_not_agreeing(talk: Talk, records: SqliteRecords) -> None:
    mine = talk.start("C-1")
    reasons(talk, mine, "cancel my order", "yes but not the boots")
    assert made(records) == []


def test_another_thing_takes_the_place_of_the_first(talk: Talk, records: SqliteRecords) -> None:
    mine = talk.start("C-1")
    said = reasons(talk, mine, "cancel my order", "no wait, I want to send the boots back", "yes")
    assert said[0] == "orders:confirm"
    assert made(records) in ([], [("C-1", "MW-10002")])
    assert now_of(records, OPEN).state == "placed"


def test_nobody_changes_another_customers_order(talk: Talk, records: SqliteRecords) -> None:
    mine = talk.start("C-1")
    assert reasons(talk, mine, "cancel order MW-20001", "yes")[0] == "orders:unknown"
    with pytest.raises(ChangeRefusedError):
        records.change("C-1", Cancel("MW-20001"), "k")
    assert made(records) == []


def test_an_address_goes_with_the_number_named_last_not_with_what_is_open(talk: Talk) -> None:
    mine = talk.start("C-1")
    said = reasons(talk, mine, "please return my order", "Where is MW-20001?")
    assert said == ["orders:items", "orders:unknown"]
    told = talk.say(mine, "ben@shop.example")
    assert told.reply is not None
    assert told.reply["reason"] == "orders:unknown"
    assert "MW-20001" in told.text
    assert talk.reason(mine, "the wool socks") == "orders:confirm", "what is open has waited"


def test_who_asks_where_an_order_is_is_told_before_what_else_they_want(talk: Talk) -> None:
    mine = talk.start()
    texts = ("please change my address", "Where is MW-10001?", "ada@shop.example")
    said = reasons(talk, mine, *texts)
    assert said == ["orders:unidentified", "orders:email", "orders:status"]
    assert talk.reason(mine, "MW-10001") == "orders:address", "what is open has waited"


def test_what_is_asked_for_in_vain_goes_to_a_person(talk: Talk) -> None:
    mine = talk.start("C-1")
    said = reasons(talk, mine, "I want to send something back", "yes", "ok", "sure")
    assert said[-1] == "orders:stuck"


def test_above_the_limit_an_agent_decides(
    talk: Talk, records: SqliteRecords, store: Conversations
) -> None:
    skill = talk.service.assistant.skills["orders"]
    skill.tasks.most = Decimal(50)  # type: ignore[attr-defined]
    mine = talk.start("C-1")
    assert reasons(talk, mine, "cancel my order", "yes")[-1] == "orders:needs_agent"
    held = store.get(mine)
    assert held is not None
    assert held.state == "waiting"
    assert made(records) == []


@pytest.mark.parametrize(
    ("order", "change", "reason"),
    [
        (OPEN, Cancel("MW-10001"), ""),
        (OPEN, Cancel("MW-10002"), "not_there"),
        (None, Cancel("MW-10001"), "not_there"),
        (replace(OPEN, allowed=Allowed(cancel_until=PAST)), Cancel("MW-10001"), "over"),
        (replace(OPEN, allowed=Allowed()), Cancel("MW-10001"), "never"),
        (replace(OPEN, seller="Rewind"), Cancel("MW-10001"), "seller"),
        (HERE, Return("MW-10002", ("1", "2")), ""),
        (HERE, Return("MW-10002", ()), "item"),
        (HERE, Return("MW-10002", ("3",)), "item"),
        (HERE, Return("MW-10002", ("9",)), "item"),
        (HERE, Readdress("MW-10002", "x"), "never"),
    ],
)
def test_the_rules_are_those_of_the_order(order: Order | None, change: Change, reason: str) -> None:
    assert objected(change, order) == reason


SWAP = Swap("MW-10002", ("1",), ("P-1/41",))
CARD, GIFT = (
    Payment("card_1", "credit card ending 1234"),
    Payment("gift_1", "gift card", Decimal(5)),
)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (SWAP, ""),
        (replace(SWAP, variants=("P-1/39",)), "variant"),  # gone
        (replace(SWAP, variants=("P-1/40",)), "variant"),  # what it is already
        (replace(SWAP, variants=("P-2/1",)), "variant"),
        (replace(SWAP, variants=()), "variant"),
        (replace(SWAP, items=("1", "1"), variants=("P-1/41", "P-1/41")), "item"),
        (replace(SWAP, items=("2",)), "variant"),  # socks are no boots
        (replace(SWAP, payment="card_1"), "payment"),  # nothing is to be paid
    ],
)
def test_only_another_variant_of_the_same_product_is_swapped_for(change: Swap, reason: str) -> None:
    assert objected(change, HERE) == reason


def test_a_difference_in_price_is_settled_with_what_covers_it() -> None:
    dearer = tuple(replace(v, price=Decimal(100)) for v in SIZES)
    allowed = replace(HERE.allowed, swap_same_price=False, pay_with=("card_1", "gift_1"))
    order = replace(HERE, allowed=allowed)
    at_hand = Case(order, replace(ADA, payments=(CARD, GIFT)), {v.id: v for v in dearer})
    found = [
        objection(replace(SWAP, payment=payment), at_hand, datetime.now())
        for payment in ("card_1", "gift_1", "card_9", "")
    ]
    assert found == ["", "payment", "payment", "payment"]


def test_a_payment_is_changed_to_another_of_the_customers() -> None:
    allowed = Allowed(payment_until=SOON, pay_with=("card_1", "gift_1"))
    order = replace(OPEN, allowed=allowed, payment="card_1")
    at_hand = Case(order, replace(ADA, payments=(CARD, GIFT)), {})
    found = [
        objection(Repay(order.number, payment), at_hand, datetime.now())
        for payment in ("card_1", "gift_1", "card_9")
    ]
    assert found == ["payment", "payment", "payment"], "the gift card holds too little"
    rich = replace(GIFT, balance=Decimal(500))
    at_hand = replace(at_hand, customer=replace(ADA, payments=(CARD, rich)))
    assert objection(Repay(order.number, "gift_1"), at_hand, datetime.now()) == ""


def test_boots_are_swapped_for_another_size(talk: Talk, records: SqliteRecords) -> None:
    mine = talk.start("C-1")
    assert talk.reason(mine, "I want to exchange something") == "orders:items"
    asked = talk.say(mine, "boots")
    assert asked.reply is not None
    assert (asked.reply["reason"], asked.reply["choices"]) == ("orders:swaps", ["41"])
    assert "Boots (40) → 41" in talk.say(mine, "41").text
    assert talk.reason(mine, "yes") == "orders:done"
    after = now_of(records, HERE)
    assert (after.items[0].id, after.items[0].options) == ("P-1/41", (("size", "41"),))
    assert objected(SWAP, after) == "never", "an order is swapped once"


@pytest.mark.parametrize(
    ("answer", "names"),
    [("the boots", ["1"]), ("Boots (40)", ["1"]), ("both", ["1", "4"]), ("both boots", ["1", "4"])],
)
def test_how_many_of_two_that_are_the_same_is_asked(
    store: Conversations, tmp_path: Path, encoder: Encoder, detector: Detector,
    answer: str, names: list[str],
) -> None:  # fmt: skip
    twice = replace(HERE, items=(BOOTS, replace(BOOTS, id="4")))
    path = tmp_path / "twice.sqlite"
    records = SqliteRecords.create(path, (ADA, BEN), (twice,), SIZES)
    talk = Talk(store, records, encoder, detector, "order_change")
    mine = talk.start("C-1")
    asked = talk.say(mine, "Please return the boots of MW-10002")
    assert asked.reply is not None
    assert asked.reply["choices"] == ["Boots (40)", "Everything"]
    proposed = talk.say(mine, answer)
    assert proposed.text.count("Boots (40)") == len(names)
    assert talk.reason(mine, "yes") == "orders:done"
    back = [i.id for i in now_of(records, twice).items if i.state == "return_requested"]
    assert back == names


def test_which_of_two_that_are_called_the_same_is_asked(
    store: Conversations, tmp_path: Path, encoder: Encoder, detector: Detector
) -> None:
    other = replace(BOOTS, id="4", options=(("size", "42"),))
    two = replace(HERE, items=(BOOTS, other))
    records = SqliteRecords.create(tmp_path / "two.sqlite", (ADA, BEN), (two,), SIZES)
    talk = Talk(store, records, encoder, detector, "order_change")
    mine = talk.start("C-1")
    said = reasons(talk, mine, "Please return the boots of MW-10002", "the boots", "Boots (42)")
    assert said == ["orders:items", "orders:items", "orders:confirm"]
    assert talk.reason(mine, "yes") == "orders:done"
    assert [i.id for i in now_of(records, two).items if i.state == "return_requested"] == ["4"]


def test_a_half_of_a_title_that_another_one_has_in_full_names_nothing(
    store: Conversations, tmp_path: Path, encoder: Encoder, detector: Detector
) -> None:
    tea, electric = (
        Item(n, f"P-{n}", f"{kind} kettle", (), 1, Decimal(9), "delivered")
        for n, kind in (("T", "Tea"), ("E", "Electric"))
    )
    order = replace(HERE, items=(tea, electric, BOOTS))
    records = SqliteRecords.create(tmp_path / "kettles.sqlite", (ADA, BEN), (order,), SIZES)
    talk = Talk(store, records, encoder, detector, "order_change")
    mine = talk.start("C-1")
    proposed = talk.say(mine, "I want to return the tea kettle and the boots of MW-10002").text
    assert ("Tea kettle" in proposed, "Electric" in proposed, "Boots" in proposed) == (
        True,
        False,
        True,
    )


def test_naming_an_item_asks_for_no_variant(
    store: Conversations, tmp_path: Path, encoder: Encoder, detector: Detector
) -> None:
    kit = Item("K", "P-9", "Make-up kit", (("brand", "Brand C"),), 1, Decimal(9), "delivered")
    order = replace(HERE, items=(kit, BOOTS))
    kits = [
        Variant(f"K{letter}", "P-9", "Make-up kit", (("brand", f"Brand {letter}"),), Decimal(9))
        for letter in "AC"
    ]
    path = tmp_path / "kits.sqlite"
    records = SqliteRecords.create(path, (ADA, BEN), (order,), (*SIZES, *kits))
    talk = Talk(store, records, encoder, detector, "order_change")
    mine = talk.start("C-1")
    said = reasons(talk, mine, "I want to exchange something", "Make-up kit (Brand C)", "Brand A")
    assert said == ["orders:items", "orders:swaps", "orders:confirm"]


def test_both_of_what_is_named_is_not_the_whole_order(talk: Talk, records: SqliteRecords) -> None:
    mine = talk.start("C-1")
    assert "Boots" not in talk.say(mine, "Please return both wool socks of MW-10002").text
    assert talk.reason(mine, "yes") == "orders:done"
    assert now_of(records, HERE).items[0].state == "shipped"


def test_a_word_of_a_reason_or_of_a_payment_is_not_yet_the_whole() -> None:
    assert not names_wholly("I'd like to cancel order MW-10001", "ordered by mistake")
    assert names_wholly("sorry, I ordered it by mistake", "ordered by mistake")
    assert not names_wholly("please use another card", "gift card")
    assert names_wholly("take the gift card", "gift card")
    assert not names_wholly("anything", "")


def test_all_that_is_said_at_once_is_not_asked_for(talk: Talk) -> None:
    mine = talk.start("C-1")
    text = "Please exchange the boots of MW-10002 for size 41"
    assert talk.reason(mine, text) == "orders:confirm"


def test_the_rules_hold_at_the_moment_of_the_change(records: SqliteRecords) -> None:
    """An order that was sent between proposal and agreement is not cancelled."""
    records.change("C-1", Cancel("MW-10001"), "first")
    with pytest.raises(ChangeRefusedError) as refused:
        records.change("C-1", Cancel("MW-10001"), "second")
    assert refused.value.reason == "never"
    assert records.change("C-1", Cancel("MW-10001"), "first").state == "cancelled"


def test_a_change_is_worth_what_comes_back() -> None:
    assert worth(Cancel(OPEN.number), case(OPEN)) == OPEN.total
    assert worth(Return(HERE.number, ("1", "2")), case(HERE)) == Decimal("98.95")
    assert worth(Readdress(OPEN.number, "x"), case(OPEN)) == 0


@pytest.mark.parametrize(
    ("language", "text", "kind"),
    [
        ("en", "Can you cancel my order please?", "cancel"),
        ("en", "I don't want the order any more", "cancel"),
        ("en", "Can I cancel my order?", None),
        ("en", "How do I send shoes back?", None),
        ("en", "I'd like to return these boots", "return"),
        ("en", "If I return it, who pays?", None),
        ("en", "I have opened it. How many days to send it back?", None),
        ("en", "In Oslo, who covers the postage if I send shoes back?", None),
        ("en", "I want to send a gift to Oslo. Will it be there by Friday?", None),
        ("en", "I would like to send the boots from my last order back", "return"),
        ("en", "I have to send the 2.5 m rope back", "return"),
        ("en", "I look for something to give\n\nAll my best", None),
        ("en", "Can you help me return items of MW-1?", "return"),
        ("en", "please change the delivery address", "address"),
        ("en", "What is your address?", None),
        ("zh", "我要取消订单", "cancel"),
        ("zh", "可以取消订单吗？", None),
        ("zh", "我想退货", "return"),
        ("zh", "怎么退货？", None),
        ("zh", "帮我改一下收货地址", "address"),
        ("de", "Bitte stornieren Sie meine Bestellung", "cancel"),
        ("de", "Kann ich stornieren?", None),
        ("de", "Ich möchte die Schuhe zurückschicken", "return"),
        ("es", "Quiero cancelar mi pedido", "cancel"),
        ("es", "¿Puedo devolver algo?", None),
        ("es", "Quiero devolver los zapatos", "return"),
    ],
)
def test_a_wish_is_told_from_a_question(language: str, text: str, kind: str | None) -> None:
    assert wish(text, language) == kind


@pytest.mark.parametrize("language", phrases.languages())
def test_the_choices_offered_are_understood(language: str) -> None:
    yes, no, every = (phrases.say(f"task_{w}", language) for w in ("yes", "no", "everything"))
    assert says("yes", yes, language)
    assert not says("yes", no, language)
    assert says("no", no, language)
    assert says("everything", every, language)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_nothing_is_changed_but_by_a_yes_right_after_its_proposal(
    data: st.DataObject, talk: Talk, records: SqliteRecords
) -> None:
    """Ada says whatever, in any order; each change answers a proposal, and is hers."""
    mine, before = talk.start(data.draw(st.sampled_from([None, "C-1"]))), len(made(records))
    pieces = [
        "cancel my order", "yes", "no", "MW-10001", "MW-20001 ada@shop.example", "everything",
        "I want to return my order", "12 Mill Lane York 1", "change the address of my order",
        "where is my order", "ada@shop.example", "the boots",
    ]  # fmt: skip
    asked = ""
    for text in data.draw(st.lists(st.sampled_from(pieces), max_size=7)):
        said = talk.service.send(mine, text)
        if said is None:  # a person has taken over
            break
        reason = (said.reply or {})["reason"]
        count = len(made(records))
        if count > before:
            assert (asked, text, reason) == ("orders:confirm", "yes", "orders:done")
        before, asked = count, reason
    assert {customer for customer, _ in made(records)} <= {"C-1"}
