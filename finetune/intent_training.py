"""Train the router's network on labelled utterances, and on messages about anything else.

The intents' directions start at the mean of their utterances and are drawn to them by a
cross-entropy over cosines. In each step messages on other things teach to be sure of no intent
(outlier exposure: Hendrycks et al., arXiv 1812.04606), so that the probability of the best one
tells what is out of scope. Some rows are seen with slips of typing, and all can be seen with their
word embeddings moved where it hurts most (Miyato et al., "Adversarial training methods for
semi-supervised text classification", arXiv 1605.07725).
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from torch.nn import functional

from finetune.intent_data import Utterances
from finetune.precision import mixed
from finetune.slips import with_slips
from finetune.synonyms import Synonyms
from knowledge.hanzi import simplified
from knowledge.intent_classifier import MAX_TOKENS
from knowledge.intent_net import SCALE, IntentNet
from knowledge.minilm import ENCODER_ADAPTER, backbone, extended_tokenizer, minilm_folder

log = logging.getLogger(__name__)
_PAD_TO = 4
_BUCKET = 16  # batches that are sorted by length together


@dataclass(frozen=True)
class Recipe:
    """Sizes, rates and weights of the losses."""

    epochs: int = 10
    least_steps: int = 400  # however few the rows: then there are more passes
    batch: int = 64
    rank: int = 32
    adapter_rate: float = 3e-4
    head_rate: float = 2e-3
    dropout: float = 0.1
    smoothing: float = 0.1
    others: float = 0.25  # messages on other things in a step, as a share of the batch
    unsure: float = 0.3  # weight of being sure of nothing about them
    slipping: float = 0.3  # share of rows with slips of typing
    slips: float = 0.15  # of their words
    replacing: float = 0.0  # share of rows with words replaced by synonyms
    replaced: float = 0.2  # of their words that have any
    adversarial: float = 0.0  # L2 norm by which a row's word embeddings are moved
    averaging: float = 0.99  # of the average of the weights, kept at each step
    held: float = 0.1
    patience: int = 3  # looks at the held rows, one an epoch, without a better score
    seed: int = 20261126


class TrainableRouter:
    """The network being trained, with what makes token ids of texts."""

    def __init__(self, labels: Sequence[str], recipe: Recipe) -> None:
        base = backbone(minilm_folder(), ENCODER_ADAPTER, ENCODER_ADAPTER)
        for module in base.modules():
            if isinstance(module, nn.Dropout):
                module.p = recipe.dropout
        config = LoraConfig(
            r=recipe.rank,
            lora_alpha=2 * recipe.rank,
            target_modules=["query", "key", "value", "dense"],
        )
        self.net = IntentNet(get_peft_model(base, config), len(labels))
        self.labels = list(labels)
        self.tokenizer = extended_tokenizer(minilm_folder(), ENCODER_ADAPTER)
        self.tokenizer.enable_truncation(MAX_TOKENS)

    def embedded(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """(word embeddings (rows, tokens, width), attention mask)."""
        rows = self.tokenizer.encode_batch([simplified(t) for t in texts])
        ids, mask = padded_ids([r.ids for r in rows])
        return self.net.backbone.get_input_embeddings()(ids), mask

    def logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(texts, labels), without dropout."""
        with torch.no_grad():
            found: NDArray[np.float32] = self.net.logits(self.vectors(texts)).numpy()
        return found

    def score(self, utterances: Utterances) -> float:
        """Accuracy; where there can be several intents, the share of them told rightly (F1)."""
        logits, target = self.logits(utterances.texts), targets(utterances, self.labels).numpy()
        if not utterances.several:
            return float((logits.argmax(1) == target.argmax(1)).mean())
        told = logits > 0
        return float(2 * (told & (target > 0)).sum() / max(1, told.sum() + target.sum()))

    def vectors(self, texts: Sequence[str]) -> Tensor:
        """(texts, width) unit vectors, without dropout."""
        self.net.eval()
        order = sorted(range(len(texts)), key=lambda n: len(texts[n]))
        found: list[Any] = [None] * len(texts)
        with torch.no_grad(), mixed("cpu"):
            for start in range(0, len(order), 128):
                rows = order[start : start + 128]
                vectors = self.net.vectors(*self.embedded([texts[n] for n in rows]))
                for n, vector in zip(rows, vectors, strict=True):
                    found[n] = vector
        self.net.train()
        return torch.stack(found)


def padded_ids(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """(ids, mask), both (rows, tokens), of a few different widths."""
    width = -(-max(map(len, rows)) // _PAD_TO) * _PAD_TO
    ids, mask = torch.zeros(2, len(rows), width, dtype=torch.long)
    for n, row in enumerate(rows):
        ids[n, : len(row)] = torch.tensor(row)
        mask[n, : len(row)] = 1
    return ids, mask


class IntentObjective:
    """The losses of a step over learnt utterances and messages about other things."""

    def __init__(
        self,
        router: TrainableRouter,
        learnt: Utterances,
        held: Utterances,
        others: Sequence[str],
        recipe: Recipe,
        synonyms: Synonyms | None = None,
    ) -> None:
        self.router = router
        self.synonyms = synonyms
        self.recipe = recipe
        self.held = held
        self.best, self.waited = 0.0, 0
        self.kept: list[Tensor] = []
        self.averaged: list[Tensor] = []
        self.texts = learnt.texts
        self.targets = targets(learnt, router.labels)
        self.several = learnt.several
        self.others = [*others, *learnt.outside]
        # Given out-of-scope rows are few and near: together they are drawn as often as the rest.
        near = len(others) / len(learnt.outside) if learnt.outside else 0.0
        self.other_weights = [1.0] * len(others) + [near] * len(learnt.outside)
        self.weights = balance(self.targets)
        self._batches = lru_cache(maxsize=1)(self._shuffled)
        self.per_epoch = math.ceil(len(self.texts) / recipe.batch)
        self.steps = max(recipe.epochs * self.per_epoch, recipe.least_steps)
        self._score_every = max(1, self.steps // recipe.epochs)
        self._begin()

    def _begin(self) -> None:
        """Each intent's direction starts at the mean of its utterances."""
        vectors = self.router.vectors(self.texts)
        net = self.router.net
        with torch.no_grad():
            net.directions.copy_(functional.normalize(self.targets.T @ vectors, dim=-1))
            # Of several intents none is likely before anything was learnt.
            net.bias.fill_(-SCALE / 2 if self.several else 0.0)

    def groups(self) -> list[dict[str, Any]]:
        """See Objective."""
        net = self.router.net
        adapter = [p for n, p in net.backbone.named_parameters() if "lora_" in n]
        heads = [net.directions, net.bias]
        return [
            {"params": adapter, "lr": self.recipe.adapter_rate, "weight_decay": 0.01},
            {"params": heads, "lr": self.recipe.head_rate, "weight_decay": 0.0},
        ]

    def losses(self, step: int) -> Mapping[str, Tensor]:
        """See Objective."""
        recipe, net = self.recipe, self.router.net
        rng = random.Random(f"{recipe.seed} {step}")
        rows = self._rows(step)
        count = max(1, round(recipe.others * len(rows)))
        drawn = rng.choices(self.others, self.other_weights, k=count)
        inside = [self._seen(self.texts[n], rng) for n in rows]
        target = self.targets[rows]
        with mixed("cpu"):
            embeddings, mask = self.router.embedded([*inside, *drawn])
            embeddings = embeddings.detach().requires_grad_(recipe.adversarial > 0)
            vectors = net.vectors(embeddings, mask)
        logits = net.logits(vectors)
        parts = {
            "intent": self._intent_loss(logits[: len(rows)], target),
            "unsure": recipe.unsure * self._unsure_loss(logits[len(rows) :]),
        }
        if recipe.adversarial:
            moved = worst_move(parts["intent"], embeddings, recipe.adversarial)
            with mixed("cpu"):
                near = net.vectors(embeddings.detach() + moved, mask)
            parts["adversarial"] = self._intent_loss(net.logits(near[: len(rows)]), target)
        return parts

    def _rows(self, step: int) -> list[int]:
        epoch, place = divmod(step, self.per_epoch)
        return self._batches(epoch)[place]

    def _shuffled(self, epoch: int) -> list[list[int]]:
        """Rows of the batches of an epoch, of about equal length."""
        rng = random.Random(f"{self.recipe.seed} epoch {epoch}")
        order = rng.sample(range(len(self.texts)), len(self.texts))
        size, span = self.recipe.batch, self.recipe.batch * _BUCKET
        batches = []
        for start in range(0, len(order), span):
            alike = sorted(order[start : start + span], key=lambda n: len(self.texts[n]))
            batches += [alike[at : at + size] for at in range(0, len(alike), size)]
        rng.shuffle(batches)
        return batches

    def _seen(self, text: str, rng: random.Random) -> str:
        recipe = self.recipe
        if self.synonyms and rng.random() < recipe.replacing:
            text = self.synonyms.replaced(text, recipe.replaced, rng)
        return with_slips(text, recipe.slips, rng) if rng.random() < recipe.slipping else text

    def _intent_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy; of messages that may have several intents, each intent by itself."""
        if self.several:
            return functional.binary_cross_entropy_with_logits(logits, target) * len(target.T)
        return functional.cross_entropy(
            logits, target.argmax(1), weight=self.weights, label_smoothing=self.recipe.smoothing
        )

    def _unsure_loss(self, logits: Tensor) -> Tensor:
        """Least when each intent is as likely as the next; where several may be, all unlikely."""
        if self.several:
            return functional.softplus(logits).sum(1).mean()
        return -logits.log_softmax(1).mean()

    def after(self, step: int) -> bool:
        """Average the weights, and now and then keep the average that is best on the held rows; see
        Objective."""
        self._average(step)
        if (step + 1) % self._score_every:
            return True
        learnt = self._copies()
        self._take(self.averaged)
        score = self.router.score(self.held)
        self._take(learnt)
        log.info("step %d: %.4f of the held utterances", step + 1, score)
        self.waited += 1
        if score >= self.best:
            self.best, self.waited = score, 0
            self.kept = [t.clone() for t in self.averaged]
        return self.waited < self.recipe.patience

    def _average(self, step: int) -> None:
        """An exponential moving average, of short memory while there is little to average."""
        decay = min(self.recipe.averaging, (1 + step) / (10 + step))
        if not self.averaged:
            self.averaged = self._copies()
        with torch.no_grad():
            for average, parameter in zip(self.averaged, self._parameters(), strict=True):
                average.lerp_(parameter, 1 - decay)

    def _copies(self) -> list[Tensor]:
        return [p.detach().clone() for p in self._parameters()]

    def _take(self, weights: Sequence[Tensor]) -> None:
        with torch.no_grad():
            for parameter, weight in zip(self._parameters(), weights, strict=True):
                parameter.copy_(weight)

    def keep_best(self) -> None:
        """Take the best weights."""
        self._take(self.kept)

    def state(self) -> dict[str, Any]:
        """See Objective."""
        names = ("best", "waited", "kept", "averaged")
        return {name: getattr(self, name) for name in names}

    def restore(self, state: Mapping[str, Any]) -> None:
        """See Objective."""
        for name, value in state.items():
            setattr(self, name, value)

    def _parameters(self) -> list[nn.Parameter]:
        return [p for group in self.groups() for p in group["params"]]


def targets(utterances: Utterances, labels: Sequence[str]) -> Tensor:
    """float32 (texts, labels), 1 where a text has the intent."""
    place = {label: n for n, label in enumerate(labels)}
    found = torch.zeros(len(utterances.texts), len(labels))
    for row, named in enumerate(utterances.intents):
        found[row, [place[label] for label in named]] = 1
    return found


def balance(target: Tensor) -> Tensor:
    """(labels,) weights: of an intent with a quarter of the utterances each counts twice."""
    return target.sum(0).clamp(min=1).rsqrt()


def worst_move(loss: Tensor, embeddings: Tensor, norm: float) -> Tensor:
    """The move of each row's embeddings, of L2 norm `norm`, along which the loss grows most."""
    (gradient,) = torch.autograd.grad(loss, embeddings, retain_graph=True)
    move: Tensor = gradient.float()
    moved: Tensor = norm * move / move.norm(dim=(1, 2), keepdim=True).clamp(min=1e-9)
    return moved
