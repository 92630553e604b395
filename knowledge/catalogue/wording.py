"""How customers say what they want: the rules in wording.yaml as compiled expressions."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from knowledge.catalogue.amounts import NUMBER

_FILE = Path(__file__).with_suffix(".yaml")
_DEFAULT = "en"
MARK = "[\ue000-\uf8ff]"  # stands for what was understood: below NAMED a limit, an order or stock
NAMED = "[\uf000-\uf8ff]"
FIRST_LIMIT, FIRST_NAMED = 0xE000, 0xF000


@dataclass(frozen=True, slots=True)
class Wording:
    """The rules of one language. Those on amounts have the groups a_before, a_number and a_after,
    and the same with b; `listed` is a list of marks, `word` a word, both turned around."""

    range: tuple[re.Pattern[str], ...]
    around: tuple[re.Pattern[str], ...]
    most: tuple[re.Pattern[str], ...]
    least: tuple[re.Pattern[str], ...]
    cheapest: tuple[re.Pattern[str], ...]
    dearest: tuple[re.Pattern[str], ...]
    stock: tuple[re.Pattern[str], ...]
    size: tuple[re.Pattern[str], ...]
    idle: tuple[re.Pattern[str], ...]
    asking: tuple[re.Pattern[str], ...]
    negated: tuple[re.Pattern[str], ...]
    negated_word: re.Pattern[str]
    cue: re.Pattern[str]
    modifies: re.Pattern[str]
    sum: re.Pattern[str]  # an amount with its currency, and nothing that says what it is


@cache
def wording(language: str) -> Wording:
    """The rules of a language; of English for one that has none."""
    rules = _rules().get(language) or _rules()[_DEFAULT]
    amounts = {name: _amount(name, rules["units"]) for name in ("a", "b")}

    def compiled(patterns: Iterable[str]) -> tuple[re.Pattern[str], ...]:
        filled = (p.replace("{mark}", MARK) for p in patterns)
        filled = (p.replace("{a}", amounts["a"]).replace("{b}", amounts["b"]) for p in filled)
        return tuple(re.compile(p, re.IGNORECASE) for p in filled)

    cue, between, joint = "|".join(rules["not"]), rules["between"], rules["joint"]
    chain = rf"{NAMED}(?:\s*{joint}\s*(?:{between}\s*)*{NAMED})*"
    negated = (
        rf"(?:{cue})\s*(?:{between}\s*)*(?P<listed>{chain})",
        rf"(?P<listed>{chain}){rules['after']}",
    )
    word = rf"(?:{cue})\s*(?:{between}\s*)*(?P<word>{rules['word']}(?: {rules['word']})?)"
    names = (
        "range",
        "around",
        "most",
        "least",
        "cheapest",
        "dearest",
        "stock",
        "size",
        "idle",
        "asking",
    )
    return Wording(
        **{name: compiled(rules[name]) for name in names},
        negated=compiled(negated),
        negated_word=compiled([word])[0],
        cue=compiled([cue])[0],
        modifies=compiled([rules["modifies"]])[0],
        sum=compiled([_amount("a", rules["units"], bare=False)])[0],
    )  # fmt: skip


@cache
def _rules() -> dict[str, Any]:
    rules: dict[str, Any] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return rules


def size_letters() -> dict[str, str]:
    """Words for sizes, as letters."""
    letters: dict[str, str] = _rules()["sizes"]
    return letters


def currency(said: str, own: Collection[str]) -> str:
    """The currency that a sign or word stands for, in a shop with prices in `own`; or nothing."""
    if not said:
        return ""
    for codes, pattern in _currencies():
        if pattern.fullmatch(said):
            return next((code for code in codes if code in own), codes[0])
    return ""


@cache
def _currencies() -> Sequence[tuple[tuple[str, ...], re.Pattern[str]]]:
    """What currencies are called; the codes that it may mean, the likeliest first."""
    rules = _rules()
    named = [((code,), sides) for code, sides in rules["currencies"].items()]
    named += [(tuple(shared["of"]), shared) for shared in rules["shared"]]
    return [
        (codes, re.compile("|".join((*sides["before"], *sides["after"])), re.IGNORECASE))
        for codes, sides in named
    ]


def _amount(group: str, units: Sequence[str], bare: bool = True) -> str:
    """An amount: a number with a currency on either side, or without one where no unit follows."""
    rules = _rules()
    sides = [*rules["currencies"].values(), *rules["shared"]]
    before, after = ("|".join(w for s in sides for w in s[side]) for side in ("before", "after"))
    after = rf"\s?(?P<{group}_after>(?:{after})(?![a-z]))"
    number = rf"(?P<{group}_number>{NUMBER})"
    other = rf"(?P<{group}_other>{NUMBER})"
    signs = rf"(?P<{group}_before>{before})\s?"
    no_unit = rf"(?:{after}|(?![\s-]?(?:{'|'.join(units)})))"
    return rf"(?:{signs}{number}|{other}{no_unit if bare else after})"
