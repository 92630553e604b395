"""The names that a catalogue gives customers to ask by: brands, categories, colours and sizes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from knowledge.catalogue import colours
from knowledge.catalogue.spelling import Speller, english_words
from knowledge.catalogue.types import Field, Product
from knowledge.segment import is_cjk, stem, word_spans, words

_LEVELS = re.compile(r"\s*(?:>|›|/|\|)\s*")  # between the levels of a category
_MOST_WORDS = 5
_NUMBERS = re.compile(r"\d+(?:\.\d+)?")


class Named(NamedTuple):
    """A name found in a text, and where."""

    start: int
    end: int
    field: Field
    name: str


def levels(category: str) -> list[str]:
    """A category and those above it: "Clothing > Jackets" is both."""
    return [level for level in _LEVELS.split(category) if level]


def line_of(title: str) -> str:
    """A title without its variant: "Family tent, 4 people" is a family tent."""
    return re.split("[,，]", title)[0]


def key_of(name: str) -> str:
    """What is the same for a name in singular and plural, in one word and in two."""
    return stem("".join(name[a:b].casefold() for a, b in _spans(name)))


def _spans(text: str) -> list[tuple[int, int]]:
    """Where the words are, "and" left out."""
    return [(a, b) for a, b in word_spans(text) if text[a:b].casefold() != "and"]


def _singular(word: str) -> str:
    return word.removesuffix("es" if word.endswith(("sses", "shes", "ches", "xes")) else "s")


def size_key(size: str) -> str:
    """What is the same for a size however it is spaced."""
    return "x".join(_NUMBERS.findall(size)) if _pair(size) else "".join(size.casefold().split())


def _pair(size: str) -> bool:
    return len(_NUMBERS.findall(size)) > 1


@dataclass(frozen=True)
class Names:
    """What the products of a language are called; `currencies` are those of their prices."""

    brands: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    colours: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    currencies: tuple[str, ...] = ()

    @classmethod
    def of(cls, products: Iterable[Product]) -> Names:
        """The names of these products."""
        held: tuple[dict[str, None], ...] = ({}, {}, {}, {}, {})
        for p in products:
            sizes = [size.name for size in p.sizes]
            found: tuple[Sequence[str], ...] = (
                (p.brand,), levels(p.category), (p.colour,), sizes, (p.currency,),
            )  # fmt: skip
            for kept, names in zip(held, found, strict=True):
                kept.update(dict.fromkeys(filter(None, names)))
        return cls(*map(tuple, held))

    @cached_property
    def known_colours(self) -> frozenset[str]:
        """The colours that the catalogue's words name."""
        return frozenset(c.base for text in self.colours for c in colours.colours_in(text))

    @cached_property
    def speller(self) -> Speller:
        """Mends typing errors in these names and in colours."""
        named = [w for name in (*self.brands, *self.categories) for w in words(name)]
        return Speller({*named, *map(_singular, named), *colours.english_names()}, english_words())

    @cached_property
    def _keys(self) -> dict[str, tuple[Field, str]]:
        """What finds a name; where two are alike the category, then the brand."""
        own = [c for c in self.colours if not colours.colours_in(c)]
        fields: tuple[tuple[Field, Sequence[str]], ...] = (
            ("colour", own), ("brand", self.brands), ("category", self.categories),
        )  # fmt: skip
        return {key_of(name): (field, name) for field, names in fields for name in names}

    @cached_property
    def _sizes(self) -> dict[str, str]:
        return {size_key(size): size for size in self.sizes}

    def size(self, said: str) -> str:
        """The catalogue's name of a size, or nothing."""
        return self._sizes.get(size_key(said), "")

    def in_text(self, text: str) -> list[Named]:
        """The names in a text, the longest first; none lies within another."""
        spans, found = _spans(text), list[Named]()
        for length in range(_MOST_WORDS, 0, -1):
            for first in range(len(spans) - length + 1):
                inside = spans[first : first + length]
                known = self._keys.get(stem("".join(text[a:b].casefold() for a, b in inside)))
                if known and _together(text, inside):
                    found.append(Named(inside[0][0], inside[-1][1], *known))
        ends = {end for _, end in spans}
        found += (n for n in self._chinese(text) if n.field == "brand" or n.end in ends)
        return _apart(found)

    def _chinese(self, text: str) -> Iterable[Named]:
        """Names that stand in a run of characters, which may be cut into other words."""
        for key, (field, name) in self._keys.items():
            if len(key) > 1 and is_cjk(key):
                for match in re.finditer(re.escape(key), text):
                    yield Named(*match.span(), field, name)


def _apart(found: Iterable[Named]) -> list[Named]:
    """Of names that lie over each other the longest."""
    kept: list[Named] = []
    for named in sorted(found, key=lambda n: (n.start - n.end, n.start)):
        if all(named.end <= k.start or k.end <= named.start for k in kept):
            kept.append(named)
    return kept


def _together(text: str, spans: Sequence[tuple[int, int]]) -> bool:
    """Whether nothing but spaces, hyphens and "and" lies between the words."""
    between = (text[a[1] : b[0]] for a, b in zip(spans, spans[1:], strict=False))
    return all(re.fullmatch(r"[\s&'’-]*(?:and\s+)?", gap) for gap in between)
