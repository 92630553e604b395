"""The texts that a product is found by."""

from __future__ import annotations

import hashlib

from knowledge.catalogue.names import levels
from knowledge.catalogue.types import Product

# Raise it when products are put into other texts, so that kept terms and vectors are made anew.
FIELDS = 1
# How often a field counts beside the description, as in BM25F with one length (Robertson, Zaragoza
# and Taylor, "Simple BM25 extension to multiple weighted fields", 2004).
_TITLE, _NAMES = 3, 2


def embedded_text(product: Product) -> str:
    """What a product is, for the encoder: its title and kind. What is said of it BM25 finds; in
    one vector it would drown what it is (benchmarks/RESULTS.md)."""
    return ", ".join(filter(None, (product.title, *levels(product.category)[-1:])))


def searched_text(product: Product) -> str:
    """The words that BM25 counts."""
    names = (product.category, product.brand, product.colour)
    said = (f"{name.replace('_', ' ')} {value}" for name, value in product.attributes)
    return "\n".join(
        (product.id, *[product.title] * _TITLE, *names * _NAMES, product.description, *said)
    )


def key_of(text: str) -> str:
    """Equal keys are equal texts."""
    return hashlib.sha256(text.encode()).hexdigest()
