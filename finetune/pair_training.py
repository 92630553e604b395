"""Train a network that reads two texts together: MiniLM with a LoRA adapter and heads."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import Encoding, Tokenizer
from torch import Tensor

from finetune.errors import DataError
from finetune.fit import (
    Plan,
    Stateless,
    finish,
    fit,
    is_finished,
    rows_digest,
    training_folder,
    weights_digest,
)
from finetune.lora import save_headed
from knowledge.hanzi import simplified
from knowledge.heads import Headed
from knowledge.minilm import (
    ENCODER_ADAPTER,
    HEADS,
    backbone,
    extended_tokenizer,
    minilm_folder,
)

SEED = 20261125
_WARMUP_STEPS = 100
_PAD_TO = 16  # few shapes: oneDNN compiles its kernels anew for each
_SPREAD = 60  # characters by which rows of a batch may differ at random


class TextPair(Protocol):
    """A row to learn from."""

    @property
    def texts(self) -> tuple[str, str]:
        """The two texts, as the network reads them."""
        ...


Net = TypeVar("Net", bound=Headed)
Row = TypeVar("Row", bound=TextPair)


@dataclass(frozen=True)
class PairRecipe:
    """Passes over the rows, rows of a batch, the rate of adapter and heads."""

    epochs: int = 1
    batch: int = 48
    rate: float = 5e-4
    seed: int = SEED


def pair_tokenizer(max_tokens: int) -> Tokenizer:
    """The tokenizer of what reads pairs, set to cut and pad rows for training."""
    tokenizer = extended_tokenizer(minilm_folder(), ENCODER_ADAPTER)
    tokenizer.enable_truncation(max_tokens, strategy="longest_first")
    tokenizer.enable_padding(pad_to_multiple_of=_PAD_TO)
    return tokenizer


def network(kind: Callable[[Any], Net], adapter: Path | None = None, rank: int = 96) -> Net:
    """A trainable network: a new LoRA adapter of a rank on MiniLM, or the one in `adapter` with the
    heads beside it, as far as this kind has the same."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    base = backbone(minilm_folder(), ENCODER_ADAPTER)
    if adapter:
        net = kind(PeftModel.from_pretrained(base, adapter, is_trainable=True))
        net.load_heads(adapter)
        return net.to(device)
    config = LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        target_modules=["query", "key", "value", "dense"],
        exclude_modules=r".*pooler.*",
    )
    return kind(get_peft_model(base, config)).to(device)


def encoded(tokenizer: Tokenizer, rows: Sequence[TextPair]) -> tuple[list[Encoding], Any]:
    """The tokens of rows, and what the network takes: three tensors (rows, tokens), by name."""
    pairs = [(simplified(a), simplified(b)) for a, b in (row.texts for row in rows)]
    tokens = tokenizer.encode_batch(pairs)
    return tokens, {
        "input_ids": torch.tensor([t.ids for t in tokens]),
        "attention_mask": torch.tensor([t.attention_mask for t in tokens]),
        "token_type_ids": torch.tensor([t.type_ids for t in tokens]),
    }


class PairObjective(Stateless, Generic[Net, Row]):
    """The losses of a step over rows, which are drawn anew for each epoch.

    Raises DataError when there is none.
    """

    def __init__(
        self,
        net: Net,
        losses: Callable[[Net, Sequence[Row]], Mapping[str, Tensor]],
        make_rows: Callable[[random.Random], Sequence[Row]],
        recipe: PairRecipe,
    ) -> None:
        self.net, self.recipe = net, recipe
        self._losses, self._make_rows = losses, make_rows
        self._batches = lru_cache(maxsize=1)(self._drawn)
        self.rows = self._batches(0)
        self.per_epoch = len(self.rows)
        if not self.per_epoch:
            raise DataError("there is no pair to learn from")
        net.train()

    def groups(self) -> list[dict[str, Any]]:
        """See Objective."""
        parameters = [p for p in self.net.parameters() if p.requires_grad]
        return [{"params": parameters, "lr": self.recipe.rate, "weight_decay": 0.01}]

    def losses(self, step: int) -> Mapping[str, Tensor]:
        """See Objective."""
        epoch, place = divmod(step, self.per_epoch)
        batches = self._batches(epoch)
        return self._losses(self.net, batches[place % len(batches)])

    def _drawn(self, epoch: int) -> list[list[Row]]:
        """Shuffled batches of rows of about equal length, so that little is padded."""
        rng = random.Random(f"{self.recipe.seed} {epoch}")
        rows = self._make_rows(rng)
        order = sorted(rows, key=lambda r: sum(map(len, r.texts)) + rng.randint(0, _SPREAD))
        size = self.recipe.batch
        batches = [order[i : i + size] for i in range(0, len(order), size)]
        rng.shuffle(batches)
        return batches


def train_pairs(
    net: Net,
    losses: Callable[[Net, Sequence[Row]], Mapping[str, Tensor]],
    make_rows: Callable[[random.Random], Sequence[Row]],
    out: Path,
    recipe: PairRecipe,
    *,
    resume: bool = False,
) -> None:
    """Fit on make_rows and save to out; a run that was cut off goes on with `resume`, and one that
    was finished is left as it is. Raises DataError when there is no row."""
    if resume and is_finished(out, HEADS):
        return
    objective = PairObjective(net, losses, make_rows, recipe)
    steps = recipe.epochs * objective.per_epoch
    plan = Plan(steps, warmup=min(0.1, _WARMUP_STEPS / steps), seed=recipe.seed)
    run = {
        "recipe": asdict(recipe),
        "pairs": rows_digest(objective.rows),
        "start": weights_digest(net),
    }
    fit(objective, plan, training_folder(out), run, resume=resume)
    save_headed(net, out)
    finish(out)
