"""Whether a message asks for recommendations, or says whether purchases may be used for them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from assistant.wordings import wordings
from knowledge.segment import content_words

Wish = Literal["refuse", "allow", "like_last", "any"]
_WISHES: tuple[Wish, ...] = get_args(Wish)
_FILE = Path(__file__).with_suffix(".yaml")


def wish(text: str, language: str) -> Wish | None:
    """What a message wants of recommendations, or None. One that names what kind of thing is looked
    for ("recommend a tent") is a search for products, and not meant here."""
    patterns = wordings(_FILE, language)
    for name in _WISHES:
        if patterns[name].search(text):
            if name == "any" and content_words(patterns["filler"].sub(" ", text)):
                continue
            return name
    return None
