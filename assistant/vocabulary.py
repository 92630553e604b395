"""A base's tokenizer as its files say; read without transformers, which brings torch along."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from finetune.registry import PromptTemplate


class Vocabulary:
    """Texts to tokens. Thread-safe, which the wrapper of transformers is not ("Already borrowed",
    transformers#47085)."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer: Tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        file = folder / "tokenizer_config.json"
        config = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        self.begin, self.end, self.unknown = (
            _content(config.get(f"{name}_token")) for name in ("bos", "eos", "unk")
        )
        added = self.tokenizer.get_added_tokens_decoder().values()
        self.special = tuple(token.content for token in added if token.special)

    def __len__(self) -> int:
        return self.tokenizer.get_vocab_size()

    def ids(self, text: str) -> list[int]:
        """The tokens of a text, none added."""
        found: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return found

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Tokens as the vocabulary writes them."""
        return [self.tokenizer.id_to_token(n) or "" for n in ids]

    def ends(self, template: PromptTemplate) -> frozenset[int]:
        """The tokens that end a reply."""
        named = (self.tokenizer.token_to_id(t) for t in (template.reply_end, self.end) if t)
        unknown = self.tokenizer.token_to_id(self.unknown) if self.unknown else None
        return frozenset(n for n in named if n is not None and n != unknown)

    def template(self) -> PromptTemplate:
        """The template that suits it."""
        held = self.tokenizer.get_vocab()
        return PromptTemplate.for_vocabulary(held, self.begin, self.special)


def _content(token: Any) -> str:
    """A special token, which a configuration writes as text or as an object."""
    return str(token.get("content") or "") if isinstance(token, dict) else str(token or "")
