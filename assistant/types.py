"""Values that cross the stages of a turn.

A turn is `utterance -> language -> safety -> intent -> skill -> evidence -> draft -> grounding ->
outcome`, always in this order. An outcome is one of four: Answer, Clarify, Refuse, Handoff.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from assistant.patience import Patience
from assistant.products.cards import Card, Chip
from assistant.usage import Tally, Usage
from knowledge.types import Passage

Role = Literal["customer", "assistant", "agent"]
GeneratorName = Literal["quote", "lm"]
TITLE_JOINT = " › "  # between the headings of a piece of evidence


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Utterance:
    """A customer's message with what came before it.

    `customer_id` comes from the session, never from the text. `language` is the one chosen in
    the interface, if any. `patience` says how long somebody waits for the reply.
    """

    text: str
    history: tuple[Message, ...] = ()
    customer_id: str | None = None
    language: str = ""
    conversation_id: str = ""
    patience: Patience = field(default_factory=Patience, compare=False)


@dataclass(frozen=True, slots=True)
class Intent:
    """A routed label. `confidence` is a calibrated probability, 0 to 1; `is_sure` says that acting
    on it costs less than asking back; if it does not, `either` are the two that it is most likely
    one of, where it is likely one of two."""

    name: str
    confidence: float
    alternatives: tuple[tuple[str, float], ...] = ()
    is_sure: bool = True
    either: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Concern:
    """What the safety stage found: `kind` names it, `evidence` is the matched text."""

    kind: Literal[
        "injection", "abuse", "too_long", "empty", "unreadable",
        "self_harm", "fraud", "legal", "press",
    ]  # fmt: skip
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A passage, a record or a curated answer fetched for this turn; the only thing a reply may
    rest on.

    `quote` is the stretch of `text` most likely to answer, `pointed` the sentences at its heart,
    `relevance` (0 to 1) the calibrated probability that it does.
    """

    id: str
    kind: Literal["passage", "record", "curated"]
    source: str
    title: str
    text: str
    language: str
    relevance: float
    quote: str = ""
    url: str = ""
    valid_from: date | None = None
    valid_until: date | None = None
    disputes: tuple[Dispute, ...] = ()
    pointed: str = ""

    @classmethod
    def of_passage(
        cls,
        passage: Passage,
        quote: str,
        relevance: float,
        disputes: tuple[Dispute, ...] = (),
        pointed: str = "",
    ) -> Evidence:
        """Evidence that rests on a passage of the knowledge base."""
        return cls(
            id=passage.id,
            kind="passage",
            source=passage.source,
            title=TITLE_JOINT.join(passage.title_path),
            text=passage.text,
            language=passage.language,
            relevance=relevance,
            quote=quote,
            url=passage.url,
            valid_from=passage.valid_from,
            valid_until=passage.valid_until,
            disputes=disputes,
            pointed=pointed,
        )


@dataclass(frozen=True, slots=True)
class Dispute:
    """A statement (`quote`) of a piece of evidence that another piece contradicts, with the words
    (its `quote`) that do."""

    quote: str
    other: Evidence


@dataclass(frozen=True, slots=True)
class Recalled:
    """A passage that was found for a turn: its cosine with the question, its BM25 score as a share
    of the best, and the weight that both gave it. `relevance` is what it got when it was read,
    None where it was not."""

    evidence_id: str
    title: str
    cosine: float
    bm25: float
    weight: float
    relevance: float | None


@dataclass(frozen=True, slots=True)
class WordWeight:
    """A word of a message, and by how much it raised the probability of the intent."""

    word: str
    weight: float


@dataclass(frozen=True, slots=True)
class Question:
    """What a skill and a generator work on.

    `text` is the utterance as typed, `standalone` the same with what a follow-up leaves out taken
    from the history and the countries of its towns named, `language` that of the reply. What a
    language model reads and writes for it is counted in `tally`.
    """

    text: str
    standalone: str
    language: str
    history: tuple[Message, ...] = ()
    customer_id: str | None = None
    conversation_id: str = ""
    patience: Patience = field(default_factory=Patience, compare=False)
    tally: Tally = field(default_factory=Tally, compare=False)


@dataclass(frozen=True, slots=True)
class DraftSentence:
    """A sentence a generator proposes; `evidence_id` is what it says it rests on.

    `is_frame` marks the assistant's own connecting words ("Our returns page says:"), which claim
    nothing about the shop; `starts_line` keeps the line breaks of what is quoted, and `joint` all
    that stands before it; `prompt` is what a language model read before it said this.
    """

    text: str
    evidence_id: str | None = None
    is_frame: bool = False
    starts_line: bool = False
    joint: str | None = None
    prompt: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class CheckedSentence:
    """A sentence after the grounding check."""

    text: str
    supported: bool
    evidence_id: str | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Citation:
    """What a customer can open to see where a sentence comes from."""

    evidence_id: str
    source: str
    title: str
    quote: str
    text: str = ""
    url: str = ""
    valid_from: date | None = None
    valid_until: date | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply that rests on evidence; where it is about products, with what a page shows of them,
    and of the search that found them."""

    text: str
    sentences: tuple[CheckedSentence, ...]
    citations: tuple[Citation, ...]
    generator: GeneratorName = "quote"
    reason: str = ""
    cards: tuple[Card, ...] = ()
    chips: tuple[Chip, ...] = ()


@dataclass(frozen=True, slots=True)
class Clarify:
    """A question back to the customer, with up to three choices."""

    text: str
    reason: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refuse:
    """Nothing the shop's documents support, or nothing the assistant may do."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Handoff:
    """A person takes over."""

    text: str
    reason: str


Outcome = Answer | Clarify | Refuse | Handoff


@dataclass(frozen=True, slots=True)
class Reply:
    """One finished turn: the outcome and how it came about. `latency_ms` is by stage, `stages_ms`
    when each stage that ran first began and last ended, from the turn's beginning, `threshold` the
    relevance from which was answered, `prompt` what a language model read, if one wrote,
    `version` that of the knowledge base, if it was asked, `first_sentence_ms` the milliseconds
    until the first verified sentence was announced, if one was, `usage` what language models read
    and wrote."""

    outcome: Outcome
    language: str
    intent: Intent
    latency_ms: dict[str, float] = field(default_factory=dict)
    considered: tuple[Evidence, ...] = ()
    recalled: tuple[Recalled, ...] = ()
    threshold: float = 0.0
    dropped: tuple[CheckedSentence, ...] = ()
    standalone: str = ""
    prompt: str = ""
    version: str = ""
    first_sentence_ms: float | None = None
    stages_ms: dict[str, tuple[float, float]] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)

    @property
    def kind(self) -> str:
        """answer, clarify, refuse or handoff."""
        return type(self.outcome).__name__.lower()


# What a turn tells its listener while it works.


@dataclass(frozen=True, slots=True)
class StageStarted:
    """A stage has begun: language, intent, retrieval, generation, grounding."""

    stage: str
    language: str = ""


@dataclass(frozen=True, slots=True)
class SentenceReady:
    """A verified sentence of the reply, and what stands between it and the one before."""

    sentence: CheckedSentence
    joint: str = " "


Event = StageStarted | SentenceReady
