"""One turn, from a customer's utterance to a verified reply.

utterance -> language -> safety -> intent -> skill -> evidence -> draft -> grounding -> outcome
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace

from assistant import phrases
from assistant.disputes import dispute_of, lead_in, with_both_sides
from assistant.errors import GenerationError, TurnStopped
from assistant.followup import Names, no_names, resolve
from assistant.generation import Drafts, Generator, QuotingComposer
from assistant.grounding import GroundingCheck
from assistant.intent import UNKNOWN, Router
from assistant.intent import Skill as SkillName
from assistant.leaks import without_leak
from assistant.safety import FOR_A_PERSON, Safety, clean
from assistant.settings import Settings
from assistant.skills import Fetched, Skill
from assistant.types import (
    Answer,
    CheckedSentence,
    Citation,
    Concern,
    DraftSentence,
    Evidence,
    Handoff,
    Intent,
    Outcome,
    Question,
    Refuse,
    Reply,
    SentenceReady,
    Utterance,
)
from assistant.usage import Usage
from assistant.watch import Listener, Watch, ignore
from knowledge.encoder import Encoder
from knowledge.language import Detector
from knowledge.pii import EMAIL
from knowledge.places import with_countries
from knowledge.segment import is_cjk

log = logging.getLogger(__name__)
Curated = Callable[[Question], Fetched | None]  # what the shop itself has written for a question
# The skill that a message is for, whatever its intent: it names an order, or goes on with a search.
Claims = Callable[[Question, Intent], SkillName | None]
Paused = Callable[[], bool]  # whether the language model must not write now


def no_curated(_: Question) -> Fetched | None:
    """For a shop that has written no answers itself."""
    return None


def no_claims(_: Question, __: Intent) -> SkillName | None:
    """For a shop without orders and products."""
    return None


def never_paused() -> bool:
    """For an assistant whose language model nobody can switch off."""
    return False


class Assistant:
    """Answers one utterance at a time; holds no state between turns."""

    def __init__(
        self,
        settings: Settings,
        detector: Detector,
        safety: Safety,
        encoder: Encoder,
        router: Router,
        skills: Mapping[SkillName, Skill],
        generator: Generator,
        grounding: GroundingCheck,
        names: Names = no_names,
        curated: Curated = no_curated,
        claims: Claims = no_claims,
        paused: Paused = never_paused,
    ) -> None:
        self.settings = settings
        self.detector = detector
        self.safety = safety
        self.encoder = encoder
        self.router = router
        self.skills = skills
        self.generator = generator
        self.composer = QuotingComposer()
        self.grounding = grounding
        self.names = names
        self.curated = curated
        self.claims = claims
        self.paused = paused

    def respond(self, utterance: Utterance, listen: Listener = ignore) -> Reply:
        """The reply to an utterance; stages and verified sentences are announced to listen."""
        watch = Watch(listen)
        try:
            return self._respond(utterance, watch)
        except TurnStopped:
            text = phrases.say("stopped", watch.language or self.settings.default_language)
            return self._reply(Refuse(text, "customer:stopped"), UNKNOWN, watch)

    def _respond(self, utterance: Utterance, watch: Watch) -> Reply:
        """The turn, stage by stage."""
        text = clean(utterance.text)
        with watch.stage("language"):
            watch.language = language = self._language(text, utterance)
        if concern := self.safety.inspect(utterance.text):
            return self._reply(self._instead(concern, language), UNKNOWN, watch)
        standalone = with_countries(resolve(text, utterance.history, self.names), language)
        question = Question(
            text,
            standalone,
            language,
            utterance.history,
            utterance.customer_id,
            utterance.conversation_id,
            utterance.patience,
        )
        with watch.stage("intent"):
            # An address says nothing about what is wanted, and its name may look like a person's.
            asked = EMAIL.sub(" ", question.standalone).strip()
            intent = self.router.route(asked, language) if asked else UNKNOWN
        with watch.stage("retrieval"):
            skill = self._skill(intent, question)
            # Who wants a person gets one, whatever the shop has written.
            curated = self.curated(question) if skill != "person" else None
            fetched = curated or self.skills[skill].fetch(question, intent)
        if fetched.outcome:
            return self._reply(fetched.outcome, intent, watch, question, fetched)
        outcome, dropped = self._answer(question, fetched, watch)
        return self._reply(outcome, intent, watch, question, fetched, dropped)

    def _skill(self, intent: Intent, question: Question) -> SkillName:
        """What the intent leads to, as far as the shop has it."""
        skill = self.router.skill(intent)
        if skill != "person" and (claimed := self.claims(question, intent)):
            return claimed
        return skill if skill in self.skills else "knowledge"

    def _language(self, text: str, utterance: Utterance) -> str:
        """Language of the reply: the text's, else the conversation's, else the interface's."""
        earlier = [m.text for m in utterance.history if m.role == "customer"]
        previous = self.detector.detect(" ".join(earlier[-3:])).language if earlier else ""
        previous = previous or utterance.language
        return self.detector.detect(text, previous).language or self.settings.default_language

    def _instead(self, concern: Concern, language: str) -> Outcome:
        """What is said where a concern stops the turn: no, or that a person takes over."""
        own = self.settings.safety.self_harm.get(language) if concern.kind == "self_harm" else ""
        text = own or phrases.say(concern.kind, language, shop=self.settings.shop_name)
        outcome = Handoff if concern.kind in FOR_A_PERSON else Refuse
        return outcome(text, f"safety:{concern.kind}")

    def _answer(
        self, question: Question, fetched: Fetched, watch: Watch
    ) -> tuple[Outcome, tuple[CheckedSentence, ...]]:
        """Draft and check; what is unsupported is dropped, and with nothing left we quote."""
        usable = [e for e in fetched.evidence if e.relevance >= self.settings.clarify_threshold]
        dropped: list[CheckedSentence] = []
        writer = self.composer if fetched.reason or self.paused() else self.generator
        for generator in dict.fromkeys((writer, self.composer)):
            answer = self._draft(generator, question, usable, watch, dropped)
            if answer:
                answer = replace(answer, reason=fetched.reason)
                return self._both_sides(answer, question, usable, watch), tuple(dropped)
        text = phrases.say("unsupported", question.language)
        return Handoff(text, "grounding:unsupported"), tuple(dropped)

    def _both_sides(
        self, answer: Answer, question: Question, evidence: Sequence[Evidence], watch: Watch
    ) -> Answer:
        """The answer; where another passage contradicts it, with that passage's words."""
        dispute = dispute_of(answer, evidence)
        if dispute is None:
            return answer
        both = with_both_sides(answer, dispute, question.language)
        joint = f"\n\n{lead_in(dispute, question.language)}\n"
        for sentence in both.sentences[len(answer.sentences) :]:
            watch.listen(SentenceReady(sentence, joint))
            joint = "\n"
        others = [e for e in evidence if e.id != dispute.other.id]
        return replace(both, citations=_citations(both.sentences, [*others, dispute.other]))

    def _draft(
        self,
        generator: Generator,
        question: Question,
        evidence: Sequence[Evidence],
        watch: Watch,
        dropped: list[CheckedSentence],
    ) -> Answer | None:
        """An answer of verified sentences, or None; it ends before one that is not supported, as
        what follows leans on it, or where the customer pressed Stop or an operator paused the
        model. `dropped` takes the sentences left out."""
        supported: list[CheckedSentence] = []
        text = ""
        try:
            with closing(generator.generate(question, evidence)) as drafts:
                while draft := self._next(generator, drafts, watch):
                    joint = _joint(draft)
                    if draft.is_frame and generator is self.composer:
                        text += joint + draft.text
                        continue
                    with watch.stage("grounding"):
                        checked = self.grounding.check(draft, evidence)
                        if generator is not self.composer:
                            checked = without_leak(checked, watch.prompt, question, evidence)
                    if not checked.supported:
                        dropped.append(checked)
                        break
                    supported.append(checked)
                    text += joint + checked.text
                    watch.listen(SentenceReady(checked, joint))
        except GenerationError as error:
            log.warning("the generator %s failed: %s", generator.name, error)
        except TurnStopped:
            if not supported:
                raise
        if not supported:
            return None
        citations = _citations(supported, evidence)
        return Answer(text.strip(), tuple(supported), citations, generator.name)

    def _next(self, generator: Generator, drafts: Drafts, watch: Watch) -> DraftSentence | None:
        """The next sentence; None at the end, and of a model that was paused meanwhile."""
        with watch.stage("generation"):
            draft = next(drafts, None)
        watch.prompt = (draft.prompt if draft else "") or watch.prompt
        return None if generator is not self.composer and self.paused() else draft

    def _reply(
        self,
        outcome: Outcome,
        intent: Intent,
        watch: Watch,
        question: Question | None = None,
        fetched: Fetched | None = None,
        dropped: tuple[CheckedSentence, ...] = (),
    ) -> Reply:
        fetched = fetched or Fetched()
        return Reply(
            outcome=outcome,
            language=watch.language,
            intent=intent,
            latency_ms=watch.total(),
            considered=fetched.evidence,
            recalled=fetched.recalled,
            threshold=fetched.threshold,
            dropped=dropped,
            standalone=question.standalone if question else "",
            prompt=watch.prompt,
            version=fetched.version,
            first_sentence_ms=watch.first_sentence_ms,
            stages_ms=watch.periods,
            usage=question.tally.total if question else Usage(),
        )


def _joint(draft: DraftSentence) -> str:
    """What stands before a sentence."""
    if draft.joint is not None:
        return draft.joint
    space = "" if is_cjk(draft.text) else " "
    return "\n" if draft.starts_line or draft.is_frame else space


def _citations(
    sentences: Sequence[CheckedSentence], evidence: Sequence[Evidence]
) -> tuple[Citation, ...]:
    """One citation for each piece of evidence that a sentence rests on."""
    used = dict.fromkeys(s.evidence_id for s in sentences)
    return tuple(
        Citation(
            evidence_id=e.id,
            source=e.source,
            title=e.title,
            quote=" ".join(s.text for s in sentences if s.evidence_id == e.id),
            text=e.text,
            url=e.url,
            valid_from=e.valid_from,
            valid_until=e.valid_until,
        )
        for e in evidence
        if e.id in used
    )
