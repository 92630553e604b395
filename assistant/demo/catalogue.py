"""The product catalogue of the demo shop: YAML product lines expanded to single products."""

import datetime
import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PRODUCT_FOLDER = Path(__file__).parent / "shop" / "products"
GROUP_OF_PREFIX = {
    "CL": "clothing",
    "SH": "shoes",
    "HK": "home_kitchen",
    "FU": "furniture",
    "EL": "electronics",
    "OU": "outdoor",
    "BE": "beauty",
    "GC": "gift_cards",
}
# Rates with a margin, frozen on purpose: prices of a shop do not move with the market each day.
RATES = {"GBP": 1.0, "EUR": 1.18, "USD": 1.3, "CAD": 1.75, "CNY": 9.2, "HKD": 10.1, "SGD": 1.72}
# A gift card is sold at its face value, so it keeps a round amount in each currency.
GIFT_CARD_RATES = {"GBP": 1, "EUR": 1, "USD": 1, "CAD": 1, "CNY": 10, "HKD": 10, "SGD": 1}
ONE_SIZE = "one size"

REQUIRED_KEYS = {"code", "title", "title_zh", "price_gbp", "description", "description_zh"}
OPTIONAL_KEYS = {"attributes", "sizes", "variants", "flags"}
VARIANT_KEYS = {"name", "price_gbp", "attributes"}
PLAIN_FLAGS = {"final_sale", "refurbished", "personalised", "hygiene_sealed", "lithium", "recalled"}


class CatalogueError(ValueError):
    """A product line that cannot be read; the message names the file and the product code."""


@dataclass(frozen=True)
class Product:
    """One thing that can be put into a basket: one variant of a product line, in all its sizes.

    `prices` maps a currency to the price, `stock` maps a size (or "one size") to pieces.
    """

    id: str
    title: str
    title_zh: str
    group: str
    prices: dict[str, float]
    attributes: dict[str, str]
    description: str
    description_zh: str
    sizes: tuple[str, ...]
    variant: str | None
    stock: dict[str, int]
    final_sale: bool
    marketplace_seller: str | None
    refurbished: bool
    preorder_date: str | None
    personalised: bool
    hygiene_sealed: bool
    lithium: bool
    recalled: bool


def load_catalogue(folder: Path = PRODUCT_FOLDER) -> tuple[Product, ...]:
    """Read every YAML file of `folder` and return its products, ordered by file and line.

    Raises CatalogueError for a line that does not keep to the format or repeats a code.
    """
    products: dict[str, Product] = {}
    for path in sorted(folder.glob("*.yaml")):
        for line in _lines_of(path):
            code = line.get("code", "(no code)") if isinstance(line, dict) else "(not a mapping)"
            try:
                expanded = _expand(line, path.stem)
                repeated = [product.id for product in expanded if product.id in products]
                if repeated or len({product.id for product in expanded}) < len(expanded):
                    raise ValueError(f"product ids are used twice: {repeated or 'in this line'}")
            except (ValueError, TypeError) as error:
                raise CatalogueError(f"{path.name}, {code}: {error}") from error
            products.update((product.id, product) for product in expanded)
    return tuple(products.values())


def price_in(currency: str, price_gbp: float, group: str) -> float:
    """Convert a price in pounds to a believable price point of another currency."""
    if currency == "GBP":
        return round(price_gbp, 2)
    if group == "gift_cards":
        return float(price_gbp * GIFT_CARD_RATES[currency])
    raw = price_gbp * RATES[currency]
    if currency in ("CNY", "HKD"):
        return float(max(round(raw), 1) if raw < 60 else round(raw / 10) * 10 - 1)
    if raw < 20:
        return round(max(round(raw * 2), 1) / 2 - 0.01, 2)
    return round(round(raw) - 0.05, 2) if raw < 100 else float(round(raw / 5) * 5 - 1)


def _lines_of(path: Path) -> list[Any]:
    try:
        lines = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise CatalogueError(f"{path.name}: no valid YAML: {error}") from error
    if not isinstance(lines, list):
        raise CatalogueError(f"{path.name}: a list of product lines is expected")
    return lines


def _expand(line: Any, group: str) -> list[Product]:
    """Turn one product line into its products, or raise ValueError or TypeError saying why not."""
    _check_keys(line, REQUIRED_KEYS, REQUIRED_KEYS | OPTIONAL_KEYS)
    code = str(line["code"])
    if not re.fullmatch(r"[A-Z]{2}-\d{4}", code) or GROUP_OF_PREFIX.get(code[:2]) != group:
        raise ValueError(f"a code of the group {group} is expected")
    for key in REQUIRED_KEYS - {"code", "price_gbp"}:
        if not isinstance(line[key], str) or not line[key].strip():
            raise ValueError(f"{key} must be a text that is not empty")
    variants = _list_of(line, "variants")
    if not variants:
        return [_product(line, group, {})]
    return [_product(line, group, _variant(item)) for item in variants]


def _product(line: Mapping[str, Any], group: str, variant: Mapping[str, Any]) -> Product:
    name = variant.get("name")
    code = str(line["code"])
    product_id = code if name is None else f"{code}-{_suffix(name)}"
    price = _price(variant.get("price_gbp", line["price_gbp"]))
    flags = _flags(_list_of(line, "flags"))
    sizes = tuple(_text(size) for size in _list_of(line, "sizes"))
    if len(set(sizes)) < len(sizes):
        raise ValueError("a size is named twice")
    sold_out = bool(flags["recalled"] or flags["preorder_date"])
    return Product(
        id=product_id,
        title=line["title"].strip(),
        title_zh=line["title_zh"].strip(),
        group=group,
        prices={currency: price_in(currency, price, group) for currency in RATES},
        attributes=_attributes(line) | _attributes(variant),
        description=line["description"].strip(),
        description_zh=line["description_zh"].strip(),
        sizes=sizes,
        variant=name,
        stock={size: 0 if sold_out else _pieces(product_id, size) for size in sizes or (ONE_SIZE,)},
        **flags,
    )


def _variant(item: Any) -> dict[str, Any]:
    if not isinstance(item, dict):
        return {"name": _text(item)}
    _check_keys(item, {"name"}, VARIANT_KEYS)
    return item | {"name": _text(item["name"])}


def _flags(flags: list[Any]) -> dict[str, Any]:
    values: dict[str, Any] = dict.fromkeys(PLAIN_FLAGS, False)
    values |= {"marketplace_seller": None, "preorder_date": None}
    for flag in flags:
        name, _, detail = str(flag).partition(":")
        detail = detail.strip()
        if name in PLAIN_FLAGS and not detail:
            values[name] = True
        elif name == "marketplace" and detail:
            values["marketplace_seller"] = detail
        elif name == "preorder" and detail:
            values["preorder_date"] = datetime.date.fromisoformat(detail).isoformat()
        else:
            raise ValueError(f"unknown flag {flag!r}")
    return values


def _check_keys(mapping: Any, required: set[str], allowed: set[str]) -> None:
    if not isinstance(mapping, dict):
        raise TypeError("keys with values are expected")
    if missing := required - mapping.keys():
        raise ValueError(f"missing: {', '.join(sorted(missing))}")
    if unknown := mapping.keys() - allowed:
        raise ValueError(f"unknown: {', '.join(sorted(map(str, unknown)))}")


def _list_of(line: Mapping[str, Any], key: str) -> list[Any]:
    value = line.get(key) or []
    if not isinstance(value, list):
        raise TypeError(f"{key} must be a list")
    return value


def _attributes(mapping: Mapping[str, Any]) -> dict[str, str]:
    attributes = mapping.get("attributes") or {}
    if not isinstance(attributes, dict):
        raise TypeError("attributes must be keys with values")
    return {str(key): _text(value) for key, value in attributes.items()}


def _price(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"price_gbp must be a number, not {value!r}")
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"price_gbp must be above zero, not {value!r}")
    return float(value)


def _text(value: Any) -> str:
    """Return a YAML scalar as text; YAML reads an unquoted yes or no as a truth value."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or isinstance(value, dict | list) or not str(value).strip():
        raise ValueError(f"a text is expected, not {value!r}")
    return str(value).strip()


def _suffix(name: str) -> str:
    suffix = re.sub(r"[^A-Z0-9]+", "-", name.upper()).strip("-")
    if not suffix:
        raise ValueError(f"the variant {name!r} has no letter or digit for its code")
    return suffix


def _pieces(product_id: str, size: str) -> int:
    """Invent a stock level that never changes: about one size in eight is sold out."""
    number = int.from_bytes(hashlib.sha256(f"{product_id}/{size}".encode()).digest()[:4], "big")
    share = number % 8
    if share == 0:
        return 0
    return number // 8 % 5 + 1 if share == 1 else number // 8 % 120 + 6
