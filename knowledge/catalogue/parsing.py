"""What a message asks of products, read by rules: limits of price, sizes, colours, brands,
categories, what is not wanted, the order, and stock; the rest of its words are free text.

What is understood is replaced by a mark, a character each, so that no rule reads it twice and
"not red or pink" is a cue before two marks, whatever the names behind them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import get_args

from knowledge.catalogue import colours
from knowledge.catalogue.amounts import amount
from knowledge.catalogue.names import Named, Names
from knowledge.catalogue.types import Constraint, Field, Wanted
from knowledge.catalogue.wording import (
    FIRST_LIMIT,
    FIRST_NAMED,
    MARK,
    NAMED,
    Wording,
    currency,
    size_letters,
    wording,
)
from knowledge.segment import STOPWORDS, content_words, is_cjk, with_plain_numbers, word_spans

# "About 50" is 40 to 60: a shop's next shelf, so that something is found. Ours.
_AROUND = Decimal("0.2")
_FIELDS: tuple[Field, ...] = get_args(Field)
_MARK = re.compile(MARK)
_BARE_SIZE = re.compile(rf"(?<=[\s,])(?:\d{{2,3}}(?:\.5)?|[SML])(?=\s*(?:$|[,;.!?]|{MARK}))")
_ANOTHER_SIZE = re.compile(
    rf"(?<={NAMED})\s*(?:or|and|/|-|或者?|和)\s*(\d{{2,3}}(?:\.5)?|[2-6]?x{{0,3}}[sml])\b",
    re.IGNORECASE,
)
_DIMENSIONS = re.compile(r"(?<!\d)\d{2,3}\s*(?:[x×*]|by)\s*\d{2,3}(?:\s*cm)?(?!\d)", re.IGNORECASE)
_REGIONS = {"uk": "UK", "us": "US", "英码": "UK", "美码": "US"}
_SEVERAL_X = re.compile(r"(x{2,})([sl])", re.IGNORECASE)

# 两三百: from two to three hundred.
_SPREAD = re.compile(
    r"(?<![零一二两三四五六七八九十百千万\d])([一二两三四五六七八九])([二三四五六七八九])([百千万])(?:块钱?|元)?(?:左右|上下)?的?"
)

Read = Callable[[re.Match[str]], Iterable[Constraint]]


def parse(text: str, language: str, names: Names) -> Wanted:
    """What a message in a language asks of products with these names."""
    reading = _Reading(text, wording(language), names)
    reading.limits()
    reading.named()
    reading.turn_around()
    return reading.wanted()


class _Reading:
    """A message in which ever more is understood."""

    def __init__(self, text: str, words: Wording, names: Names) -> None:
        self.names = names
        self.words = words
        self.text = names.speller.mended(_MARK.sub(" ", with_plain_numbers(text)))
        self.found: dict[str, tuple[Constraint, ...]] = {}  # by their mark

    def limits(self) -> None:
        """Sizes with a word that says so, prices, the order, and stock."""
        words = self.words
        self._take([_DIMENSIONS], lambda match: self._known_size(match[0]), FIRST_NAMED)
        self._take(words.size, self._size, FIRST_NAMED)
        self._take([_ANOTHER_SIZE], lambda match: self._known_size(match[1]), FIRST_NAMED)
        self._take(words.range, self._range)
        self._take([_SPREAD], self._spread)
        self._take(words.around, lambda match: self._around(match))
        self._take(words.most, lambda match: [self._limit("most", match, "a")])
        self._take(words.least, lambda match: [self._limit("least", match, "a")])
        self._take([words.sum], lambda match: self._around(match))
        self._take(words.cheapest, lambda _: [Constraint("order", "cheapest")])
        self._take(words.dearest, lambda _: [Constraint("order", "dearest")])
        self._take(words.stock, lambda _: [Constraint("stock")])
        self._take([_BARE_SIZE], lambda match: self._known_size(match[0]), FIRST_NAMED)

    def named(self) -> None:
        """Brands, categories and colours."""
        kept = [n for n in self.names.in_text(self.text) if not self._is_modifier(n)]
        for named in sorted(kept, reverse=True):  # from the end, so that places stay right
            mark = self._mark([Constraint(named.field, named.name)], FIRST_NAMED)
            self.text = self.text[: named.start] + mark + self.text[named.end :]
        self._take([colours.pattern()], self._colour, FIRST_NAMED)

    def turn_around(self) -> None:
        """What is not wanted."""
        for pattern in self.words.idle:
            self.text = pattern.sub(" ", self.text)
        for pattern in self.words.negated:
            for match in pattern.finditer(self.text):
                for mark in _MARK.findall(match["listed"]):
                    self.found[mark] = tuple(_negated(c) for c in self.found[mark])
            self.text = pattern.sub(lambda match: f" {match['listed']} ", self.text)
        self._take([self.words.negated_word], self._word)

    def wanted(self) -> Wanted:
        """All that was understood, and what is left of the text."""
        held = dict.fromkeys(c for found in self.found.values() for c in found)
        text = _MARK.sub(" ", self.text)
        for pattern in (*self.words.asking, self.words.cue):
            text = pattern.sub(" ", text)
        text = " ".join(text.split()).strip(" ,.;:!?，。、；：！？-")
        ordered = sorted(held, key=lambda c: _FIELDS.index(c.field))
        return Wanted(tuple(ordered), text if content_words(text) else "")

    def _take(
        self, patterns: Iterable[re.Pattern[str]], read: Read, first: int = FIRST_LIMIT
    ) -> None:
        """Replace what the patterns find by marks; where `read` finds nothing in it, it stays."""

        def marked(match: re.Match[str]) -> str:
            found = tuple(read(match))
            return self._mark(found, first) if found else match.group()

        for pattern in patterns:
            self.text = pattern.sub(marked, self.text)

    def _mark(self, found: Iterable[Constraint], first: int) -> str:
        mark = chr(first + len(self.found))
        self.found[mark] = tuple(found)
        return mark

    def _limit(
        self, field: Field, match: re.Match[str], group: str, share: Decimal = Decimal(1)
    ) -> Constraint:
        groups = match.groupdict()
        number = groups.get(f"{group}_number") or groups[f"{group}_other"]
        said = groups.get(f"{group}_before") or groups.get(f"{group}_after") or ""
        value = f"{(amount(number) * share).normalize():f}"
        return Constraint(field, value, currency=currency(said, self.names.currencies))

    def _range(self, match: re.Match[str]) -> Iterable[Constraint]:
        """Both ends; the currency of one counts for both."""
        low, high = self._limit("least", match, "a"), self._limit("most", match, "b")
        if low.amount >= high.amount:
            return []
        said = low.currency or high.currency
        return [Constraint(c.field, c.value, currency=said) for c in (low, high)]

    @staticmethod
    def _spread(match: re.Match[str]) -> Iterable[Constraint]:
        low, high = (amount(match[n] + match[3]) for n in (1, 2))
        return [Constraint("least", f"{low:f}"), Constraint("most", f"{high:f}")]

    def _around(self, match: re.Match[str]) -> Iterable[Constraint]:
        return [
            self._limit("least", match, "a", 1 - _AROUND),
            self._limit("most", match, "a", 1 + _AROUND),
        ]

    def _known_size(self, said: str) -> Iterable[Constraint]:
        """A size that nothing but the catalogue says is one."""
        named = self.names.size(said)
        return [Constraint("size", named)] if named else []

    def _size(self, match: re.Match[str]) -> Iterable[Constraint]:
        groups = {k.rstrip("2345"): v for k, v in match.groupdict().items() if v}
        said = groups["size"].casefold()
        said = size_letters().get(said.replace("extra-", "extra "), said.upper())
        said = _SEVERAL_X.sub(lambda x: f"{len(x[1])}X{x[2]}", said)
        if (region := _REGIONS.get(groups.get("region", "").casefold())) and said[0].isdigit():
            said = f"{region} {said}"
        return [Constraint("size", self.names.size(said) or said)]

    def _colour(self, match: re.Match[str]) -> Iterable[Constraint]:
        colour = colours.colour_of(match)
        sure = colours.is_common(colour.base) or match["sure"] or not match["name"]
        known = sure or colour.base in self.names.known_colours
        return [Constraint("colour", colour.name)] if known else []

    def _word(self, match: re.Match[str]) -> Iterable[Constraint]:
        """What a product must not speak of: a word, or two that belong together."""
        kept = []
        for word in match["word"].split():
            if word.casefold() in STOPWORDS or any(p.match(word) for p in self.words.asking):
                break
            kept.append(word)
        return [Constraint("word", " ".join(kept).casefold(), negated=True)] if kept else []

    def _is_modifier(self, named: Named) -> bool:
        """Whether a category only says what something else is for: "shoe rack", 手机壳."""
        said, after = self.text[named.start : named.end], self.text[named.end :]
        if self.words.modifies.search(self.text[: named.start]):
            return True
        if named.field != "category" or self._says_nothing(after):
            return False
        if is_cjk(said):
            return True
        return named.name.casefold().endswith("s") and not said.casefold().endswith("s")

    def _says_nothing(self, after: str) -> bool:
        """Whether no noun follows at once."""
        start, end = next(iter(word_spans(after)), (len(after), len(after)))
        word = after[start:end].casefold()
        if after[:start].strip(" -") or not word or word in STOPWORDS:
            return True
        rest = after[start:]
        return any(p.match(rest) for p in (self.words.cue, *self.words.asking))


def _negated(constraint: Constraint) -> Constraint:
    return Constraint(constraint.field, constraint.value, True, constraint.currency)
