"""How a reply came about, as the agents' page shows it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assistant.types import WordWeight
from knowledge.rerank import SURE

WordWeights = Callable[[str, str], Sequence[WordWeight]]
_STAGES = ("language", "intent", "retrieval", "generation", "grounding")


@dataclass(frozen=True, slots=True)
class Considered:
    """A passage or record that was fetched for a turn."""

    id: str
    title: str
    percent: int
    quote: str
    cited: bool


@dataclass(frozen=True, slots=True)
class Recalled:
    """A passage that was found, and what became of it: `fate` is cited, fitting, unsure, spared
    (an earlier one was sure) or unread (others came before it)."""

    title: str
    cosine: float
    bm25: float
    percent: int | None
    fate: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the verifier said of a sentence: it is supported by a `page`, in which `said` are the
    words that it rests on, or it was dropped for a `reason`."""

    sentence: str
    supported: bool
    reason: str = ""
    page: str = ""
    said: str = ""


@dataclass(frozen=True, slots=True)
class Trace:
    """How a reply came about; percentages are whole. `words` are those of the question, each with
    the percentage points by which it raised the intent; `verdicts` are those on the sentences that
    were shown, then on those that were dropped; `stages` are (name, milliseconds, share); `prompt`
    is what the language model read, if it was asked; `turn` is the id that log lines have."""

    standalone: str
    intents: tuple[tuple[str, int], ...]
    words: tuple[tuple[str, int], ...]
    recalled: tuple[Recalled, ...]
    considered: tuple[Considered, ...]
    verdicts: tuple[Verdict, ...]
    stages: tuple[tuple[str, float, int], ...]
    total_ms: float
    generator: str
    prompt: str
    turn: str = ""


def trace_of(reply: Mapping[str, Any], word_weights: WordWeights) -> Trace:
    """The trace stored with a reply, and which words moved its intent."""
    trace, latency = reply["trace"], reply.get("latency_ms", {})
    cited = {c["evidence_id"]: c for c in reply.get("citations", ())}
    total = float(latency.get("total", 0.0))
    return Trace(
        standalone=str(trace.get("standalone", "")),
        intents=tuple((str(name), percent_of(p)) for name, p in trace.get("intents", ())),
        words=tuple(
            (w.word, round(100 * w.weight))
            for w in word_weights(str(trace.get("standalone", "")), str(reply.get("intent", "")))
        ),
        recalled=tuple(_recalled(trace, cited)),
        considered=tuple(
            Considered(
                str(e["evidence_id"]), str(e["title"]), percent_of(e["relevance"]),
                str(e["quote"]), e["evidence_id"] in cited,
            )
            for e in trace.get("considered", ())
        ),
        verdicts=tuple(_verdicts(trace, cited)),
        stages=tuple(
            (name, float(latency[name]), percent_of(latency[name] / total if total else 0.0))
            for name in _STAGES
            if name in latency
        ),
        total_ms=total,
        generator=str(reply.get("generator", "")),
        prompt=str(trace.get("prompt", "")),
        turn=str(trace.get("turn", "")),
    )  # fmt: skip


def _verdicts(
    trace: Mapping[str, Any], cited: Mapping[str, Mapping[str, Any]]
) -> Iterator[Verdict]:
    for row in trace.get("rests_on", ()):
        page = cited.get(row["evidence_id"], {})
        start, end = row["span"] or (0, 0)  # without a span it rests on the title
        said = str(page.get("text", ""))[start:end]
        yield Verdict(str(row["sentence"]), True, page=str(page.get("title", "")), said=said)
    for row in trace.get("dropped", ()):
        yield Verdict(str(row["text"]), False, reason=str(row["reason"]))


def _recalled(trace: Mapping[str, Any], cited: Collection[str]) -> Iterator[Recalled]:
    found, threshold = trace.get("recalled", ()), float(trace.get("threshold", 0.0))
    sure = any((r["relevance"] or 0.0) >= SURE for r in found)
    for row in found:
        relevance = row["relevance"]
        if row["evidence_id"] in cited:
            fate = "cited"
        elif relevance is None:
            fate = "spared" if sure else "unread"
        else:
            fate = "fitting" if relevance >= threshold else "unsure"
        percent = None if relevance is None else percent_of(relevance)
        yield Recalled(row["title"], float(row["cosine"]), float(row["bm25"]), percent, fate)


def percent_of(share: float) -> int:
    """A share, 0 to 1, in whole percent."""
    return round(100 * max(0.0, min(1.0, float(share))))
