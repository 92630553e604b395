"""The reference engine: transformers with the base in 4 bits and the adapter beside it.

The adapter is never merged into the 4-bit weights, so what was evaluated is what is served.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    DynamicCache,
    StoppingCriteria,
    StoppingCriteriaList,
)
from transformers.generation.streamers import BaseStreamer

from assistant.token_engines import Request, TokenEngine, common
from assistant.vocabulary import Vocabulary
from finetune.registry import NF4

_KEPT = 4  # prompts whose keys and values are kept
_WORTH = 32  # tokens that two prompts must share to be worth taking over


class TransformersEngine(TokenEngine):
    """Decodes one request after another; what a prompt shares with an earlier one is not computed
    again."""

    name = "transformers-nf4"

    def __init__(self, base: Path, adapter: Path | None) -> None:
        super().__init__()
        self.vocabulary = Vocabulary(base)
        self._model = _load(base, adapter)
        config = self._model.config
        self.positions = int(getattr(config, "max_position_embeddings", 0) or 10**9)
        self._prefixes = Prefixes()
        # A prefix adapter puts its own keys and values in front of the prompt's.
        adapted = getattr(self._model, "active_peft_config", None)
        self._has_prefix = bool(adapted and adapted.is_prompt_learning)

    def decode(self, requests: Sequence[Request]) -> None:
        """See TokenEngine; there is one request."""
        (request,) = requests
        ids = torch.tensor([list(request.ids)], device=self._model.device)
        cache = None if self._has_prefix else self._prefixes.take(request.ids)
        drawn: dict[str, Any] = {"do_sample": False}
        if sampling := request.sampling:
            drawn = {"do_sample": True, "temperature": sampling.temperature}
            drawn |= {"top_k": sampling.top_k}
        with torch.inference_mode():
            output = self._model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                past_key_values=cache,
                max_new_tokens=request.limit,
                eos_token_id=sorted(request.ends) or None,
                pad_token_id=min(request.ends, default=0),
                stopping_criteria=StoppingCriteriaList([_Unwanted(request)]),
                streamer=_Pushed(request),
                **drawn,
            )
        if cache:
            self._prefixes.keep(output[0].tolist(), cache)

    def shed(self) -> None:
        """See TokenEngine."""
        self._prefixes = Prefixes()


class Prefixes:
    """Keys and values of the latest prompts with their replies, by their tokens."""

    def __init__(self) -> None:
        self._kept: list[tuple[list[int], DynamicCache]] = []

    def take(self, ids: Sequence[int]) -> DynamicCache:
        """The cache that shares most with a prompt, cut to what it shares; or an empty one."""
        shared = [common(ids, held) for held, _ in self._kept]
        best = max(shared, default=0)
        if best < _WORTH:
            return DynamicCache()
        _, cache = self._kept.pop(shared.index(best))
        # One token at least must be read, to say what follows it.
        if surplus := cache.get_seq_length() - min(best, len(ids) - 1):
            cache.crop(-surplus)
        return cache

    def keep(self, ids: list[int], cache: DynamicCache) -> None:
        """Keep what was computed of these tokens; the oldest goes."""
        self._kept.append((ids[: cache.get_seq_length()], cache))
        del self._kept[:-_KEPT]


class _Pushed(BaseStreamer):  # type: ignore[misc]
    """Hands tokens on; the first that `generate` gives are the prompt's."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.seen_prompt = False

    def put(self, value: torch.Tensor) -> None:
        """Tokens of the prompt, then one at a time of the reply."""
        if self.seen_prompt:
            for token in value.flatten().tolist():
                self.request.push(token)
        self.seen_prompt = True

    def end(self) -> None:
        """Called after the last token."""


class _Unwanted(StoppingCriteria):  # type: ignore[misc]
    """Ends a generation between two tokens when nobody waits for it any more."""

    def __init__(self, request: Request) -> None:
        self.request = request

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> torch.Tensor:
        done = not self.request.wanted
        return torch.full((input_ids.shape[0],), done, device=input_ids.device)


def _load(folder: Path, adapter: Path | None) -> Any:
    """The base in NF4, what is left in float32 (a GPU: bfloat16), and the adapter beside it."""
    gpu = torch.cuda.is_available()
    dtype = torch.bfloat16 if gpu else torch.float32
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder,
        quantization_config=BitsAndBytesConfig(  # type: ignore[no-untyped-call]
            **NF4, bnb_4bit_compute_dtype=dtype
        ),
        dtype=dtype,
        device_map={"": 0 if gpu else "cpu"},
        use_safetensors=True,
    )
    if adapter:
        from peft import PeftModel  # seconds to import, and a bare base does without

        model = PeftModel.from_pretrained(model, adapter)
    return model.eval()
