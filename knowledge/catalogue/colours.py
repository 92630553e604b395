"""Colours as customers and catalogues name them: "navy" is a dark blue, and 藏青色 is navy."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

_PLAIN = "黑白灰红粉紫蓝绿黄橙棕"  # colours that 的 behind them is enough for
_FILE = Path(__file__).with_suffix(".yaml")


class Colour(NamedTuple):
    """A colour that a text names: its English name without a tone, the family it belongs to, the
    tone that was said with it, and the one that it has by itself."""

    base: str
    family: str
    said: str = ""
    own: str = ""

    @property
    def name(self) -> str:
        """The name with the tone that was said."""
        return f"{self.said} {self.base}".strip()

    def suits(self, wanted: Colour) -> bool:
        """Whether it is what somebody means who asks for `wanted`: navy is a blue and a dark
        blue, blue is no navy."""
        is_one = wanted.base in (self.base, self.family)
        return is_one and wanted.said in ("", self.said or self.own)


@cache
def _lexicon() -> dict[str, Any]:
    lexicon: dict[str, Any] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return lexicon


@cache
def _named() -> dict[str, str]:
    """Each way of naming a colour, in English and Chinese, to its name."""
    found: dict[str, str] = {}
    for name, entry in _lexicon()["colours"].items():
        found |= dict.fromkeys((name, *entry.get("en", ()), *entry.get("zh", ())), name)
    return found


@cache
def _toned() -> dict[str, str]:
    tones = _lexicon()["tones"].items()
    return {word: tone for tone, words in tones for word in (*words["en"], *words["zh"])}


def is_common(name: str) -> bool:
    """Whether a colour's name means little else."""
    return bool(_lexicon()["colours"][name].get("common", True))


def english_names() -> frozenset[str]:
    """All words that colours are named by in English."""
    return frozenset(w for name in _named() if name.isascii() for w in name.split())


@cache
def pattern() -> re.Pattern[str]:
    """Finds colours: `tone` and `name` in English, `zh_tone` and `zh` in Chinese; `sure` is what
    says that it is one."""
    english = _either(n for n in _named() if n.isascii())
    chinese = [n for n in _named() if not n.isascii()]
    tones = [_either(t for t in _toned() if t.isascii() == ascii_) for ascii_ in (True, False)]
    kinds = _either(_lexicon()["kinds_of"])
    long = _either(n for n in chinese if len(n) > 1)
    short = _either(n for n in chinese if len(n) == 1)
    return re.compile(
        rf"\b(?:(?P<tone>{tones[0]})[ -])?(?P<name>{english})\b(?! (?:{kinds})\b)"
        r"(?P<sure>[ -]?colou?r(?:ed|s)?\b)?"
        rf"|(?P<zh_tone>{tones[1]})?(?P<zh>(?:{long})色?|(?<![明蛋])(?:{short})(?=色|的?(?:[\ue000-\uf8ff]|$))色?"
        rf"|(?<![明蛋])[{_PLAIN}](?=的))"
        rf"|(?P<zh_toned>(?:{tones[1]})(?:{short})色?)",
        re.IGNORECASE,
    )


def colour_of(match: re.Match[str]) -> Colour:
    """The colour that `pattern` has found."""
    if both := match["zh_toned"]:
        return _colour(both[1:].removesuffix("色"), both[0])
    if match["zh"]:
        said = match["zh"]
        known = said if said in _named() else said.removesuffix("色")
        return _colour(known, match["zh_tone"] or "")
    return _colour(match["name"].lower(), (match["tone"] or "").lower())


def _colour(said: str, tone: str) -> Colour:
    base = _named()[said]
    entry = _lexicon()["colours"][base]
    return Colour(base, entry.get("family", base), _toned().get(tone, ""), entry.get("tone", ""))


@lru_cache(maxsize=4096)
def colours_in(text: str) -> tuple[Colour, ...]:
    """The colours that a catalogue's words name, in whatever language."""
    return tuple(colour_of(match) for match in pattern().finditer(text))


def suits(text: str, wanted: str) -> bool:
    """Whether a product's colour, in the catalogue's words, is the one that is wanted."""
    if text.casefold() == wanted.casefold():
        return True
    asked = colours_in(wanted)
    if not asked or asked[0].name != wanted:
        return wanted.casefold() in text.casefold()
    return any(colour.suits(asked[0]) for colour in colours_in(text))


def colour_name(name: str, language: str) -> str:
    """How a colour is called in a language; one that only the catalogue knows as it is."""
    found = colours_in(name)
    if language != "zh" or not found or found[0].name != name:
        return name
    tone = _lexicon()["tones"][found[0].said]["zh"][0] if found[0].said else ""
    return f"{tone}{_lexicon()['colours'][found[0].base]['zh'][0]}色"


def _either(words: Iterable[str]) -> str:
    return "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
