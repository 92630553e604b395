"""What is found of a little shop, by the real encoder: constraints filter, words rank, and what had
to be given up is told."""

import pytest

from knowledge.catalogue.refresh import refresh_catalogue
from knowledge.catalogue.search import Catalogue
from knowledge.catalogue.types import Constraint, Wanted
from knowledge.errors import EmptyKnowledge
from knowledge.types import silent
from knowledge.versions import CatalogueVersions
from tests.knowledge.catalogue.shop import ROWS, write


def bring(home, rows, encoder):
    source = write(home.parent / f"{home.name}.jsonl", rows)
    versions = CatalogueVersions(home)
    refresh_catalogue(versions, encoder, source, max_bytes=100_000, keep=3, progress=silent)
    return versions


@pytest.fixture(scope="module")
def shop(tmp_path_factory, encoder):
    catalogue = Catalogue(bring(tmp_path_factory.mktemp("shop") / "home", ROWS, encoder), encoder)
    yield catalogue
    catalogue.close()


def find(shop, text, language="en"):
    return shop.find(shop.parse(text, language), language)


def ids(found):
    return [offer.product.id for offer in found.offers]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a kettle", ["K1"]),
        ("jackets under 100", ["J2", "J3"]),
        ("a jacket between 80 and 100 pounds", ["J2"]),
        ("a navy jacket", ["J1"]),
        ("blue jacket", ["J1"]),
        ("jackets from Orlo, not black", ["J1", "J3"]),
        ("a jacket without a hood", ["J1", "J3"]),
        ("running shoes in size 43", ["S2"]),
        ("running shoes in stock", ["S2"]),
        ("the cheapest jacket", ["J3", "J2", "J1"]),
        ("the most expensive jacket", ["J1", "J2", "J3"]),
        ("a jakcet from Tamarak", ["J2"]),
        ("a camping light", ["L1"]),
        ("J2", ["J2"]),
    ],
)
def test_what_was_asked_for_is_found(shop, text, expected):
    found = find(shop, text)
    in_order = ids(found) if found.wanted.of("order") else sorted(ids(found))
    assert in_order == expected
    assert found.given_up == ()
    assert found.fit == "sure"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("防水外套", ["J2"]), ("500块以内的水壶", ["K1"]), ("最便宜的外套", ["J2"])],
)
def test_chinese_questions_find_chinese_products(shop, text, expected):
    found = find(shop, text, "zh")
    assert ids(found) == expected
    assert found.offers[0].product.language == "zh"


def test_one_product_in_several_colours_is_offered_once(shop):
    (offer,) = find(shop, "Harbour waxed jacket").offers[:1]
    assert {offer.product.colour, *offer.colours} == {"navy", "black"}


@pytest.mark.parametrize(
    ("text", "given_up", "expected"),
    [
        ("a jacket under 20", "most:20", "J3"),
        ("a kettle over 100", "least:100", "K1"),
        ("a pink kettle", "colour:pink", "K1"),
        ("a kettle from Orlo", "brand:Orlo", "K1"),
        ("running shoes size UK 9", "size:UK 9", "S2"),
        ("a kettle under $80", "most:80:USD", "K1"),
        ("coral running shoes in stock", "stock", "S1"),
    ],
)
def test_what_nothing_meets_is_given_up_and_told(shop, text, given_up, expected):
    found = find(shop, text)
    assert [str(c) for c in found.given_up] == [given_up]
    assert ids(found)[0] == expected


def test_as_little_as_possible_is_given_up(shop):
    found = find(shop, "a pink jacket from Tamarack under 40")
    assert [str(c) for c in found.given_up] == ["colour:pink", "most:40"]
    assert ids(found) == ["J2"]
    kept = find(shop, "a jacket without a hood under 20")
    assert "J2" not in ids(kept), "what was refused is kept"


@pytest.mark.parametrize("text", ["dinosaur toys", "a telescope", "fountain pen"])
def test_what_the_shop_has_not_is_not_found(shop, text):
    assert find(shop, text).fit == "none"


def test_what_is_sold_out_comes_after_what_is_left(shop):
    assert ids(find(shop, "running shoes")) == ["S2", "S1"]


def test_a_word_that_none_of_them_says_is_told(shop):
    assert find(shop, "a waterproof jacket under 40").unsaid == ("waterproof",), "J3 only denies it"
    assert find(shop, "a waterproof jacket").unsaid == ()
    assert ids(find(shop, "a waterproof jacket"))[0] == "J2"


def test_a_message_that_asks_for_nothing_finds_nothing(shop):
    assert shop.find(Wanted(), "en").offers == ()


def test_another_language_finds_the_products_that_there_are(shop):
    assert ids(find(shop, "Wasserkocher", "de"))[:1] in ([], ["K1"])
    wanted = Wanted((Constraint("category", "Kettles"),))
    assert ids(shop.find(wanted, "de")) == ["K1"]


def test_the_version_that_is_published_is_searched(tmp_path, encoder):
    home = tmp_path / "home"
    catalogue = Catalogue(CatalogueVersions(home), encoder)
    with pytest.raises(EmptyKnowledge):
        catalogue.parse("kettle", "en")
    bring(home, ROWS[:1], encoder)
    assert find(catalogue, "kettle").fit == "none"
    bring(home, ROWS, encoder)
    assert ids(find(catalogue, "kettle")) == ["K1"]
    CatalogueVersions(home).rollback()
    assert find(catalogue, "kettle").fit == "none"
    catalogue.close()


def test_a_large_shelf_is_searched_by_chromas_index(shop, monkeypatch):
    exact = ids(find(shop, "a camping light"))
    monkeypatch.setattr("knowledge.catalogue.shelf.EXACT_UP_TO", 0)
    assert ids(find(shop, "a camping light")) == exact
