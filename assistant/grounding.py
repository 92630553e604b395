"""The grounding check: a sentence is shown only if evidence fetched for this turn supports it.

Exact rules: a sentence that stands in the evidence word for word is supported; any other one needs
every number, amount, date and name in it, the same negation, and most of its content words, in the
evidence it names. A trained verifier judges what the rules let through, and can only be stricter.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from itertools import groupby
from typing import Protocol

from assistant.types import TITLE_JOINT, CheckedSentence, DraftSentence, Evidence
from knowledge.rerank import as_read
from knowledge.segment import content_words, is_cjk, with_plain_numbers
from knowledge.verifier import Verdict

# Share of content words that must stand in the evidence; the bar for replies re-checked from
# outside is 0.8, so a paraphrase may add little of its own.
MIN_COVERAGE = 0.8
# Content words in a row that the evidence lacks: a clause of its own, hung onto a sentence long
# enough for the share. Ours: two may be a synonym.
_CLAUSE = 3
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


class Judge(Protocol):
    """Judges (sentence, passage as it is read) pairs."""

    def judge(self, pairs: Sequence[tuple[str, str]]) -> list[Verdict]:
        """One verdict a pair, in order."""
        ...

    def objection(self, verdict: Verdict) -> str:
        """Why a sentence of this verdict is not shown, or ""."""
        ...


class GroundingCheck:
    """Checks draft sentences against the evidence of the turn, by the rules and by a judge where
    there is one."""

    def __init__(self, judge: Judge | None = None, min_coverage: float = MIN_COVERAGE) -> None:
        self.judge = judge
        self.min_coverage = min_coverage

    def check(self, sentence: DraftSentence, evidence: Sequence[Evidence]) -> CheckedSentence:
        """Supported by the evidence it names, or by any other piece when it names none."""
        named = [e for e in evidence if e.id == sentence.evidence_id]
        reason = "names no evidence of this turn"
        for piece in named or ([] if sentence.evidence_id else evidence):
            reason = self.objection(sentence.text, piece)
            if not reason:
                return CheckedSentence(sentence.text, True, piece.id)
        return CheckedSentence(sentence.text, False, sentence.evidence_id, reason)

    def objection(self, sentence: str, piece: Evidence) -> str:
        """Why a piece of evidence does not support a sentence, or ""."""
        whole = f"{piece.title}\n{piece.text}"
        if normal(sentence) in normal(whole):
            return ""
        if reason := self._broken_rule(sentence, whole):
            return reason
        if self.judge is None:
            return ""
        passage = as_read(piece.title.split(TITLE_JOINT), piece.text)
        (verdict,) = self.judge.judge([(sentence, passage)])
        return self.judge.objection(verdict)

    def _broken_rule(self, sentence: str, evidence: str) -> str:
        if missing := numbers(sentence) - numbers(evidence):
            return f"number not in the evidence: {', '.join(sorted(missing))}"
        names = {normal(n) for n in _NAME.findall(sentence)}
        if missing := {n for n in names if n not in normal(evidence)}:
            return f"name not in the evidence: {', '.join(sorted(missing))}"
        if is_cjk(sentence) != is_cjk(evidence):
            return "written in another language than the evidence"
        words = content_words(sentence)
        held = set(content_words(evidence))
        known = [w in held for w in words]
        if words and sum(known) < self.min_coverage * len(words):
            return "says more than the evidence"
        if any(len(list(run)) >= _CLAUSE for is_known, run in groupby(known) if not is_known):
            return "adds a clause to the evidence"
        if _NEGATION.search(sentence) and not _NEGATION.search(evidence):
            return "denies what the evidence does not deny"
        return ""
