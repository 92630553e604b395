"""Skills: what an intent leads to. They share the stages and differ in what they fetch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from assistant import phrases
from assistant.courtesy import without_self_description
from assistant.safety import gives_orders
from assistant.settings import Settings
from assistant.types import (
    TITLE_JOINT,
    Answer,
    Clarify,
    Dispute,
    Evidence,
    Handoff,
    Intent,
    Outcome,
    Question,
    Recalled,
    Refuse,
)
from knowledge.intent_classifier import OUT_OF_SCOPE
from knowledge.rerank import MIN_KNOWN_SHARE, Candidate
from knowledge.retrieve import Depth, KnowledgeBase
from knowledge.segment import content_words, split_sentences
from knowledge.types import Passage

_MAX_CHOICES = 3
_TRACED = 10  # passages that a trace tells of


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a skill found: evidence to answer from, or an outcome that ends the turn; and for the
    trace all that was found, the relevance from which is answered, and the version that was asked.
    `reason` is that of an answer which is given word for word."""

    evidence: tuple[Evidence, ...] = ()
    outcome: Outcome | None = None
    recalled: tuple[Recalled, ...] = ()
    threshold: float = 0.0
    version: str = ""
    reason: str = ""


class Skill(Protocol):
    """Fetches what a reply may rest on."""

    def fetch(self, question: Question, intent: Intent) -> Fetched:
        """Evidence sorted best first, or an outcome."""
        ...


class KnowledgeSkill:
    """Answers from passages of the knowledge base."""

    def __init__(
        self,
        knowledge: KnowledgeBase,
        settings: Settings,
        threshold: Callable[[], float] | None = None,
    ) -> None:
        self.knowledge = knowledge
        self.settings = settings
        self._threshold = threshold or (lambda: settings.answer_threshold)

    def fetch(self, question: Question, intent: Intent) -> Fetched:
        """Passages relevant enough to quote; else a clarifying question, a refusal or a person."""
        fetched = self._fetched(question, intent)
        if fetched.outcome is None:
            return fetched
        read = [e.text for e in fetched.evidence]
        bare = without_self_description(question.standalone, read, question.language)
        again = self._fetched(replace(question, standalone=bare), intent) if bare else fetched
        return fetched if again.outcome else again

    def _fetched(self, question: Question, intent: Intent) -> Fetched:
        vector = self.knowledge.encoder.embed([question.standalone])[0]
        depth = Depth.of(self.settings.knowledge)
        count = max(depth.passages, _MAX_CHOICES)
        found = self.knowledge.candidates(
            question.standalone, vector, count, "reranked", question.language, depth=depth
        )
        evidence = tuple(self._evidence(c) for c in found[:count] if not gives_orders(c.chunk.text))
        recalled = tuple(_recalled(c) for c in found[:_TRACED])
        threshold = self._threshold()
        outcome = self._instead_of_answer(question, intent, evidence, threshold)
        return Fetched(evidence, outcome, recalled, threshold, self.knowledge.version)

    def _instead_of_answer(
        self, question: Question, intent: Intent, evidence: Sequence[Evidence], threshold: float
    ) -> Outcome | None:
        language, best = question.language, evidence[0].relevance if evidence else 0.0
        if best >= threshold:
            return None
        if intent.name == OUT_OF_SCOPE and self._is_known(question):
            text = phrases.say("out_of_scope", language, shop=self.settings.shop_name)
            return Refuse(text, "intent:out_of_scope")
        if best >= self.settings.clarify_threshold:
            return Clarify(phrases.say("clarify", language), "retrieval:unsure", _choices(evidence))
        if len(content_words(question.standalone)) <= 1:
            return Clarify(phrases.say("clarify_vague", language), "intent:vague")
        subjects = tuple(phrases.intent_name(name, language) for name in intent.either)
        which = phrases.say("clarify_intent", language)
        if subjects and not any(m.text.startswith(which) for m in question.history[-1:]):
            return Clarify(which, "intent:unsure", subjects)
        return Handoff(phrases.say("unsupported", language), "retrieval:unsupported")

    def _is_known(self, question: Question) -> bool:
        """What the encoder under the router cannot read looks out of scope, whatever it is."""
        share = self.knowledge.encoder.known_share(question.standalone, question.language)
        return share >= MIN_KNOWN_SHARE

    def _evidence(self, candidate: Candidate) -> Evidence:
        passage = Passage.of(candidate.chunk, candidate.score)
        quote = widen(candidate.quote, candidate.chunk.text, self.settings.max_quote_words)
        disputes = tuple(
            Dispute(c.quote, Evidence.of_passage(Passage.of(c.other, 0.0), c.other_quote, 0.0))
            for c in self.knowledge.contradictions(candidate.chunk.id)
        )
        return Evidence.of_passage(passage, quote, candidate.relevance, disputes, candidate.quote)


def _recalled(candidate: Candidate) -> Recalled:
    return Recalled(
        candidate.chunk.id,
        TITLE_JOINT.join(candidate.chunk.title_path),
        round(candidate.cosine, 4),
        round(candidate.bm25, 4),
        round(candidate.weight, 4),
        round(candidate.relevance, 4) if candidate.is_read else None,
    )


def widen(window: str, text: str, max_words: int) -> str:
    """The window with its neighbours in text, while at most max_words; keeps line breaks.

    A rule's exception usually stands in the sentence after it, so a quotation takes what fits.
    """
    lines = [split_sentences(line) for line in text.splitlines()]
    units = [(s, i) for i, line in enumerate(lines) for s in line]
    inside = [n for n, (s, _) in enumerate(units) if s in window]
    if not inside:
        return window
    first, last = inside[0], inside[-1]

    def words(start: int, stop: int) -> float:
        joined = " ".join(s for s, _ in units[start : stop + 1])
        return max(len(joined.split()), len(joined) / 6)

    while True:
        if last + 1 < len(units) and words(first, last + 1) <= max_words:
            last += 1
        elif first > 0 and words(first - 1, last) <= max_words:
            first -= 1
        else:
            break
    chosen = units[first : last + 1]
    parts = [chosen[0][0]]
    for (_, before), (sentence, line) in zip(chosen, chosen[1:], strict=False):
        parts.append(("\n" if line != before else " ") + sentence)
    return "".join(parts)


def _choices(evidence: Sequence[Evidence]) -> tuple[str, ...]:
    """Titles of the best few pieces, each once."""
    return tuple(dict.fromkeys(e.title for e in evidence))[:_MAX_CHOICES]


class SmallTalkSkill:
    """Greetings, thanks, and questions about the assistant itself; claims nothing of the shop."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def fetch(self, question: Question, intent: Intent) -> Fetched:
        """A fixed phrase in the customer's language."""
        text = phrases.say(intent.name, question.language, shop=self.settings.shop_name)
        return Fetched(outcome=Answer(text, (), (), reason=f"small_talk:{intent.name}"))


class PersonSkill:
    """The customer asks for a person and gets one."""

    def fetch(self, question: Question, intent: Intent) -> Fetched:
        """A hand-off, never gated."""
        return Fetched(outcome=Handoff(phrases.say("person", question.language), "customer:asked"))
