"""Values of recommendations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

# What a reason rests on: bought before, bought together with something that the customer has,
# a text near to that of such a thing, bought by many lately.
Basis = Literal["again", "together", "alike", "popular"]


@dataclass(frozen=True, slots=True)
class Purchase:
    """One product that a customer bought on a day; `product_id` as the catalogue has it."""

    product_id: str
    title: str
    day: date


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A product in stock. `score` orders the recommendations of one customer, and says nothing
    beyond; `reason` is a sentence that states only facts, of the kind that `basis` names."""

    product_id: str
    title: str
    score: float
    basis: Basis
    reason: str
