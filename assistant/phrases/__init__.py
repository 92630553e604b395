"""What the assistant says in its own name, one YAML file a language.

A language without a file gets the default's words.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import cast

import yaml
from babel import Locale

_FOLDER = Path(__file__).parent
DEFAULT = "en"


@lru_cache(maxsize=64)
def _phrases(language: str) -> dict[str, str]:
    path = _FOLDER / f"{language}.yaml"
    if not language.isalpha() or not path.is_file():
        path = _FOLDER / f"{DEFAULT}.yaml"
    return cast(dict[str, str], yaml.safe_load(path.read_text(encoding="utf-8")))


def languages() -> list[str]:
    """Languages the assistant speaks in its own name."""
    return sorted(p.stem for p in _FOLDER.glob("*.yaml"))


def say(key: str, spoken: str, /, **values: str) -> str:
    """The phrase for key in the language spoken, with values filled in. Raises KeyError."""
    return _phrases(spoken)[key].format(**values)


def intent_name(label: str, spoken: str) -> str:
    """What an intent is about, as a choice; one that a shop has trained for itself by its label."""
    return _phrases(spoken).get(f"intent_{label}") or label.replace("_", " ")


def order_state(state: str, spoken: str) -> str:
    """What a customer is told of an order's state; a word that only the shop knows as it is."""
    known = _phrases(spoken).get(f"order_state_{state}")
    return known or say("order_state_other", spoken, state=state.replace("_", " "))


def language_name(language: str, spoken: str) -> str:
    """How `language` is called by somebody who speaks `spoken`."""
    speaker = spoken if spoken in languages() else DEFAULT
    return str(Locale(speaker).languages.get(language, language))


def foreign_lead_in(spoken: str, language: str) -> str:
    """The line above a quotation in another language than the customer's."""
    return say("foreign_lead_in", spoken, language=language_name(language, spoken))
