"""The demo shop's products as the catalogue takes them: English at pounds, Chinese at yuan."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from assistant.demo.catalogue import ONE_SIZE, PRODUCT_FOLDER, Product
from assistant.demo.pictures import address_of
from knowledge.catalogue.colours import colour_name, colours_in

_KINDS = PRODUCT_FOLDER.parent / "kinds.yaml"
_CURRENCIES = {"en": "GBP", "zh": "CNY"}
_OWN_BRAND = {"en": "Maplewick", "zh": "枫灯"}
_MEASURED = re.compile(
    r"(?P<measure>[\d.]+(?: \w+)?|double|king|left-handed|right-handed) (?P<colour>.+)"
)
_BED = re.compile(r"\d+ x \d+ cm")  # a variant that customers ask for as a size


def goods(products: Iterable[Product]) -> Iterator[dict[str, Any]]:
    """Each product in both languages; what was recalled is not offered."""
    for product in products:
        if not product.recalled:
            yield from (_good(product, language) for language in _CURRENCIES)


def _good(product: Product, language: str) -> dict[str, Any]:
    is_zh = language == "zh"
    colour, size, rest = _split(product.variant or "")
    title = product.title_zh if is_zh else product.title
    said = colour_name(colours_in(colour)[0].name, language) if colour and is_zh else colour
    stock: dict[str, int] | int = dict(product.stock)
    if ONE_SIZE in product.stock:
        stock = {size: product.stock[ONE_SIZE]} if size else product.stock[ONE_SIZE]
    group, kind = _names(product, is_zh)
    attributes = dict(product.attributes)
    if product.preorder_date:
        attributes["到货日期" if is_zh else "available from"] = product.preorder_date
    currency = _CURRENCIES[language]
    return {
        "id": product.id,
        "title": f"{title}{'，' if is_zh else ', '}{rest}" if rest else title,
        "category": f"{group} > {kind}" if kind else group,
        "brand": product.marketplace_seller or _OWN_BRAND[language],
        "price": product.prices[currency],
        "currency": currency,
        "stock": stock,
        "colour": said,
        "sizes": list(product.sizes) or ([size] if size else []),
        "attributes": attributes,
        "description": product.description_zh if is_zh else product.description,
        "image": address_of(product.id),
        "language": language,
    }


def _split(variant: str) -> tuple[str, str, str]:
    """The colour, the size, and what is neither, of a variant's name: "22 cm cream"."""
    if _BED.fullmatch(variant):
        return "", variant, ""
    if variant.endswith("switches"):  # blue ones click, whatever the keyboard's colour
        return "", "", variant
    measured = _MEASURED.fullmatch(variant)
    if measured and colours_in(measured["colour"]):
        return measured["colour"], "", measured["measure"]
    return (variant, "", "") if colours_in(variant) else ("", "", variant)


def kind_of(product: Product) -> str:
    """The English name of a product's kind, or nothing."""
    return _names(product, is_zh=False)[1]


def _names(product: Product, is_zh: bool) -> tuple[str, str]:
    """The names of a product's group and kind."""
    groups, kinds = _kinds()
    return groups[product.group][is_zh], kinds.get(product.id[:7], ("", ""))[is_zh]


@cache
def _kinds() -> tuple[dict[str, list[str]], dict[str, tuple[str, str]]]:
    held = yaml.safe_load(Path(_KINDS).read_text(encoding="utf-8"))
    kinds = {code: (name, zh) for name, zh, codes in held["kinds"] for code in codes}
    return held["groups"], kinds
