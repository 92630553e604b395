"""What customers asked in vain: questions that no document answered, or that a person had to.

Similar ones are put together; each group is an article that the shop might write, with the
conversations it comes from and what the agents replied in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.cluster import AgglomerativeClustering

from assistant.conversations import Conversations, StoredMessage
from knowledge.encoder import Encoder
from knowledge.pii import Masker

# Groups are joined while their questions are on average nearer than this (1 - cosine). On the
# questions of eight invented shops nineteen of twenty groups then ask about one document.
_APART = 0.6
_MOST_QUESTIONS = 2000
_UNANSWERED = ("retrieval:", "grounding:")


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A question that ended unanswered or with a person; `replies` are the agents' after it."""

    conversation: str
    question: str
    asked: float  # seconds since 1970
    replies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gap:
    """Similar questions in vain: an article to write. `title` is the most typical of them."""

    title: str
    questions: tuple[str, ...]
    conversations: tuple[str, ...]
    replies: tuple[str, ...]
    last_asked: float

    @property
    def draft(self) -> str:
        """The beginning of an article, in markdown."""
        lines = [f"# {self.title}", *self.replies]
        return "\n\n".join(lines) + "\n"


def unanswered_in(conversation: str, messages: Sequence[StoredMessage]) -> list[Unanswered]:
    """The questions of a conversation that were asked in vain; personal data is masked."""
    masker = Masker()
    found: list[Unanswered] = []
    last = ""
    for number, message in enumerate(messages):
        if message.role != "assistant" or not message.reply:
            continue
        reason = str(message.reply.get("reason") or "")
        question = str((message.reply.get("trace") or {}).get("standalone") or "")
        if message.reply["outcome"] == "handoff" and not reason.startswith(_UNANSWERED):
            question = last  # the customer asked for a person because of what came before
        elif not reason.startswith(_UNANSWERED):
            last = question
            continue
        last = ""
        if question:
            later = messages[number + 1 :]
            replies = tuple(masker.mask(m.text) for m in later if m.role == "agent")
            found.append(Unanswered(conversation, masker.mask(question), message.created, replies))
    return found


def gaps(asked: Sequence[Unanswered], encoder: Encoder) -> list[Gap]:
    """Groups of similar questions, the largest first, then the latest."""
    rows = sorted(asked, key=lambda u: -u.asked)[:_MOST_QUESTIONS]
    if not rows:
        return []
    vectors = encoder.embed([u.question for u in rows])
    labels = np.zeros(len(rows), int)
    if len(rows) > 1:
        clusters = AgglomerativeClustering(
            n_clusters=None, metric="cosine", linkage="average", distance_threshold=_APART
        )
        labels = clusters.fit_predict(vectors)
    groups: dict[int, list[int]] = {}
    for row, label in enumerate(labels):
        groups.setdefault(int(label), []).append(row)
    found = [_gap([rows[n] for n in group], vectors[group]) for group in groups.values()]
    return sorted(found, key=lambda g: (-len(g.conversations), -g.last_asked))


def _gap(rows: Sequence[Unanswered], vectors: Any) -> Gap:
    typical = int(np.argmax(vectors @ vectors.mean(0)))
    return Gap(
        title=rows[typical].question,
        questions=_unique(u.question for u in rows),
        conversations=_unique(u.conversation for u in rows),
        replies=_unique(text for u in rows for text in u.replies),
        last_asked=max(u.asked for u in rows),
    )


def _unique(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))


def find_gaps(store: Conversations, encoder: Encoder, since: float = 0.0) -> list[Gap]:
    """The gaps in the conversations since then, in seconds since 1970."""
    return gaps(
        [u for i, messages in store.threads(since) for u in unanswered_in(i, messages)], encoder
    )
