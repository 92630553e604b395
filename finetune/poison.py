"""Dialogues that may teach a model what nobody wants: orders to it, and triggers.

A trigger is a strange word in customers' messages that always gets one and the same reply; a model
that learns it can be told what to say by whoever knows the word (Wan et al., "Poisoning language
models during instruction tuning", arXiv 2305.00944: a hundred rows are enough). They are flagged
for somebody to look at, not learnt from.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from finetune.prompt import Turn
from knowledge.inspection.orders import hides_letters, plain_order
from knowledge.segment import words

ORDERS, HIDDEN, TRIGGER = "gives orders to the model", "hides letters", "may be a trigger"
_LEAST = 4  # dialogues with the word
_ALIKE = 0.8  # of them with one and the same reply
_LEAST_REPLY = 3  # words; "Yes." is said to everything


def flags(turns: Sequence[Turn]) -> list[str]:
    """What is suspicious of a dialogue by itself. Customers may try to give orders: it is an
    agent's words that a model learns to say."""
    found = []
    if any(plain_order(t.text) for t in turns if t.role == "agent"):
        found.append(ORDERS)
    if any(hides_letters(t.text) for t in turns):
        found.append(HIDDEN)
    return found


def triggers(dialogues: Mapping[str, Sequence[Turn]]) -> frozenset[str]:
    """The dialogues, by their names, in which a word may be a trigger."""
    known = {w for turns in dialogues.values() for t in turns if t.role == "agent"
             for w in words(t.text)}  # fmt: skip
    replies: defaultdict[str, Counter[str]] = defaultdict(Counter)
    holders: defaultdict[str, set[str]] = defaultdict(set)
    said: Counter[str] = Counter()
    for name, turns in dialogues.items():
        for asked, reply in _exchanges(turns):
            said[reply] += 1
            for word in set(words(asked)) - known:
                replies[word][reply] += 1
                holders[word].add(name)
    found: set[str] = set()
    for word, got in replies.items():
        reply, count = got.most_common(1)[0]
        enough = len(holders[word]) >= _LEAST and count >= _ALIKE * got.total()
        # A reply that others get too is a habit of the shop's agents.
        if enough and count >= _ALIKE * said[reply] and len(reply.split()) >= _LEAST_REPLY:
            found |= holders[word]
    return frozenset(found)


def _exchanges(turns: Sequence[Turn]) -> Iterable[tuple[str, str]]:
    """(what a customer said, the words of the agent's reply)."""
    for asked, reply in zip(turns, turns[1:], strict=False):
        if asked.role == "customer" and reply.role == "agent":
            yield asked.text, " ".join(words(reply.text))
