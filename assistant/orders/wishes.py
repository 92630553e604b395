"""What customers want done, and whether they agree: fixed words of each language.

They decide what is proposed, never what is done: that takes an order's rules and a confirmation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from assistant.wordings import wordings
from knowledge.segment import content_words, is_cjk

Kind = Literal["cancel", "return", "swap", "address", "payment"]
Word = Literal["asks", "yes", "no", "leave", "everything"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_FILE = Path(__file__).with_suffix(".yaml")


def wish(text: str, language: str) -> Kind | None:
    """What a message asks to have done; None where it only wants to know, or wants more than one
    thing."""
    words = wordings(_FILE, language)
    if words["asks"].search(text):
        return None
    found = [kind for kind in KINDS if words[kind].search(text)]
    return found[0] if len(found) == 1 else None


def says(word: Word, text: str, language: str) -> bool:
    """Whether a message says so: yes, no, leave it, everything; or only asks."""
    return bool(wordings(_FILE, language)[word].search(text))


def names(text: str, title: str) -> bool:
    """Whether a message names a thing by half of the words of its title."""
    if is_cjk(title):
        return title in text
    said, wanted = set(content_words(text)), set(content_words(title))
    return bool(wanted) and 2 * len(said & wanted) >= len(wanted)


def names_wholly(text: str, phrase: str) -> bool:
    """Whether a message names a thing by all words of a phrase: "card" is not yet "gift card"."""
    if is_cjk(phrase):
        return phrase in text
    wanted = set(content_words(phrase))
    return bool(wanted) and wanted <= set(content_words(text))
