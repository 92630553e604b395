"""Train the verifier: MiniLM with a LoRA adapter that judges (sentence, passage).

It goes on from the reranker's adapter, which has learnt to weigh a question's conditions.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from finetune.errors import DataError
from finetune.pair_training import (
    SEED,
    PairRecipe,
    encoded,
    network,
    pair_tokenizer,
    train_pairs,
)
from finetune.precision import mixed
from finetune.reranker_data import Shop, read_records
from finetune.verifier_data import (
    Shelves,
    Statement,
    answer_statements,
    grounded_statements,
    learnt,
    passage_statements,
    reply_statements,
    written_statements,
)
from knowledge.encoder import Encoder
from knowledge.verdict_net import VerdictNet
from knowledge.verifier import MAX_TOKENS

_SMOOTHING = 0.03
_WRITTEN = 2  # times an epoch
_REPLIES = 0.12  # share of what was replied to a shop's customers
_PASSAGES = 3  # of a shop
_ANSWERS = 0.03  # share of a shop's questions
_GROUNDED = {"english_grounded": 0.025, "chinese_grounded": 0.02}


@dataclass(frozen=True, slots=True)
class Lessons:
    """What the verifier learns from: shops with what was written and replied to them.

    For an epoch `plenty` times as many rows are drawn as two cores can learn from; what was written
    to the shops comes as it is.
    """

    shops: tuple[Shelves, ...]
    statements: Path
    replies: Path
    data: Path | None
    plenty: float = 1.0

    @classmethod
    def of(
        cls,
        shops: Sequence[Shop],
        encoder: Encoder,
        statements: Path,
        replies: Path,
        data: Path | None,
        plenty: float = 1.0,
    ) -> Lessons:
        """Of shops and the folders beside them. Raises DataError when nothing was written."""
        if not any(statements.glob("*.jsonl")):
            raise DataError(f"{statements} holds no statements")
        shelves = tuple(Shelves(s, encoder) for s in shops)
        return cls(shelves, statements, replies, data, plenty)

    def draw(self, rng: random.Random) -> list[Statement]:
        """The rows of an epoch."""
        return learnt(self._drawn(rng))

    def _drawn(self, rng: random.Random) -> Iterator[Statement]:
        for shelves in self.shops:
            name = f"{shelves.shop.name}.jsonl"
            if (path := self.statements / name).is_file():
                yield from _WRITTEN * list(written_statements(path, shelves))
            if (path := self.replies / name).is_file():
                replies = list(read_records(path))
                replies = rng.sample(replies, round(self._share(_REPLIES) * len(replies)))
                yield from reply_statements(replies, shelves, rng)
            yield from passage_statements(shelves, rng, round(_PASSAGES * self.plenty))
            yield from answer_statements(shelves, rng, self._share(_ANSWERS))
        if self.data:
            for name, share in _GROUNDED.items():
                path = self.data / "corpora" / f"{name}.jsonl.zst"
                yield from grounded_statements(path, rng, self._share(share))

    def _share(self, of_two_cores: float) -> float:
        return min(1.0, of_two_cores * self.plenty)


def losses_of(
    tokenizer: Tokenizer, net: VerdictNet, rows: Sequence[Statement]
) -> Mapping[str, Tensor]:
    """Cross-entropy of the verdicts."""
    device = next(net.parameters()).device
    _, inputs = encoded(tokenizer, rows)
    with mixed(device):
        logits = net(**{name: t.to(device) for name, t in inputs.items()})
    verdicts = torch.tensor([r.verdict for r in rows], device=device)
    return {
        "verdict": functional.cross_entropy(logits.float(), verdicts, label_smoothing=_SMOOTHING)
    }


def train_verifier(
    out: Path,
    lessons: Lessons,
    start: Path,
    recipe: PairRecipe,
    *,
    resume: bool = False,
    log: Callable[[str], object] = print,
) -> None:
    """Go on from the adapter in start. Raises DataError when there is nothing to learn from."""
    torch.manual_seed(SEED)
    log("drawing statements")
    losses = partial(losses_of, pair_tokenizer(MAX_TOKENS))
    train_pairs(network(VerdictNet, start), losses, lessons.draw, out, recipe, resume=resume)
