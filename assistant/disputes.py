"""An answer from a passage that another passage contradicts says so, and offers a person.

The knowledge base finds contradictions before it publishes (`knowledge.inspection`); until an
operator has settled one, a customer is shown both passages rather than the one that was found
first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from assistant import phrases
from assistant.types import Answer, CheckedSentence, Dispute, Evidence
from knowledge.segment import content_words, split_sentences

REASON = "knowledge:contradiction"
_SAME = 0.5  # share of a disputed statement's words that a sentence must hold to rest on it


def dispute_of(answer: Answer, evidence: Sequence[Evidence]) -> Dispute | None:
    """The first contradiction that a sentence of the answer rests on, or None."""
    held = {e.id: e.disputes for e in evidence}
    for sentence in answer.sentences:
        for dispute in held.get(sentence.evidence_id or "", ()):
            if _rests_on(sentence.text, dispute.quote):
                return dispute
    return None


def with_both_sides(answer: Answer, dispute: Dispute, language: str) -> Answer:
    """The answer with the other passage's words after it, and the offer of a person.

    Citations are the caller's to renew: the other passage is evidence now.
    """
    other = dispute.other
    told = tuple(
        CheckedSentence(s, True, other.id)
        for line in other.quote.splitlines()
        for s in split_sentences(line)
        if s not in {given.text for given in answer.sentences}
    )
    quote = "\n".join(s.text for s in told)
    offer = phrases.say("pages_disagree_person", language)
    parts = (answer.text, f"{lead_in(dispute, language)}\n{quote}" if quote else "", offer)
    text = "\n\n".join(part for part in parts if part)
    return replace(answer, text=text, sentences=(*answer.sentences, *told), reason=REASON)


def lead_in(dispute: Dispute, language: str) -> str:
    """The line above the other passage's words."""
    return phrases.say("pages_disagree", language, title=dispute.other.title)


def _rests_on(sentence: str, statement: str) -> bool:
    words = set(content_words(statement))
    if not words:
        return False
    return len(words & set(content_words(sentence))) >= _SAME * len(words)
