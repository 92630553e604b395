"""The quantities a text tells, in one form whatever way they are written.

Two weeks and 14 days, 8 am and 08:00, thirty and 30, 六成 and 60%, half a metre and 50 cm are the
same; English and Chinese.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from knowledge.inspection.dates import plain_dates

_SMALL = {
    word: n
    for n, word in enumerate(
        """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
        fifteen sixteen seventeen eighteen nineteen""".split()
    )
}
_TENS = {
    word: 10 * n
    for n, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)
}
_DIGITS = {c: n for n, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "俩": 2}
_ZEROES = {"十": 10, "百": 100, "千": 1000, "万": 10_000}
_HANZI = re.compile(
    r"[〇零一二三四五六七八九两十百千万]{1,12}(?:点[零一二三四五六七八九]{1,4}(?![零一二三四五六七八九十]))?"
)
_SPELLED = re.compile(
    rf"\b(?:(?P<tens>{'|'.join(_TENS)})(?:[- ](?P<ones>{'|'.join(list(_SMALL)[1:10])}))?"
    rf"|(?P<small>{'|'.join(list(_SMALL)[::-1])}))(?P<hundred> hundred)?\b",
    re.IGNORECASE,
)
_TABLE: dict[str, Any] = yaml.safe_load(
    Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")
)
_UNITS: dict[str, tuple[str, float]] = _TABLE["units"]
_UNIT = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
_QUANTITY = re.compile(
    r"(?P<h>\d{1,2})(?:[:.](?P<m>\d\d))?\s?(?P<ap>[ap])\.?m\b"
    r"|(?P<h2>\d{1,2})[:：](?P<m2>\d\d)(?!\d)"
    r"|(?P<part>早上|上午|早|下午|晚上|晚|傍晚|凌晨)?\s?(?P<h3>\d{1,2})\s?点"
    r"(?:(?P<half>半)|(?P<m3>\d\d)分?)?(?!\d)"
    r"|(?P<cur>£|\$|€|¥|￥|US\$|NZ\$|GBP |EUR |USD )?"
    r"(?P<n>\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)(?:\s?|-)"
    rf"(?:(?P<u>{_UNIT})s?(?![A-Za-z]))?",
    re.IGNORECASE,
)


def quantities(text: str) -> Counter[str]:
    """The quantities of a text with how often each is told; numbers without a unit stand alone."""
    text = plain_dates(text)
    text = _SPELLED.sub(_value_of_spelled, _HANZI.sub(_value_of_hanzi, text))
    for pattern, plain in _TABLE["sayings"].items():
        text = re.sub(pattern, plain, text, flags=re.IGNORECASE)
    return Counter(told for m in _QUANTITY.finditer(text) if (told := _told(m)))


def _told(match: re.Match[str]) -> str:
    groups = match.groupdict()
    for hour, minute in (("h", "m"), ("h2", "m2"), ("h3", "m3")):
        if groups[hour]:
            late = (groups["ap"] or "").casefold() == "p" or groups["part"] in {
                "下午",
                "晚上",
                "晚",
                "傍晚",
            }
            twelve = bool(groups["ap"]) or late
            value = int(groups[hour]) % (12 if twelve else 25) + 12 * late
            return f"{value}:{groups[minute] or ('30' if groups['half'] else '00')}"
    amount = float(groups["n"].replace(",", ""))
    if groups["cur"]:
        return f"{amount:.12g} money"
    unit = groups["u"]
    if not unit:
        return f"{amount:.12g}"
    name, factor = next(_UNITS[u] for u in (unit, unit.casefold(), unit.upper()) if u in _UNITS)
    return f"{amount * factor:.12g} {name}"


def _value_of_spelled(match: re.Match[str]) -> str:
    groups: dict[str, str] = {k: (v or "").casefold() for k, v in match.groupdict().items()}
    value = _TENS.get(groups["tens"], 0) + _SMALL.get(groups["ones"] or groups["small"], 0)
    return str(value * 100 if groups["hundred"] else value)


def _value_of_hanzi(match: re.Match[str]) -> str:
    """三十五 as 35; a lone 一, which is often no number, stays."""
    said, _, fraction = match.group().partition("点")
    if fraction and not said:
        return match.group()
    if said in {"一", "万", "千", "百"} and not fraction:
        return said
    total, current = 0, 0
    digits = ""
    for character in said:
        if character in _DIGITS:
            current = _DIGITS[character]
            digits += str(current)
        elif character == "万":
            total, current = (total + current) * 10_000, 0
        else:
            total, current = total + (current or 1) * _ZEROES[character], 0
    value = digits if len(digits) == len(said) > 1 else str(total + current)
    return f"{value}.{''.join(str(_DIGITS[c]) for c in fraction)}" if fraction else value
