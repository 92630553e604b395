"""The test bench: the same questions put to two variants of the assistant, side by side.

It works in a thread of its own, writes nothing into the conversation store, and no count of what
customers ask hears of it.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from assistant import phrases
from assistant.contract import reply_to_json, trace_of
from assistant.errors import AssistantError, InputError
from assistant.golden import GoldenSet, one_line
from assistant.intent import UNKNOWN
from assistant.pipeline import Assistant
from assistant.replay import ReplayQuestion, answered, is_right
from assistant.types import Handoff, Message, Reply, Role, Utterance
from assistant.variants import Variant, Variants
from knowledge.errors import KnowledgeError
from knowledge.pii import Masker
from knowledge.types import document_of

log = logging.getLogger(__name__)
MOST_CASES, MOST_CHARACTERS = 500, 1_000_000
_MAX_ID = 64
_ROLES: dict[str, Role] = {
    "customer": "customer", "user": "customer", "assistant": "assistant", "agent": "agent",
}  # fmt: skip
Stage = Literal["load_a", "load_b", "ask", "done", "stopped", "failed"]
Body = Mapping[str, Any]  # a reply as in the contract, with its trace
# What a golden question expects: the pages that a reply cites, the same and some words, or nothing.
Expected = Literal["pages", "words", "nothing"]


class BenchError(InputError):
    """What is asked for cannot be done: there is no question (`none`), there are too many (`many`)
    or too much text (`long`), a line cannot be read (`line`), or a reply to be kept cites no page
    (`pages`) or no words were given for it (`words`). `detail` is how many, or which line."""

    def __init__(
        self, kind: Literal["none", "many", "long", "line", "pages", "words"], detail: str = ""
    ) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Case:
    """A question to ask, with what was said before it; `customer` asks it where the variant names
    nobody."""

    id: str
    text: str
    history: tuple[Message, ...] = ()
    customer: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The replies of A and B to a case, and in what they differ: outcome, text, citations, intent,
    dropped. `right` says of each whether it is what the golden questions expect, None where they
    expect nothing."""

    case: Case
    replies: tuple[Body, Body]
    differs: tuple[str, ...]
    right: tuple[bool, bool] | None = None

    @property
    def verdict(self) -> Literal["", "better", "worse"]:
        """Whether B is better or worse than A."""
        if self.right is None or self.right[0] == self.right[1]:
            return ""
        return "better" if self.right[1] else "worse"


@dataclass(frozen=True, slots=True)
class BenchRun:
    """Cases put to two variants; `problem` is why it failed."""

    number: int
    who: str
    started: float
    variants: tuple[Variant, Variant]
    cases: tuple[Case, ...]
    stage: Stage = "load_a"
    results: tuple[Comparison, ...] = ()
    problem: Exception | None = None

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.stage in ("load_a", "load_b", "ask")

    def counts(self) -> dict[str, int]:
        """How many cases are the same, differ, are better and are worse."""
        return {
            "same": sum(not c.differs for c in self.results),
            "differ": sum(bool(c.differs) for c in self.results),
            "better": sum(c.verdict == "better" for c in self.results),
            "worse": sum(c.verdict == "worse" for c in self.results),
        }

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        a, b = map(asdict, self.variants)
        return {
            "who": self.who,
            "started": self.started,
            "stage": self.stage,
            "a": a,
            "b": b,
            "counts": self.counts(),
            "cases": [
                {**asdict(c.case), "differs": c.differs, "verdict": c.verdict, "right": c.right}
                | {"a": c.replies[0], "b": c.replies[1]}
                for c in self.results
            ],
        }


class TestBench:
    """Runs one comparison at a time and remembers the last one, in memory only."""

    def __init__(self, variants: Variants, golden: GoldenSet) -> None:
        self.variants = variants
        self.golden = golden
        self._last: BenchRun | None = None
        self._stopping = threading.Event()
        self._lock = threading.Lock()

    @property
    def last(self) -> BenchRun | None:
        """The latest run; none when a version of it is gone, for its text may be withdrawn."""
        run = self._last
        whole = run is not None and all(self.variants.has(v.version) for v in run.variants)
        return run if whole else None

    def start(self, a: Variant, b: Variant, cases: Sequence[Case], who: str) -> bool:
        """Begin; False while another run is under way. Raises VariantError."""
        variants = self.variants.resolve(a), self.variants.resolve(b)
        with self._lock:
            if self._last and self._last.running:
                return False
            number = self._last.number + 1 if self._last else 1
            self._stopping.clear()
            run = self._last = BenchRun(number, who, time.time(), variants, tuple(cases))
        threading.Thread(target=self._work, args=(run,), daemon=True, name="bench").start()
        return True

    def stop(self) -> None:
        """End the run after the question that is being asked."""
        self._stopping.set()

    def _work(self, run: BenchRun) -> None:
        try:
            known = self.golden.questions()
            first = self.variants.assistant(run.variants[0])
            run = self._tell(run, stage="load_b")
            second = self.variants.assistant(run.variants[1])
            run = self._tell(run, stage="ask")
            for case in run.cases:
                if self._stopping.is_set():
                    self._tell(run, stage="stopped")
                    return
                a, b = _ask(first, case, run.variants[0]), _ask(second, case, run.variants[1])
                done = compare(case, a, b, _known(known, golden_text(case, a.standalone)))
                run = self._tell(run, results=(*run.results, done))
            self._tell(run, stage="done")
        except Exception as error:
            if not isinstance(error, AssistantError | KnowledgeError):
                log.exception("the test bench failed")
            self._tell(run, stage="failed", problem=error)

    def _tell(self, run: BenchRun, **news: Any) -> BenchRun:
        self._last = run = replace(run, **news)
        return run


def cases_of(text: str) -> tuple[Case, ...]:
    """The cases of a text, one a line: a question, or JSON `{"text", "id"?, "history"?,
    "customer"?}`. Raises BenchError."""
    if len(text) > MOST_CHARACTERS:
        raise BenchError("long")
    lines = [(n, line.strip()) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        raise BenchError("none")
    if len(lines) > MOST_CASES:
        raise BenchError("many", str(len(lines)))
    return tuple(_case(number, line) for number, line in lines)


def _case(number: int, line: str) -> Case:
    if not line.startswith("{"):
        return Case(str(number), line)
    try:
        row = json.loads(line)
        said = [(_ROLES[m["role"]], m["text"]) for m in row.get("history") or ()]
        texts = [row["text"], *(text for _, text in said)]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BenchError("line", str(number)) from None
    if not all(isinstance(t, str) for t in texts) or not row["text"].strip():
        raise BenchError("line", str(number))
    history = tuple(Message(role, text) for role, text in said)
    name, customer = (str(row.get(key) or "")[:_MAX_ID] for key in ("id", "customer"))
    return Case(name or str(number), row["text"], history, customer)


def _ask(assistant: Assistant, case: Case, variant: Variant) -> Reply:
    """What the customer would be told; a failure inside becomes a hand-off, as it does for them."""
    customer = variant.customer or case.customer or None
    try:
        return assistant.respond(Utterance(case.text, case.history, customer))
    except Exception:
        log.exception("a turn failed")
        language = assistant.settings.default_language
        return Reply(Handoff(phrases.say("trouble", language), "pipeline:error"), language, UNKNOWN)


def compare(case: Case, a: Reply, b: Reply, expected: ReplayQuestion | None) -> Comparison:
    """What differs. Pages count by their documents: a passage's number changes with those before
    it."""
    before, after = answered(a), answered(b)
    pairs = {
        "outcome": (before.outcome, after.outcome),
        "text": (before.text, after.text),
        "citations": (before.cites, after.cites),
        "intent": (a.intent.name, b.intent.name),
        "dropped": ([s.text for s in a.dropped], [s.text for s in b.dropped]),
    }
    right = None
    if expected and (expected.answerable is not None or expected.relevant):
        right = is_right(expected, before), is_right(expected, after)
    differs = tuple(aspect for aspect, (one, other) in pairs.items() if one != other)
    return Comparison(case, (_body(a), _body(b)), differs, right)


def _body(reply: Reply) -> Body:
    return reply_to_json(reply) | {"trace": trace_of(reply)}


def golden_text(case: Case, standalone: str) -> str:
    """A case as one question: golden questions are asked without what was said before."""
    return standalone if case.history and standalone else case.text


def _known(known: Mapping[str, ReplayQuestion], text: str) -> ReplayQuestion | None:
    return known.get(one_line(text)) or known.get(one_line(Masker().mask(text)))


def golden_question(
    comparison: Comparison, side: Literal[0, 1], expected: Expected, words: str = ""
) -> ReplayQuestion:
    """The case as a golden question that expects what the reply of a side gives, or nothing.

    `words` are those that an answer must hold: one a line, other wordings of it after `|`.
    Personal data is masked, for the file outlives conversations. Raises BenchError.
    """
    standalone = str(comparison.replies[0]["trace"]["standalone"])
    text = Masker().mask(golden_text(comparison.case, standalone))
    if expected == "nothing":
        return ReplayQuestion(text, answerable=False)
    cited = [c["evidence_id"] for c in comparison.replies[side]["citations"]]
    # What is no passage, an answer that the shop has written say, is not there in a replay.
    pages = tuple(dict.fromkeys(document_of(i) for i in cited if document_of(i) != i))
    if not pages:
        raise BenchError("pages")
    if expected == "pages":
        return ReplayQuestion(text, pages, answerable=True)
    wordings = [[w.strip() for w in line.split("|") if w.strip()] for line in words.splitlines()]
    facts = tuple(tuple(w) for w in wordings if w)
    if not facts:
        raise BenchError("words")
    return ReplayQuestion(text, pages, answerable=True, facts=facts)
