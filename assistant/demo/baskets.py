"""What an invented order contains: products, sizes, quantities and the price of the goods."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from assistant.demo.catalogue import Product
from assistant.demo.delivery_rules import NO_MARKETPLACE, delivers_large, is_large, zone_of
from assistant.demo.order_records import Customer, OrderState
from assistant.demo.return_rules import COLLECTION_FEES, is_returnable
from assistant.demo.tastes import Tastes

BUSINESS_MINIMUM = {"GBP": 250, "EUR": 300, "USD": 350, "CNY": 2000}
BULK_DISCOUNTS = ((50, 0.08), (20, 0.05))
MOST_PIECES = 99
# In multiples of the minimum.
LARGEST_BUSINESS_ORDER = 8
RETURN_STATES = {"return_requested", "return_in_transit", "refunded"}
# A crew with an appointment does not lose furniture, and sofas do not fit into lockers.
NOT_FOR_FURNITURE = {"lost", "at_locker", "exchange_pending", "partially_shipped", "preorder"}
NOT_FOR_SELLERS = {"partially_shipped", "at_locker", "exchange_pending", "backordered", "preorder"}
FOR_GIFT_CARDS = {"delivered", "payment_failed"}


@dataclass(frozen=True)
class Item:
    """Some pieces of a product in one size, with the bulk discount they earn."""

    product: Product
    size: str | None
    quantity: int
    unit_price: float
    discount: float

    @property
    def total(self) -> float:
        """The price of all pieces before the discount."""
        return round(self.unit_price * self.quantity, 2)


def draw_basket(
    state: OrderState,
    customer: Customer,
    currency: str,
    tastes: Tastes,
    rng: random.Random,
) -> list[Item]:
    """Draw the items of one order to the customer's taste, fit for its state and its country.

    Raises ValueError if the catalogue holds nothing suitable.
    """
    suits = _kind(state, customer, rng)
    shelf = [product for product in tastes.products if suits(product) and _allowed(state, product)]
    if state in RETURN_STATES:
        shelf = [product for product in shelf if is_returnable(product, customer.country)]
    if not shelf:
        raise ValueError(f"no product for an order {state} to {customer.country}")
    first = tastes.choose(customer.id, shelf, rng)
    if first.marketplace_seller:
        shelf = [p for p in shelf if p.marketplace_seller == first.marketplace_seller]
    chosen = tastes.basket(customer.id, first, shelf, _more_lines(state, first, rng), rng)
    if customer.business:
        return _business_items(chosen[:2], currency, rng)
    return [
        _item(product, _size(state, product, rng), _pieces(product, rng), currency)
        for product in chosen
    ]


def goods_of(items: Sequence[Item]) -> tuple[float, float]:
    """Return the price of all goods and the discount that comes off."""
    return round(sum(i.total for i in items), 2), round(sum(i.discount for i in items), 2)


def _kind(state: OrderState, customer: Customer, rng: random.Random) -> Callable[[Product], bool]:
    """Draw what kind of basket this is and return the test for its products."""
    large_here = delivers_large(zone_of(customer.country, customer.region))
    if state in RETURN_STATES:
        large_here = large_here and customer.country in COLLECTION_FEES
    chance = rng.random()
    if state == "preorder":
        return lambda p: _is_parcel(p) or (_is_own_large(p) and large_here)
    if customer.business:
        return _is_parcel
    if chance < 0.1 and large_here and state not in NOT_FOR_FURNITURE:
        return _is_own_large
    if chance > 0.93 and customer.country not in NO_MARKETPLACE and state not in NOT_FOR_SELLERS:
        return lambda p: p.marketplace_seller is not None and not is_large(p)
    if 0.1 <= chance < 0.13 and state in FOR_GIFT_CARDS:
        # Cards on paper travel as letters, whose way nobody can follow.
        return lambda p: p.group == "gift_cards" and _is_electronic(p)
    if 0.13 <= chance < 0.15 and state == "delivered":
        # The recall is a topic of its own, so it needs customers who own the product.
        return lambda p: p.recalled
    return _is_parcel


def _is_parcel(product: Product) -> bool:
    special = is_large(product) or product.group == "gift_cards" or product.marketplace_seller
    return not special


def _is_own_large(product: Product) -> bool:
    return is_large(product) and product.marketplace_seller is None


def _is_electronic(product: Product) -> bool:
    return product.attributes.get("form", "").lower().startswith(("e-mail", "pdf"))


def _allowed(state: OrderState, product: Product) -> bool:
    """Say whether an order may contain a product while it is in a state."""
    if (product.preorder_date is not None) != (state == "preorder"):
        return False
    if product.recalled:
        # Sold before the recall, so only an order that is long finished may hold it.
        return state == "delivered"
    if state == "at_locker":
        return not product.lithium
    if state == "backordered":
        return 0 in product.stock.values()
    if state == "exchange_pending":
        fixed = product.final_sale or product.personalised or product.hygiene_sealed
        return product.group in ("clothing", "shoes") and len(product.sizes) > 1 and not fixed
    return True


def _more_lines(state: OrderState, first: Product, rng: random.Random) -> int:
    """Draw how many lines follow the first one."""
    if state in ("preorder", "backordered") or first.group == "gift_cards":
        return 0
    if state == "partially_shipped":
        return rng.randint(1, 3)
    return rng.choices((0, 1, 2, 3), (55, 28, 12, 5) if not is_large(first) else (85, 15, 0, 0))[0]


def _size(state: OrderState, product: Product, rng: random.Random) -> str | None:
    if not product.sizes:
        return None
    sold_out = [size for size in product.sizes if product.stock[size] == 0]
    return rng.choice(sold_out if state == "backordered" else product.sizes)


def _pieces(product: Product, rng: random.Random) -> int:
    several = not is_large(product) and product.prices["GBP"] < 40
    return rng.choices((1, 2, 3), (80, 15, 5))[0] if several else 1


def _item(product: Product, size: str | None, quantity: int, currency: str) -> Item:
    return Item(product, size, quantity, product.prices[currency], 0.0)


def _business_items(products: list[Product], currency: str, rng: random.Random) -> list[Item]:
    """Order each product in bulk, in a quantity that reaches the minimum of a business order."""
    items = []
    for product in products:
        price = product.prices[currency]
        needed = int(BUSINESS_MINIMUM[currency] / 0.92 / price) + 1
        # Fifty mugs are a common order, fifty coffee machines are not.
        affordable = int(LARGEST_BUSINESS_ORDER * BUSINESS_MINIMUM[currency] / price)
        quantity = min(rng.choice((5, 10, 12, 20, 24, 30, 50)), affordable)
        quantity = min(max(quantity, needed), MOST_PIECES)
        share = next((share for pieces, share in BULK_DISCOUNTS if quantity >= pieces), 0.0)
        if product.final_sale:
            share = 0.0
        discount = round(price * quantity * share, 2)
        items.append(Item(product, _size("placed", product, rng), quantity, price, discount))
    return items
