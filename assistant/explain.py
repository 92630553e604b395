"""Why a reply came out as it did: which words moved the intent, where each sentence stands in its
passage, and one sentence for the customer."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np

from assistant import phrases
from assistant.types import (
    TITLE_JOINT,
    Answer,
    CheckedSentence,
    Clarify,
    Evidence,
    Handoff,
    Outcome,
    Refuse,
    WordWeight,
)
from knowledge.intent_classifier import Probabilities
from knowledge.segment import content_words, split_sentences, word_spans

_ROUNDS = 8  # orders of the words, each tried forwards and backwards
_MOST_WORDS = 40  # of a message; what follows is taken as one

Classify = Callable[[Sequence[str]], Probabilities]


def word_weights(classify: Classify, text: str, label: int) -> tuple[WordWeight, ...]:
    """By how much each word of a message raises (or lowers) the probability of an intent: Shapley
    values by sampled orders in which words are added to nothing, each order and its reverse
    (Castro et al. 2009; Mitchell et al., "Sampling permutations for Shapley value estimation",
    JMLR 2022). They sum to the probability less that of an empty message."""
    spans = word_spans(text)
    if len(spans) > _MOST_WORDS:
        spans = [*spans[: _MOST_WORDS - 1], (spans[_MOST_WORDS - 1][0], spans[-1][1])]
    if not spans:
        return ()
    rng = random.Random(0)
    orders = []
    for _ in range(_ROUNDS):
        order = rng.sample(range(len(spans)), len(spans))
        orders += [order, order[::-1]]
    subsets = [frozenset(order[:n]) for order in orders for n in range(len(spans) + 1)]
    distinct = list(dict.fromkeys(subsets))
    kept = [" ".join(text[a:b] for n, (a, b) in enumerate(spans) if n in s) for s in distinct]
    values = dict(zip(distinct, classify(kept)[:, label], strict=True))
    weights = np.zeros(len(spans))
    for order in orders:
        for n, word in enumerate(order):
            before = frozenset(order[:n])
            weights[word] += values[before | {word}] - values[before]
    weights /= len(orders)
    return tuple(
        WordWeight(text[a:b], round(float(w), 4)) for (a, b), w in zip(spans, weights, strict=True)
    )


def span_of(sentence: CheckedSentence, evidence: Sequence[Evidence]) -> tuple[int, int] | None:
    """Where in the text of its evidence a sentence stands, in characters: word for word, or else
    the sentence of the evidence that shares most words with it. None where it rests on its title,
    or on nothing."""
    piece = next((e for e in evidence if e.id == sentence.evidence_id), None)
    if piece is None:
        return None
    if (start := piece.text.find(sentence.text)) >= 0:
        return start, start + len(sentence.text)
    words = set(content_words(sentence.text))
    said = [s for line in piece.text.splitlines() for s in split_sentences(line)]
    shared = [len(words & set(content_words(s))) for s in said]
    if not any(shared):
        return None
    best = said[int(np.argmax(shared))]
    start = piece.text.find(best)
    return start, start + len(best)


def plain_reason(outcome: Outcome, language: str) -> str:
    """A sentence that tells the customer why; "" where the reply says it all."""
    match outcome:
        case Answer(reason="orders:status" | "orders:done"):
            return phrases.say("why_order", language)
        case Answer(reason="products:found"):
            return phrases.say("why_products", language)
        case Answer(reason="recommend:told"):
            return phrases.say("why_recommended", language)
        case Answer(reason="curated"):
            return phrases.say("why_curated", language)
        case Answer(citations=citations, generator=generator) if citations:
            key = "why_quoted" if generator == "quote" else "why_written"
            title = citations[0].title.split(TITLE_JOINT)[0]
            return phrases.say(key, language, title=title)
        case Clarify(reason="retrieval:unsure"):
            return phrases.say("why_unsure", language)
        case Handoff(reason="retrieval:unsupported" | "grounding:unsupported"):
            return phrases.say("why_unsupported", language)
        case Refuse(reason="intent:out_of_scope"):
            return phrases.say("why_out_of_scope", language)
        case _:
            return ""
