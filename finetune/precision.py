"""The precision that training computes in."""

from __future__ import annotations

import torch


def mixed(device: torch.device | str) -> torch.autocast:
    """Bfloat16 where the processor computes in it (GPUs; AVX-512 BF16 and AMX), else single
    precision: emulated on AVX2, a matrix product in bfloat16 took 70 times as long."""
    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16, enabled=kind != "cpu" or _has_bfloat16())


def _has_bfloat16() -> bool:
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
