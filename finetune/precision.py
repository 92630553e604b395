"""The precision that training computes in."""

from __future__ import annotations

import torch


def mixed(device: torch.device | str) -> torch.autocast:
    """Bfloat16 where the processor computes in it (GPUs; AVX-512 BF16 and AMX), else single
    precision: emulated on AVX2, a matrix product in bfloat16 took 70 times as long."""
    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16, enabled=has_bfloat16(kind))


def has_bfloat16(kind: str) -> bool:
    """Whether this kind of device, "cpu" or "cuda", computes in it."""
    return kind != "cpu" or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
