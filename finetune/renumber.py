"""Examples with other numbers: the model learns to copy them, not to remember them.

A number that the reply takes from the passages is drawn anew everywhere at once, digit for digit.
Where the customer says a number, the reply may rest on comparing it, so nothing is changed.
"""

from __future__ import annotations

import random
import re
from dataclasses import replace

from finetune.examples import Example, numbers_of

_DIGIT = "0123456789"
_DIGITS = re.compile(r"\[\d{1,2}\]|[0-9]+")  # a citation is no number


def renumbered(example: Example, rng: random.Random) -> Example | None:
    """The example with every run of digits drawn anew, or None where that would change what the
    reply has to say."""
    asked = " ".join([*(turn.text for turn in example.history), example.question])
    if _DIGITS.search(asked) or not numbers_of(example.reply):
        return None
    if not _runs(example.reply) <= _runs(" ".join(example.passages)):
        return None
    drawn: dict[str, str] = {}

    def other(match: re.Match[str]) -> str:
        run = match.group()
        if run.startswith("["):
            return run
        if run not in drawn:
            drawn[run] = "".join(
                "0"
                if old == "0" and place
                else rng.choice(_DIGIT if place else _DIGIT[1:].replace(old, ""))
                for place, old in enumerate(run)
            )
        return drawn[run]

    def changed(texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_DIGITS.sub(other, text) for text in texts)

    return replace(
        example,
        passages=changed(example.passages),
        quotes=changed(example.quotes),
        reply=_DIGITS.sub(other, example.reply),
    )


def _runs(text: str) -> set[str]:
    return {run for run in _DIGITS.findall(text) if not run.startswith("[")}
