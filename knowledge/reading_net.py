"""The reader's network: MiniLM with a LoRA adapter and two heads. Imported only where torch is.

One head says from the [CLS] state whether the text answers the question; the other marks at each
token how likely the answer begins and ends there (Devlin et al., arXiv 1810.04805, section 4.2;
as in SQuAD 2.0 the [CLS] token stands for "no answer").
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from knowledge.heads import Headed


class ReadingNet(Headed):
    """Token ids of (question, text) rows to relevance (rows,), start and end (rows, tokens)."""

    def __init__(self, backbone: Any) -> None:
        super().__init__()
        width = int(backbone.config.hidden_size)
        self.backbone = backbone
        self.dense = nn.Linear(width, width)
        self.relevance = nn.Linear(width, 1)
        self.span = nn.Linear(width, 2)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Logits; those of padding and of the question mean nothing."""
        hidden = self.backbone(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).last_hidden_state
        first = torch.tanh(self.dense(hidden[:, 0]))
        start, end = self.span(hidden).unbind(-1)
        return self.relevance(first).squeeze(-1), start, end
