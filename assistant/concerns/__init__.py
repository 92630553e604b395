"""What a message may be that is no question: orders to the assistant, or something for a person.

One YAML file a concern, with a pattern a line by language; all of them are looked for, whatever
language a message is in, for many mix several. ` .. ` stands for a short way within a sentence, and
what `but` lists is looked past. They are precise rather than complete: what they miss still meets
the grounding check.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

_FOLDER = Path(__file__).parent
_GAP, _UNSPACED_GAP = r"\b[^.?!。！？\n]{0,60}?\b", r"[^.?!。！？\n]{0,15}?"
_UNSPACED = frozenset({"zh", "ja", "th", "ko", "hi", "ar"})  # or with endings that `\b` cuts


@dataclass(frozen=True, slots=True)
class Wording:
    """What a concern sounds like."""

    patterns: tuple[re.Pattern[str], ...]
    passed_over: tuple[re.Pattern[str], ...] = ()

    def find(self, texts: Iterable[str]) -> str:
        """The words that tell of the concern in any of the texts, or nothing."""
        for text in texts:
            for pattern in self.passed_over:
                text = pattern.sub(" – ", text)
            for pattern in self.patterns:
                if match := pattern.search(text):
                    return match.group()
        return ""


@cache
def wording(concern: str) -> Wording:
    """What a concern of a file here sounds like."""
    held = yaml.safe_load((_FOLDER / f"{concern}.yaml").read_text(encoding="utf-8"))
    but = held.pop("but", {})
    return Wording(
        tuple(_compiled(language, lines) for language, lines in held.items()),
        tuple(_compiled(language, lines) for language, lines in but.items()),
    )


def _compiled(language: str, lines: str) -> re.Pattern[str]:
    gap = _UNSPACED_GAP if language in _UNSPACED else _GAP
    patterns = [line for line in lines.splitlines() if line and not line.startswith("#")]
    whole = "|".join(f"(?:{pattern.replace(' .. ', gap)})" for pattern in patterns)
    if language not in _UNSPACED and language != "any":
        whole = rf"(?<!\w)(?:{whole})(?!\w)"
    return re.compile(whole, re.IGNORECASE)
