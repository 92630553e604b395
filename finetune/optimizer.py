"""Muon for the matrices inside a transformer, AdamW for everything else.

Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/) orthogonalises the momentum of
hidden matrices. Its steps are scaled to AdamW's root mean square ("Muon is Scalable for LLM
Training", arXiv 2502.16982), so that one learning rate serves both; only the matrices decay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers import PreTrainedModel


class MuonWithAdamW(torch.optim.Optimizer):
    """Two optimizers as one; embeddings, the output layer, norms and biases are AdamW's."""

    def __init__(self, model: torch.nn.Module, learning_rate: float, weight_decay: float) -> None:
        output = model.get_output_embeddings() if isinstance(model, PreTrainedModel) else None
        tables = {
            id(parameter)
            for module in model.modules()
            if isinstance(module, torch.nn.Embedding) or module is output
            for parameter in module.parameters(recurse=False)
        }
        trained = [p for p in model.parameters() if p.requires_grad]
        inside = [p for p in trained if p.ndim == 2 and id(p) not in tables]
        others = [p for p in trained if p.ndim != 2 or id(p) in tables]
        self.parts: list[torch.optim.Optimizer] = [
            torch.optim.Muon(
                inside,
                lr=learning_rate,
                weight_decay=weight_decay,
                adjust_lr_fn="match_rms_adamw",
            ),
            torch.optim.AdamW(others, lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.0),
        ]
        # The very same groups: a schedule that sets their rates sets those of the parts.
        super().__init__([g for part in self.parts for g in part.param_groups], {})

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of both; a closure, which would be called twice, is refused."""
        if closure is not None:
            raise ValueError("MuonWithAdamW takes no closure")
        for part in self.parts:
            part.step()
        return None

    def state_dict(self) -> dict[str, Any]:
        """The states of both parts."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what state_dict gave."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [g for part in self.parts for g in part.param_groups]
