"""The days that a text names, and where they stand from today.

Dates with digits and with month names, months, quarters, seasons, years and feasts, in English and
Chinese; a date without a year takes that of the date before it, or of the title. Where a lasting
is told from a date ("for six weeks from 5 October"), its end is named too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import yaml
from dateutil.easter import easter
from dateutil.relativedelta import relativedelta

from knowledge.segment import is_cjk, with_plain_numbers

_MONTH_NAMES = (
    "january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul",
    "august aug", "september sept sep", "october oct", "november nov", "december dec",
)  # fmt: skip
_MONTHS = {name: n for n, names in enumerate(_MONTH_NAMES, start=1) for name in names.split()}
_NUMERALS = {c: n for n, c in enumerate("〇一二三四五六七八九")} | {"零": 0, "○": 0}
_ORDINALS = {
    name: n
    for n, name in enumerate(
        """first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth
        thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth
        twenty-first twenty-second twenty-third twenty-fourth twenty-fifth twenty-sixth
        twenty-seventh twenty-eighth twenty-ninth thirtieth thirty-first""".split(),
        start=1,
    )
}
_COUNTS = {
    name: n
    for n, name in enumerate(
        "one two three four five six seven eight nine ten eleven twelve".split(), start=1
    )
} | {"a": 1, "an": 1, "fourteen": 14, "twenty": 20, "thirty": 30, "sixty": 60, "ninety": 90,
     "hundred": 100, "两": 2, "半": 0.5}  # fmt: skip
_FEASTS: dict[str, list[int] | str] = yaml.safe_load(
    Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")
)["feasts"]
_FEAST = "|".join(f"(?:{names})" for names in sorted(_FEASTS, key=len, reverse=True))
_M = "|".join(sorted(_MONTHS, key=len, reverse=True))
_O = "|".join(sorted(_ORDINALS, key=len, reverse=True))
_DAY = rf"(?:\d{{1,2}}(?:st|nd|rd|th)?|{_O})(?![\d%])"
_YEAR = r"(?<!\d)20\d\d(?!\d)"
_OCCASIONS = "sale|week|terms?|season|offers?|promotion|weekend|collection|holidays?|hampers?"
_PARTS = "初|上旬|中旬|下旬|底|末|的?最后一天"
_ORDINAL_QUARTERS = "(?:first|second|third|fourth|last|1st|2nd|3rd|4th) quarter|Q[1-4]"
# 26.11.05
_YEAR_FIRST = r"(?<!\d)(?P<ty>2\d)\.(?P<tm>[01]\d)\.(?P<td>[0-3]\d)(?!\.?\d)"
_KINDS = (
    # 2026-11-05, 2026/11; 2025/26 is a season
    rf"(?<![\d.])(?P<iy>{_YEAR})\s?[-/.]\s?(?P<im>\d{{1,2}})(?:\s?[-/.]\s?(?P<id>\d{{1,2}}))?(?!\d)",
    # 05.11.2026, 11/5/26
    r"(?<![\d.])(?P<a>\d{1,2})(?P<sep>[./])\s?(?P<b>\d{1,2})(?P=sep)\s?(?P<y>20\d\d|2\d)(?!\d)",
    _YEAR_FIRST,
    # 2026年第三季度
    rf"(?:(?P<cy>{_YEAR})\s?年?\s?)?(?P<cq>第?[一二三四1-4](?:个)?季度)",
    # 2026年11月5日, 11月底
    rf"(?:(?P<zy>{_YEAR})\s?年\s?)?(?:的)?(?P<zm>\d{{1,2}})\s?月"
    rf"(?:(?P<zd>\d{{1,2}})\s?[日号]|(?P<zp>{_PARTS}))?(?!份?色)",
    # 2026年国庆
    rf"(?<!\d)(?P<fy>{_YEAR})\s?年?\)?\s?(?:的)?(?P<f1>{_FEAST})",
    # Black Friday 2025, winter 2025/26
    rf"\b(?P<f2>{_FEAST}),?(?: (?:{_OCCASIONS}))?,?(?: of)? (?P<fy2>{_YEAR})"
    r"(?:\s?[/–-]\s?(?P<fy3>\d\d)(?!\d))?",
    # the third quarter of 2026, Q3 2026
    rf"\b(?P<q>{_ORDINAL_QUARTERS})(?: of)? (?P<qy>{_YEAR})",
    # 5 November 2026, the fifth of November (2026)
    rf"\b(?P<d1>{_DAY})(?: day)?(?: of)? (?P<m1>{_M})\b\.?,?"
    rf"(?: (?P<y1>{_YEAR})| \((?P<y1b>{_YEAR})\))?",
    # November 5, 2026
    rf"\b(?P<m2>{_M})\b\.? (?:the )?(?P<d2>{_DAY})(?![:.]\d\d)\b,?(?: (?P<y2>{_YEAR}))?",
    # November 2026
    rf"\b(?P<m3>{_M})\b\.?,?(?: of| sale| offers?| deals?| terms)? (?P<y3>{_YEAR})",
    # calendar weeks 30 to 34 of 2026
    rf"\bweeks? (?P<w1>\d{{1,2}})(?:\s?(?:to|and|-|–)\s?(?P<w2>\d{{1,2}}))?(?: of|,)?"
    rf" (?P<wy>{_YEAR})",
    # 11/2026
    rf"(?<![\d/.])(?P<sm>\d{{1,2}})/(?P<sy>{_YEAR})",
    # 2026, 2025/26, 2026年底
    rf"(?<![\d.,/£$€-])(?P<y4>{_YEAR})(?:\s?[/—–-]\s?(?P<y4b>(?:20)?\d\d)(?!\d))?"
    r"(?:\s?(?:学)?年(?:底|末|内|度|初)?)?"
    r"(?![\d.,]\d|/|\s?(?:元|块|分|个|件|点|points?\b|pieces?\b|items?\b|k?g\b|ml\b))",
)
_DATE = re.compile("|".join(_KINDS), re.IGNORECASE)
# The Chinese write the year first: 25.12.26 is in 2025.
_DATE_ZH = re.compile("|".join(dict.fromkeys((_YEAR_FIRST, *_KINDS))), re.IGNORECASE)
_SPELLED_YEAR = re.compile(
    r"\b(?:twenty|two thousand and)[ -]twenty[ -](four|five|six|seven|eight)\b", re.IGNORECASE
)
_SAME_MONTH = re.compile(r"\s?(?:[-–—~～至到]|to|and|until)\s?(\d{1,2})\s?[日号]")
_COUNT = "|".join(sorted(filter(str.isascii, _COUNTS), key=len, reverse=True))
_HINT = re.compile(
    r"(?<!\d)20\d\d|二[〇零○]|(?<!\d)\d\d\.\d\d\.\d\d(?!\d)|twenty[ -]twenty|two thousand and",
    re.IGNORECASE,
)
_LASTING = re.compile(
    rf"(?<![\w.])(?P<n>\d{{1,3}}|{_COUNT})"
    r"[ -](?P<u>day|week|month|year)s?\b"
    r"|(?P<cn>\d{1,3}|[一二两三四五六七八九十半]+)\s?个?(?P<cu>天|日|周|星期|月|年)(?!\s?\d)",
    re.IGNORECASE,
)  # fmt: skip
_FROM = re.compile(
    r"\b(?:from|since|after|beginning|starting|starts?|started|announced|opens?|later)\b"
    r"|自|从|起|开始|后",
    re.IGNORECASE,
)
_UNITS = {
    "day": "days", "week": "weeks", "month": "months", "year": "years", "天": "days", "日": "days",
    "周": "weeks", "星期": "weeks", "月": "months", "年": "years",
}  # fmt: skip
_QUARTERS = {"first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4,
             "4th": 4, "last": 4, "一": 1, "二": 2, "三": 3, "四": 4}  # fmt: skip
_PART_ENDS = {"初": 7, "上旬": 10, "中旬": 20}


@dataclass(frozen=True, slots=True)
class Named:
    """A day, or a stretch of days, that stands at start..end of a text."""

    first: date
    last: date
    start: int
    end: int


def plain_dates(text: str) -> str:
    """Text with the numerals of dates as digits: 二〇二六年十一月五日, twenty twenty-six."""
    text = with_plain_numbers(text).replace("’", "'")
    text = re.sub(r"二[〇零○一二三四五六七八九]{3}(?=\s?年)", _year_of, text)
    text = re.sub(
        r"([一二三四五六七八九十]{1,3})(?=\s?(?:月(?!份?色)|[日号](?!用|常|期|子|线|码|店)))",
        _count_of,
        text,
    )
    return _SPELLED_YEAR.sub(_spelled, text)


def days_named(text: str, year: int = 0) -> Iterator[Named]:
    """The days that a text named (see `plain_dates`), in order; `year` is that of a date that
    does not say its own and follows no other."""
    matches = list((_DATE_ZH if is_cjk(text) else _DATE).finditer(text))
    years = [_year(m) for m in matches]
    for n, match in enumerate(matches):
        stated = years[n]
        after = next((y for y in years[n + 1 :] if y), 0)
        own = stated or year or after
        year = stated or year
        found = _days(match, own) if own else None
        if found is None:
            continue
        first, last = found
        end = match.end()
        if (more := _SAME_MONTH.match(text, end)) and last.month == first.month:  # 5月1日至5日
            last = _within(last.year, last.month, int(more[1]))
            end = more.end()
        yield Named(min(first, last), last, match.start(), end)


def lasting_end(sentence: str, named: Named) -> date | None:
    """The end of a stretch that the sentence tells by a start and how long it lasts, or None."""
    found = [
        m for m in _LASTING.finditer(sentence) if m.end() <= named.start or m.start() >= named.end
    ]
    if len(found) != 1 or not _FROM.search(sentence):
        return None
    match = found[0]
    count = _count(match["n"] or match["cn"])
    unit = _UNITS[(match["u"] or match["cu"]).casefold()]
    if not count:
        return None
    if count < 1:
        return named.first + timedelta(days=182 if unit == "years" else 15)
    return _later(named.first, unit, int(count))


def year_in(text: str) -> int:
    """The first year named in a text, or 0."""
    match = re.search(_YEAR, plain_dates(text))
    return int(match.group()) if match else 0


def _year(match: re.Match[str]) -> int:
    groups = match.groupdict()
    for name in (
        "iy",
        "y",
        "cy",
        "zy",
        "fy",
        "fy2",
        "qy",
        "y1",
        "y1b",
        "y2",
        "y3",
        "sy",
        "y4",
        "ty",
    ):
        if groups[name]:
            return int(groups[name]) + (2000 if int(groups[name]) < 100 else 0)
    return 0


def _days(match: re.Match[str], year: int) -> tuple[date, date] | None:
    """(first, last) day of a match, or None where there is no such day."""
    groups = match.groupdict()
    try:
        for name, days in _READERS.items():
            if groups[name]:
                return days(groups, year)
    except ValueError:
        return None
    return None


def _digits(groups: dict[str, str], year: int) -> tuple[date, date]:
    if not groups["id"] and int(groups["im"]) == (year + 1) % 100:  # the season 2025/26
        return date(year, 8, 1), date(year + 1, 7, 31)
    if not groups["id"]:
        return _month(year, int(groups["im"]))
    return _one(date(year, int(groups["im"]), int(groups["id"])))


def _short(groups: dict[str, str], year: int) -> tuple[date, date]:
    return _one(date(year, int(groups["tm"]), int(groups["td"])))


def _day_first(groups: dict[str, str], year: int) -> tuple[date, date]:
    """Day before month, unless that gives no date (the USA write the month first)."""
    first, second = int(groups["a"]), int(groups["b"])
    return _one(date(year, second, first) if second <= 12 else date(year, first, second))


def _chinese(groups: dict[str, str], year: int) -> tuple[date, date]:
    month = int(groups["zm"])
    if groups["zd"]:
        return _one(date(year, month, int(groups["zd"])))
    first, last = _month(year, month)
    part = _PART_ENDS.get(groups["zp"] or "")
    return first, last.replace(day=part) if part else last


def _feast(groups: dict[str, str], year: int) -> tuple[date, date]:
    name = (groups["f1"] or groups["f2"]).casefold()
    if groups["fy3"]:  # a season over the turn of the year: winter 2025/26
        return date(year, 10, 1), date(year + 1, 3, 31)
    end = next(d for names, d in _FEASTS.items() if re.fullmatch(names, name, re.IGNORECASE))
    if isinstance(end, str):
        return _one(easter(year) + timedelta(days=1))
    return _one(date(year, end[0], end[1]))


def _quarter(groups: dict[str, str], year: int) -> tuple[date, date]:
    said = (groups["q"] or groups["cq"]).casefold()
    number = (
        _QUARTERS.get(said.split()[0])
        or _QUARTERS.get(said.strip("第个季度"))
        or int(re.sub(r"\D", "", said))
    )
    return date(year, 3 * number - 2, 1), _month(year, 3 * number)[1]


def _named_month(day: str, month: str) -> Callable[[dict[str, str], int], tuple[date, date]]:
    def days(groups: dict[str, str], year: int) -> tuple[date, date]:
        said = groups[day].casefold()
        number = _ORDINALS.get(said) or int(re.sub(r"\D", "", said))
        return _one(date(year, _MONTHS[groups[month].casefold()], number))

    return days


def _whole_month(groups: dict[str, str], year: int) -> tuple[date, date]:
    return _month(year, _MONTHS[groups["m3"].casefold()])


def _weeks(groups: dict[str, str], year: int) -> tuple[date, date]:
    last = int(groups["w2"] or groups["w1"])
    return date.fromisocalendar(year, int(groups["w1"]), 1), date.fromisocalendar(year, last, 7)


def _slash_month(groups: dict[str, str], year: int) -> tuple[date, date]:
    return _month(year, int(groups["sm"]))


def _whole_year(groups: dict[str, str], year: int) -> tuple[date, date]:
    last = int(groups["y4b"]) % 100 + 2000 if groups["y4b"] else year
    if last == year + 1:  # 2025/26: a school year or a season
        return date(year, 8, 1), date(last, 7, 31)
    return date(year, 1, 1), date(max(year, last), 12, 31)


# Which group tells what kind of date a match is.
_READERS: dict[str, Callable[[dict[str, str], int], tuple[date, date]]] = {
    "im": _digits, "tm": _short, "a": _day_first, "cq": _quarter, "q": _quarter, "zm": _chinese,
    "f1": _feast, "f2": _feast, "m1": _named_month("d1", "m1"), "m2": _named_month("d2", "m2"),
    "m3": _whole_month, "w1": _weeks, "sm": _slash_month, "y4": _whole_year,
}  # fmt: skip


def _later(day: date, unit: str, count: int) -> date:
    end: date = day + relativedelta(**{unit: count})  # type: ignore[arg-type]
    return end


def _one(day: date) -> tuple[date, date]:
    return day, day


def _month(year: int, month: int) -> tuple[date, date]:
    first = date(year, month, 1)
    return first, first + relativedelta(months=1, days=-1)


def _within(year: int, month: int, day: int) -> date:
    last = _month(year, month)[1]
    return last.replace(day=min(max(1, day), last.day))


def _year_of(match: re.Match[str]) -> str:
    return "".join(str(_NUMERALS.get(c, c)) for c in match.group())


def _count_of(match: re.Match[str]) -> str:
    return str(int(_count(match.group()))) if _count(match.group()) else match.group()


def _spelled(match: re.Match[str]) -> str:
    return str(2020 + int(_COUNTS[match[1].casefold()]))


def _count(said: str) -> float:
    """The value of a number with digits, in letters or in Chinese numerals; 0 for none."""
    if said.isdigit():
        return int(said)
    if said.casefold() in _COUNTS:
        return _COUNTS[said.casefold()]
    tens, ten, ones = said.rpartition("十")
    if not ten:
        return _NUMERALS.get(said, 0)
    return 10 * (_NUMERALS.get(tens, 1) if tens else 1) + (_NUMERALS.get(ones, 0) if ones else 0)


def may_name_days(text: str) -> bool:
    """A quick look whether a text may name a day with its year."""
    return _HINT.search(with_plain_numbers(text)) is not None
