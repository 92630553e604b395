"""What invented customers like to buy: some products sell far more than others, each customer has
interests and habits, and some things go together.

The numbers follow 13,110 baskets of the UCI Online Retail set (CC BY 4.0), where the best-selling
tenth of the products makes 48% of the lines and 43% of a basket was bought before by the same
customer; the demo shop's customers come less often, so that fewer of their goods are known.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from assistant.demo.catalogue import Product
from assistant.demo.goods import kind_of

# A product's sales fall with its rank by this power: the best-selling tenth makes 46%.
_ZIPF = 0.75
_INTERESTS, _INTERESTED = 2, 8.0  # groups of a customer, and how much likelier they buy there
_SELDOM = frozenset({"furniture", "gift_cards"})  # nobody's interest
_HABITS = 5  # things that are used up and that a customer buys again and again
_HABITUAL, _TOGETHER = 0.45, 0.4  # chances that a line is a habit, or goes with the first line


@dataclass(frozen=True, slots=True)
class Taste:
    """Of one customer: groups that they like, and ids of products that they keep buying."""

    interests: frozenset[str]
    habits: frozenset[str]


class Tastes:
    """Of all customers, over some products; equal seeds give equal tastes."""

    def __init__(self, products: Sequence[Product], seed: int) -> None:
        self.products = products
        self._seed = seed
        ranked = [product.id for product in products]
        random.Random(f"{seed}/popularity").shuffle(ranked)
        self._popularity: dict[str, float] = {
            name: (n + 1) ** -_ZIPF for n, name in enumerate(ranked)
        }
        self.of = cache(self._of)

    def _of(self, customer_id: str) -> Taste:
        """The taste of a customer."""
        rng = random.Random(f"{self._seed}/taste/{customer_id}")
        groups = sorted({product.group for product in self.products} - _SELDOM)
        interests = frozenset(rng.sample(groups, min(_INTERESTS, len(groups))))
        left = [p for p in self.products if kind_of(p) in _told()["used_up"]]
        habits: list[Product] = []
        while left and len(habits) < _HABITS:
            habits += rng.choices(left, [self._weight(p, interests) for p in left])
            left = [product for product in left if product.title != habits[-1].title]
        return Taste(interests, frozenset(product.id for product in habits))

    def choose(self, customer_id: str, shelf: Sequence[Product], rng: random.Random) -> Product:
        """A product of a shelf that is not empty."""
        taste = self.of(customer_id)
        habitual = [product for product in shelf if product.id in taste.habits]
        if habitual and rng.random() < _HABITUAL:
            shelf = habitual
        return rng.choices(shelf, [self._weight(p, taste.interests) for p in shelf])[0]

    def basket(
        self, customer_id: str, first: Product, shelf: Sequence[Product], count: int,
        rng: random.Random,
    ) -> list[Product]:  # fmt: skip
        """The first product, and up to `count` others of the shelf."""
        chosen, left = [first], [product for product in shelf if product.id != first.id]
        while left and len(chosen) <= count:
            fitting = list(_going_with(first, left))
            near = fitting if fitting and rng.random() < _TOGETHER else left
            chosen.append(self.choose(customer_id, near, rng))
            left.remove(chosen[-1])
        return chosen

    def _weight(self, product: Product, interests: Iterable[str]) -> float:
        return self._popularity[product.id] * (_INTERESTED if product.group in interests else 1.0)


def _going_with(first: Product, shelf: Iterable[Product]) -> Iterable[Product]:
    kinds = _told()["together"].get(kind_of(first), ())
    return (product for product in shelf if kind_of(product) in kinds)


@cache
def _told() -> Mapping[str, Any]:
    held: dict[str, Any] = yaml.safe_load(
        Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")
    )
    return held
