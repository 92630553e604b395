"""A network of MiniLM and heads of its own, which are kept beside the adapter. Imported only where
torch is."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn

from knowledge.minilm import HEADS


class Headed(nn.Module):
    """A module whose `backbone` is MiniLM; all else in it are heads."""

    def head_state(self) -> dict[str, Tensor]:
        """The heads' weights, by name."""
        return {n: t for n, t in self.state_dict().items() if not n.startswith("backbone.")}

    def load_heads(self, folder: Path) -> None:
        """Read the heads that training saved in folder."""
        tensors = {n: t.float() for n, t in load_file(folder / HEADS).items()}
        self.load_state_dict(tensors, strict=False)
