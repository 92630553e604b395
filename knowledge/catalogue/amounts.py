"""Amounts as customers write them: "1.5k", "a hundred and twenty", 三千五, 一百五."""

from __future__ import annotations

import re
from decimal import Decimal

_ENGLISH = {
    "a": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14,
    "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20,
    "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
_SCALES = {"hundred": 100, "thousand": 1000}
_DIGITS = {c: n for n, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_UNITS = {"十": 10, "百": 100, "千": 1000, "万": 10_000, "k": 1000, "w": 10_000}
_WORD = "|".join(sorted((*(w for w in _ENGLISH if w != "a"), *_SCALES), key=len, reverse=True))
# All or nothing: "27" is not looked for in "270", nor "two" in "twofold".
NUMBER = (
    r"(?>(?<![a-z0-9.,])\d+(?:,\d{3})*(?:\.\d+)?(?!\d)(?:\s?[百千万kw](?![a-z]))?"
    rf"|(?:\ba\s+(?=hundred|thousand))?\b(?:{_WORD})\b(?:(?:\s+and\s+|[\s-])(?:{_WORD})\b)*"
    r"|[零〇一二两三四五六七八九十百千万]+)"
)


def amount(text: str) -> Decimal:
    """What NUMBER has found, as a number."""
    text = text.casefold().replace(",", "").strip()
    if text[0].isdigit():
        plain = text.rstrip("百千万kw ")
        return Decimal(plain) * _UNITS.get(text[-1], 1)
    return Decimal(_english(text) if text.isascii() else _chinese(text))


def _english(text: str) -> int:
    total = part = 0
    for word in re.findall(r"[a-z]+", text):
        if word in _SCALES:
            part = (part or 1) * _SCALES[word]
            if word == "thousand":
                total, part = total + part, 0
        else:
            part += _ENGLISH.get(word, 0)
    return total + part


def _chinese(text: str) -> int:
    """三千五 is 3,500: a last digit counts in the unit below that of the digit before."""
    total = part = digit = 0
    unit = 1
    for character in text:
        if character in _DIGITS:
            digit = _DIGITS[character]
            unit = 1 if not digit else unit
        elif character == "万":
            total, part, digit = total + (part + digit or 1) * 10_000, 0, 0
            unit = 10_000
        else:
            unit = _UNITS[character]
            part, digit = part + (digit or 1) * unit, 0
    last = digit * (unit // 10 if unit >= 100 and text[-1] in _DIGITS else 1)
    return total + part + last
