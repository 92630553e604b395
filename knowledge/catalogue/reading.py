"""Read a shop's products from JSON Lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from knowledge.catalogue.types import Product, Size
from knowledge.errors import SourceError
from knowledge.formats import read_json_lines
from knowledge.segment import is_cjk
from knowledge.types import Rejection

_FIELDS = frozenset(
    """id title category brand price currency stock colour sizes attributes description image url
    language""".split()
)
_MOST_CHARACTERS = 20_000  # of a field; what is longer is no product's text


@dataclass(frozen=True, slots=True)
class ReadProducts:
    """What a file holds: products, and the lines that could not be taken, with the reason."""

    products: tuple[Product, ...]
    rejected: tuple[Rejection, ...]


def read_products(path: Path, max_bytes: int) -> ReadProducts:
    """The products of a file, also `.gz` and `.zst`. Raises SourceError when it cannot be read."""
    products: dict[str, Product] = {}
    rejected = []
    try:
        for number, row in enumerate(read_json_lines(path, max_bytes), start=1):
            try:
                product = product_of(row)
                if product.key in products:
                    raise ValueError(f"there is another product {product.id!r}")
                products[product.key] = product
            except ValueError as error:
                name = str(row.get("id") or f"number {number}")
                rejected.append(Rejection(f"{path.name}: {name}", str(error)))
    except FileNotFoundError:
        raise SourceError(f"{path} does not exist") from None
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: {error}") from error
    return ReadProducts(tuple(products.values()), tuple(rejected))


def product_of(row: Mapping[str, Any]) -> Product:
    """A product from its JSON object. Raises ValueError saying what is wrong with it.

    `stock` is a number of pieces, or one for each size: {"M": 3, "L": 0}.
    """
    if unknown := row.keys() - _FIELDS:
        raise ValueError(f"unknown fields: {', '.join(sorted(unknown))}")
    title = _text(row, "title")
    if not (_text(row, "id") and title):
        raise ValueError("id and title are needed")
    price = _price(row.get("price"))
    currency = _text(row, "currency").upper()
    if price is not None and not currency:
        raise ValueError("a price needs a currency")
    description = _text(row, "description")
    stock, sizes = _stock(row.get("stock"), row.get("sizes") or ())
    return Product(
        id=_text(row, "id"),
        title=title,
        category=_text(row, "category"),
        brand=_text(row, "brand"),
        price=price,
        currency=currency,
        stock=stock,
        colour=_text(row, "colour"),
        sizes=sizes,
        attributes=_attributes(row.get("attributes") or {}),
        description=description,
        image=_address(row, "image"),
        url=_address(row, "url"),
        language=_text(row, "language") or ("zh" if is_cjk(title + description) else "en"),
    )


def to_row(product: Product) -> dict[str, Any]:
    """The JSON object of a product, as `product_of` reads it."""
    told = {s.name: s.stock for s in product.sizes if s.stock is not None}
    return {
        "id": product.id, "title": product.title, "category": product.category,
        "brand": product.brand, "price": None if product.price is None else str(product.price),
        "currency": product.currency, "stock": told or product.stock, "colour": product.colour,
        "sizes": [s.name for s in product.sizes], "attributes": dict(product.attributes),
        "description": product.description, "image": product.image, "url": product.url,
        "language": product.language,
    }  # fmt: skip


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{name} must be a text")
    if len(text := str(value).strip()) > _MOST_CHARACTERS:
        raise ValueError(f"{name} is longer than {_MOST_CHARACTERS:,} characters")
    return text


def _price(value: Any) -> Decimal | None:
    if value is None or value == "":
        return None
    try:
        price = Decimal(str(value))
    except InvalidOperation:
        price = Decimal("NaN")
    if isinstance(value, bool) or not price.is_finite() or price < 0:
        raise ValueError(f"price must be a number, not {value!r}")
    return price


def _stock(stock: Any, sizes: Any) -> tuple[int | None, tuple[Size, ...]]:
    if isinstance(sizes, str) or not isinstance(sizes, list | tuple):
        raise ValueError("sizes must be a list")
    names = list(dict.fromkeys(str(size).strip() for size in sizes))
    if isinstance(stock, dict):
        pieces = {str(name).strip(): _pieces(number) for name, number in stock.items()}
        names += [name for name in pieces if name not in names]
        told = tuple(Size(name, pieces.get(name, 0)) for name in names)
        return sum(pieces.values()), told
    total = None if stock is None else _pieces(stock)
    return total, tuple(map(Size, names))


def _pieces(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ValueError(f"stock must be a number of pieces, not {value!r}")
    return int(value)


def _attributes(value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise ValueError("attributes must be names with values")
    told = {True: "yes", False: "no"}
    return tuple(
        (str(name), str(told.get(v, v) if isinstance(v, bool) else v))
        for name, v in value.items()
        if v not in (None, "")
    )


def _address(row: Mapping[str, Any], name: str) -> str:
    """An address that a page may load or link to: of the web, or below the shop's own."""
    address = _text(row, name)
    if address and urlsplit(address).scheme not in ("http", "https", ""):
        raise ValueError(f"{name} must be an address of the web")
    return address
