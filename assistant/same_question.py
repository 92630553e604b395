"""Whether two questions ask the same in nearly the same words: what an encoder alone cannot tell.

To the encoder "from Silver to Gold" and "from Gold to Silver" are one (cosine 0.999), "before
dispatch" and "after dispatch" in Chinese nearly so (0.96). So numbers, countries, products and
every other word that says something must be the same, and what is asked for as well.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml

from knowledge.hanzi import simplified
from knowledge.segment import content_words, is_cjk, stem

# A slip of typing leaves the first letter and most others; short words, numbers and names must be
# the same: "men" is no slip of "women", nor Austria of Australia.
_SLIP_RATIO = 0.8
_LEAST_LETTERS = 4
_NAME = re.compile(r"(?<![.!?:]\s)(?<!^)\b[A-Z][\w&'’-]*")
_COUNTRY_US = re.compile(r"\bUS\b")  # "us" is a word that says nothing
_MARK = re.compile(r"[^\w\s]|_")
_APOSTROPHE = re.compile(r"['’]")
_SAYS_SOMETHING = "%#&@/"

Patterns = Mapping[str, re.Pattern[str]]


@dataclass(frozen=True, slots=True)
class _Language:
    """What tells questions of a language apart; see the YAML file."""

    asks: Patterns
    turns: Patterns
    person: Patterns
    polite: re.Pattern[str]
    light: re.Pattern[str]
    alike: re.Pattern[str] | None
    first_of: Mapping[str, str]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> _Language:
        def patterns(name: str) -> Patterns:
            return {key: re.compile(said) for key, said in row.get(name, {}).items()}

        first_of = {word: group[0] for group in row.get("same", ()) for word in group}
        return cls(
            asks=patterns("asks"),
            turns=patterns("turns"),
            person=patterns("person"),
            polite=_around(row["opening"], row["closing"]),
            light=re.compile(row["light"]),
            alike=_words_pattern(first_of) if first_of else None,
            first_of=first_of,
        )


def plain(text: str, language: str = "") -> str:
    """A question as it is compared word for word: without case, width, punctuation, and what
    politeness puts around it; Chinese in simplified characters."""
    known = _languages().get(language)
    folded = _folded(text)
    return _bare(known.polite.sub("", folded) if known else folded) or _bare(folded)


def say_the_same(one: str, other: str, language: str) -> bool:
    """True where two questions differ in nothing but slips and words that say little; never in a
    language whose questions cannot be told apart."""
    if language not in _languages():
        return False
    first, second = _told(one, language), _told(other, language)
    if (first.turns, first.asks) != (second.turns, second.asks) or not first.words:
        return False
    if first.person and second.person and first.person != second.person:
        return False
    names = first.names | second.names
    return len(first.words) == len(second.words) and all(
        _same_word(a, b, names) for a, b in zip(first.words, second.words, strict=True)
    )


@dataclass(frozen=True, slots=True)
class _Told:
    """What tells a question apart. `words` are those that say something, in order; of a Chinese
    question the characters, of which one alone turns it round (发货前, 发货后)."""

    turns: frozenset[str]
    asks: str
    person: str
    words: tuple[str, ...]
    names: frozenset[str]


@lru_cache(maxsize=8192)
def _told(text: str, language: str) -> _Told:
    known = _languages()[language]
    said = known.polite.sub("", _folded(text))
    if known.alike:
        said = known.alike.sub(lambda m: known.first_of[m.group()], said)
    persons = [(m.start(), name) for name, p in known.person.items() if (m := p.search(said))]
    bare = known.light.sub(" ", said)
    return _Told(
        turns=frozenset(name for name, pattern in known.turns.items() if pattern.search(said)),
        asks=next((name for name, pattern in known.asks.items() if pattern.search(said)), ""),
        person=min(persons)[1] if persons else "",
        words=tuple(_bare(bare) if is_cjk(said) else content_words(bare)),
        names=frozenset(stem(name) for name in _NAME.findall(text)),
    )


@cache
def _languages() -> Mapping[str, _Language]:
    rows = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
    return {code: _Language.of(row) for code, row in rows.items()}


def _around(opening: Sequence[str], closing: Sequence[str]) -> re.Pattern[str]:
    """What stands before and behind a question; a letter of a longer word is none of it."""
    before, behind = (rf"(?:{'|'.join(said)})" for said in (opening, closing))
    cjk = is_cjk("".join(opening))
    start, end = ("", "") if cjk else (r"(?<!\w)", r"(?!\w)")
    return re.compile(rf"^(?:\W*{before}{end})+\W*|(?:\W*{start}{behind})+\W*$")


def _words_pattern(words: Iterable[str]) -> re.Pattern[str]:
    longest_first = sorted(words, key=len, reverse=True)
    return re.compile(
        "|".join(
            re.escape(w) if is_cjk(w) else rf"(?<!\w){re.escape(w)}(?!\w)" for w in longest_first
        )
    )


def _folded(text: str) -> str:
    text = _COUNTRY_US.sub("USA", unicodedata.normalize("NFKC", text))
    return simplified(text).casefold()


def _bare(text: str) -> str:
    """The words; signs that say something stay, and so do those within a number."""
    text = _APOSTROPHE.sub("", text)

    def mark(match: re.Match[str]) -> str:
        character, at = match.group(), match.start()
        is_symbol = unicodedata.category(character) in {"Sc", "Sm"}
        if is_symbol or character in _SAYS_SOMETHING:
            return character
        around = text[at - 1 : at] + text[at + 1 : at + 2]
        return character if character in ".,:" and len(around) == 2 and around.isdigit() else " "

    words = _MARK.sub(mark, text).split()
    return ("" if is_cjk(text) else " ").join(words)


def _same_word(one: str, other: str, names: frozenset[str]) -> bool:
    if one == other:
        return True
    is_plain = one.isalpha() and other.isalpha() and not names & {one, other}
    if not is_plain or one[0] != other[0] or min(len(one), len(other)) < _LEAST_LETTERS:
        return False
    return SequenceMatcher(None, one, other).ratio() > _SLIP_RATIO
