"""Muon for the matrices inside a transformer, AdamW for everything else.

Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/) orthogonalises the momentum of
hidden matrices. Its steps are scaled to AdamW's root mean square ("Muon is Scalable for LLM
Training", arXiv 2502.16982), so that one learning rate and one decay serve both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


class MuonWithAdamW(torch.optim.Optimizer):
    """Two optimizers as one; embeddings, the output layer, norms and biases are AdamW's."""

    def __init__(self, model: torch.nn.Module, learning_rate: float, weight_decay: float) -> None:
        inside: list[torch.nn.Parameter] = []
        others: list[torch.nn.Parameter] = []
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                hidden = parameter.ndim == 2 and "embed" not in name and "lm_head" not in name
                (inside if hidden else others).append(parameter)
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
        """One step of both. `closure` is not supported."""
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
