"""Slips of typing: the same message as a hurried customer would have typed it.

Latin words: a letter left out, doubled, swapped with the next, or its neighbour on the keyboard.
Chinese: a character of the same sound, as an input method offers it, or the sound in letters.
Models of BERT's kind are easily led astray by them: Sun et al., "Adv-BERT: BERT is not robust on
misspellings!", arXiv 2003.04985.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Mapping
from functools import cache

from pypinyin import Style, lazy_pinyin, pinyin

from knowledge.segment import is_cjk

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_WORD = re.compile(r"[A-Za-z]{3,}|[\u4e00-\u9fff]")
# GB 2312's first level, the 3,755 characters in common use, stands in this range of its rows.
_COMMON_ROWS = range(0xB0, 0xD8)


def _neighbours() -> dict[str, str]:
    """The keys beside, above and below each letter; a row begins half a key further right."""
    place = {
        key: (row, column) for row, keys in enumerate(_ROWS) for column, key in enumerate(keys)
    }
    return {
        key: "".join(
            other
            for other, (r, c) in place.items()
            if other != key and abs(r - row) <= 1 and abs((c + r / 2) - (column + row / 2)) <= 1
        )
        for key, (row, column) in place.items()
    }


_KEYS: Mapping[str, str] = _neighbours()


@cache
def _homophones() -> Mapping[str, str]:
    """The common characters by their sound, tones left out."""
    common = (
        bytes((row, column)).decode("gb2312", errors="ignore")
        for row in _COMMON_ROWS
        for column in range(0xA1, 0xFF)
    )
    sounds: defaultdict[str, str] = defaultdict(str)
    for character in filter(None, common):
        for sound in pinyin(character, style=Style.NORMAL, heteronym=True)[0]:
            sounds[sound] += character
    return dict(sounds)


def letter_slips(word: str, at: int, beside: str) -> tuple[str, str, str, str]:
    """parcel -> pacel, parrcel, pacrel, patcel: what may go wrong at a letter, `beside` being a key
    next to it."""
    swap = min(at, len(word) - 2)
    return (
        word[:at] + word[at + 1 :],
        word[: at + 1] + word[at:],
        word[:swap] + word[swap + 1] + word[swap] + word[swap + 2 :],
        word[:at] + (beside.upper() if word[at].isupper() else beside) + word[at + 1 :],
    )


def same_sound(character: str) -> str:
    """退 -> the other common characters that are said so, itself left out."""
    sound = lazy_pinyin(character)[0]
    return _homophones().get(sound, "").replace(character, "")


_IN_LETTERS = 0.15  # of Chinese slips


def with_slips(text: str, share: float, rng: random.Random) -> str:
    """The text with a slip in about `share` of its words (Chinese: characters), at least one where
    a word can take any."""
    places = list(_WORD.finditer(text))
    if not places:
        return text
    slipping = {n for n in range(len(places)) if rng.random() < share}
    slipping = slipping or {rng.randrange(len(places))}
    for n in sorted(slipping, reverse=True):
        start, end = places[n].span()
        text = text[:start] + _slip(places[n][0], rng) + text[end:]
    return text


def _slip(word: str, rng: random.Random) -> str:
    if not is_cjk(word):
        at = rng.randrange(1, len(word))
        return rng.choice(letter_slips(word, at, rng.choice(_KEYS[word[at].casefold()])))
    if rng.random() < _IN_LETTERS:
        return lazy_pinyin(word)[0]
    others = same_sound(word)
    return rng.choice(others) if others else word
