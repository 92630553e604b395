"""Recipes: every number of a training run, read from a small YAML file under version control."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from finetune.errors import RecipeError

METHODS = ("lora", "adalora", "dora", "prefix", "full")
RECIPES = Path(__file__).parents[1] / "recipes"


class Recipe(BaseModel):
    """What pre-training and fine-tuning have in common."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(0, ge=0, description="Seed of weights, order and dropout.")
    epochs: int = Field(1, ge=1, description="Passes over the training examples.")
    max_steps: int | None = Field(None, ge=1, description="Optimizer steps; empty: by epochs.")
    batch_size: int = Field(8, ge=1, description="Sequences in a forward pass.")
    gradient_accumulation: int = Field(1, ge=1, description="Forward passes per optimizer step.")
    max_tokens: int = Field(512, ge=32, description="Tokens in a sequence; longer ones are cut.")
    learning_rate: float = Field(1e-3, gt=0, description="Peak of the cosine schedule, per step.")
    warmup_share: float = Field(0.05, ge=0, lt=1, description="Share of steps with a rising rate.")
    weight_decay: float = Field(0.0, ge=0, description="AdamW's decoupled decay, per step.")
    max_gradient_norm: float = Field(1.0, gt=0, description="L2 norm gradients are clipped to.")
    checkpoint_steps: int = Field(200, ge=1, description="Optimizer steps between checkpoints.")
    bf16: bool = Field(
        False, description="Mixed precision, where the processor has it; off for tiny models."
    )
    wandb_project: str = Field("", description="Weights & Biases project to log to; empty: none.")
    threads: int | None = Field(None, ge=1, description="CPU threads; empty: torch's choice.")

    def total_steps(self, sequences: int, processes: int = 1) -> int:
        """Optimizer steps of a run over so many sequences, counted as the Trainer counts them;
        each of several processes takes batches of its own."""
        batches = math.ceil(math.ceil(sequences / self.batch_size) / processes)
        by_epochs = self.epochs * max(1, math.ceil(batches / self.gradient_accumulation))
        return self.max_steps or by_epochs

    def warmup_steps(self, total_steps: int) -> int:
        """Optimizer steps in which the rate rises."""
        return math.ceil(self.warmup_share * total_steps)


class WholeModelRecipe(Recipe):
    """Every weight is trained."""

    optimizer: Literal["adamw", "muon"] = Field(
        "adamw", description="muon: for hidden matrices, and weight_decay is theirs alone."
    )
    compile: bool = Field(False, description="Compile the model with torch.compile; for GPUs.")


class BaseRecipe(WholeModelRecipe):
    """A small Llama trained from scratch, with its own tokenizer."""

    vocabulary: int = Field(8192, ge=300, description="Tokens of the byte-level BPE tokenizer.")
    hidden_size: int = Field(256, ge=16, description="Width of the residual stream, in units.")
    layers: int = Field(6, ge=1, description="Transformer blocks.")
    heads: int = Field(4, ge=1, description="Attention heads of a block.")
    key_value_heads: int | None = Field(
        None, ge=1, description="Heads that keys and values are computed for; empty: all."
    )
    feed_forward: int = Field(704, ge=16, description="Width of the feed-forward layers, in units.")
    context_tokens: int = Field(1024, ge=64, description="Positions that the model can attend to.")
    leave_out: tuple[str, ...] = Field(
        (), description="Sources not to learn from, by a part of their name."
    )
    held_out_share: float = Field(0.0, ge=0, lt=1, description="Share of texts to measure on.")

    @model_validator(mode="after")
    def _shapes_fit(self) -> BaseRecipe:
        if self.hidden_size % (2 * self.heads):
            raise ValueError("hidden_size must be a multiple of 2 * heads (rotary positions)")
        if self.key_value_heads and self.heads % self.key_value_heads:
            raise ValueError("heads must be a multiple of key_value_heads")
        if self.max_tokens > self.context_tokens:
            raise ValueError("max_tokens must not exceed context_tokens")
        return self


class InstructRecipe(WholeModelRecipe):
    """All weights of a starter model, on replies to passages and a question."""

    copies: int = Field(0, ge=0, description="Times a written reply is drawn, near misses anew.")
    supported: bool = Field(
        False, description="Only replies whose sentences keep to the words of what they cite."
    )
    extracts: int = Field(0, ge=0, description="Shop questions answered by a sentence, at most.")
    extract_copies: int = Field(1, ge=1, description="Times such a question is drawn.")
    renumbered: int = Field(
        0, ge=0, description="Times more that an example comes, with other numbers, if it can."
    )
    packed: bool = Field(
        False, description="Several examples a sequence, none reading another; for GPUs."
    )
    grounded: int = Field(0, ge=0, description="Records of each grounded file, at most.")
    leave_out: tuple[str, ...] = Field(
        (), description="Sources of grounded records not to learn from, by a part of their name."
    )


class AdapterRecipe(Recipe):
    """An adapter on a 4-bit base: LoRA (arXiv 2106.09685), AdaLoRA (2303.10512), DoRA (2402.09353)
    or a prefix of keys and values (2101.00190)."""

    method: Literal["lora", "adalora", "dora", "prefix"] = Field(
        "lora", description="Kind of adapter."
    )
    rank: int = Field(16, ge=1, description="LoRA: rank. AdaLoRA: mean rank that is left.")
    alpha: int = Field(32, ge=1, description="Scale of the update: alpha / rank.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of adapter inputs dropped.")
    target_modules: tuple[str, ...] | Literal["all-linear"] = Field(
        "all-linear", description="Names of the adapted layers; all-linear: all but the output."
    )
    virtual_tokens: int = Field(16, ge=1, description="prefix: positions of the prefix.")
    supported: bool = Field(
        False, description="Only sentences that passages support, and those that claim nothing."
    )
    replay_share: float = Field(
        0.3, ge=0, lt=1, description="Share of earlier dialogues, where some are replayed."
    )
    keep: float = Field(
        0.0,
        ge=0,
        description="What is replayed is not learnt again, but the adapter is held to what the base"
        " would say there: weight of that (nats a token) beside what is new. 0: learnt again.",
    )
    initial_rank: int | None = Field(None, ge=2, description="AdaLoRA: rank to start with.")
    initial_share: float = Field(
        0.1, ge=0, lt=1, description="AdaLoRA: share of steps before the first pruning."
    )
    final_share: float = Field(
        0.3, ge=0, lt=1, description="AdaLoRA: share of steps after the last pruning."
    )
    prune_every: int = Field(10, ge=1, description="AdaLoRA: optimizer steps between prunings.")
    orthogonality: float = Field(0.5, ge=0, description="AdaLoRA: weight of the regulariser.")
    gradient_checkpointing: bool = Field(False, description="Recompute activations: less memory.")

    @model_validator(mode="after")
    def _adalora_fits(self) -> AdapterRecipe:
        if self.method != "adalora":
            return self
        if self.initial_rank is None or self.initial_rank <= self.rank:
            raise ValueError("adalora needs initial_rank above rank, or it has nothing to prune")
        if self.initial_share + self.final_share >= 1:
            raise ValueError("initial_share + final_share must leave steps for pruning (< 1)")
        if self.max_steps is not None:
            self.pruning_schedule(self.max_steps)
        return self

    def pruning_schedule(self, total_steps: int) -> tuple[int, int]:
        """AdaLoRA's (tinit, tfinal) in steps of this run. Raises RecipeError when nothing fits."""
        initial = math.ceil(self.initial_share * total_steps)
        final = math.ceil(self.final_share * total_steps)
        if initial + final + self.prune_every > total_steps:
            raise RecipeError(
                f"AdaLoRA cannot prune in a run of {total_steps} steps: {initial} before, {final} "
                f"after, one pruning every {self.prune_every}; train longer or lower these"
            )
        return initial, final


R = TypeVar("R", bound=BaseModel)


def load_recipe(path: Path, kind: type[R]) -> R:
    """Read a recipe. Raises RecipeError naming the file and the key."""
    try:
        values = yaml.safe_load(path.read_text("utf-8")) or {}
        return kind.model_validate(values)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"{path} cannot be read: {error}") from error
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'recipe'}: {e['msg']}" for e in error.errors()
        )
        raise RecipeError(f"{path}: {problems}") from error
