"""Whether there is memory for another language model beside the one that answers."""

from __future__ import annotations

from pathlib import Path

_SPARE_BYTES = 2**30  # left to the customers' conversations
_MEMORY = Path("/proc/meminfo")


def holds_another(base: Path) -> bool:
    """Whether a model of this folder's weights can be loaded."""
    weights = sum(p.stat().st_size for p in base.glob("*.safetensors"))
    return _free_bytes() >= weights + _SPARE_BYTES


def _free_bytes() -> float:
    """Memory that may be used without swapping; no bound where the system does not tell."""
    try:
        lines = dict(line.split(":", 1) for line in _MEMORY.read_text().splitlines())
        return 1024.0 * int(lines["MemAvailable"].split()[0])
    except (OSError, ValueError, KeyError):
        return float("inf")
