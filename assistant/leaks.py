"""What no reply of a language model may repeat: its prompt, and what belongs to other people.

Exact rules on what is about to be said. Of all defences only such a filter on the application's
side leaked nothing in 15,000 attacks (arXiv 2604.23887); no model is asked to keep anything to
itself, and nothing secret is in a prompt (OWASP LLM07). A prompt repeated in disguise is no
sentence that a passage supports, and ends at the grounding check.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from assistant.types import CheckedSentence, Evidence, Question
from knowledge.disguise import plainly
from knowledge.pii import Masker

log = logging.getLogger(__name__)
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")
_IN_A_ROW = 6  # words (Chinese: characters) that tell where a sentence is from; ours, and short
_LEAST = 3  # a sentence of fewer words says nothing of where it is from


def without_leak(
    checked: CheckedSentence, prompt: str, question: Question, evidence: Sequence[Evidence]
) -> CheckedSentence:
    """A supported sentence, no longer supported where it leaks something; `prompt` is what the
    model read."""
    open_texts = [f"{e.title}: {e.text}" for e in evidence]
    open_texts += [question.text, question.standalone, *(m.text for m in question.history)]
    reason = ""
    if _repeats(checked.text, prompt, open_texts):
        reason = "repeats its prompt"
    elif _is_of_others(checked.text, open_texts):
        reason = "holds personal data that is nobody's here"
    if not checked.supported or not reason:
        return checked
    log.warning("a sentence was held back: it %s", reason)
    return replace(checked, supported=False, reason=reason)


def _repeats(sentence: str, prompt: str, open_texts: Sequence[str]) -> bool:
    """Whether a sentence takes words in a row from a prompt that nothing open holds."""
    words = _words(sentence)
    count = min(_IN_A_ROW, len(words))
    if count < _LEAST:
        return False
    told = set(_rows(words, count)) & set(_rows(_words(prompt), count))
    return bool(told.difference(*(_rows(_words(text), count) for text in open_texts)))


def _is_of_others(sentence: str, open_texts: Sequence[str]) -> bool:
    """Whether a sentence holds an address, a number or a secret that nothing open holds."""
    masker = Masker()
    masker.mask(sentence)
    known = [_letters(text) for text in open_texts]
    return any(not any(_letters(v) in text for text in known) for v in masker.originals())


def _letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text).casefold()


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(plainly(text))]


def _rows(words: Sequence[str], count: int) -> Iterator[tuple[str, ...]]:
    return zip(*(words[i:] for i in range(count)), strict=False)
