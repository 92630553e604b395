"""The recipe of a propensity model: every number of its training."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Kind = Literal["logistic", "boosting", "network"]
# The simpler first: of those that validation cannot tell apart, the first ships.
KINDS: tuple[Kind, ...] = ("logistic", "boosting", "network")


class PropensityRecipe(BaseModel):
    """How the rows are made, what is tried of each kind of model, and where the bands lie."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(0, ge=0, description="Seed of folds, weights, order and dropout.")
    history_days: float = Field(60.0, gt=0, description="Days of past before the first moment.")
    step_days: float = Field(10.0, gt=0, description="Days between two moments learnt from.")
    half_life_days: float = Field(
        90.0, gt=0, description="Days after which what was bought counts half, for the network."
    )
    folds: int = Field(3, ge=2, description="Groups of customers; each is judged by the others'.")
    kinds: tuple[Kind, ...] = Field(KINDS, min_length=1, description="Models to try.")
    blend: bool = Field(True, description="Try mixtures of the models, in steps of a quarter.")
    resamples: int = Field(500, ge=50, description="Bootstrap samples, of customers.")

    logistic_c: tuple[float, ...] = Field(
        (0.003, 0.03, 0.3, 3.0), description="Weights of the summed loss beside the L2 penalty."
    )
    boosting_rate: float = Field(0.05, gt=0, le=1, description="Shrinkage of a tree's values.")
    boosting_trees: int = Field(200, ge=1, description="Most trees; validation says how many.")
    boosting_leaves: tuple[int, ...] = Field((4, 8, 16), description="Most leaves of a tree.")
    boosting_rows: tuple[int, ...] = Field((50,), description="Fewest rows in a leaf.")
    boosting_columns: float = Field(0.5, gt=0, le=1, description="Share of columns at a split.")
    boosting_l2: tuple[float, ...] = Field((1.0, 30.0), description="L2 penalty of leaf values.")

    hidden: tuple[int, ...] = Field((48,), description="Units of the network's hidden layer.")
    projected: tuple[int, ...] = Field(
        (0, 8), description="Units that what was bought is projected to; 0: it is not read."
    )
    dropout: tuple[float, ...] = Field((0.1, 0.4), description="Share of inputs dropped.")
    weight_decay: float = Field(0.05, ge=0, description="AdamW's decoupled decay, per step.")
    learning_rate: float = Field(2e-3, gt=0, description="Peak of the cosine schedule, per step.")
    warmup_share: float = Field(0.1, ge=0, lt=1, description="Share of steps with a rising rate.")
    batch_size: int = Field(512, ge=1, description="Rows in a step.")
    epochs: int = Field(12, ge=1, description="Most passes over the rows.")
    patience: int = Field(3, ge=1, description="Epochs without a better validation loss.")
    checkpoint_steps: int = Field(200, ge=1, description="Optimizer steps between checkpoints.")

    likely_from: float = Field(0.5, gt=0, lt=1, description="Probability of the band `likely`.")
    leaving_below: float = Field(0.1, gt=0, lt=1, description="Probability of `leaving`, below.")
    wandb_project: str = Field("", description="Weights & Biases project to log to; empty: none.")
    threads: int | None = Field(None, ge=1, description="CPU threads; empty: torch's choice.")

    @model_validator(mode="after")
    def _bands_in_order(self) -> PropensityRecipe:
        if self.leaving_below >= self.likely_from:
            raise ValueError("leaving_below must be less than likely_from")
        return self
