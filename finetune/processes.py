"""The processes that train together, started by `accelerate launch` or `torchrun`; else this one.

They share their gradients (DDP), or a whole model's weights as well (FSDP2). What a run leaves is
written by the first of them, beside the state of each one's random numbers in a checkpoint.
"""

from __future__ import annotations

from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import parse_flag_from_env
from torch.distributed.tensor import DTensor
from transformers import AutoModelForCausalLM

from finetune.errors import RecipeError


def processes() -> PartialState:
    """Those that train together."""
    return PartialState(cpu=not torch.cuda.is_available())


def refuse_shards(what: str) -> None:
    """Raise RecipeError where the processes would share weights, which `what` does not go with."""
    if parse_flag_from_env("ACCELERATE_USE_FSDP"):
        raise RecipeError(f"{what} cannot be sharded: launch it without --use_fsdp")


def whole(model: Any) -> Any:
    """The model; of one in shards (FSDP2) a whole copy in memory, which only the first process
    gets, and the others None. All processes call it together."""
    if not any(isinstance(p, DTensor) for p in model.parameters()):
        return model
    state = {}
    for name, tensor in model.state_dict().items():
        # One at a time: each is gathered on all processes, and kept by the first.
        gathered = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        if processes().is_main_process:
            state[name] = gathered.cpu()
    if not processes().is_main_process:
        return None
    copy = AutoModelForCausalLM.from_config(model.config)
    copy.load_state_dict(state)
    return copy
