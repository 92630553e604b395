"""Recommendations: in stock, with a fact each, by purchases only where that is agreed to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from assistant import phrases
from assistant.errors import RecordsError
from assistant.explain import plain_reason
from assistant.recommend.consent import ConsentFile
from assistant.recommend.purchases import Matching, purchases_of
from assistant.recommend.recommender import Recommender
from assistant.recommend.skill import REASON, RecommendSkill
from assistant.recommend.types import Purchase
from assistant.recommend.wishes import wish
from assistant.records.seam import Records
from assistant.records.types import Item, Order
from assistant.types import Answer, Handoff, Intent, Question
from knowledge.catalogue.types import Product, Size
from knowledge.recommend.artefact import Model
from knowledge.recommend.statistics import Counting, count_sales
from knowledge.recommend.tower import TextTower
from knowledge.recommend.types import Floats, index_of, pasts
from tests.buying import GOODS, START, day, visits
from tests.knowledge.recommend.test_recommend import ranker, vectors

TODAY = START + timedelta(200)
INTENT = Intent("product_search", 0.9)
SHELF = tuple(Product(g.id, g.title, price=Decimal("4.50"), currency="GBP", stock=3) for g in GOODS)


class Tower:
    """Puts every new title beside the tea."""

    def embed(self, texts: Sequence[str]) -> Floats:
        return np.repeat(vectors()[:1], len(texts), axis=0)


@pytest.fixture(scope="module")
def model() -> Model:
    held = pasts(visits(), index_of(GOODS))
    known = count_sales(held, len(GOODS), day(200), Counting(10, 1.0, 3))
    weights = ranker(own_decayed=0.5, bought_with=2, text=1)
    return Model.of(GOODS, known, vectors(), weights, cast(TextTower, Tower()))


@pytest.fixture
def recommender(model: Model) -> Recommender:
    return Recommender(model, 0.0, lambda: TODAY)


def bought(*ids: str, on: int = 190) -> list[Purchase]:
    titles = {g.id: g.title for g in GOODS}
    return [Purchase(i, titles[i], START + timedelta(on)) for i in ids]


def ids(found: Sequence[Any]) -> list[str]:
    return [each.product_id for each in found]


def test_what_suits_the_purchases_comes_first(recommender: Recommender):
    found = recommender.recommend(bought("tea-0", "tea-1"), SHELF, 4, "en")
    assert {i.split("-")[0] for i in ids(found)} == {"tea"}
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)


def test_nothing_sold_out_and_nothing_left_out_is_recommended(recommender: Recommender):
    best = recommender.recommend(bought("tea-0"), SHELF, 3, "en")
    shelf = [replace(p, stock=0) if p.id == best[0].product_id else p for p in SHELF]
    assert best[0].product_id not in ids(recommender.recommend(bought("tea-0"), shelf, 20, "en"))
    left = recommender.recommend(bought("tea-0"), SHELF, 20, "en", without={best[1].product_id})
    assert best[1].product_id not in ids(left)
    assert recommender.recommend((), [replace(p, stock=0) for p in SHELF], 3, "en") == ()


def test_a_product_whose_stock_is_not_known_may_be_recommended(recommender: Recommender):
    shelf = [replace(p, stock=None) for p in SHELF]
    assert len(recommender.recommend((), shelf, 3, "en")) == 3


def test_without_a_history_it_is_what_sells_and_no_reason_is_personal(recommender: Recommender):
    found = recommender.recommend((), SHELF, 5, "en")
    assert {each.basis for each in found} == {"popular"}
    assert "you" not in " ".join(each.reason for each in found).lower()


def test_reasons_state_what_the_records_say(recommender: Recommender, model: Model):
    history = [*bought("tea-0", on=150), *bought("tea-0", on=190), *bought("tea-1", on=190)]
    told = {e.product_id: e for e in recommender.recommend(history, SHELF, 20, "en")}
    assert told["tea-0"].reason == "You bought it on 2 days, last on 10 July 2026."
    assert told["tea-1"].reason == "You bought it on 10 July 2026."
    index = index_of(GOODS)
    both = model.context.statistics.together
    counts = {i: int(both[index["tea-2"], index[i]]) for i in ("tea-0", "tea-1")}
    title = {"tea-0": "green tea", "tea-1": "black tea"}[max(counts, key=lambda i: counts[i])]
    assert told["tea-2"].basis == "together"
    assert told["tea-2"].reason.startswith(f"{max(counts.values())} customers bought both")
    assert f"“{title}”" in told["tea-2"].reason


def test_a_new_product_is_recommended_by_its_text(recommender: Recommender):
    new = Product("tea-9", "oolong tea", price=Decimal(5), currency="GBP", stock=1)
    found = recommender.recommend(bought("tea-0"), [*SHELF, new], 20, "en")
    reason = {e.product_id: e.reason for e in found}["tea-9"]
    assert (
        reason
        == "Its description is close to that of “green tea”, which you bought on 10 July 2026."
    )


def test_the_same_title_in_another_colour_is_no_second_idea(recommender: Recommender):
    other = Product("tea-0-RED", "green tea", colour="red", stock=2)
    found = recommender.recommend(bought("tea-0"), [*SHELF, other], 20, "en")
    assert [e.title for e in found].count("green tea") == 1


def test_more_variety_brings_in_other_kinds(model: Model):
    history = bought("tea-0", "tea-1")
    varied = Recommender(model, 0.7, lambda: TODAY).recommend(history, SHELF, 4, "en")
    assert len({i.split("-")[0] for i in ids(varied)}) > 1


@pytest.mark.parametrize("language", phrases.languages())
def test_every_language_has_a_reason(recommender: Recommender, language: str):
    for each in recommender.recommend(bought("tea-0"), SHELF, 5, language):
        assert each.reason
        assert "{" not in each.reason


# In a conversation.


def order(number: str, on: int, *lines: Item, state: str = "delivered") -> Order:
    placed = datetime.combine(START + timedelta(on), datetime.min.time())
    return Order(number, "ada", placed, state, None, "GBP", lines, Decimal(9))


def item(product: str, *options: tuple[str, str], state: str = "delivered") -> Item:
    return Item(f"{product}-x", product, product, options, 1, Decimal(4), state)


def records(*orders: Order) -> Records:
    def held(customer: str, _: int) -> list[Order]:
        assert customer == "ada", "nobody else's orders are read"
        return list(orders)

    return cast(Records, SimpleNamespace(orders=held))


ORDERS = (order("1", 100, item("bike-0")), order("2", 190, item("tea-0"), item("tea-1")))


def question(text: str, language: str = "en", customer: str | None = "ada") -> Question:
    return Question(text, text, language, customer_id=customer)


@pytest.fixture
def consent(tmp_path: Path) -> ConsentFile:
    return ConsentFile(tmp_path / "home" / "consent.json")


@pytest.fixture
def skill(recommender: Recommender, consent: ConsentFile) -> RecommendSkill:
    return RecommendSkill(lambda: recommender, lambda _: SHELF, records(*ORDERS), consent)


def answered(skill: RecommendSkill, asked: Question) -> Answer:
    outcome = skill.fetch(asked, INTENT).outcome
    assert isinstance(outcome, Answer)
    return outcome


def said(skill: RecommendSkill, asked: Question) -> str:
    return answered(skill, asked).text


def test_orders_are_read_only_after_the_customer_agreed(
    skill: RecommendSkill, consent: ConsentFile
):
    before = said(skill, question("What would you recommend?"))
    assert "which you bought" not in before
    assert "You bought" not in before
    assert "You may use my orders" in before
    said(skill, question("You may use my orders"))
    assert consent.allows("ada")
    assert "You bought it on 10 July 2026." in said(skill, question("What would you recommend?"))
    said(skill, question("Please stop recommending by what I bought"))
    assert not consent.allows("ada")
    assert "You bought" not in said(skill, question("What would you recommend?"))


def test_something_like_the_last_order_goes_by_it_and_does_not_repeat_it(
    skill: RecommendSkill, consent: ConsentFile
):
    consent.decide("ada", True)
    other = Product("tea-0-RED", "green tea", colour="red", stock=2)
    skill.shelves = lambda _: (*SHELF, other)
    found = [card.id for card in answered(skill, question("something like my last order")).cards]
    assert found
    assert not {"tea-0", "tea-1", "tea-0-RED"} & set(found)
    assert found[0].startswith("tea")


@pytest.mark.parametrize(
    ("language", "text", "line"),
    [
        ("en", "What would you recommend?",
         "green tea: £4.50, only 3 left. You bought it on 10 July 2026."),
        ("zh", "给我推荐点东西", "green tea：£4.50，仅剩3件。您在2026年7月10日买过。"),
    ],
)  # fmt: skip
def test_the_reply_is_products_with_their_reasons(
    skill: RecommendSkill, consent: ConsentFile, language: str, text: str, line: str
):
    consent.decide("ada", True)
    answer = answered(skill, question(text, language))
    assert answer.reason == REASON
    assert len(answer.cards) == 5
    lines = [sentence.text for sentence in answer.sentences]
    assert line in lines
    assert answer.text.splitlines() == [
        phrases.say("recommend_you", language), *(f"- {each}" for each in lines),
    ]  # fmt: skip
    card = answer.cards[lines.index(line)]
    assert line.endswith(card.note)
    assert (card.id, card.price) == ("tea-0", "£4.50")
    assert [c.evidence_id for c in answer.citations] == [f"product:{c.id}" for c in answer.cards]
    assert all(sentence.supported for sentence in answer.sentences)


def test_what_is_asked_of_the_customer_stands_above_the_products(skill: RecommendSkill):
    first, second, *_ = said(skill, question("What would you recommend?")).splitlines()
    assert [first, second] == [
        phrases.say("recommend_ask", "en"), phrases.say("recommend_shop", "en"),
    ]  # fmt: skip


def test_somebody_unknown_gets_what_sells_and_consents_to_nothing(
    skill: RecommendSkill, tmp_path: Path
):
    told = said(skill, question("surprise me", customer=None))
    assert told.startswith(phrases.say("recommend_shop", "en"))
    assert "You may use" not in told
    assert said(skill, question("you may use my orders", customer=None)) == phrases.say(
        "recommend_unknown", "en"
    )
    assert not (tmp_path / "home").exists()


def test_what_names_a_kind_of_thing_is_for_the_search(skill: RecommendSkill):
    assert skill.concerns(question("What would you recommend?"))
    assert not skill.concerns(question("Can you recommend a good tent?"))


def test_without_a_recommender_nothing_concerns_it(consent: ConsentFile):
    skill = RecommendSkill(lambda: None, lambda _: SHELF, None, consent)
    assert not skill.concerns(question("What would you recommend?"))
    assert said(skill, question("What would you recommend?")) == phrases.say(
        "recommend_none", "en"
    )  # it was rolled back in this moment


def test_where_orders_cannot_be_read_a_person_takes_over(
    recommender: Recommender, consent: ConsentFile
):
    def fail(*_: Any) -> None:
        raise RecordsError("timed out")

    consent.decide("ada", True)
    broken = cast(Records, SimpleNamespace(orders=fail))
    skill = RecommendSkill(lambda: recommender, lambda _: SHELF, broken, consent)
    outcome = skill.fetch(question("What would you recommend?"), INTENT).outcome
    assert isinstance(outcome, Handoff)
    assert outcome.reason == "recommend:records"


def test_an_empty_shop_says_so(recommender: Recommender, consent: ConsentFile):
    skill = RecommendSkill(lambda: recommender, lambda _: (), None, consent)
    assert said(skill, question("surprise me")) == phrases.say("recommend_none", "en")


def test_the_customer_can_read_why():
    answer = Answer("…", (), (), reason=REASON)
    assert plain_reason(answer, "en") == phrases.say("why_recommended", "en")


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "what would you recommend?", "any"),
        ("en", "Something like my last order please", "like_last"),
        ("en", "anything similar to what I bought?", "like_last"),
        ("en", "don't use my orders for recommendations", "refuse"),
        ("en", "You may use my purchase history", "allow"),
        ("en", "please use my order number MW-123456", None),
        ("en", "I can never use my discount code", None),
        ("en", "recommend a jacket under 100 pounds", None),
        ("en", "where is my order?", None),
        ("zh", "有什么推荐？", "any"),
        ("zh", "想买和上次类似的", "like_last"),
        ("zh", "不要用我的订单推荐", "refuse"),
        ("zh", "可以用我的订单推荐", "allow"),
        ("zh", "推荐一款防水夹克", None),
        ("zh", "我的订单到哪了", None),
    ],
)  # fmt: skip
def test_wishes_are_read(language: str, text: str, expected: str | None):
    assert wish(text, language) == expected


def test_an_item_of_a_product_line_is_the_product_with_what_was_chosen():
    shelf = [
        Product("BE-1-3W-SAND", "Foundation, 3W", colour="sand"),
        Product("BE-1-5N-HONEY", "Foundation, 5N", colour="honey"),
        Product("BE-12", "Brush"),
        Product("SH-1", "Shoes", sizes=(Size("40"),)),
    ]
    matching = Matching(shelf)

    def found(product: str, *options: tuple[str, str]) -> str | None:
        product_found = matching.product(item(product, *options))
        return product_found.id if product_found else None

    assert found("BE-1", ("variant", "5N honey"), ("colour", "honey")) == "BE-1-5N-HONEY"
    assert found("SH-1", ("size", "40")) == "SH-1"
    assert found("XX-1") is None


def test_what_was_cancelled_or_sent_back_is_no_purchase():
    kept = purchases_of(
        [
            order("3", 5, item("tea-0"), item("tea-1", state="refunded")),
            order("4", 3, item("tea-2"), state="cancelled"),
            order("5", 1, item("bike-1")),
        ],
        Matching(SHELF),
    )
    assert [(p.product_id, p.day) for p in kept] == [
        ("bike-1", date(2026, 1, 2)),
        ("tea-0", date(2026, 1, 6)),
    ]


def test_consent_that_cannot_be_read_is_none(tmp_path: Path):
    path = tmp_path / "consent.json"
    asked: Callable[[bool], bool] = lambda unasked: ConsentFile(path, unasked=unasked).allows("ada")  # noqa: E731
    assert asked(True)
    assert not asked(False)
    path.write_text("[1]")
    assert not asked(True)
