"""What a page shows of products and of a search: cards, and chips that are taken away."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Card:
    """A product as a customer sees it; texts are in the reply's language, addresses the shop's."""

    id: str
    title: str
    price: str = ""
    stock: str = ""
    note: str = ""
    image: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Chip:
    """Something that was asked of the products; a message with `says` takes it away."""

    label: str
    says: str
