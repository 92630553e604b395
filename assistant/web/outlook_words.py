"""The reasons of an outlook in words, with the customer's own figures."""

from __future__ import annotations

import math
from collections.abc import Mapping

from assistant.propensity import Reason

_SHARES = frozenset({"repeats", "returned"})  # told as percentages
_TENTHS = frozenset({"spent", "spent_90", "lines"})


def outlook_words(words: Mapping[str, str], reason: Reason) -> str:
    """The reason in the words of a language (`outlook_recency`); with `_none`, where a figure that
    it needs is missing, and `_other` for another market than the shop's main one."""
    figures = dict(reason.figures)
    key = f"outlook_{reason.theme}"
    first = next(iter(figures.values()), 0.0)
    if math.isnan(first):
        key += "_none"
    elif reason.theme == "market" and not first:
        key += "_other"
    return words[key].format(**{name: _told(name, value) for name, value in figures.items()})


def _told(name: str, value: float) -> str:
    if math.isnan(value):
        return "–"
    if name in _SHARES:
        return f"{100 * value:.0f}"
    return f"{value:.1f}" if name in _TENTHS else f"{value:.0f}"
