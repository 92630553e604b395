"""The product reranker's network: MiniLM with a LoRA adapter and a head that says how well two
texts go together. Imported only where torch is."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from knowledge.heads import Headed


class RelevanceNet(Headed):
    """Token ids of (search, product) rows to a logit (rows,)."""

    def __init__(self, backbone: Any) -> None:
        super().__init__()
        width = int(backbone.config.hidden_size)
        self.backbone = backbone
        self.dense = nn.Linear(width, width)
        self.relevance = nn.Linear(width, 1)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        """See the class."""
        hidden = self.backbone(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).last_hidden_state
        logits: Tensor = self.relevance(torch.tanh(self.dense(hidden[:, 0]))).squeeze(-1)
        return logits
