"""Values of the catalogue: a product, and what a customer wants of one."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

Field = Literal[
    "category", "brand", "size", "colour", "word", "most", "least", "stock", "order"
]  # fmt: skip
Order = Literal["cheapest", "dearest"]


@dataclass(frozen=True, slots=True)
class Size:
    """A size that a product comes in; `stock` in pieces, None where the shop does not say."""

    name: str
    stock: int | None = None


@dataclass(frozen=True, slots=True)
class Product:
    """One thing that can be bought, as it is described in one language.

    `price` in `currency` (ISO 4217), `stock` in pieces over all sizes, None where the shop does not
    say; `image` and `url` are addresses; `attributes` by name, as the shop has them.
    """

    id: str
    title: str
    category: str = ""
    brand: str = ""
    price: Decimal | None = None
    currency: str = ""
    stock: int | None = None
    colour: str = ""
    sizes: tuple[Size, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    description: str = ""
    image: str = ""
    url: str = ""
    language: str = "en"

    @property
    def key(self) -> str:
        """What tells it apart: one product may be described in several languages."""
        return f"{self.id}@{self.language}"

    def stock_of(self, size: str = "") -> int | None:
        """Pieces left, of one size if it is named; None where the shop does not say."""
        named = {s.name: s.stock for s in self.sizes}
        return named[size] if size in named and named[size] is not None else self.stock


@dataclass(frozen=True, slots=True)
class Constraint:
    """One thing that is asked of a product, or `negated`, not asked.

    `value` is a name as the catalogue has it (category, brand, size), a colour by its English name,
    a word that the product must not speak of, an amount of money (`most`, `least`; `currency` empty
    where none was said), an order to show products in; `stock` has none.
    """

    field: Field
    value: str = ""
    negated: bool = False
    currency: str = ""

    @property
    def amount(self) -> Decimal:
        """The money that a limit names."""
        return Decimal(self.value)

    def __str__(self) -> str:
        parts = (self.field, self.value, self.currency)
        return "-" * self.negated + ":".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a message asks for: constraints in the order of their fields, and the rest of its words
    as free text, with typing errors in names mended."""

    constraints: tuple[Constraint, ...] = ()
    text: str = field(default="")

    def of(self, *fields: Field) -> tuple[Constraint, ...]:
        """The constraints on these fields."""
        return tuple(c for c in self.constraints if c.field in fields)

    def without(self, *dropped: Constraint) -> Wanted:
        """The same with fewer constraints."""
        return Wanted(tuple(c for c in self.constraints if c not in dropped), self.text)
