"""The verifier's network: MiniLM with a LoRA adapter and a head of three verdicts. Imported only
where torch is."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from knowledge.heads import Headed

VERDICTS = ("supported", "contradicted", "unstated")


class VerdictNet(Headed):
    """Token ids of (sentence, passage) rows to logits (rows, VERDICTS)."""

    def __init__(self, backbone: Any) -> None:
        super().__init__()
        width = int(backbone.config.hidden_size)
        self.backbone = backbone
        self.dense = nn.Linear(width, width)
        self.verdict = nn.Linear(width, len(VERDICTS))

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        """See the class."""
        hidden = self.backbone(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).last_hidden_state
        verdicts: Tensor = self.verdict(torch.tanh(self.dense(hidden[:, 0])))
        return verdicts
