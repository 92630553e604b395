"""The safety stage: messages that are empty, unreadable or too long, that give orders to the
assistant or insult it, and those that are for a person.

It returns a verdict with evidence and never rewrites text. What it finds is a layer, never the
boundary: that a reply says nothing but what its evidence supports holds whatever gets through here
(OWASP LLM01; arXiv 2604.23887 found classifiers alone to be no boundary).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from assistant.concerns import wording
from assistant.types import Concern
from knowledge.disguise import plainly, readings
from knowledge.segment import content_words

FOR_A_PERSON = frozenset({"self_harm", "fraud", "legal", "press"})
_LOOKED_AT = 4000  # characters; what is refused as too long may still come from somebody in need
_LITTLE_ELSE = 2  # words beside an insult: whoever says more wants an answer too


def clean(text: str) -> str:
    """Text that every later stage can hold: no surrogates, no control or invisible characters."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    kept = (
        c if c in "\n\t" or unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn"} else " "
        for c in unicodedata.normalize("NFC", text)
    )
    return re.sub(r"[ \t]+", " ", "".join(kept)).strip()


@lru_cache(maxsize=4096)
def gives_orders(passage: str) -> bool:
    """Whether a passage orders the assistant about; nothing may rest on it. Inspection holds most
    of them back before they are published, this one looks again when they are found."""
    return bool(wording("injection").find([plainly(passage)]))


class Safety:
    """Inspects an utterance as it was typed: disguises are made plain, to look through them."""

    def __init__(self, max_characters: int = 2000) -> None:
        self.max_characters = max_characters

    def inspect(self, text: str) -> Concern | None:
        """What stops the turn here, or None."""
        cleaned = clean(text)
        if not cleaned:
            return Concern("empty")
        read = readings(text[:_LOOKED_AT])
        if words := wording("self_harm").find(read[:1]):
            return Concern("self_harm", words)
        if len(cleaned) > self.max_characters:
            return Concern("too_long", f"{len(cleaned)} characters")
        if not any(c.isalnum() for c in read[0]):
            return Concern("unreadable", cleaned[:40])
        if words := wording("injection").find(read):
            return Concern("injection", words)
        return _for_a_person(read[0]) or _abuse(read[0])


def _for_a_person(plain: str) -> Concern | None:
    """What only a person should answer."""
    if words := wording("fraud").find([plain]):
        return Concern("fraud", words)
    if words := wording("legal").find([plain]):
        return Concern("legal", words)
    if words := wording("press").find([plain]):
        return Concern("press", words)
    return None


def _abuse(plain: str) -> Concern | None:
    """Insults and threats where hardly anything else is said."""
    words = wording("abuse").find([plain])
    if not words or len(content_words(plain.replace(words, " "))) > _LITTLE_ELSE:
        return None
    return Concern("abuse", words)
