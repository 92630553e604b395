"""Settings of the outlook: whether a customer is likely to buy again."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class PropensitySettings(BaseModel):
    """Who gets an outlook; only with a promoted model (home/propensity), for staff alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shown: bool = Field(True, description="Whether agents and the analytics see outlooks at all.")
    opted_out: frozenset[str] = Field(
        frozenset(), description="Ids of customers who have objected to it: nothing is worked out."
    )
    most_orders: int = Field(
        200, ge=1, description="Orders of a customer that are read, newest first."
    )
