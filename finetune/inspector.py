"""Train the inspector's reader.

It goes on from the reranker's, first on what was told of passages, true and corrupted, then
on the cases of `finetune/findings`. Cases in files whose name ends in `-held` are never learnt
from: `finetune.inspector_limits` sets the limits on them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

import torch

from finetune.errors import DataError
from finetune.fit import begin
from finetune.inspector_data import (
    Case,
    contradiction_pairs,
    expiry_pairs,
    neighbour_pairs,
    orders_pairs,
    read_cases,
    reply_pairs,
)
from finetune.ordinary import Ordinary
from finetune.pair_training import SEED, PairRecipe, network
from finetune.reranker import train_reader
from finetune.reranker_data import Pair, Shop, read_records, shop_chunks
from knowledge.encoder import Encoder
from knowledge.inspection.expiry import expiry_asked
from knowledge.inspection.orders import around, orders_asked, plain_statements
from knowledge.reading_net import ReadingNet

WRITTEN_ON = date(2026, 11, 26)  # what "today" is in the cases
_TOLD_PAIRS = 22_000
_NEIGHBOURS = 9  # a shop
_QUIET_ORDERS, _QUIET_PAGES, _VERSIONS = 500, 150, 300

Log = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Lessons:
    """What the inspector learns from, and the cases that it is not shown."""

    cases: tuple[Case, ...]
    held: tuple[Case, ...]
    shops: tuple[Shop, ...]
    replies: Path
    ordinary: Ordinary

    @classmethod
    def read(
        cls, findings: Path, shops: Sequence[Shop], replies: Path, ordinary: Ordinary
    ) -> Lessons:
        """From a folder of cases. Raises DataError when it lacks a kind, learnt or held."""
        files = sorted(findings.glob("*.jsonl"))
        learnt = [c for p in files if not p.stem.endswith("-held") for c in read_cases(p)]
        held = [c for p in files if p.stem.endswith("-held") for c in read_cases(p)]
        for cases in (learnt, held):
            if missing := {"contradiction", "duplicate", "expired", "injected"} - {
                c.kind for c in cases
            }:
                raise DataError(f"{findings} holds no cases of {', '.join(sorted(missing))}")
        return cls(tuple(learnt), tuple(held), tuple(shops), replies, ordinary)

    def of(self, kind: str) -> list[Case]:
        """The cases of a kind to learn from."""
        return [c for c in self.cases if c.kind == kind]


def told_pairs(lessons: Lessons, encoder: Encoder, rng: random.Random) -> list[Pair]:
    """Stage one: statements beside passages, true ones, corrupted ones and neighbours'."""
    pairs: list[Pair] = []
    for shop in lessons.shops:
        path = lessons.replies / f"{shop.name}.jsonl"
        if path.is_file():
            pairs += reply_pairs(read_records(path), shop, rng)
        pairs += neighbour_pairs(shop, encoder, rng, 70)
    return rng.sample(pairs, min(_TOLD_PAIRS, len(pairs)))


def case_pairs(lessons: Lessons, encoder: Encoder, rng: random.Random) -> list[Pair]:
    """Stage two: the cases, and what is ordinary in shops."""
    pairs: list[Pair] = []
    for case in lessons.of("contradiction"):
        pairs += contradiction_pairs(case, rng)
    for case in lessons.of("expired"):
        pairs += 2 * list(expiry_pairs(case, WRITTEN_ON))
    for case in lessons.of("injected"):
        pairs += orders_pairs(case, rng)
    for shop in lessons.shops:
        pairs += neighbour_pairs(shop, encoder, rng, _NEIGHBOURS)
    return [*pairs, *_quiet(lessons, rng)]


def _quiet(lessons: Lessons, rng: random.Random) -> Iterator[Pair]:
    chunks = [c for shop in lessons.shops for c in shop_chunks(shop)]
    for chunk in rng.sample(chunks, min(_QUIET_ORDERS, len(chunks))):
        said = plain_statements(chunk)
        question, text = orders_asked(chunk, around(said, rng.randrange(len(said))))
        yield Pair(question, text, 0, None, chunk.source)
    for chunk in rng.sample(chunks, min(_QUIET_PAGES, len(chunks))):
        question, text = expiry_asked(chunk, WRITTEN_ON)
        if "[over]" not in text and "[soon]" not in text:
            yield Pair(question, text, 0, None, chunk.source)
    versions = lessons.ordinary.versions
    for chunk in rng.sample(versions, min(_VERSIONS, len(versions))):
        question, text = expiry_asked(chunk, WRITTEN_ON)
        yield Pair(question, text, 0, None, chunk.source)


def train_inspector(
    out: Path,
    lessons: Lessons,
    encoder: Encoder,
    start: Path,
    *,
    told: Path | None = None,
    epochs: int = 3,
    resume: bool = False,
    log: Log = print,
) -> None:
    """Both stages; `told` is the adapter of an earlier first stage."""
    torch.manual_seed(SEED)
    if told is None:
        told = out / "told"
        for folder in () if resume else (told, out):
            begin(folder)
        log("stage 1: statements and passages")
        pairs = partial(told_pairs, lessons, encoder)
        train_reader(
            network(ReadingNet, start), pairs, told, PairRecipe(1, 32, 2e-4), resume=resume
        )
    log("stage 2: cases")
    pairs = partial(case_pairs, lessons, encoder)
    recipe = PairRecipe(epochs, 32, 1.5e-4)
    train_reader(network(ReadingNet, told), pairs, out, recipe, resume=resume)
