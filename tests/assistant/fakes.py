"""Fakes that implement the assistant's seams and complain about misuse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from assistant.errors import GenerationError
from assistant.generation import Generator, QuotingComposer
from assistant.grounding import GroundingCheck
from assistant.intent import Router
from assistant.pipeline import Assistant
from assistant.safety import Safety
from assistant.settings import load_settings
from assistant.skills import Fetched, PersonSkill, SmallTalkSkill
from assistant.types import DraftSentence, Evidence, GeneratorName, Intent, Outcome, Question
from knowledge.encoder import Encoder
from knowledge.language import Detector

PASSAGE = Evidence(
    "returns#0", "passage", "returns.md", "Returns",
    "You can return shoes within 30 days. Return postage is GBP 2.50. Worn shoes are not accepted.",
    "en", 0.9,
    "You can return shoes within 30 days. Return postage is GBP 2.50.",
)  # fmt: skip


class ScriptedGenerator:
    """Says what it is told to, and fails the test when called more often than scripted."""

    name: GeneratorName = "lm"

    def __init__(self, *scripts: list[DraftSentence] | GenerationError) -> None:
        self.scripts = list(scripts)

    def generate(self, question: Question, evidence: Sequence[Evidence]) -> Iterator[DraftSentence]:
        assert self.scripts, "the generator was called more often than scripted"
        assert evidence, "a generator is never called without evidence"
        script = self.scripts.pop(0)
        if isinstance(script, GenerationError):
            raise script
        yield from script


class FixedRouter(Router):
    """Routes everything to one intent."""

    def __init__(self, name: str = "returns", confidence: float = 0.9) -> None:
        self.intent = Intent(name, confidence, is_sure=confidence >= 0.6)
        self.word_weights = lambda text, intent: ()

    def route(self, text: str, language: str) -> Intent:
        assert text
        assert language
        return self.intent


class FixedSkill:
    """Finds the same evidence, or ends with the same outcome, and keeps the questions."""

    def __init__(self, *evidence: Evidence, outcome: Outcome | None = None) -> None:
        self.fetched = Fetched(tuple(evidence), outcome)
        self.questions: list[Question] = []

    def fetch(self, question: Question, intent: Intent) -> Fetched:
        self.questions.append(question)
        return self.fetched


def assistant_with(
    encoder: Encoder,
    detector: Detector,
    *,
    generator: Generator | None = None,
    router: Router | None = None,
    skill: FixedSkill | None = None,
) -> Assistant:
    """A pipeline of real stages around the given parts."""
    settings = load_settings(environment={})
    return Assistant(
        settings,
        detector,
        Safety(),
        encoder,
        router or FixedRouter(),
        {
            "knowledge": skill or FixedSkill(PASSAGE),
            "small_talk": SmallTalkSkill(settings),
            "person": PersonSkill(),
        },
        generator or QuotingComposer(),
        GroundingCheck(),
    )
