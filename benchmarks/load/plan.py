"""What a customer does in one conversation, drawn from stated distributions.

Two in three write English, the others Chinese. A conversation has 1 + Poisson(2.5) steps, each of a
kind by `MIX`; a follow-up needs something before it, and an order look-up is two messages: the
number, then the e-mail address. Between two messages a customer reads, thinks and types for a
log-normal time (median 12 s, sigma .8: mean 16.5 s, 95% below 45 s; cut at two minutes).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal

import numpy as np
import yaml

from benchmarks.asking import read_jsonl
from benchmarks.serving import ROOT

Kind = Literal["question", "follow_up", "order", "products", "small_talk", "person"]
KINDS: tuple[Kind, ...] = ("question", "follow_up", "order", "products", "small_talk", "person")
MIX: Mapping[Kind, float] = {
    "question": 0.42, "follow_up": 0.14, "order": 0.15, "products": 0.16, "small_talk": 0.09,
    "person": 0.04,
}  # fmt: skip
ENGLISH = 2 / 3
MORE_STEPS = 2.5  # mean of the Poisson distribution of steps after the first
# Shares of messages: their reply is rated, or the customer leaves before it has ended; of
# conversations: read again in the middle, deleted at the end.
RATED, LEFT, REOPENED, DELETED = 0.2, 0.05, 0.15, 0.05
THINK_SECONDS, THINK_SIGMA, MOST_THINK_SECONDS = 12.0, 0.8, 120.0

_GOLDEN = ROOT / "assistant/demo/shop/golden.jsonl"
_PRODUCTS = ROOT / "benchmarks/constraints/questions.jsonl"


@dataclass(frozen=True, slots=True)
class Step:
    """One message; `number` is the order that its reply has to be about, `closing` stands above
    the name that it may be signed with."""

    kind: Kind
    text: str
    closing: str = ""
    number: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """What may be said in a language, and how a message is closed."""

    questions: Sequence[str]
    products: Sequence[str]
    follow_up: Sequence[str]
    order: Sequence[str]
    small_talk: Sequence[str]
    person: Sequence[str]
    closing: str


def read_words() -> dict[str, Words]:
    """The words of each language."""
    golden, products = read_jsonl(_GOLDEN), read_jsonl(_PRODUCTS)
    own = yaml.safe_load(Path(__file__).with_name("words.yaml").read_text(encoding="utf-8"))
    return {
        language: Words(
            [q["text"] for q in golden if q["language"] == language],
            [q["text"] for q in products if q["language"] == language],
            **lines,
        )
        for language, lines in own.items()
    }


class Plan:
    """Draws conversations. Orders are handed out one after another, so that no two customers who
    are there at the same time ask after the same one."""

    def __init__(self, orders: Sequence[tuple[str, str]], seed: int, think: float) -> None:
        """`think` is the median in seconds."""
        self.rng = Random(seed)
        self.words = read_words()
        self.think_seconds = think
        self._orders = deque(self.rng.sample(orders, len(orders)))

    def language(self) -> str:
        """Of a customer who comes."""
        return "en" if self.rng.random() < ENGLISH else "zh"

    def steps(self, language: str) -> Iterator[Step]:
        """The messages of a conversation."""
        words, spoken = self.words[language], False
        more = np.random.default_rng(self.rng.getrandbits(32)).poisson(MORE_STEPS)
        for _ in range(1 + int(more)):
            kind = self.rng.choices(KINDS, [MIX[k] for k in KINDS])[0]
            if (kind == "follow_up" and not spoken) or (kind == "order" and not self._orders):
                kind = "question"
            yield from self._step(kind, words)
            spoken = True

    def _step(self, kind: Kind, words: Words) -> Iterator[Step]:
        if kind == "order":
            number, email = self._orders[0]
            number = number.upper()  # as replies put it
            self._orders.rotate(-1)
            yield Step(kind, self.rng.choice(words.order).format(number=number))
            yield Step(kind, email, number=number)
            return
        lines = {"question": words.questions, "products": words.products}.get(kind)
        yield Step(kind, self.rng.choice(lines or getattr(words, kind)), words.closing)

    def thinking(self) -> float:
        """Seconds until the next message."""
        drawn = self.rng.lognormvariate(math.log(self.think_seconds), THINK_SIGMA)
        return min(drawn, MOST_THINK_SECONDS * self.think_seconds / THINK_SECONDS)

    def happens(self, share: float) -> bool:
        """Whether this time something with this probability happens."""
        return self.rng.random() < share
