"""The recipe of a recommender: every number of its training, with its unit."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class RecommenderRecipe(BaseModel):
    """A text tower, the counts of neighbours, and a ranker that weighs both."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(7, ge=0, description="Seed of weights, order and what is drawn.")
    threads: int | None = Field(None, ge=1, description="CPU threads; empty: torch's choice.")
    wandb_project: str = Field("", description="Weights & Biases project to log to; empty: none.")
    checkpoint_steps: int = Field(50, ge=1, description="Optimizer steps between checkpoints.")
    warmup_share: float = Field(
        0.1, ge=0, lt=1, description="Share of steps, the first ones, with a rising rate."
    )

    tower_steps: int = Field(200, ge=0, description="Optimizer steps; 0: the encoder as it is.")
    tower_batch: int = Field(64, ge=2, description="Rows of a step, each other's negatives.")
    tower_rate: float = Field(1e-3, gt=0, description="Peak of the cosine schedule, per step.")
    weight_decay: float = Field(0.01, ge=0, description="AdamW's decoupled decay, per step.")
    layers: int = Field(1, ge=1, le=6, description="Last transformer blocks that learn.")
    rank: int = Field(16, ge=1, description="Rank of the LoRA adapter, in units.")
    history: int = Field(2, ge=1, description="Goods that stand for a customer, at most.")
    temperature: float = Field(0.07, gt=0, description="Cosines are divided by it.")
    same_visit_share: float = Field(
        0.5, ge=0, le=1, description="Share of rows whose history is the rest of the same visit."
    )

    neighbours: int = Field(100, ge=1, description="Similar goods kept of each, in goods.")
    shrinkage: float = Field(10.0, ge=0, description="Added below a cosine, in customers.")
    least_customers: int = Field(
        3, ge=1, description="Customers who bought both of two goods before that is told of."
    )

    horizon_days: int = Field(45, ge=1, description="Days in which the next visit is predicted.")
    cuts: int = Field(3, ge=1, description="Days on which the ranker learns to predict.")
    cut_days: int = Field(15, ge=1, description="Days from one of them to the next.")
    candidates: int = Field(100, ge=1, description="Goods that each feature proposes, in goods.")
    others: int = Field(100, ge=1, description="Goods drawn from the rest, in goods.")
    hidden: int = Field(32, ge=1, description="Width of a ranker's hidden layer, in units.")
    members: int = Field(3, ge=1, description="Rankers whose mean is taken, in networks.")
    ranker_steps: int = Field(450, ge=1, description="Optimizer steps.")
    ranker_batch: int = Field(32, ge=1, description="Customers of a step.")
    ranker_rate: float = Field(3e-3, gt=0, description="Peak of the cosine schedule, per step.")

    @property
    def learnt_days(self) -> int:
        """Days before the end from which on only the ranker learns, never the tower."""
        return self.horizon_days + (self.cuts - 1) * self.cut_days
