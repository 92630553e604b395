"""Synonyms and rewritings, with the real encoder and real, tiny models."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from transformers import AutoTokenizer, BartConfig, BartForConditionalGeneration

from finetune.errors import BaseModelError
from finetune.intent_data import Utterances
from finetune.rewriters import BackTranslation, LanguageModelRewriter
from finetune.rewriting import Rewriting
from finetune.synonyms import Synonyms, words_in
from knowledge.encoder import Encoder

TEXTS = ("Where is my refund?", "Cancel the delivery please", "")


def test_a_word_is_replaced_by_one_that_means_the_same(encoder: Encoder) -> None:
    offered = ["cost", "banana", "prices", "price", "lawyer", "attorney", "退款", "退货"]
    table = Synonyms.of(encoder, words_in(["The price of a lawyer"]), offered)
    changed = {table.replaced("The price of a lawyer", 1.0, random.Random(n)) for n in range(20)}
    assert changed == {"The cost of a attorney"}  # "prices" is the same word


def test_of_a_chinese_sentence_a_word_is_replaced_and_not_the_sentence() -> None:
    table = Synonyms({"运费": ["邮费"]})
    assert table.replaced("请问运费多少钱", 1.0, random.Random(1)) == "请问邮费多少钱"
    assert "运费" in words_in(["请问运费多少钱"])


def test_without_neighbours_a_text_stays(encoder: Encoder) -> None:
    assert (
        Synonyms.of(encoder, ["price"], []).replaced("The price", 1.0, random.Random(1))
        == "The price"
    )
    assert Synonyms.of(encoder, ["price"], ["banana"]).replaced("!", 1.0, random.Random(1)) == "!"


class Scripted:
    """A rewriter that says what it is told to."""

    def __init__(self, *written: str) -> None:
        self.written = list(written)

    def rewrite(self, texts: Sequence[str]) -> list[str]:
        assert len(texts) == len(self.written)
        return self.written


def test_only_rewritings_that_mean_the_same_are_added(encoder: Encoder) -> None:
    utterances = Utterances(TEXTS[:2], (("refund",), ("order_change",)), ("hamlet",))
    better = Scripted("Where has my refund gone?", "The moon is made of cheese")
    held = Scripted("", "Cancel my delivery, please")
    found = Rewriting([better, held], encoder).added_to(utterances, [held.written[1]])
    assert found.texts == (*TEXTS[:2], "Where has my refund gone?")
    assert found.intents == (("refund",), ("order_change",), ("refund",))
    assert found.outside == utterances.outside


def test_a_language_model_writes_a_line_for_each_text_and_the_same_again(base: Path) -> None:
    rewriter = LanguageModelRewriter(base)
    written = rewriter.rewrite(TEXTS)
    assert len(written) == 3
    assert all("\n" not in line for line in written)
    assert rewriter.rewrite(TEXTS) == written


def test_a_text_is_translated_there_and_back(base: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.pad_token = tokenizer.eos_token
    sizes = {f"{side}_{name}": n for side in ("encoder", "decoder")
             for name, n in (("layers", 1), ("attention_heads", 2), ("ffn_dim", 32))}  # fmt: skip
    config = BartConfig(
        vocab_size=len(tokenizer), d_model=16, max_position_embeddings=128, **sizes,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id, decoder_start_token_id=1,
        forced_eos_token_id=None,
    )  # fmt: skip
    BartForConditionalGeneration(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert len(BackTranslation(tmp_path, tmp_path).rewrite(TEXTS)) == 3


def test_a_folder_without_a_translation_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BaseModelError, match="no translation model"):
        BackTranslation(tmp_path, tmp_path)
