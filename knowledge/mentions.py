"""Which documents a text names: "the Acorn Guest House", where passages have that title."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from knowledge.segment import STOPWORDS, words

_MOST_WORDS = 8  # a longer title is a sentence, and nobody repeats it


@dataclass(frozen=True, slots=True)
class Mention:
    """A title that a text holds; `documents` have it: several are about one thing with a name."""

    title: str
    documents: int


class Titles:
    """Finds titles in texts; letter case and punctuation do not count."""

    def __init__(self, titles: Iterable[str]) -> None:
        self._titles: dict[tuple[str, ...], str] = {}
        counts: Counter[tuple[str, ...]] = Counter()
        for title, count in Counter(titles).items():
            key = tuple(words(title))
            if len(key) <= _MOST_WORDS and not STOPWORDS.issuperset(key):
                self._titles.setdefault(key, title)
                counts[key] += count
        self._counts = counts
        self._longest = max(map(len, self._titles), default=0)

    def in_text(self, text: str) -> list[Mention]:
        """The titles that text holds, in its order; where two overlap, the longer one."""
        held = words(text)
        found: list[Mention] = []
        start = 0
        while start < len(held):
            for length in range(min(self._longest, len(held) - start), 0, -1):
                key = tuple(held[start : start + length])
                if key in self._titles:
                    found.append(Mention(self._titles[key], self._counts[key]))
                    start += length
                    break
            else:
                start += 1
        return list(dict.fromkeys(found))
