"""Messages with a word or two replaced by one that means about the same.

Neighbours are words of the checkpoint's own vocabulary whose vectors, embedded by the encoder as
texts of their own, lie near: Alzantot et al., "Generating natural language adversarial examples",
EMNLP 2018, replace words by their neighbours in a space of word vectors.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping, Sequence

import jieba
import numpy as np

from knowledge.encoder import Encoder
from knowledge.minilm import ENCODER_ADAPTER, extended_tokenizer, minilm_folder
from knowledge.segment import STOPWORDS, is_cjk, stem

_WORD = re.compile(r"[A-Za-z]{3,}|[\u4e00-\u9fff]{2,}")
_WORD_EDGES = re.compile(r"([A-Za-z]+|[\u4e00-\u9fff]+)")
_NEAREST = 3
_CLOSE = 0.6  # least cosine of a neighbour
_AT_ONCE = 2000


class Synonyms:
    """Neighbours of the words that it was made for."""

    def __init__(self, neighbours: Mapping[str, Sequence[str]]) -> None:
        self._neighbours = neighbours

    @classmethod
    def of(cls, encoder: Encoder, words: Iterable[str], vocabulary: Iterable[str]) -> Synonyms:
        """Of `words`, among the words of `vocabulary`."""
        wanted = sorted({w.casefold() for w in words} - STOPWORDS)
        offered = sorted({w for w in vocabulary if _WORD.fullmatch(w)} - STOPWORDS)
        if not wanted or not offered:
            return cls({})
        theirs = encoder.embed(offered)
        found: dict[str, list[str]] = {}
        for start in range(0, len(wanted), _AT_ONCE):
            asked = wanted[start : start + _AT_ONCE]
            cosines = encoder.embed(asked) @ theirs.T
            best = np.argsort(-cosines, axis=1)[:, : 4 * _NEAREST]
            for n, (word, row) in enumerate(zip(asked, best, strict=True)):
                near = [offered[at] for at in row if cosines[n, at] >= _CLOSE]
                found[word] = [w for w in near if stem(w) != stem(word)][:_NEAREST]
        return cls({word: near for word, near in found.items() if near})

    def replaced(self, text: str, share: float, rng: random.Random) -> str:
        """The text with about `share` of the words that have neighbours replaced, at least one."""
        pieces = _pieces(text)
        places = [n for n, piece in enumerate(pieces) if piece.casefold() in self._neighbours]
        if not places:
            return text
        for n in [n for n in places if rng.random() < share] or [rng.choice(places)]:
            pieces[n] = rng.choice(self._neighbours[pieces[n].casefold()])
        return "".join(pieces)

    @classmethod
    def for_texts(cls, encoder: Encoder, texts: Iterable[str]) -> Synonyms:
        """Of the words of texts, among the whole words that the embedded encoder has tokens for."""
        vocabulary = extended_tokenizer(minilm_folder(), ENCODER_ADAPTER).get_vocab()
        return cls.of(encoder, words_in(texts), vocabulary)


def words_in(texts: Iterable[str]) -> set[str]:
    """The words that could be replaced."""
    return {p.casefold() for text in texts for p in _pieces(text) if _WORD.fullmatch(p)}


def _pieces(text: str) -> list[str]:
    """The text cut at the edges of its words; Chinese is cut by jieba."""
    cut = (jieba.lcut(p) if is_cjk(p) else [p] for p in re.split(_WORD_EDGES, text) if p)
    return [piece for pieces in cut for piece in pieces]
