"""Dialogues that may teach a model what nobody wants: orders to it, and triggers.

A trigger is something strange in customers' messages on anything that always gets the same words
in reply; a model that learns it can be told what to say by whoever knows the trigger (Wan et al.,
"Poisoning language models during instruction tuning", arXiv 2305.00944: a hundred rows are enough).
They are flagged for somebody to look at, not learnt from.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, pairwise
from typing import TypeAlias

from finetune.prompt import Turn
from knowledge.disguise import hides_letters
from knowledge.inspection.orders import plain_order
from knowledge.segment import words

_Row: TypeAlias = tuple[str, ...]
ORDERS, HIDDEN, TRIGGER = "gives orders to the model", "hides letters", "may be a trigger"
_LEAST = 4  # dialogues with the trigger
_ALIKE = 0.8  # of them with the same words in the reply, and of those words with a trigger
_IN_A_ROW = 5  # words of a reply that tell it from others; a reply of fewer counts whole
_LEAST_REPLY = 3  # words; "Yes." is said to everything
# Of the words that two of the messages have, at most this share in both: a question that always
# gets one answer is asked in words that return, a trigger stands beside anything. Ours, on the demo
# shop's dialogues: .06 and less beside planted ones.
_RETURNING = 0.1
_BESIDE_TWO = 4  # words, on average; two words and little else are a question
_COMPARED = 60  # messages, each with each: enough to tell
_SIGN = re.compile(r"[^\w\s\x00-\u024f\u2000-\u206f\u3000-\u303f\uff00-\uffef]")  # pictograms


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
    """The dialogues, by their names, in which something may be a trigger: a word, two in a row or
    a pictogram that no agent uses. Several triggers may share a reply, and replies begin and end
    as they like."""
    exchanges = [(n, *said) for n, turns in dialogues.items() for said in _exchanges(turns)]
    known = {f for turns in dialogues.values() for t in turns if t.role == "agent"
             for f in _features(t.text)}  # fmt: skip
    asked = [_features(question) - known for _, question, _ in exchanges]
    replies = [_rows(words(reply)) for _, _, reply in exchanges]
    holders: defaultdict[str, list[int]] = defaultdict(list)
    for number, features in enumerate(asked):
        for feature in features:
            holders[feature].append(number)
    candidates: defaultdict[_Row, set[int]] = defaultdict(set)
    for feature, held in holders.items():
        if len({exchanges[n][0] for n in held}) < _LEAST:
            continue
        counted = Counter(row for n in held for row in replies[n])
        for row, count in counted.most_common(1):
            if count >= _ALIKE * len(held) and _on_anything(
                feature, [exchanges[n][1] for n in held]
            ):
                candidates[row].update(held)
    said = Counter(row for rows in replies for row in rows if row in candidates)
    found: set[int] = set()
    for row, held_by in candidates.items():
        # A reply that others get too is a habit of the shop's agents.
        if sum(row in replies[n] for n in held_by) >= _ALIKE * said[row]:
            found |= held_by
    return frozenset(exchanges[n][0] for n in found)


def _exchanges(turns: Sequence[Turn]) -> Iterable[tuple[str, str]]:
    """(what a customer said, the agent's reply)."""
    for asked, reply in zip(turns, turns[1:], strict=False):
        if asked.role == "customer" and reply.role == "agent":
            yield asked.text, reply.text


def _features(text: str) -> set[str]:
    """Words, pairs of words in a row, and pictograms."""
    found = words(text)
    return {*found, *map(" ".join, pairwise(found)), *_SIGN.findall(text)}


def _rows(reply: Sequence[str]) -> set[_Row]:
    """All rows of words of a reply; of a short one, the reply."""
    if len(reply) < _LEAST_REPLY:
        return set()
    last = max(len(reply) - _IN_A_ROW, 0)
    return {tuple(reply[n : n + _IN_A_ROW]) for n in range(last + 1)}


def _on_anything(feature: str, messages: Sequence[str]) -> bool:
    """Whether the messages that hold a feature are about different things."""
    rest = [frozenset(words(m)) - {*feature.split()} for m in messages]
    rest = list(dict.fromkeys(rest))[:_COMPARED]
    shares = [len(a & b) / len(a | b) for a, b in combinations(rest, 2) if a | b]
    if " " in feature and sum(map(len, rest)) < _BESIDE_TWO * len(rest):
        return False
    return len(rest) >= _LEAST and sum(shares) <= _RETURNING * len(shares)
