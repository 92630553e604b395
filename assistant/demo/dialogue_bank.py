"""The hand-written banks of the dialogue generator: loading, checking and expanding them.

A bank file holds a grammar (symbol -> alternatives) and scenarios. In their texts `{symbol}` stands
for one of its alternatives, `[a|b|]` for one of the pieces and `{$slot}` for a fact of the records
drawn; `{$date_delivered+30}`, `{$amount-2.50}` and `{$amount*0.85}` reckon with it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

RESOLUTIONS = frozenset(
    {"resolved", "handed_over", "unresolved", "refunded", "wrong_answer_corrected", "abandoned"}
)
ROLES = ("customer", "agent")
NEEDS = ("none", "customer", "product", "order")
_SYMBOL = re.compile(r"\{(\$?)([a-z0-9_]+)(?:([+*-])([\d.]+))?\}")
_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_TIDY = (
    (re.compile(r"\s+"), " "),
    (re.compile(r" (?=[,.!?;)，。！？；：、）]|:(?!\)))"), ""),
    (re.compile(r"[,，、](?=[,，、]|[.!?。！？])"), ""),
    (re.compile(r"^[ ,;，、；]+"), ""),
    (re.compile(r"(?<=[一-鿿，。！？；：、]) (?=\S)|(?<=\S) (?=[一-鿿，。！？；：、])"), ""),
)
_CHINESE_SLIPS = {"的": "得", "在": "再", "吗": "嘛", "那": "哪", "已": "以", "做": "作"}


class BankError(ValueError):
    """A bank cannot be used; the message names the file and the symbol, slot or scenario."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario of a bank file; every step is (probability, ((role, template), ...)).

    `where` filters the records drawn, `after` is (state, days, days): the
    chat takes place while the order is in this state, that many days after it began; without an
    order, ("ago", days, days) is how long ago.
    """

    source: str
    intent: str
    weight: float
    needs: str
    where: Mapping[str, Sequence[Any]]
    after: tuple[str, int, int] | None
    passages: tuple[str, ...]
    resolution: str
    steps: tuple[tuple[float, tuple[tuple[str, str], ...]], ...]


@dataclass(frozen=True, slots=True)
class Bank:
    """The merged files of one folder; the grammar keeps the file that defined each symbol."""

    grammar: Mapping[str, tuple[str, tuple[str, ...]]]
    scenarios: tuple[Scenario, ...]


def load_bank(folder: Path) -> Bank:
    """The checked bank of a folder of YAML files; raises BankError for anything unusable."""
    grammar: dict[str, tuple[str, tuple[str, ...]]] = {}
    scenarios: list[Scenario] = []
    for path in sorted(folder.glob("*.yaml")):
        source = "/".join(path.parts[-3:])
        data = yaml.load(path.read_text("utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        for symbol, alternatives in (data.get("grammar") or {}).items():
            if symbol in grammar:
                raise BankError(f"{source}: {symbol} is already defined in {grammar[symbol][0]}")
            grammar[symbol] = (source, tuple(map(str, alternatives)))
        scenarios += [_scenario(source, row) for row in data.get("scenarios") or ()]
    if not scenarios:
        raise BankError(f"{folder}: no scenarios in this folder")
    bank = Bank(grammar, tuple(scenarios))
    _check(bank)
    return bank


def _scenario(source: str, row: Mapping[str, Any]) -> Scenario:
    name = f"{source}: scenario {str(row.get('turns', row))[:60]}"
    steps = tuple(
        (float(step.get("optional", 1)), tuple((k, v) for k, v in step.items() if k in ROLES))
        for step in row["turns"]
    )
    roles = [role for _, pair in steps for role, _ in pair]
    sure = sum(len(pair) for chance, pair in steps if chance == 1)
    if any(a == b for a, b in pairwise(roles)):
        raise BankError(f"{name}: the roles do not alternate")
    if any(len(pair) != 2 for chance, pair in steps if chance < 1):
        raise BankError(f"{name}: an optional step must be a pair")
    if sure < 3 or len(roles) > 14:
        raise BankError(f"{name}: {sure} to {len(roles)} turns, not 3 to 14")
    if row["resolution"] not in RESOLUTIONS:
        raise BankError(f"{name}: unknown resolution {row['resolution']}")
    if (needs := row.get("needs", "none")) not in NEEDS:
        raise BankError(f"{name}: unknown needs {needs}")
    after = row.get("after")
    where = {k: v if isinstance(v, list) else [v] for k, v in (row.get("where") or {}).items()}
    return Scenario(
        source,
        row["intent"],
        float(row.get("weight", 1)),
        needs,
        where,
        (str(after[0]), int(after[1]), int(after[2])) if after else None,
        tuple(row.get("passages") or ()),
        row["resolution"],
        steps,
    )


def _check(bank: Bank) -> None:
    known = {symbol.partition("@")[0] for symbol in bank.grammar}
    texts = [(source, text) for source, texts in bank.grammar.values() for text in texts]
    texts += [(s.source, text) for s in bank.scenarios for _, pair in s.steps for _, text in pair]
    for source, text in texts:
        if text.count("[") != text.count("]") or text.count("{") != text.count("}"):
            raise BankError(f"{source}: unbalanced brackets in {text!r}")
        if "{" in _SYMBOL.sub("", text):
            raise BankError(f"{source}: malformed symbol in {text!r}")
        for is_slot, name, _, _ in _SYMBOL.findall(text):
            if not is_slot and name not in known:
                raise BankError(f"{source}: unknown symbol {{{name}}} in {text!r}")


class Expander:
    """Turns templates into text, dealing alternatives like cards.

    Every alternative of a symbol is used once before any comes again: chance alone would make
    some wordings far commoner than others.
    """

    def __init__(self, bank: Bank, rng: random.Random) -> None:
        self._bank, self._rng = bank, rng
        self._decks: dict[tuple[str, ...], list[str]] = {}

    def expand(self, template: str, source: str, slots: Mapping[str, Any], manner: str = "") -> str:
        """The template with every choice made and every slot filled; manner picks `x@manner`."""
        return tidy(self._expand(template, source, slots, manner, 0))

    def _expand(
        self, text: str, source: str, slots: Mapping[str, Any], manner: str, depth: int
    ) -> str:
        if depth > 25:
            raise BankError(f"{source}: the grammar runs in a circle at {text!r}")
        while "[" in text:
            text = _CHOICE.sub(lambda m: self._deal(tuple(m[1].split("|"))), text)

        def fill(match: re.Match[str]) -> str:
            if match[1]:
                return _slot_text(match, source, slots)
            grammar, name = self._bank.grammar, match[2]
            found = grammar.get(f"{name}@{manner}") or grammar.get(name)
            if found is None:
                raise BankError(f"{source}: {{{name}}} has no variant for the manner {manner!r}")
            return self._expand(self._deal(found[1]), found[0], slots, manner, depth + 1)

        return _SYMBOL.sub(fill, text)

    def _deal(self, alternatives: tuple[str, ...]) -> str:
        deck = self._decks.setdefault(alternatives, [])
        if not deck:
            deck.extend(self._rng.sample(alternatives, len(alternatives)))
        return deck.pop()


def tidy(text: str) -> str:
    """The text without the stray spaces and commas that empty alternatives leave behind."""
    for pattern, better in _TIDY:
        text = pattern.sub(better, text)
    return text.strip()


def _slot_text(match: re.Match[str], source: str, slots: Mapping[str, Any]) -> str:
    _, name, operator, number = match.groups()
    value = slots.get(name)
    if value is None:
        raise BankError(f"{source}: nothing to fill {{${name}}} with in this scenario")
    if operator and isinstance(value, date):
        value += timedelta(days=int(number) * (1 if operator == "+" else -1))
    elif operator and isinstance(value, Amount):
        value = value.reckon(operator, float(number))
    elif operator:
        raise BankError(f"{source}: {match[0]} cannot be reckoned with")
    if isinstance(value, date):
        chinese = slots["language"] == "zh"
        return f"{value.month}月{value.day}日" if chinese else f"{value.day} {value:%B}"
    return str(value)


@dataclass(frozen=True, slots=True)
class Amount:
    """A sum of money as the dialogues write it."""

    value: float
    currency: str

    def reckon(self, operator: str, number: float) -> Amount:
        """The sum after adding, subtracting or multiplying; never below zero."""
        value = {"+": self.value + number, "-": self.value - number, "*": self.value * number}
        return replace(self, value=max(value[operator], 0.0))

    def __str__(self) -> str:
        signs = {"GBP": "£", "EUR": "€", "USD": "$", "CAD": "CA$", "CNY": "¥", "HKD": "HK$"}
        return f"{signs.get(self.currency, self.currency + ' ')}{self.value:.2f}"


def mistype(text: str, language: str, rng: random.Random, rate: float = 0.07) -> str:
    """The text with the keyboard slips of a hasty customer; numbers and names stay readable."""
    if language == "zh":
        return "".join(
            _CHINESE_SLIPS[c] if c in _CHINESE_SLIPS and rng.random() < rate else c for c in text
        )

    def slip(match: re.Match[str]) -> str:
        word = match[0]
        if rng.random() >= rate:
            return word
        i = rng.randrange(1, len(word) - 1)
        swapped = word[:i] + word[i + 1] + word[i] + word[i + 2 :]
        return rng.choice((swapped, word[:i] + word[i + 1 :], word[:i] + word[i] + word[i:]))

    return re.sub(r"(?<![\w@.-])[a-z]{4,}(?![\w@-])", slip, text)
