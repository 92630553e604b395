"""Tokenizers as the files of a base describe them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

from assistant.vocabulary import Vocabulary
from finetune.prompt import PromptTemplate

WORDS = ["[UNK]", "hello", "there", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]


def vocabulary(folder: Path, config: dict[str, Any] | None) -> Vocabulary:
    tokenizer = Tokenizer(models.WordLevel({w: n for n, w in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens([AddedToken(w, special=True) for w in WORDS[3:]])
    tokenizer.save(str(folder / "tokenizer.json"))
    if config is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return Vocabulary(folder)


@pytest.mark.parametrize("eos", ["</s>", {"content": "</s>", "special": True}])
def test_special_tokens_are_read_however_they_are_written(tmp_path: Path, eos: Any) -> None:
    held = vocabulary(tmp_path, {"bos_token": "<s>", "eos_token": eos, "unk_token": "[UNK]"})
    assert (held.begin, held.end, held.unknown) == ("<s>", "</s>", "[UNK]")
    template = held.template()
    assert template.reply_end == "<|im_end|>"
    assert template.opening == "<s>"
    assert set(WORDS[3:]) <= set(template.reserved)
    assert held.ends(template) == {WORDS.index("</s>"), WORDS.index("<|im_end|>")}


def test_without_a_configuration_a_text_still_has_its_tokens(tmp_path: Path) -> None:
    held = vocabulary(tmp_path, None)
    assert held.ids("hello there you") == [1, 2, 0]
    assert held.tokens([1, 0]) == ["hello", "[UNK]"]
    assert len(held) == len(WORDS)
    assert held.ends(PromptTemplate(reply_end="\n")) == frozenset()


def test_an_end_that_is_no_token_ends_nothing(tmp_path: Path) -> None:
    held = vocabulary(tmp_path, {"eos_token": "</s>", "unk_token": "[UNK]"})
    assert held.ends(PromptTemplate(reply_end="\n")) == {WORDS.index("</s>")}
