"""Mend typing errors in what customers write, by the words that a catalogue has."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Container
from functools import cache

from rapidfuzz import process
from rapidfuzz.distance import OSA

from knowledge.minilm import minilm_folder

_WORD = re.compile(r"[a-z]{4,}", re.IGNORECASE)
# Letters from which two slips are mended; with fewer one is, and with fewer than four none: as
# Elasticsearch's "fuzziness: AUTO", but stricter by a letter or two, for here nobody looks twice.
_TWO_SLIPS = 8


@cache
def english_words() -> frozenset[str]:
    """English words in common use: those that the encoder's vocabulary has whole."""
    vocabulary = json.loads((minilm_folder() / "tokenizer.json").read_text(encoding="utf-8"))
    return frozenset(w for w in vocabulary["model"]["vocab"] if _WORD.fullmatch(w))


class Speller:
    """Knows `words` that are right (lower case), and mends others by the nearest of `targets`."""

    def __init__(self, targets: Collection[str], words: Container[str] = frozenset()) -> None:
        self._by_first: dict[str, list[str]] = {}
        self._targets = frozenset(targets)
        self._words = words
        for word in sorted(self._targets):
            if _WORD.fullmatch(word):
                self._by_first.setdefault(word[0], []).append(word)

    def mended(self, text: str) -> str:
        """The text with its misspelt words mended; others stay as they are."""
        return _WORD.sub(lambda match: self.word(match.group()), text)

    def word(self, word: str) -> str:
        """The nearest target that begins with the same letter; the word itself where it is right,
        or nothing is near."""
        low = word.casefold()
        if low in self._targets or low in self._words or low.removesuffix("s") in self._words:
            return word
        most = 2 if len(low) >= _TWO_SLIPS else 1
        near = process.extractOne(
            low, self._by_first.get(low[0], ()), scorer=OSA.distance, score_cutoff=most
        )
        return near[0] if near else word
