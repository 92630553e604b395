"""The grounding check: a sentence is shown only if evidence fetched for this turn supports it.

Exact rules: a sentence that stands in the evidence word for word is supported; any other one needs
every number, amount, date and name in it, the same negation, and most of its content words, in the
evidence it names. A trained verifier can only make this stricter.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from assistant.types import CheckedSentence, DraftSentence, Evidence
from knowledge.segment import content_words, is_cjk, with_plain_numbers

# Share of content words that must stand in the evidence; the bar for replies re-checked from
# outside is 0.8, so a paraphrase may add little of its own.
MIN_COVERAGE = 0.8
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_NAME = re.compile(r"(?<![.!?]\s)(?<!^)\b[A-Z][\w&-]+")
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nor|cannot|without|neither)\b|n't\b|不|没|无|未|非|勿", re.IGNORECASE
)


def normal(text: str) -> str:
    """Text with width, case and spacing folded, for comparing word for word."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.split())


def numbers(text: str) -> set[str]:
    """Numbers with thousands separators folded: 1,500 and 1500 are equal."""
    found = _NUMBER.findall(with_plain_numbers(text))
    return {n.replace(",", "").rstrip(".:") for n in found}


class GroundingCheck:
    """Checks draft sentences against the evidence of the turn."""

    def __init__(self, min_coverage: float = MIN_COVERAGE) -> None:
        self.min_coverage = min_coverage

    def check(self, sentence: DraftSentence, evidence: Sequence[Evidence]) -> CheckedSentence:
        """Supported by the evidence it names, or by any other piece when it names none."""
        named = [e for e in evidence if e.id == sentence.evidence_id]
        reason = "names no evidence of this turn"
        for piece in named or ([] if sentence.evidence_id else evidence):
            reason = self._objection(sentence.text, f"{piece.title}\n{piece.text}")
            if not reason:
                return CheckedSentence(sentence.text, True, piece.id)
        return CheckedSentence(sentence.text, False, sentence.evidence_id, reason)

    def _objection(self, sentence: str, evidence: str) -> str:
        """Why evidence does not support sentence, or ""."""
        if normal(sentence) in normal(evidence):
            return ""
        if missing := numbers(sentence) - numbers(evidence):
            return f"number not in the evidence: {', '.join(sorted(missing))}"
        names = {normal(n) for n in _NAME.findall(sentence)}
        if missing := {n for n in names if n not in normal(evidence)}:
            return f"name not in the evidence: {', '.join(sorted(missing))}"
        if is_cjk(sentence) != is_cjk(evidence):
            return "written in another language than the evidence"
        words = content_words(sentence)
        held = set(content_words(evidence))
        if words and sum(w in held for w in words) < self.min_coverage * len(words):
            return "says more than the evidence"
        if _NEGATION.search(sentence) and not _NEGATION.search(evidence):
            return "denies what the evidence does not deny"
        return ""
