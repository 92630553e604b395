"""What the agents' page shows, as plain values: the queue, a conversation, and its traces."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assistant.conversations import Conversation, StoredMessage
from assistant.types import WordWeight
from knowledge.rerank import SURE

WordWeights = Callable[[str, str], Sequence[WordWeight]]
_PREVIEW_CHARACTERS = 120
_STAGES = ("language", "intent", "retrieval", "generation", "grounding")


@dataclass(frozen=True, slots=True)
class Summary:
    """A conversation in a queue's row, as far as its messages tell."""

    intent: str = ""
    reason: str = ""
    language: str = ""
    preview: str = ""
    waiting_since: float = 0.0


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the queue; `since` counts from the hand-off, else from the last message."""

    id: str
    state: str
    agent: str
    intent: str
    reason: str
    language: str
    preview: str
    since: float


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
class Trace:
    """How a reply came about; percentages are whole. `words` are those of the question, each with
    the percentage points by which it raised the intent; `rests_on` are (sentence, page, the words
    of the page); `stages` are (name, milliseconds, share)."""

    standalone: str
    intents: tuple[tuple[str, int], ...]
    words: tuple[tuple[str, int], ...]
    recalled: tuple[Recalled, ...]
    rests_on: tuple[tuple[str, str, str], ...]
    considered: tuple[Considered, ...]
    dropped: tuple[tuple[str, str], ...]
    stages: tuple[tuple[str, float, int], ...]
    total_ms: float
    generator: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A message as the agents' page shows it."""

    id: int
    role: str
    text: str
    created: float
    outcome: str = ""
    reason: str = ""
    citations: tuple[str, ...] = ()
    trace: Trace | None = None
    helpful: bool | None = None
    rating_reason: str = ""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Text an agent may send instead of writing it: what the assistant found."""

    text: str
    title: str


def summarise(messages: Sequence[StoredMessage]) -> Summary:
    """What a queue's row says about these messages."""
    replies = [m for m in messages if m.role == "assistant" and m.reply]
    said = [m for m in messages if m.role == "customer"]
    last = replies[-1] if replies else None
    reply = (last.reply if last else None) or {}
    handoffs = [m for m in replies if (m.reply or {}).get("outcome") == "handoff"]
    # A customer who writes while waiting does not lose the place in the queue.
    spoken = max((m.id for m in messages if m.role != "customer"), default=0)
    unanswered = [m.created for m in said if m.id > spoken]
    handed_off = last is not None and last in handoffs and last.id == spoken
    since = last.created if last and handed_off else min(unanswered, default=0.0)
    return Summary(
        intent=str(reply.get("intent", "")),
        reason=str((handoffs[-1].reply or {}).get("reason", "")) if handoffs else "",
        language=str(reply.get("language", "")),
        preview=" ".join(said[-1].text.split())[:_PREVIEW_CHARACTERS] if said else "",
        waiting_since=since,
    )


def row_of(conversation: Conversation, summary: Summary) -> Row:
    """A conversation as a row of the queue."""
    waiting = conversation.state == "waiting"
    since = min(summary.waiting_since or conversation.updated, conversation.updated)
    handed_off = conversation.state in ("waiting", "agent")
    return Row(
        id=conversation.id,
        state=conversation.state,
        agent=conversation.agent or "",
        intent=summary.intent,
        reason=(conversation.reason or summary.reason) if handed_off else "",
        language=summary.language or conversation.language,
        preview=summary.preview,
        since=since if waiting else conversation.updated,
    )


def show(
    message: StoredMessage,
    verdicts: Mapping[int, tuple[bool, str]],
    word_weights: WordWeights = lambda text, intent: (),
) -> Shown:
    """A stored message with its trace and its rating; `word_weights` says which words of a question
    moved an intent."""
    reply = message.reply or {}
    helpful, rating_reason = verdicts.get(message.id, (None, ""))
    return Shown(
        id=message.id,
        role=message.role,
        text=message.text,
        created=message.created,
        outcome=str(reply.get("outcome", "")),
        reason=str(reply.get("reason", "")),
        citations=tuple(str(c["title"]) for c in reply.get("citations", ())),
        trace=trace_of(reply, word_weights) if reply.get("trace") else None,
        helpful=helpful,
        rating_reason=rating_reason,
    )


def trace_of(reply: Mapping[str, Any], word_weights: WordWeights) -> Trace:
    """The trace stored with a reply, and which words moved its intent."""
    trace, latency = reply["trace"], reply.get("latency_ms", {})
    cited = {c["evidence_id"]: c for c in reply.get("citations", ())}
    total = float(latency.get("total", 0.0))
    return Trace(
        standalone=str(trace.get("standalone", "")),
        intents=tuple((str(name), _percent(p)) for name, p in trace.get("intents", ())),
        words=tuple(
            (w.word, round(100 * w.weight))
            for w in word_weights(str(trace.get("standalone", "")), str(reply.get("intent", "")))
        ),
        recalled=tuple(_recalled(trace, cited)),
        rests_on=tuple(
            (r["sentence"], cited[r["evidence_id"]]["title"], _words_of(cited, r))
            for r in trace.get("rests_on", ())
            if r["span"] and r["evidence_id"] in cited
        ),
        considered=tuple(
            Considered(
                str(e["evidence_id"]), str(e["title"]), _percent(e["relevance"]), str(e["quote"]),
                e["evidence_id"] in cited,
            )
            for e in trace.get("considered", ())
        ),
        dropped=tuple((str(d["text"]), str(d["reason"])) for d in trace.get("dropped", ())),
        stages=tuple(
            (name, float(latency[name]), _percent(latency[name] / total if total else 0.0))
            for name in _STAGES
            if name in latency
        ),
        total_ms=total,
        generator=str(reply.get("generator", "")),
    )  # fmt: skip


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
        percent = None if relevance is None else _percent(relevance)
        yield Recalled(row["title"], float(row["cosine"]), float(row["bm25"]), percent, fate)


def _words_of(cited: Mapping[str, Mapping[str, Any]], row: Mapping[str, Any]) -> str:
    start, end = row["span"]
    return str(cited[row["evidence_id"]].get("text", ""))[start:end]


def suggest(messages: Sequence[StoredMessage]) -> Suggestion | None:
    """What the assistant's last reply quotes, else the best of what it considered."""
    replies = [m.reply for m in messages if m.role == "assistant" and m.reply]
    reply = replies[-1] if replies else {}
    if citations := reply.get("citations"):
        return Suggestion(str(citations[0]["quote"]), str(citations[0]["title"]))
    considered = [e for e in reply.get("trace", {}).get("considered", ()) if e["quote"]]
    best = max(considered, key=lambda e: float(e["relevance"]), default=None)
    return Suggestion(str(best["quote"]), str(best["title"])) if best else None


def _percent(share: float) -> int:
    return round(100 * max(0.0, min(1.0, float(share))))
