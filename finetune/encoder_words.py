"""The words that an encoder is given: which ones, and where their vectors start."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file

from finetune.vocabulary import frequent_tokens, starting_vectors, translation_table
from knowledge.hanzi import simplified
from knowledge.minilm import (
    EMBEDDINGS,
    VOCABULARY,
    add_tokens,
    backbone,
    extended_tokenizer,
    minilm_folder,
)


@dataclass(frozen=True, slots=True)
class AddedWords:
    """Tokens to add and where their vectors start, float32 (tokens, width)."""

    tokens: list[str]
    vectors: NDArray[np.float32]


def added_words(texts: Iterable[str], pairs: Sequence[tuple[str, str]], count: int) -> AddedWords:
    """Frequent tokens of texts, their vectors drawn from pairs (foreign, English)."""
    tokenizer = extended_tokenizer(minilm_folder(), None)
    first_new = tokenizer.get_vocab_size()
    tokens = frequent_tokens(map(simplified, texts), tokenizer.get_vocab(), count)
    add_tokens(tokenizer, tokens)

    def ids(side: int) -> list[list[int]]:
        return [
            e.ids
            for e in tokenizer.encode_batch(
                [simplified(p[side]) for p in pairs], add_special_tokens=False
            )
        ]

    foreign = [[i for i in row if i >= first_new] for row in ids(0)]
    table = translation_table(foreign, ids(1))
    old = backbone(minilm_folder(), None).embeddings.word_embeddings.weight.data.numpy()
    return AddedWords(tokens, starting_vectors(tokens, tokenizer, table, old))


def words_of(folder: Path) -> AddedWords:
    """The tokens and vectors that an earlier training wrote."""
    tokens = json.loads((folder / VOCABULARY).read_text(encoding="utf-8"))
    return AddedWords(tokens, load_file(folder / EMBEDDINGS)["embeddings"].float().numpy())
