"""What the reader would point at in a passage, where it is known what was said of it.

In lessons the reader itself would be right too often: it has learnt from the same shops. So it is
right as often as it is on shops that it never saw.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import lru_cache

from knowledge.segment import content_words, split_sentences

# The reader's first passage holds the answer for 0.93 of the answerable questions to the unseen
# shops, and its sentence there is mostly the right one.
POINTED_RIGHT = 0.9
_SHORT = 4  # words that keep a short sentence from winning with one


def pointed(text: str, question: str, said: Sequence[str], rng: random.Random) -> str:
    """The sentences of a passage that share most words with what was said of it; where nothing was,
    or the reader errs, the one nearest to the question."""
    sentences, _ = _sentences(text)
    if not sentences:
        return text
    right = sorted({_nearest(text, s) for s in said}) if rng.random() < POINTED_RIGHT else []
    return " ".join(sentences[n] for n in right or [_nearest(text, question)])


def nearest_sentence(text: str, said: str) -> str:
    """The sentence of a passage, which has one, that shares most words with what was said."""
    return _sentences(text)[0][_nearest(text, said)]


def _nearest(text: str, said: str) -> int:
    wanted = _words(said)
    shares = [len(held & wanted) / (_SHORT + len(held)) for held in _sentences(text)[1]]
    return max(range(len(shares)), key=shares.__getitem__)


@lru_cache(maxsize=20_000)  # a shop's passages come back thousands of times
def _sentences(text: str) -> tuple[tuple[str, ...], tuple[frozenset[str], ...]]:
    """The sentences, and the content words of each."""
    sentences = tuple(s for line in text.splitlines() for s in split_sentences(line))
    return sentences, tuple(map(_words, sentences))


@lru_cache(maxsize=1000)
def _words(text: str) -> frozenset[str]:
    return frozenset(content_words(text))
