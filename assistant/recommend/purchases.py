"""What a customer's orders say was bought, by the names that the catalogue has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from assistant.recommend.types import Purchase
from assistant.records.types import Item, Order
from knowledge.catalogue.types import Product

# States of orders and items that were not bought, or did not please. As the demo shop's.
_NOT_KEPT = frozenset(
    {"cancelled", "payment_failed", "lost", "refunded", "return_requested", "return_in_transit"}
)


class Matching:
    """Finds the product of the catalogue that an order's item is.

    Orders may name a product line of which the catalogue sells several things, by ids that begin
    with the line's: then it is the one that has most of what was chosen in its name.
    """

    def __init__(self, products: Iterable[Product]) -> None:
        self._by_id: dict[str, Product] = {}
        self._by_line: dict[str, list[Product]] = {}
        for product in products:
            self._by_id.setdefault(product.id, product)
            parts = product.id.split("-")
            for count in range(1, len(parts)):
                self._by_line.setdefault("-".join(parts[:count]), []).append(product)

    def product(self, item: Item) -> Product | None:
        """The product, or None where the catalogue does not sell it any more."""
        if item.product_id in self._by_id:
            return self._by_id[item.product_id]
        chosen = [value.casefold() for _, value in item.options]
        line = self._by_line.get(item.product_id, [])
        return max(line, key=lambda p: sum(map(_says(p).__contains__, chosen)), default=None)


def purchases_of(orders: Sequence[Order], matching: Matching) -> list[Purchase]:
    """What was bought and kept, as far as the catalogue knows it, oldest first."""
    found = []
    for order in sorted(orders, key=lambda o: o.placed):
        if order.state in _NOT_KEPT:
            continue
        for item in order.items:
            product = matching.product(item) if item.state not in _NOT_KEPT else None
            if product:
                found.append(Purchase(product.id, product.title, order.placed.date()))
    return found


def _says(product: Product) -> str:
    sizes = " ".join(size.name for size in product.sizes)
    return f"{product.title} {product.colour} {sizes} {product.id}".casefold()
