"""The router's network: MiniLM with a LoRA adapter and a direction for each intent, with which
messages are compared. Imported only where torch is."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from knowledge.heads import Headed

SCALE = 20.0  # of the cosines


class IntentNet(Headed):
    """Token ids (rows, tokens) to logits (rows, intents)."""

    def __init__(self, backbone: Any, intents: int) -> None:
        super().__init__()
        width = int(backbone.config.hidden_size)
        self.backbone = backbone
        self.directions = nn.Parameter(torch.zeros(intents, width))
        self.bias = nn.Parameter(torch.zeros(intents))

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        """See the class."""
        embeddings = self.backbone.get_input_embeddings()(input_ids)
        return self.logits(self.vectors(embeddings, attention_mask))

    def vectors(self, embeddings: Tensor, attention_mask: Tensor) -> Tensor:
        """Mean-pooled unit vectors (rows, width) of word embeddings (rows, tokens, width)."""
        hidden = self.backbone(
            inputs_embeds=embeddings, attention_mask=attention_mask
        ).last_hidden_state.float()
        weights = attention_mask.unsqueeze(-1).float()
        return functional.normalize((hidden * weights).sum(1) / weights.sum(1), dim=-1)

    def logits(self, vectors: Tensor) -> Tensor:
        """(rows, intents)."""
        return SCALE * vectors @ functional.normalize(self.directions, dim=-1).T + self.bias
