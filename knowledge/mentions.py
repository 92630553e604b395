"""Which documents a text names: "the Acorn Guest House", where passages have that title."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from knowledge.segment import STOPWORDS, content_words

_TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")
_MOST_TOKENS = 12  # a longer title is a sentence, and nobody repeats it
_ELSEWHERE = 1.25  # passages that hold a word of a name, to those that it heads


@dataclass(frozen=True, slots=True)
class Mention:
    """A title that a text holds. `is_name`: it heads several passages and has a word that hardly
    another passage holds, as the name of a hotel has and "Returns" has not."""

    title: str
    is_name: bool


class Titles:
    """Finds titles in texts; letter case and punctuation do not count.

    `titles` are those of all passages; `holding` says how many passages hold a content word.
    """

    def __init__(self, titles: Iterable[str], holding: Callable[[str], int]) -> None:
        self._holding = holding
        self._titles: dict[tuple[str, ...], str] = {}
        self._counts: Counter[tuple[str, ...]] = Counter()
        for title, count in Counter(titles).items():
            key = _tokens(title)
            if len(key) <= _MOST_TOKENS and not STOPWORDS.issuperset(key):
                self._titles.setdefault(key, title)
                self._counts[key] += count
        self._longest = max(map(len, self._titles), default=0)

    def in_text(self, text: str) -> list[Mention]:
        """The titles that text holds, in its order; where two overlap, the longer one."""
        held = _tokens(text)
        found: list[Mention] = []
        start = 0
        while start < len(held):
            for length in range(min(self._longest, len(held) - start), 0, -1):
                key = held[start : start + length]
                if key in self._titles:
                    found.append(Mention(self._titles[key], self._is_name(key)))
                    start += length
                    break
            else:
                start += 1
        return list(dict.fromkeys(found))

    def _is_name(self, key: tuple[str, ...]) -> bool:
        most = _ELSEWHERE * self._counts[key]
        words = content_words(self._titles[key])
        return self._counts[key] > 1 and any(self._holding(word) <= most for word in words)


def _tokens(text: str) -> tuple[str, ...]:
    """Words, and Chinese and Japanese characters one by one."""
    return tuple(_TOKEN.findall(text.casefold()))
