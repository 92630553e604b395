"""What is told of products, in every language that the assistant speaks."""

from decimal import Decimal

import pytest

from assistant import phrases
from assistant.products.cards import Card
from assistant.products.refining import refined
from assistant.products.searches import Search
from assistant.products.telling import chips_of, label_of, line_of, name_of, stock_of
from knowledge.catalogue.types import Constraint, Product, Size, Wanted

EVERY = (
    Constraint("category", "Jackets"), Constraint("brand", "Orlo"), Constraint("size", "M"),
    Constraint("colour", "dark blue"), Constraint("word", "hood", negated=True),
    Constraint("most", "80"), Constraint("least", "19.5", currency="EUR"), Constraint("stock"),
    Constraint("order", "cheapest"), Constraint("order", "dearest"),
)  # fmt: skip


@pytest.mark.parametrize("language", phrases.languages())
def test_every_chip_has_words_and_is_understood_when_it_is_taken_away(language: str) -> None:
    chips = chips_of(EVERY, "GBP", language)
    assert len({chip.label for chip in chips}) == len(EVERY)
    search = Search(Wanted(EVERY, "warm"), "GBP")
    for constraint, chip in zip(EVERY, chips, strict=True):
        after = refined(search, Wanted(), chip.says, language)
        assert after is not None
        assert after.wanted == search.wanted.without(constraint)


def test_labels_are_written_as_their_language_writes_them() -> None:
    assert [label_of(c, "GBP", "en") for c in EVERY[3:7]] == [
        "dark blue", "no hood", "under £80", "over €19.50",
    ]  # fmt: skip
    assert label_of(Constraint("most", "80"), "CNY", "zh") == "¥80以内"
    assert label_of(Constraint("most", "80"), "", "en") == "under 80"


def test_a_name_says_the_colour_once() -> None:
    product = Product("1", "Sea blue scarf", colour="sea blue")
    assert name_of(product, "en") == "Sea blue scarf"
    assert name_of(Product("1", "Scarf", colour="red"), "en") == "Scarf (red)"
    assert name_of(Product("1", "Scarf"), "en") == "Scarf"


@pytest.mark.parametrize(
    ("stock", "sizes", "asked", "told"),
    [
        (None, (), (), ""),
        (0, (), (), "sold out"),
        (2, (), (), "only 2 left"),
        (9, (), (), "in stock"),
        (9, (Size("M", 0), Size("L", 9)), ("M",), "size M: sold out"),
        (9, (Size("M", 0), Size("L", 9)), ("XS",), "in stock"),
    ],
)
def test_stock_is_told_as_the_shop_has_it(stock, sizes, asked, told) -> None:
    product = Product("1", "Scarf", stock=stock, sizes=sizes, price=Decimal(5), currency="GBP")
    assert stock_of(product, asked, "en") == told


def test_a_card_without_facts_is_its_title() -> None:
    assert line_of(Card("1", "Scarf"), "en") == "Scarf"
