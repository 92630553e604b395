"""What is taken for a product, and what is rejected with its reason."""

import gzip
import json
from decimal import Decimal

import pytest

from knowledge.catalogue.reading import product_of, read_products, to_row
from knowledge.catalogue.types import Size
from knowledge.errors import SourceError
from tests.knowledge.catalogue.shop import ROWS, write

BARE = {"id": "A", "title": "Kettle"}


def test_products_are_read_with_their_stock_by_size(tmp_path):
    read = read_products(write(tmp_path / "p.jsonl"), 10_000)
    assert len(read.products) == len(ROWS)
    assert read.rejected == ()
    jacket = read.products[0]
    assert jacket.price == Decimal("129")
    assert jacket.sizes == (Size("M", 3), Size("L", 0))
    assert (jacket.stock, jacket.stock_of("M"), jacket.stock_of("L")) == (3, 3, 0)
    assert read.products[-1].language == "zh"


def test_a_product_is_written_as_it_is_read(tmp_path):
    for product in read_products(write(tmp_path / "p.jsonl"), 10_000).products:
        assert product_of(json.loads(json.dumps(to_row(product)))) == product


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": ""}, "id and title"),
        ({"title": None}, "id and title"),
        ({"prize": 3}, "unknown fields: prize"),
        ({"price": "cheap", "currency": "GBP"}, "price must be a number"),
        ({"price": -1, "currency": "GBP"}, "price must be a number"),
        ({"price": 3}, "needs a currency"),
        ({"stock": -2}, "stock must be"),
        ({"stock": {"M": "many"}}, "stock must be"),
        ({"sizes": "M"}, "sizes must be a list"),
        ({"attributes": ["red"]}, "attributes must be"),
        ({"title": {"en": "Kettle"}}, "title must be a text"),
        ({"image": "javascript:alert(1)"}, "image must be an address"),
        ({"description": "x" * 20_001}, "longer than"),
    ],
)
def test_what_is_no_product_is_rejected_with_its_reason(change, reason):
    with pytest.raises(ValueError, match=reason):
        product_of(BARE | change)


def test_a_file_keeps_its_good_lines_and_names_the_others(tmp_path):
    rows = [BARE, BARE | {"id": "B", "price": "?"}, BARE, {"title": "No id"}]
    packed = tmp_path / "p.jsonl.gz"
    packed.write_bytes(gzip.compress(write(tmp_path / "p.jsonl", rows).read_bytes()))
    read = read_products(packed, 10_000)
    assert [p.id for p in read.products] == ["A"]
    assert [r.source for r in read.rejected] == [
        "p.jsonl.gz: B",
        "p.jsonl.gz: A",
        "p.jsonl.gz: number 4",
    ]


def test_a_file_that_cannot_be_read_says_why(tmp_path):
    with pytest.raises(SourceError, match="does not exist"):
        read_products(tmp_path / "none.jsonl", 10_000)
    (tmp_path / "torn.jsonl").write_text('{"id": ')
    with pytest.raises(SourceError, match="line 1: not JSON"):
        read_products(tmp_path / "torn.jsonl", 10_000)
    with pytest.raises(SourceError, match="larger than"):
        read_products(write(tmp_path / "p.jsonl"), 10)
