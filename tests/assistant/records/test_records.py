"""Every keeper of customers and orders behaves alike, and gives nobody another's."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from pydantic import TypeAdapter

from assistant.demo.catalogue import load_catalogue
from assistant.demo.records import customer_record, order_records
from assistant.errors import ChangeRefusedError, RecordsError
from assistant.records.changes import Cancel, Change, Return
from assistant.records.http import HttpRecords
from assistant.records.seam import Records
from assistant.records.sqlite import SqliteRecords
from assistant.records.types import Allowed, Customer, Item, Order, Parcel, Variant
from tests.assistant.shop import demo_shop

ADA = Customer("C-1", "Ada Fell", "Ada@Shop.example", "en")
BEN = Customer("C-2", "Ben Ash", "ben@shop.example", "de")


def order(number: str, customer: Customer, day: int) -> Order:
    boots = Item("1", "P-1", "Boots", (("size", "40"),), 1, Decimal("79.95"), "shipped")
    placed = datetime(2026, 11, day, 9)
    return Order(
        number, customer.id, placed, "shipped", placed, "GBP", (boots,), Decimal("84.90"),
        (Parcel("Cascade", "T1"),), date(2026, 11, 20), date(2026, 11, 24),
    )  # fmt: skip


LONG = datetime(2126, 1, 1)
OPEN = replace(order("MW-10001", ADA, 1), allowed=Allowed(cancel_until=LONG))
ORDERS = (OPEN, order("MW-10002", ADA, 3), order("MW-20001", BEN, 2))


SIZES = tuple(
    Variant(f"P-1/{size}", "P-1", "Boots", (("size", size),), Decimal("79.95"), size != "39")
    for size in ("39", "40", "41")
)


def shop_system(records: SqliteRecords) -> Callable[[httpx.Request], httpx.Response]:
    """A shop's own system as records/http.py describes it."""
    to_json = TypeAdapter(Customer | Order)

    def found(record: Customer | Order | None) -> httpx.Response:
        if record is None:
            return httpx.Response(404)
        return httpx.Response(200, content=to_json.dump_json(record))

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer secret"
        match request.url.path.strip("/").split("/"):
            case ["api", "customers", customer]:
                return found(records.customer(customer))
            case ["api", "customers", customer, "orders"]:
                listed = records.orders(customer, int(request.url.params["limit"]))
                body = b'{"orders": [' + b",".join(map(to_json.dump_json, listed)) + b"]}"
                return httpx.Response(200, content=body)
            case ["api", "customers", customer, "orders", number]:
                return found(records.order(customer, number))
            case ["api", "customers", customer, "orders", _, "changes"]:
                asked = json.loads(request.content)
                change = TypeAdapter(Change).validate_python(asked["change"])
                try:
                    return found(records.change(customer, change, asked["key"]))
                except ChangeRefusedError as error:
                    return httpx.Response(409, json={"reason": error.reason})
            case ["api", "products", product, "variants"]:
                listed = b",".join(map(TypeAdapter(Variant).dump_json, records.variants(product)))
                return httpx.Response(200, content=b'{"variants": [' + listed + b"]}")
            case ["api", "identify"]:
                customer_id = records.identify(**json.loads(request.content))
                return httpx.Response(
                    200 if customer_id else 404, json={"customer_id": customer_id}
                )
        return httpx.Response(500)

    return answer


@pytest.fixture(params=["sqlite", "http"])
def records(request: pytest.FixtureRequest, tmp_path: Path) -> Records:
    kept = SqliteRecords.create(tmp_path / "records.sqlite", (ADA, BEN), ORDERS, SIZES)
    if request.param == "sqlite":
        return kept
    transport = httpx.MockTransport(shop_system(kept))
    return HttpRecords("http://shop.example/api", "secret", 1.0, transport)


def test_a_customers_orders_come_newest_first_and_whole(records: Records) -> None:
    assert records.orders("C-1") == [ORDERS[1], ORDERS[0]]
    assert records.orders("C-1", 1) == [ORDERS[1]]
    assert records.orders("C-9") == []
    assert records.customer("C-2") == BEN
    assert records.customer("C-9") is None


@pytest.mark.parametrize("number", ["MW-10001", "mw-10001", " MW-10001 "])
def test_an_order_is_found_however_its_number_is_written(records: Records, number: str) -> None:
    assert records.order("C-1", number) == ORDERS[0]


def test_a_products_variants_are_those_of_the_product(records: Records) -> None:
    assert records.variants("P-1") == list(SIZES)
    assert records.variants("P-9") == []


def test_nobody_reads_another_customers_order(records: Records) -> None:
    for customer in (ADA, BEN):
        for kept in ORDERS:
            found = records.order(customer.id, kept.number)
            assert (found is not None) == (kept.customer_id == customer.id)
    assert records.order("C-1", "MW-99999") is None


def test_a_number_and_its_own_address_identify(records: Records) -> None:
    assert records.identify("mw-10001", "ada@shop.EXAMPLE") == "C-1"
    assert records.identify("MW-10001", "ben@shop.example") is None
    assert records.identify("MW-99999", "ada@shop.example") is None
    assert records.identify("%", "%") is None


@pytest.mark.parametrize("strange", ["' OR '1'='1", "../C-2", "C-1/orders", "C-1?x=", "%2e%2e"])
def test_strange_numbers_and_names_find_nothing(records: Records, strange: str) -> None:
    assert records.order("C-1", strange) is None
    assert records.identify(strange, "ada@shop.example") is None


def test_a_change_is_made_once_for_a_key(records: Records) -> None:
    changed = records.change("C-1", Cancel("mw-10001"), "key")
    assert (changed.state, changed.allowed.cancel_until) == ("cancelled", None)
    assert [i.state for i in changed.items] == ["cancelled"]
    assert records.change("C-1", Cancel("mw-10001"), "key") == changed
    assert records.order("C-1", "MW-10001") == changed


@pytest.mark.parametrize(
    ("customer", "change", "reason"),
    [
        ("C-2", Cancel("MW-10001"), "not_there"),
        ("C-1", Cancel("MW-10002"), "never"),
        ("C-1", Cancel("MW-99999"), "not_there"),
        ("C-1", Cancel("../C-2"), "not_there"),
        ("C-1", Return("MW-10001", ("1",)), "never"),
    ],
)
def test_what_the_rules_do_not_allow_is_refused(
    records: Records, customer: str, change: Change, reason: str
) -> None:
    before = records.order("C-1", "MW-10001")
    with pytest.raises(ChangeRefusedError) as refused:
        records.change(customer, change, "key")
    assert refused.value.reason == reason
    assert records.order("C-1", "MW-10001") == before


def mixed_up(number: int, body: object) -> HttpRecords:
    transport = httpx.MockTransport(lambda _: httpx.Response(number, json=body))
    return HttpRecords("http://shop.example", "", 1.0, transport)


def test_a_system_that_mixes_customers_up_is_not_believed() -> None:
    bens = json.loads(TypeAdapter(Order).dump_json(ORDERS[2]))
    with pytest.raises(RecordsError, match="another customer's"):
        mixed_up(200, bens).order("C-1", "MW-20001")
    with pytest.raises(RecordsError, match="another customer's"):
        mixed_up(200, {"orders": [bens]}).orders("C-1")


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, {}), (401, {}), (200, {"number": 1}), (200, []), (200, {"orders": "none"})],
)
def test_a_system_that_fails_or_answers_nonsense_is_an_error(status: int, body: object) -> None:
    with pytest.raises(RecordsError):
        mixed_up(status, body).order("C-1", "MW-10001")
    with pytest.raises(RecordsError):
        mixed_up(status, body).orders("C-1")
    with pytest.raises(RecordsError):
        mixed_up(status, body).identify("MW-10001", "a@b.example")


def test_a_system_that_is_away_is_an_error() -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectTimeout("timed out", request=request)

    records = HttpRecords("http://shop.example", "", 1.0, httpx.MockTransport(away))
    with pytest.raises(RecordsError, match="timed out"):
        records.customer("C-1")


def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "records.sqlite"
    file.write_bytes(b"no database" * 100)
    with pytest.raises(RecordsError, match="cannot be read"):
        SqliteRecords(file).orders("C-1")


def test_the_demo_shops_orders_are_kept_as_they_are(tmp_path: Path) -> None:
    shop, products = demo_shop(), {p.id: p for p in load_catalogue()}
    customers = [customer_record(c) for c in shop.customers]
    made_orders = list(order_records(shop, products))
    records = SqliteRecords.create(tmp_path / "r.sqlite", customers, made_orders)
    some = shop.orders[:50]
    for made, expected in zip(some, made_orders, strict=False):
        kept = records.order(made.customer_id, made.id)
        assert kept == expected
        assert kept.total == Decimal(str(made.total)).quantize(Decimal("0.01"))
        assert [i.title for i in kept.items] == [line.title for line in made.lines]
    # Made anew it takes the place of the old one.
    again = SqliteRecords.create(tmp_path / "r.sqlite", customers, ())
    assert again.orders(some[0].customer_id) == []


def test_a_record_is_plain_data() -> None:
    assert asdict(ORDERS[0])["items"][0]["title"] == "Boots"
    assert replace(ORDERS[0], state="delivered") != ORDERS[0]
