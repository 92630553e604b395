"""New tokens for an encoder, and where their vectors start."""

from __future__ import annotations

import numpy as np
import pytest

from finetune.vocabulary import frequent_tokens, starting_vectors, translation_table
from knowledge.minilm import add_tokens, extended_tokenizer, minilm_folder


def test_frequent_characters_and_words_are_taken_and_known_ones_left_out() -> None:
    tokens = frequent_tokens(["退货运费", "退货政策", "退货 30 days"], ["货"], words=1)
    assert tokens == ["退", "退货"]


def test_words_that_occur_together_are_found_to_translate_each_other() -> None:
    foreign = [[1, 2], [1, 3], [2, 3], [1]]
    english = [[11, 12], [11, 13], [12, 13], [11]]
    table = translation_table(foreign, english)
    assert {f: best[0][0] for f, best in table.items()} == {1: 11, 2: 12, 3: 13}
    assert table[1][0][1] > 0.9


def test_a_word_starts_near_its_translation_and_a_strange_one_from_its_characters() -> None:
    tokenizer = extended_tokenizer(minilm_folder(), None)
    tokens = ["退", "款", "退款"]
    add_tokens(tokenizer, tokens)
    embeddings = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    ids = [tokenizer.token_to_id(t) for t in tokens]
    vectors = starting_vectors(
        tokens, tokenizer, {ids[0]: [(7, 0.9)], ids[1]: [(9, 0.8)]}, embeddings
    )
    centred = vectors - embeddings.mean(0)
    wanted = embeddings[[7, 9]] - embeddings.mean(0)

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    assert cosine(centred[0], wanted[0]) == pytest.approx(1, abs=1e-5)
    assert cosine(centred[2], centred[0] + centred[1]) == pytest.approx(1, abs=1e-5)
