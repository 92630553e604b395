"""The demo shop's products, customers and orders keep to the facts that its help pages state."""

import datetime
import json
import typing
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from assistant.demo.catalogue import CatalogueError, Product, load_catalogue, price_in
from assistant.demo.order_records import Customer, Order, OrderState, ShopRecords
from assistant.demo.orders import generate_shop
from tests.assistant.shop import demo_shop

TODAY = "2026-11-23"
CURRENCIES = {
    "GB": "GBP", "IE": "EUR", "DE": "EUR", "AT": "EUR", "FR": "EUR", "NL": "EUR", "US": "USD",
    "CA": "CAD", "CN": "CNY", "HK": "HKD", "SG": "SGD",
}  # fmt: skip
LINE = {
    "code": "CL-0142",
    "title": "Harbour jacket",
    "title_zh": "港湾夹克",
    "price_gbp": 129.0,
    "description": "A jacket.",
    "description_zh": "一件夹克。",
    "attributes": {"lined": True, "weight": 640},
    "sizes": ["S", 38.5],
    "variants": ["navy", {"name": "deep red", "price_gbp": 139, "attributes": {"weight": "1 kg"}}],
    "flags": ["marketplace:Nordhus Wool", "preorder:2026-12-15", "lithium"],
}


@pytest.fixture(scope="module")
def products() -> dict[str, Product]:
    return {product.id: product for product in load_catalogue()}


@pytest.fixture(scope="module")
def shop() -> ShopRecords:
    return demo_shop()


@pytest.fixture(scope="module")
def customers(shop: ShopRecords) -> dict[str, Customer]:
    return {customer.id: customer for customer in shop.customers}


def _write(folder: Path, *lines: object, name: str = "clothing.yaml") -> Path:
    (folder / name).write_text(yaml.safe_dump(list(lines), allow_unicode=True), encoding="utf-8")
    return folder


def _moments(order: Order) -> dict[str, datetime.datetime]:
    return {step.state: datetime.datetime.fromisoformat(step.at) for step in order.history}


def _pairs(shop: ShopRecords, customers: dict[str, Customer]) -> Iterator[tuple[Order, Customer]]:
    return ((order, customers[order.customer_id]) for order in shop.orders)


def test_a_line_becomes_one_product_per_variant(tmp_path: Path) -> None:
    navy, red = load_catalogue(_write(tmp_path, LINE))
    assert (navy.id, red.id) == ("CL-0142-NAVY", "CL-0142-DEEP-RED")
    assert (navy.prices["GBP"], red.prices["GBP"]) == (129.0, 139.0)
    assert navy.attributes == {"lined": "yes", "weight": "640"}
    assert red.attributes == {"lined": "yes", "weight": "1 kg"}
    assert navy.sizes == ("S", "38.5")
    assert (navy.marketplace_seller, navy.preorder_date) == ("Nordhus Wool", "2026-12-15")
    assert navy.lithium
    assert not navy.final_sale
    assert navy.stock == {"S": 0, "38.5": 0}


@pytest.mark.parametrize(
    "change",
    [
        {"title_zh": None},
        {"price_gbp": "cheap"},
        {"price_gbp": -1},
        {"price_gbp": float("nan")},
        {"flags": ["bargain"]},
        {"flags": ["preorder:soon"]},
        {"sizes": "M"},
        {"sizes": ["M", "M"]},
        {"variants": ["navy", "Navy"]},
        {"attributes": ["warm"]},
        {"colour": "red"},
        {"code": "CL-142"},
        {"code": "SH-0142"},
    ],
)
def test_a_malformed_line_is_refused_naming_its_file_and_code(
    tmp_path: Path, change: dict[str, object]
) -> None:
    line = LINE | change
    with pytest.raises(CatalogueError, match=rf"clothing\.yaml, {line['code']}: "):
        load_catalogue(_write(tmp_path, line))


def test_a_code_cannot_be_used_by_two_lines(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="used twice"):
        load_catalogue(_write(tmp_path, LINE, LINE))


@pytest.mark.parametrize("text", ["code: [", "just a text", "- only an item"])
def test_a_file_that_is_no_list_of_lines_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "shoes.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(CatalogueError, match=r"shoes\.yaml"):
        load_catalogue(tmp_path)


@pytest.mark.parametrize(
    ("currency", "pounds", "group", "expected"),
    [
        ("GBP", 129.0, "clothing", 129.0),
        ("EUR", 129.0, "clothing", 149.0),
        ("USD", 9.5, "beauty", 12.49),
        ("CNY", 129.0, "clothing", 1189.0),
        ("CNY", 50.0, "gift_cards", 500.0),
        ("EUR", 50.0, "gift_cards", 50.0),
    ],
)
def test_prices_end_on_believable_points(
    currency: str, pounds: float, group: str, expected: float
) -> None:
    assert price_in(currency, pounds, group) == expected


def test_the_catalogue_holds_at_least_400_products_of_all_groups(
    products: dict[str, Product],
) -> None:
    assert len(products) >= 400
    assert len({product.group for product in products.values()}) == 8
    assert all(min(product.prices.values()) > 0 for product in products.values())


def test_some_sizes_are_sold_out_but_most_are_not(products: dict[str, Product]) -> None:
    stock = [pieces for product in products.values() for pieces in product.stock.values()]
    assert 0.05 < stock.count(0) / len(stock) < 0.3


def test_loading_and_generating_twice_gives_the_same_records(shop: ShopRecords) -> None:
    assert load_catalogue() == load_catalogue()
    assert generate_shop() == shop


def test_another_seed_gives_other_records(shop: ShopRecords) -> None:
    assert generate_shop(7).orders != shop.orders


def test_there_are_300_customers_and_1500_orders(shop: ShopRecords) -> None:
    assert (len(shop.customers), len(shop.orders)) == (300, 1500)


def test_ids_and_e_mails_are_unique(shop: ShopRecords) -> None:
    assert len({order.id for order in shop.orders}) == 1500
    assert len({customer.id for customer in shop.customers}) == 300
    assert len({customer.email for customer in shop.customers}) == 300
    assert all(order.id[:3] == "MW-" and len(order.id) == 10 for order in shop.orders)


def test_every_customer_has_one_to_twelve_orders(shop: ShopRecords) -> None:
    counts = Counter(order.customer_id for order in shop.orders)
    assert counts.keys() == {customer.id for customer in shop.customers}
    assert max(counts.values()) <= 12


def test_every_country_and_tier_and_language_occurs(shop: ShopRecords) -> None:
    assert {customer.country for customer in shop.customers} == CURRENCIES.keys()
    assert {customer.tier for customer in shop.customers} == {"none", "member", "silver", "gold"}
    assert {customer.language for customer in shop.customers} == {"en", "zh"}
    assert any(customer.business for customer in shop.customers)
    assert all(customer.tier == "none" for customer in shop.customers if customer.business)


def test_higher_tiers_have_spent_more(shop: ShopRecords, customers: dict[str, Customer]) -> None:
    spent: dict[str, list[float]] = {"member": [], "silver": [], "gold": []}
    for customer in customers.values():
        if customer.country == "GB" and customer.tier != "none":
            own = [order for order in shop.orders if order.customer_id == customer.id]
            spent[customer.tier].append(sum(order.goods_total for order in own))
    members, silver, gold = (sum(sums) / len(sums) for sums in spent.values())
    assert members < silver < gold
    assert min(spent["gold"]) >= 900


def test_nobody_orders_before_joining(shop: ShopRecords, customers: dict[str, Customer]) -> None:
    assert all(
        customer.joined <= order.placed_at[:10] for order, customer in _pairs(shop, customers)
    )


def test_every_state_is_present(shop: ShopRecords) -> None:
    assert {order.state for order in shop.orders} == set(typing.get_args(OrderState))


def test_records_become_json_and_back(shop: ShopRecords) -> None:
    order = next(order for order in shop.orders if order.refund)
    assert json.loads(json.dumps(asdict(order)))["refund"]["total"] == order.refund.total  # type: ignore[union-attr]
    json.dumps([asdict(customer) for customer in shop.customers])


def test_totals_add_up(shop: ShopRecords) -> None:
    for order in shop.orders:
        assert all(
            line.total == pytest.approx(line.unit_price * line.quantity) for line in order.lines
        )
        assert order.goods_total == pytest.approx(sum(line.total for line in order.lines))
        total = order.goods_total - order.discount + order.delivery.fee
        assert order.total == pytest.approx(total)
        assert order.payment.charged <= order.total


def test_prices_are_those_of_the_catalogue_in_the_customers_currency(
    shop: ShopRecords, customers: dict[str, Customer], products: dict[str, Product]
) -> None:
    for order, customer in _pairs(shop, customers):
        assert order.currency == CURRENCIES[customer.country]
        for line in order.lines:
            product = products[line.product_id]
            assert line.unit_price == product.prices[order.currency]
            assert line.size in (product.sizes or (None,))


def test_history_is_ordered_and_ends_in_the_present_state(shop: ShopRecords) -> None:
    for order in shop.orders:
        moments = [step.at for step in order.history]
        assert moments == sorted(set(moments))
        assert "2025-06-01" <= moments[0] == order.placed_at
        assert moments[-1][:10] <= TODAY
        assert (order.history[0].state, order.history[-1].state) == ("placed", order.state)


def test_nothing_leaves_or_arrives_on_a_sunday(shop: ShopRecords) -> None:
    moving = {"packed", "shipped", "partially_shipped", "out_for_delivery", "return_in_transit"}
    steps = [step for order in shop.orders for step in order.history if step.state in moving]
    assert len(steps) > 3000
    assert all(datetime.date.fromisoformat(step.at[:10]).weekday() != 6 for step in steps)


def test_parcels_arrive_after_dispatch_and_within_the_estimate_unless_delayed(
    shop: ShopRecords,
) -> None:
    for order in shop.orders:
        moments = _moments(order)
        arrived = moments.get("at_locker", moments.get("delivered"))
        if arrived is None or order.delivery.method == "email":
            continue
        assert moments["shipped"].date() < arrived.date()
        late = arrived.date().isoformat() > order.delivery.latest
        assert late == ("delayed" in moments)
        assert arrived.date().isoformat() >= order.delivery.earliest


def test_parcels_on_their_way_are_not_overdue_but_delayed_ones_are(shop: ShopRecords) -> None:
    for order in shop.orders:
        if order.state in ("shipped", "out_for_delivery", "partially_shipped"):
            assert order.delivery.latest >= TODAY
        if order.state in ("delayed", "lost"):
            assert order.delivery.latest < TODAY


def test_only_split_or_partly_returned_orders_have_lines_in_other_states(shop: ShopRecords) -> None:
    for order in shop.orders:
        states = {line.state for line in order.lines}
        if order.state == "partially_shipped":
            assert states == {"shipped", "backordered"}
        else:
            assert order.state in states
            assert states <= {order.state, "delivered"}
