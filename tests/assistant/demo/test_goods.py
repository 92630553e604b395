"""The demo shop's products as the catalogue takes them."""

from decimal import Decimal

import pytest

from assistant.demo.catalogue import load_catalogue
from assistant.demo.goods import goods
from knowledge.catalogue.names import Names, levels
from knowledge.catalogue.reading import product_of


@pytest.fixture(scope="module")
def products():
    return [product_of(row) for row in goods(load_catalogue())]


def test_every_product_that_is_offered_is_there_in_both_languages(products):
    offered = {p.id for p in load_catalogue() if not p.recalled}
    for language, currency in (("en", "GBP"), ("zh", "CNY")):
        own = [p for p in products if p.language == language]
        assert {p.id for p in own} == offered
        assert len(own) == len(offered)
        assert {p.currency for p in own} == {currency}


def test_what_was_recalled_is_not_offered(products):
    recalled = {p.id for p in load_catalogue() if p.recalled}
    assert recalled
    assert recalled.isdisjoint(p.id for p in products)


def test_every_product_line_has_a_kind(products):
    assert all(len(levels(p.category)) == 2 for p in products if not p.id.startswith("GC"))


@pytest.mark.parametrize(
    ("key", "title", "colour", "sizes"),
    [
        ("CL-0142-NAVY@en", "Harbour waxed jacket", "navy", 6),
        ("CL-0142-NAVY@zh", "港湾蜡棉夹克", "藏青色", 6),
        ("HK-0224-22-CM-CREAM@en", "Forge cast iron casserole, 22 cm", "cream", 0),
        ("FU-0143-160-X-200-CM@en", "Drift hybrid mattress", "", 1),
        ("EL-0151-BLUE-SWITCHES@en", "Clack mechanical keyboard, blue switches", "", 0),
    ],
)
def test_a_variant_is_a_colour_a_size_or_a_part_of_the_title(products, key, title, colour, sizes):
    (product,) = [p for p in products if p.key == key]
    assert (product.title, product.colour, len(product.sizes)) == (title, colour, sizes)


def test_stock_is_that_of_the_shop(products):
    held = {p.id: p for p in load_catalogue()}
    assert all(p.stock == sum(held[p.id].stock.values()) for p in products)
    assert all(p.price == Decimal(str(held[p.id].prices[p.currency])) for p in products)


def test_kinds_are_names_that_customers_ask_by(products):
    names = Names.of(p for p in products if p.language == "en")
    assert {"Shoes", "Boots", "Mattresses"} <= set(names.categories)
    assert names.size("160x200") == "160 x 200 cm"
