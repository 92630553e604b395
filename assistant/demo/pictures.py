"""Pictures of the demo shop's goods, drawn: the outline of their group in their colour."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from assistant.demo.catalogue import Product, load_catalogue
from knowledge.catalogue.colours import colours_in

_FILE = Path(__file__).with_suffix(".yaml")
_PLAIN, _GROUND, _LINE = "#b9ad9c", "#efe8dc", "#3a342e"


def address_of(product_id: str) -> str:
    """Where a product's picture is served."""
    return f"/demo/goods/{product_id}.svg"


def picture(product_id: str) -> str | None:
    """A product's picture as SVG, or None when there is no such product."""
    product = _products().get(product_id)
    if product is None:
        return None
    drawing = _drawn()["drawings"][product.group]
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">'
        f'<rect width="64" height="64" fill="{_GROUND}"/>'
        f'<path d="{drawing["fill"]}" fill="{colour_of(product.variant or "")}"/>'
        f'<path d="{drawing["line"]}" fill="none" stroke="{_LINE}" stroke-width="2"'
        ' stroke-linecap="round" stroke-linejoin="round"/></svg>'
    )


def colour_of(variant: str) -> str:
    """What the first colour that a variant's name has looks like, as #rrggbb."""
    for colour in colours_in(variant):
        base = _drawn()["colours"].get(colour.base) or _drawn()["colours"].get(colour.family)
        if base:
            factor = _drawn()["tones"].get(colour.said or colour.own, 1.0)
            parts = (min(255, round(int(base[n : n + 2], 16) * factor)) for n in (1, 3, 5))
            return "#" + "".join(f"{part:02x}" for part in parts)
    return _PLAIN


@cache
def _products() -> dict[str, Product]:
    return {product.id: product for product in load_catalogue()}


@cache
def _drawn() -> dict[str, Any]:
    held: dict[str, Any] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return held
