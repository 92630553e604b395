"""Models as they are evaluated: what replies cost them, and what they reply themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from finetune.examples import IGNORED, Encoded, collate
from finetune.prompt import PromptTemplate


class ScoredModel(Protocol):
    """What `evaluate` asks of a model, whatever engine runs it."""

    def losses(self, rows: Sequence[Encoded]) -> list[tuple[float, int]]:
        """Summed cross-entropy, in nats, and count of the tokens of each row's reply."""
        ...

    def replies(self, rows: Sequence[Encoded]) -> list[str]:
        """Greedy replies to the prompts."""
        ...


class TorchModel:
    """A model of transformers, with or without an adapter beside it."""

    def __init__(
        self, model: Any, tokenizer: Any, template: PromptTemplate, max_new_tokens: int
    ) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.template = template
        self.max_new_tokens = max_new_tokens

    @torch.inference_mode()
    def losses(self, rows: Sequence[Encoded]) -> list[tuple[float, int]]:
        """See ScoredModel.

        From logits: the loss that AdaLoRA returns has its regulariser in it.
        """
        tensors = collate(rows, self.tokenizer.pad_token_id)
        batch = {name: tensor.to(self.model.device) for name, tensor in tensors.items()}
        labels = batch.pop("labels")[:, 1:]
        logits = self.model(**batch).logits[:, :-1]
        losses = torch.nn.functional.cross_entropy(
            logits.float().transpose(1, 2), labels, ignore_index=IGNORED, reduction="none"
        )
        counts = (labels != IGNORED).sum(1)
        return list(zip(losses.sum(1).tolist(), counts.tolist(), strict=True))

    @torch.inference_mode()
    def replies(self, rows: Sequence[Encoded]) -> list[str]:
        """See ScoredModel; prompts are padded on the left, where a batch must be."""
        width = max(row.prompt_tokens for row in rows)
        pad = self.tokenizer.pad_token_id
        ids = torch.full((len(rows), width), pad)
        mask = torch.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, width - row.prompt_tokens :] = torch.tensor(row.ids[: row.prompt_tokens])
            mask[i, width - row.prompt_tokens :] = 1
        output = self.model.generate(
            input_ids=ids.to(self.model.device),
            attention_mask=mask.to(self.model.device),
            max_new_tokens=self.max_new_tokens,
            do_sample=False,
            eos_token_id=ends_of(self.tokenizer, self.template) or None,
            pad_token_id=pad,
        )
        texts = self.tokenizer.batch_decode(output[:, width:], skip_special_tokens=True)
        return [before_end(text, self.template) for text in texts]


class Int8Model:
    """An export that CTranslate2 runs (see export.py)."""

    def __init__(
        self, folder: Path, tokenizer: Any, template: PromptTemplate, max_new_tokens: int
    ) -> None:
        import ctranslate2

        self.model = ctranslate2.Generator(str(folder), compute_type="int8")
        self.tokenizer = tokenizer
        self.template = template
        self.max_new_tokens = max_new_tokens

    def losses(self, rows: Sequence[Encoded]) -> list[tuple[float, int]]:
        """See ScoredModel."""
        longest = max(len(row.ids) for row in rows)
        found = self.model.score_batch(
            [self._texts(row.ids) for row in rows], max_input_length=longest
        )
        pairs = zip(found, rows, strict=True)
        likely = [result.log_probs[row.prompt_tokens - 1 :] for result, row in pairs]
        return [(-sum(row), len(row)) for row in likely]

    def replies(self, rows: Sequence[Encoded]) -> list[str]:
        """See ScoredModel; one after another, as prompts of unlike length go badly together."""
        said = [
            self.model.generate_batch(
                [self._texts(row.ids[: row.prompt_tokens])],
                max_length=self.max_new_tokens,
                end_token=ends_of(self.tokenizer, self.template),
                include_prompt_in_result=False,
            )[0].sequences_ids[0]
            for row in rows
        ]
        texts = self.tokenizer.batch_decode(said, skip_special_tokens=True)
        return [before_end(text, self.template) for text in texts]

    def _texts(self, ids: Sequence[int]) -> list[str]:
        texts: list[str] = self.tokenizer.convert_ids_to_tokens(list(ids))
        return texts


def ends_of(tokenizer: Any, template: PromptTemplate) -> list[int]:
    """The tokens that end a reply."""
    ends = {tokenizer.convert_tokens_to_ids(template.reply_end), tokenizer.eos_token_id}
    return sorted(ends - {None, tokenizer.unk_token_id})


def before_end(text: str, template: PromptTemplate) -> str:
    """A reply up to its end, which a plain template says in words."""
    return text.lstrip().split(template.reply_end)[0].strip()
