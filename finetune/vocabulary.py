"""New words for an encoder: tokens of a language it cannot read, and where their vectors start.

MiniLM's vocabulary has 244 Chinese characters. The frequent characters and words of a corpus are
added as tokens; a new token's vector starts as the mean of the English word pieces it is translated
by, weighed by IBM model 1 (Brown et al., "The mathematics of statistical machine translation",
Computational Linguistics 19(2), 1993) fitted on parallel sentences.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import jieba
import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

_RUN = re.compile(r"[\u4e00-\u9fff]+")
_MIN_CHARACTER_COUNT = 3
_MAX_WORD_CHARACTERS = 4
_MAX_TOKENS = 40  # longer sentences align badly and cost the square
_ITERATIONS = 5
_BEST = 8  # translations that a vector starts from
_MIN_PROBABILITY = 0.02


def frequent_tokens(texts: Iterable[str], known: Iterable[str], words: int) -> list[str]:
    """Characters seen a few times and the `words` most frequent words, without those known."""
    characters: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for text in texts:
        for run in _RUN.findall(text):
            characters.update(run)
            counts.update(w for w in jieba.cut(run) if 1 < len(w) <= _MAX_WORD_CHARACTERS)
    held = set(known)
    kept = sorted(c for c, n in characters.items() if n >= _MIN_CHARACTER_COUNT and c not in held)
    return kept + sorted(w for w, _ in counts.most_common(words) if w not in held)


def translation_table(
    foreign: Sequence[Sequence[int]], english: Sequence[Sequence[int]]
) -> dict[int, list[tuple[int, float]]]:
    """For each foreign token the English tokens that translate it best, with probabilities.

    IBM model 1 without a null word, by expectation maximisation over aligned sentences.
    """
    left, right, sentence = [], [], []
    for number, (f, e) in enumerate(zip(foreign, english, strict=True)):
        if 0 < len(f) <= _MAX_TOKENS and 0 < len(e) <= _MAX_TOKENS:
            left.append(np.repeat(np.array(f, dtype=np.int64), len(e)))
            right.append(np.tile(np.array(e, dtype=np.int64), len(f)))
            slots = np.tile(np.arange(len(e), dtype=np.int64), len(f))
            sentence.append(slots + number * _MAX_TOKENS)
    f_ids, e_ids, slots = map(np.concatenate, (left, right, sentence))
    base = int(e_ids.max()) + 1
    keys, pair = np.unique(f_ids * base + e_ids, return_inverse=True)
    owner = keys // base
    _, slots = np.unique(slots, return_inverse=True)
    probability = np.ones(len(keys), dtype=np.float64)
    for _ in range(_ITERATIONS):
        weight = probability[pair]
        weight /= np.bincount(slots, weight)[slots]
        expected = np.bincount(pair, weight, minlength=len(keys))
        probability = expected / np.bincount(owner, expected)[owner]
    table: dict[int, list[tuple[int, float]]] = {}
    order = np.lexsort((-probability, owner))
    for index in order:
        best = table.setdefault(int(owner[index]), [])
        if len(best) < _BEST and probability[index] >= _MIN_PROBABILITY:
            best.append((int(keys[index] % base), float(probability[index])))
    return table


def starting_vectors(
    tokens: Sequence[str],
    tokenizer: Tokenizer,
    table: dict[int, list[tuple[int, float]]],
    embeddings: NDArray[np.float32],
) -> NDArray[np.float32]:
    """float32 (tokens, width): the weighed mean of a token's translations at the usual length.

    A word without translations starts as the mean of its characters, a character as the mean of
    all vectors. `tokenizer` already holds the tokens; `embeddings` are those it had before.
    """
    usual = float(np.linalg.norm(embeddings, axis=1).mean())
    centre = embeddings.mean(0)
    vectors: dict[str, NDArray[np.float32]] = {}
    for token in sorted(tokens, key=len):
        translations = table.get(tokenizer.token_to_id(token) or -1, [])
        if translations:
            vector = sum(p * (embeddings[e] - centre) for e, p in translations)
        else:
            vector = sum((vectors.get(c, centre) - centre for c in token), 0 * centre)
        length = float(np.linalg.norm(vector))
        scale = 0.9 * usual / length if length else 0.0
        vectors[token] = np.asarray(centre + scale * vector, dtype=np.float32)
    return np.stack([vectors[t] for t in tokens])
