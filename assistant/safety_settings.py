"""Settings of the safety stage."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class SafetySettings(BaseModel):
    """What is said where somebody may be in danger."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    self_harm: dict[str, str] = Field(
        {},
        description="By language, what a customer in need reads first: the shop's own words, with"
        " the numbers of crisis lines where it serves. Else ours, which name none.",
    )
