"""Resolve a follow-up ("and for shoes?") with what was asked before."""

from __future__ import annotations

import re
from collections.abc import Sequence

from assistant.types import Message
from knowledge.segment import content_words, is_cjk

_OPENERS = re.compile(
    r"^\W*(?:and|but|or|so|also|then|what about|how about|what if|same for|ok(?:ay)?,? (?:and|but)"
    r"|und|et|y|e|en|那|那么|还有|另外|如果|要是|换成|同样)(?=\W|[\u4e00-\u9fff]|$)",
    re.IGNORECASE,
)
_CLOSERS = re.compile(r"呢[?？!！。]*$|\b(?:instead|too|as well)\W*$", re.IGNORECASE)
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


def is_follow_up(text: str) -> bool:
    """True when text leans on what came before: opener, pointing word, or hardly any content."""
    count = len(content_words(text))
    if _OPENERS.search(text) or _CLOSERS.search(text):
        return count <= 7
    short = 1 if is_cjk(text) or _CLAUSE.search(text) else 2
    return count <= short or (bool(_POINTING.search(text)) and count <= 4)


def resolve(text: str, history: Sequence[Message]) -> str:
    """Text that stands alone: a follow-up gets the question it leans on in front of it."""
    if not is_follow_up(text):
        return text
    earlier = [m.text for m in history if m.role == "customer"][-_REACH:]
    for question in reversed(earlier):
        if content_words(question) and not is_follow_up(question):
            return f"{question} {text}"
    return text
