"""Change one fact of a sentence, so that it no longer says what its passage says.

A number, a weekday, a month, a direction (before or after, free or charged) or a negation is put
in the place of another; English and Chinese. Systematic corruption of true sentences to train
verifiers: Kryscinski et al., "Evaluating the factual consistency of abstractive text
summarization" (FactCC), EMNLP 2020.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

import yaml

_NUMBER = re.compile(r"(?<![A-Za-z\d.,:#-])\d{1,3}(?:,\d{3})*(?:\.\d{1,2})?(?![A-Za-z:.-]*\d)")
_WORDS = (
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twelve",
    "fourteen", "twenty", "thirty", "sixty", "ninety",
)  # fmt: skip
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
_NUMERALS = "一二三四五六七八九十"
_UNITS = {
    "天": "周",
    "周": "个月",
    "小时": "天",
    "days": "weeks",
    "hours": "days",
    "weeks": "months",
}
_TURNS: list[tuple[str, str | None]] = yaml.safe_load(
    Path(__file__).with_name("turns.yaml").read_text(encoding="utf-8")
)


_CONDITIONS = (
    # a clause at the end or in the middle, up to the next comma or stop
    re.compile(
        r",? (?:but |and )?(?:only )?\b(?:if|unless|except|provided|as long as|wenn|falls|sofern"
        r"|außer|si|salvo|excepto|siempre que|a menos que)\b [^,.;:()]*(?=[,.;]|$)"
    ),
    # one at the beginning
    re.compile(
        r"^(?:If|Unless|Provided|As long as|Wenn|Falls|Sofern|Si|Salvo que|Siempre que)\b [^,.;]*, "
    ),
    re.compile(r"(?:如果|如|若|只要|除非|除)[^，。；]{2,30}?(?:的话|外|时)?，"),
    re.compile(r"(?:仅限|仅|只限|限)[^，。；]{2,20}(?=[，。；])"),
    re.compile(r"[(（][^()（）]{3,}[)）]"),
)
_LEAST_LEFT = 0.3  # of the sentence


def without_condition(sentence: str) -> str | None:
    """The sentence without the clause that says when it holds, or None where there is none."""
    for pattern in _CONDITIONS:
        if match := pattern.search(sentence):
            left = sentence[: match.start()] + sentence[match.end() :]
            left = left.strip(" ,，；;").replace(" .", ".")
            if len(left) >= max(8, _LEAST_LEFT * len(sentence)):
                return left[:1].upper() + left[1:]
    return None


def corrupted(sentence: str, rng: random.Random) -> str | None:
    """The sentence with one fact changed, or None where it holds nothing that can be."""
    ways: list[Callable[[str, random.Random], str | None]] = [_number, _number, _word, _turn, _turn]
    rng.shuffle(ways)
    for way in ways:
        changed = way(sentence, rng)
        if changed and changed != sentence:
            return changed
    return None


def _put(sentence: str, match: re.Match[str], replacement: str) -> str:
    return sentence[: match.start()] + replacement + sentence[match.end() :]


def _number(sentence: str, rng: random.Random) -> str | None:
    """Another amount of the same order, or another unit of time."""
    matches = list(_NUMBER.finditer(sentence))
    if not matches:
        return None
    match = rng.choice(matches)
    after = sentence[match.end() :].lstrip()
    for unit, other in _UNITS.items():
        if after.startswith(unit) and rng.random() < 0.15:
            at = sentence.index(unit, match.end())
            return sentence[:at] + other + sentence[at + len(unit) :]
    said = match.group()
    value = float(said.replace(",", ""))
    factor = rng.choice((0.5, 0.5, 2, 2, 1.5, 3, 0.7, 1.2))
    changed = value * factor if rng.random() < 0.7 else value + rng.choice((1, 2, 5, -1, -2, 10))
    if changed <= 0 or changed == value:
        changed = value + 1
    if "." in said:
        text = f"{changed:.2f}"
    else:
        text = f"{max(1, round(changed)):,}" if "," in said else str(max(1, round(changed)))
    return _put(sentence, match, text if text != said else str(round(value) + 1))


def _word(sentence: str, rng: random.Random) -> str | None:
    """Another spelled number, weekday, month or Chinese numeral."""
    for group in rng.sample((_WORDS, _WEEKDAYS, _MONTHS), 3):
        found = list(re.finditer(rf"\b(?:{'|'.join(group)})\b", sentence, re.IGNORECASE))
        if found:
            match = rng.choice(found)
            other = rng.choice([w for w in group if w.casefold() != match.group().casefold()])
            return _put(sentence, match, other)
    pattern = rf"[{_NUMERALS}](?=[天日周个年月小折元件次位岁公克米]|百|千)"
    if numerals := list(re.finditer(pattern, sentence)):
        match = rng.choice(numerals)
        return _put(sentence, match, rng.choice(_NUMERALS.replace(match.group(), "")))
    return None


def _turn(sentence: str, rng: random.Random) -> str | None:
    """The statement turned round."""
    turns: list[tuple[re.Match[str], str | None]] = [
        (match, by) for pattern, by in _TURNS for match in re.finditer(pattern, sentence)
    ]
    if not turns:
        return None
    match, by = rng.choice(turns)
    if by is None:  # the negation goes
        by = match.group().removeprefix("不").removesuffix(" not")
    return _put(sentence, match, by)
