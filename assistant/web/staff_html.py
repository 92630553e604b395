"""Words and templates of the staff's pages. Templates escape everything: it is all untrusted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from assistant.web.outlook_words import outlook_words
from assistant.web.texts import DEFAULT

FOLDER = Path(__file__).parent
_TEXTS = FOLDER / "staff_texts"
Words = Mapping[str, str]


@lru_cache
def staff_languages() -> tuple[str, ...]:
    """Interface languages, the default one first."""
    found = sorted(path.name for path in _TEXTS.iterdir() if path.is_dir())
    return (DEFAULT, *(code for code in found if code != DEFAULT))


@lru_cache
def staff_texts(language: str) -> Words:
    """The words in a language, of all its files; an unknown one gets the default's."""
    code = language if language in staff_languages() else DEFAULT
    words: dict[str, str] = {"code": code}
    for path in sorted((_TEXTS / code).glob("*.yaml")):
        words |= yaml.safe_load(path.read_text(encoding="utf-8"))
    return words


def label(words: Words, kind: str, name: str) -> str:
    """What a code is called (`reason`, `customer:asked`); an unknown one is shown as it is."""
    key = "_".join([kind, *name.replace(":", " ").replace("-", " ").split()])
    return words.get(key) or name.replace("_", " ")


def moment(seconds: float) -> Markup:
    """A time that the browser shows in its own zone and language."""
    at = datetime.fromtimestamp(seconds, UTC)
    return Markup('<time datetime="{}" data-at="{}">{}</time>').format(
        at.isoformat(timespec="seconds"), int(seconds), f"{at:%Y-%m-%d %H:%M} UTC"
    )


def elapsed(since: float) -> Markup:
    """How long something has lasted; the browser keeps counting."""
    return Markup('<time data-since="{}"></time>').format(int(since))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader([FOLDER / "templates" / "staff", FOLDER / "templates"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"label": label, "outlook_words": outlook_words}
    environment.filters |= {"moment": moment, "elapsed": elapsed}
    return environment


def render(template: str, **values: Any) -> str:
    """A template of the staff's pages, filled in."""
    return _environment().get_template(template).render(style=style, **values)


@lru_cache(maxsize=1)
def style() -> Markup:
    """The style sheet, on the chat's palette; our own files, so they need no escaping."""
    parts = sorted((FOLDER / "staff_css").glob("*.css"))
    sheets = (FOLDER / "chat.css", FOLDER / "staff.css", *parts)
    return Markup("\n".join(sheet.read_text(encoding="utf-8") for sheet in sheets))
