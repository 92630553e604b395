"""The demo shop's customers buy as customers do: some things sell far more than others, and each
customer has habits and interests."""

import random
from collections import Counter, defaultdict

import pytest

from assistant.demo.catalogue import load_catalogue
from assistant.demo.goods import kind_of
from assistant.demo.tastes import Tastes, _told
from tests.assistant.shop import demo_shop

PRODUCTS = load_catalogue()


@pytest.fixture(scope="module")
def shop():
    return demo_shop()


@pytest.fixture(scope="module")
def tastes():
    return Tastes(PRODUCTS, 7)


def test_the_best_selling_tenth_makes_about_half_of_the_lines(shop):
    sold = Counter(line.product_id for order in shop.orders for line in order.lines)
    best = sum(count for _, count in sold.most_common(len(PRODUCTS) // 10))
    assert 0.4 < best / sold.total() < 0.6


def test_customers_buy_again_what_they_bought(shop):
    before, again, lines = defaultdict(set), 0, 0
    for order in sorted(shop.orders, key=lambda order: order.placed_at):
        bought = {line.product_id for line in order.lines}
        if before[order.customer_id]:
            again += len(bought & before[order.customer_id])
            lines += len(bought)
        before[order.customer_id] |= bought
    assert 0.15 < again / lines < 0.45


def test_a_customer_buys_mostly_what_interests_them_and_what_they_are_used_to(tastes):
    rng, taste = random.Random(1), tastes.of("C-1")
    drawn = [tastes.choose("C-1", PRODUCTS, rng) for _ in range(400)]
    liked = [p for p in drawn if p.group in taste.interests or p.id in taste.habits]
    assert len(liked) > 280
    habits = [p for p in PRODUCTS if p.id in taste.habits]
    assert {kind_of(p) for p in habits} <= set(_told()["used_up"])
    assert len({p.title for p in habits}) == 5
    assert tastes.of("C-1") == Tastes(PRODUCTS, 7).of("C-1")
    assert tastes.of("C-1") != tastes.of("C-2")


def test_what_goes_together_is_often_bought_together_and_nothing_twice(tastes):
    tent = next(p for p in PRODUCTS if kind_of(p) == "Tents")
    rng = random.Random(2)
    baskets = [tastes.basket(f"C-{n}", tent, PRODUCTS, 2, rng) for n in range(200)]
    fitting = set(_told()["together"]["Tents"])
    with_others = [any(kind_of(p) in fitting for p in basket[1:]) for basket in baskets]
    assert sum(with_others) > 100
    assert all(len({p.id for p in basket}) == 3 for basket in baskets)


def test_a_short_shelf_gives_a_short_basket(tastes):
    assert tastes.basket("C-1", PRODUCTS[0], PRODUCTS[:2], 3, random.Random(3)) == list(
        PRODUCTS[:2]
    )


def test_every_kind_that_is_named_is_one_of_the_shop():
    kinds = set(map(kind_of, PRODUCTS))
    together = _told()["together"]
    named = {*_told()["used_up"], *together, *(k for kinds in together.values() for k in kinds)}
    assert named <= kinds
