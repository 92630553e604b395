"""Rewrite a message so that it stands alone: with the question that a follow-up ("and for shoes?")
leans on, and the name of the thing that is talked about ("is it waterproof?")."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from assistant.courtesy import without_courtesies
from assistant.types import Message
from knowledge.mentions import Mention
from knowledge.segment import content_words, is_cjk

_OPENERS = re.compile(
    r"^\W*(?:and|but|or|so|also|then|what about|how about|what if|same for|ok(?:ay)?,? (?:and|but)"
    r"|und|et|y|e|en|aber|oder|dann|was ist mit|wie (?:ist es|sieht es aus) mit"
    r"|pero|entonces|qué (?:hay de|pasa con)|那|那么|还有|另外|如果|要是|换成|同样)"
    r"(?=\W|[\u4e00-\u9fff]|$)",
    re.IGNORECASE,
)
_CLOSERS = re.compile(
    r"呢[?？!！。]*$|\b(?:instead|too|as well|auch|stattdessen|también|tambien)\W*$", re.IGNORECASE
)
_POINTING = re.compile(
    r"\b(?:it|that|this|those|these|they|them|there|one|ones|same)\b|它|那个|这个|这种|那种|这样",
    re.IGNORECASE,
)
# "How do I cancel my order?" is whole although it has few words that say something.
_CLAUSE = re.compile(
    r"^\W*(?:how|what|when|where|who|why|which|can|could|do|does|did|is|are|will|may|must)\b"
    r".*\b(?:i|you|we|my|your|our|the|an?)\b",
    re.IGNORECASE,
)
_REACH = 4  # messages of the customer to look back at
_NAME_REACH = 6  # messages of both to look back at for what is talked about
# What stands for a thing named before, where it comes early: later it may stand for a word between.
_STANDS_FOR = re.compile(
    r"\b(?:it|its|they|them|their|this|these|those)\b|^\W*\w+ that\b"
    r"|它|这个|那个|这种|那种|这款|那款|这里|那里",
    re.IGNORECASE,
)
_PART_OF = re.compile(r"\bthe\b", re.IGNORECASE)  # "is the view nice?", of the hotel
_EARLY, _EARLY_CJK = 30, 10  # characters

Names = Callable[[str], Sequence[Mention]]  # the documents that a text names


def is_follow_up(text: str) -> bool:
    """True when text leans on what came before: opener, pointing word, or hardly any content."""
    count = len(content_words(text))
    if _OPENERS.search(text) or _CLOSERS.search(text):
        return count <= 7
    short = 1 if is_cjk(text) or _CLAUSE.search(text) else 2
    return count <= short or (bool(_POINTING.search(text)) and count <= 4)


def no_names(_: str) -> Sequence[Mention]:
    """For a knowledge base whose titles are not looked at."""
    return ()


def resolve(text: str, history: Sequence[Message], names: Names = no_names) -> str:
    """Text that stands alone, without salutation and signature.

    A follow-up gets the question that it leans on in front of it; then what names nothing itself
    gets what was named last by either side.
    """
    text = without_courtesies(text)
    question = _with_question(text, history)
    named = () if names(question) else _talked_about(text, history, names)
    return " ".join([*named, question])


def _with_question(text: str, history: Sequence[Message]) -> str:
    if not is_follow_up(text):
        return text
    earlier = [without_courtesies(m.text) for m in history if m.role == "customer"][-_REACH:]
    for question in reversed(earlier):
        if content_words(question) and not is_follow_up(question):
            return f"{question} {text}"
    return text


def _talked_about(text: str, history: Sequence[Message], names: Names) -> list[str]:
    """The titles last named, where text leans on them.

    A title is as often a subject, "Returns", as a name: where text only speaks of a part ("the
    view"), it counts if it is a name.
    """
    opening = text[: _EARLY_CJK if is_cjk(text) else _EARLY]
    stands_for = bool(_STANDS_FOR.search(opening))
    if not (stands_for or _PART_OF.search(opening) or is_follow_up(text)):
        return []
    for message in reversed(history[-_NAME_REACH:]):
        named = [m.title for m in names(message.text) if stands_for or m.is_name]
        if named:
            return named
    return []
