"""A comparison as the test bench's page shows it, as plain values."""

from __future__ import annotations

from dataclasses import dataclass

from assistant.testbench import Body, Comparison
from assistant.web.desk_trace import Trace, WordWeights, trace_of
from knowledge.diff import Edit, word_edits


@dataclass(frozen=True, slots=True)
class ShownReply:
    """The reply of a variant, `side` a or b. `edits` are its words, those marked that the other
    reply has not; `right` is whether it is what the golden questions expect, if they do."""

    id: int
    side: str
    outcome: str
    reason: str
    intent: str
    edits: tuple[Edit, ...]
    pages: tuple[str, ...]
    trace: Trace
    right: bool | None


@dataclass(frozen=True, slots=True)
class ShownComparison:
    """A case with its two replies; `index` is its place among the results."""

    index: int
    comparison: Comparison
    replies: tuple[ShownReply, ShownReply]


def shown(index: int, comparison: Comparison, word_weights: WordWeights) -> ShownComparison:
    """A comparison ready for the page."""
    a, b = comparison.replies
    edits = word_edits(str(a["reply"]), str(b["reply"]))
    old = tuple(e for e in edits if e.kind != "added")
    new = tuple(e for e in edits if e.kind != "removed")
    right = comparison.right or (None, None)

    def reply(number: int, side: str, body: Body, own: tuple[Edit, ...]) -> ShownReply:
        return ShownReply(
            id=2 * index + number,
            side=side,
            outcome=str(body["outcome"]),
            reason=str(body["reason"]),
            intent=str(body["intent"]),
            edits=own,
            pages=tuple(dict.fromkeys(str(c["title"]) for c in body["citations"])),
            trace=trace_of(body, word_weights),
            right=right[number],
        )

    return ShownComparison(index, comparison, (reply(0, "a", a, old), reply(1, "b", b, new)))
