"""Historical support dialogues, grown from the hand-written banks and the shop's records."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from assistant.demo.catalogue import Product
from assistant.demo.dialogue_bank import BankError, Expander, Scenario, load_bank, mistype
from assistant.demo.dialogue_draws import Draw, draws_of, fits, slots_of, started
from assistant.demo.order_records import ShopRecords

BANKS = Path(__file__).with_name("dialogue_banks")
# Agent -> manner of writing; a symbol `thanks@chatty` is preferred by the agents of that manner.
AGENTS = {
    "en": {"Priya": "brisk", "Callum": "chatty", "Helena": "formal", "Dev": "sloppy"},
    "zh": {"小林": "brisk", "阿敏": "chatty", "周静": "formal", "大鹏": "sloppy"},
}


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a dialogue; `role` is customer or agent."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One finished support conversation with its labels; `passages` are document ids."""

    id: str
    language: str
    split: str
    started_at: datetime
    agent: str
    customer_id: str
    order_id: str | None
    product_id: str | None
    intent: str
    resolution: str
    passages: tuple[str, ...]
    turns: tuple[Turn, ...]

    def to_json(self) -> dict[str, Any]:
        """The record as it is written to JSON Lines."""
        return {**asdict(self), "started_at": self.started_at.isoformat()}


def _schedule(scenarios: Sequence[Scenario], count: int, rng: random.Random) -> list[Scenario]:
    """`count` scenarios in random order, each as often as its weight asks for."""
    total = sum(scenario.weight for scenario in scenarios)
    quotas = [scenario.weight * count / total for scenario in scenarios]
    times = [int(quota) for quota in quotas]
    rest = sorted(range(len(quotas)), key=lambda i: times[i] - quotas[i])[: count - sum(times)]
    for i in rest:
        times[i] += 1
    schedule = [s for s, n in zip(scenarios, times, strict=True) for _ in range(n)]
    rng.shuffle(schedule)
    return schedule


def _dialogues(
    language: str, split: str, count: int, seed: int, shop: ShopRecords, products: Sequence[Product]
) -> Iterator[Dialogue]:
    rng = random.Random(f"{seed}-{language}-{split}")
    bank = load_bank(BANKS / language / split)
    draws = draws_of(shop, products, language, rng)
    expander = Expander(bank, rng)
    pools: dict[int, list[Draw]] = {}
    for scenario in _schedule(bank.scenarios, count, rng):
        if not pools.get(id(scenario)):
            pool = [draw for draw in draws[scenario.needs] if fits(draw, scenario)]
            if not pool:
                raise BankError(
                    f"{scenario.source}: no records for {dict(scenario.where)}, {scenario.after}"
                )
            pools[id(scenario)] = rng.sample(pool, len(pool))
        draw = pools[id(scenario)].pop()
        agent, manner = rng.choice(list(AGENTS[language].items()))
        moment = started(draw, scenario, rng)
        slots = slots_of(draw, language, agent, moment.date(), rng)
        yield Dialogue(
            "",
            language,
            split,
            moment,
            agent,
            draw.customer.id,
            draw.order.id if draw.order else None,
            draw.product.id if draw.product else None,
            scenario.intent,
            scenario.resolution,
            scenario.passages,
            tuple(_turns(scenario, expander, slots, manner, rng)),
        )


def _turns(
    scenario: Scenario,
    expander: Expander,
    slots: Mapping[str, Any],
    manner: str,
    rng: random.Random,
) -> Iterator[Turn]:
    lowers, slips = rng.random() < 0.3, rng.random() < 0.3
    for chance, pair in scenario.steps:
        if rng.random() >= chance:
            continue
        for role, template in pair:
            agents = role == "agent"
            text = expander.expand(template, scenario.source, slots, manner if agents else "")
            if not text:
                raise BankError(f"{scenario.source}: an empty turn from {template!r}")
            if slips and not agents:
                text = mistype(text, slots["language"], rng)
            if lowers and not agents:
                text = re.sub(r"(?<!\S)[A-Z][A-Za-z']*", lambda m: m[0].lower(), text)
            yield Turn(role, text)


def generate_dialogues(
    shop: ShopRecords,
    products: Sequence[Product],
    seed: int = 20261123,
    english: int = 1900,
    chinese: int = 1200,
    test_share: float = 0.15,
) -> tuple[Dialogue, ...]:
    """The demo shop's past dialogues, English ones first, each language ordered by time.

    Takes the records of generate_shop() and load_catalogue(); equal arguments and equal banks
    give equal dialogues. Raises BankError when a bank cannot be used.
    """
    dialogues: list[Dialogue] = []
    for language, total in (("en", english), ("zh", chinese)):
        test = round(total * test_share)
        found = [
            dialogue
            for split, count in (("train", total - test), ("test", test))
            if count
            for dialogue in _dialogues(language, split, count, seed, shop, products)
        ]
        found.sort(key=lambda dialogue: dialogue.started_at)
        dialogues += [replace(d, id=f"{language}-{n:05d}") for n, d in enumerate(found, 1)]
    return tuple(dialogues)
