"""What the agents' page shows, as plain values: the queue, a conversation, and its traces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assistant.conversations import Conversation, StoredMessage
from assistant.edits import Edit
from assistant.handoff_card import Doubt, doubts_of
from assistant.notes import Note
from assistant.propensity import Outlook
from assistant.web.desk_trace import Trace, WordWeights, trace_of

_PREVIEW_CHARACTERS = 120


@dataclass(frozen=True, slots=True)
class Summary:
    """A conversation in a queue's row, as far as its messages tell."""

    intent: str = ""
    reason: str = ""
    language: str = ""
    preview: str = ""
    doubt: Doubt | None = None
    waiting_since: float = 0.0


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the queue; `since` counts from the hand-off, else from the last message; `doubt` is
    the last thing that was doubted in the assistant's last reply. `outlook` is for reading alone:
    nothing is sorted, chosen or timed by it."""

    id: str
    state: str
    agent: str
    intent: str
    reason: str
    language: str
    preview: str
    doubt: Doubt | None
    since: float
    outlook: Outlook | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A message or a note as the agents' page shows it; `role` is also `note`, then `by` is who
    wrote it. `edit` tells what became of a suggestion in an agent's message."""

    id: str
    role: str
    text: str
    created: float
    outcome: str = ""
    reason: str = ""
    citations: tuple[str, ...] = ()
    trace: Trace | None = None
    helpful: bool | None = None
    rating_reason: str = ""
    by: str = ""
    edit: Edit | None = None


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Text an agent may send instead of writing it: what the assistant found, and where."""

    text: str
    title: str
    evidence_id: str


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
        doubt=next(reversed(doubts_of(reply)), None),
        waiting_since=since,
    )


def row_of(conversation: Conversation, summary: Summary, outlook: Outlook | None = None) -> Row:
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
        doubt=summary.doubt,
        since=since if waiting else conversation.updated,
        outlook=outlook,
    )


def show(
    message: StoredMessage,
    verdicts: Mapping[int, tuple[bool, str]],
    word_weights: WordWeights = lambda text, intent: (),
    edit: Edit | None = None,
) -> Shown:
    """A stored message with its trace and its rating; `word_weights` says which words of a question
    moved an intent, `edit` what became of a suggestion in it."""
    reply = message.reply or {}
    helpful, rating_reason = verdicts.get(message.id, (None, ""))
    return Shown(
        id=str(message.id),
        role=message.role,
        text=message.text,
        created=message.created,
        outcome=str(reply.get("outcome", "")),
        reason=str(reply.get("reason", "")),
        citations=tuple(str(c["title"]) for c in reply.get("citations", ())),
        trace=trace_of(reply, word_weights) if reply.get("trace") else None,
        helpful=helpful,
        rating_reason=rating_reason,
        edit=edit if edit and edit.inserted else None,
    )


def show_note(note: Note) -> Shown:
    """A note, as it stands between the messages."""
    return Shown(f"note-{note.id}", "note", note.text, note.created, by=note.who)


def suggest(messages: Sequence[StoredMessage]) -> Suggestion | None:
    """What the assistant's last reply quotes, else the best of what it considered."""
    replies = [m.reply for m in messages if m.role == "assistant" and m.reply]
    reply = replies[-1] if replies else {}
    if citations := reply.get("citations"):
        return _suggestion(citations[0])
    considered = [e for e in reply.get("trace", {}).get("considered", ()) if e["quote"]]
    best = max(considered, key=lambda e: float(e["relevance"]), default=None)
    return _suggestion(best) if best else None


def _suggestion(evidence: Mapping[str, Any]) -> Suggestion:
    return Suggestion(str(evidence["quote"]), str(evidence["title"]), str(evidence["evidence_id"]))
