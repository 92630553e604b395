"""The fast engine of a CPU: CTranslate2 with all matrices in 8 bits."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ctranslate2

from assistant.token_engines import Request, TokenEngine, common
from assistant.vocabulary import Vocabulary
from finetune.registry import exported

_LIKE = 16  # tokens by which prompts of a batch may differ: what is longer is read one by one
_WORTH = 64  # tokens that prompts must share to be kept
_KEPT = 16  # CTranslate2 forgets no prefix that it was told to keep
_RECENT = 8


class Int8Engine(TokenEngine):
    """Decodes prompts of about the same length side by side; a beginning that comes back, such as
    a passage that many ask for, is computed once."""

    name = "ctranslate2-int8"
    workers = 8  # so many conversations take turns on the cores, a token each

    def __init__(self, base: Path, adapter: Path | None, engines: Path, threads: int) -> None:
        super().__init__()
        self.vocabulary = Vocabulary(base)
        config = json.loads((base / "config.json").read_text())
        self.positions = int(config.get("max_position_embeddings") or 10**9)
        self._model = ctranslate2.Generator(
            str(exported(base, adapter, engines)),
            compute_type="int8",
            inter_threads=self.workers,
            intra_threads=threads,
        )
        self._recent: deque[Sequence[int]] = deque(maxlen=_RECENT)
        self._prefixes: list[tuple[int, ...]] = []
        self._learning = threading.Lock()

    def goes_with(self, first: Request, other: Request) -> bool:
        """See TokenEngine."""
        alike = (first.sampling, first.ends) == (other.sampling, other.ends)
        return alike and abs(len(first.ids) - len(other.ids)) <= _LIKE

    def decode(self, requests: Sequence[Request]) -> None:
        """See TokenEngine."""
        first = requests[0]
        prefix = self._prefix(requests)
        drawn: dict[str, Any] = {}
        if sampling := first.sampling:
            drawn = {"sampling_topk": sampling.top_k, "sampling_temperature": sampling.temperature}
        self._model.generate_batch(
            [self.vocabulary.tokens(r.ids[len(prefix) :]) for r in requests],
            static_prompt=self.vocabulary.tokens(prefix) or None,
            max_length=max(r.limit for r in requests),
            end_token=sorted(first.ends),
            include_prompt_in_result=False,
            callback=lambda step: not requests[step.batch_id].push(step.token_id),
            **drawn,
        )

    def _prefix(self, requests: Sequence[Request]) -> tuple[int, ...]:
        """The longest of the kept beginnings that all prompts share; new ones are learnt."""
        with self._learning:
            self._learn(requests)
        kept = [
            p
            for p in self._prefixes
            if all(len(p) < len(r.ids) and tuple(r.ids[: len(p)]) == p for r in requests)
        ]
        return max(kept, key=len, default=())

    def _learn(self, requests: Sequence[Request]) -> None:
        for request in requests:
            if len(self._prefixes) < _KEPT:
                shared = max((common(request.ids, r) for r in self._recent), default=0)
                prefix = tuple(request.ids[: min(shared, len(request.ids) - 1)])
                if shared >= _WORTH and prefix not in self._prefixes:
                    self._prefixes.append(prefix)
            self._recent.append(request.ids)


def has_gpu() -> bool:
    """Whether there is one, on which the 4-bit model is the faster."""
    return bool(ctranslate2.get_cuda_device_count())
