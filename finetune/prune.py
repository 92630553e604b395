"""Prune a base: feed-forward units that matter least are cut out, the same number in each layer.

How much a unit matters: the norm of what it says over some text times the norm of the weights that
pass it on (Wanda, Sun et al., arXiv 2306.11695, taken a whole unit at a time, so that what is left
is an ordinary smaller model).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from finetune.base import refuse_to_overwrite, save_base
from finetune.errors import BaseModelError, DataError
from finetune.manifest import base_digest
from finetune.models import load_base
from finetune.reranker_data import Shop

_MULTIPLE = 64  # kernels are fastest at widths that this divides
_MAX_TOKENS = 512
_WEIGHED = 2  # passages of a shop


def weighing_texts(shops: Iterable[Shop]) -> list[str]:
    """A few passages of each shop: text enough to weigh a model's units by."""
    return [text for shop in shops for _, _, text in shop.passages[:_WEIGHED]]


@dataclass(frozen=True, slots=True)
class PruneReport:
    """Width of the feed-forward layers and all parameters, before and after."""

    units: tuple[int, int]
    parameters: tuple[int, int]
    base_sha256: str


def prune(base: Path, texts: Sequence[str], out: Path, keep: float) -> PruneReport:
    """Write the base with a share `keep` of its feed-forward units to out.

    Raises BaseModelError when out is not empty or the model is not built like a Llama, DataError
    without texts to weigh the units by.
    """
    refuse_to_overwrite(out)
    if not texts:
        raise DataError("no text to weigh the units by")
    model, tokenizer = load_base(base, quantised=False)
    layers = _feed_forward(model, base)
    before = layers[0].down_proj.in_features, _parameters(model)
    energies = _energies(model, tokenizer, layers, texts)
    count = max(_MULTIPLE, round(keep * before[0] / _MULTIPLE) * _MULTIPLE)
    for layer, energy in zip(layers, energies, strict=True):
        score = energy.sqrt() * layer.down_proj.weight.norm(dim=0)
        kept = score.topk(min(count, len(score))).indices.sort().values
        for name in ("gate_proj", "up_proj"):
            _cut(getattr(layer, name), kept, 0)
        _cut(layer.down_proj, kept, 1)
    units = layers[0].down_proj.in_features
    model.config.intermediate_size = units
    after = units, _parameters(model)
    save_base(model, tokenizer, out)
    return PruneReport((before[0], after[0]), (before[1], after[1]), base_digest(out))


def _feed_forward(model: Any, base: Path) -> list[Any]:
    try:
        return [layer.mlp for layer in model.model.layers if layer.mlp.gate_proj.bias is None]
    except AttributeError as error:
        raise BaseModelError(f"{base} has no gated feed-forward layers as a Llama has") from error


@torch.inference_mode()
def _energies(model: Any, tokenizer: Any, layers: list[Any], texts: Sequence[str]) -> list[Any]:
    """Squares of what each unit says, summed over the tokens of the texts: (units,) a layer."""
    sums = [torch.zeros(layer.down_proj.in_features) for layer in layers]

    def listen(place: int) -> Any:
        def add(_: Any, inputs: tuple[Any, ...]) -> None:
            sums[place] += inputs[0].flatten(0, -2).float().square().sum(0)

        return add

    hooks = [layer.down_proj.register_forward_pre_hook(listen(n)) for n, layer in enumerate(layers)]
    for text in texts:
        ids = tokenizer(text, truncation=True, max_length=_MAX_TOKENS, return_tensors="pt")
        model(input_ids=ids["input_ids"])
    for hook in hooks:
        hook.remove()
    return sums


def _cut(linear: Any, kept: Any, side: int) -> None:
    linear.weight = torch.nn.Parameter(linear.weight.data.index_select(side, kept))
    linear.out_features, linear.in_features = linear.weight.shape


def _parameters(model: Any) -> int:
    return sum(p.numel() for p in model.parameters())
