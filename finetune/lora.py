"""A LoRA adapter on the embedded encoder, as it is shipped: small, and without a trace of where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from knowledge.minilm import ADAPTER, HEADS

BASE_NAME = "sentence-transformers/all-MiniLM-L6-v2"


def save_headed(net: Any, out: Path) -> None:
    """Write the adapter and the heads of a `knowledge.heads.Headed` in float16."""
    save_adapter(net.backbone, out)
    heads = {name: t.half().cpu().contiguous() for name, t in net.head_state().items()}
    save_file(heads, out / HEADS)


def save_adapter(model: Any, out: Path) -> None:
    """Write a PEFT model's adapter to out in float16, its base under the public name."""
    model.save_pretrained(out)
    tensors = {
        n: t.half().contiguous() for n, t in load_file(out / ADAPTER).items() if "lora_" in n
    }
    save_file(tensors, out / ADAPTER)
    path = out / "adapter_config.json"
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = BASE_NAME
    config["target_modules"] = sorted(config["target_modules"])
    path.write_text(json.dumps(config, indent=1, sort_keys=True))
    card = out / "README.md"
    if card.is_file() and "base_model" in card.read_text()[:200]:
        card.unlink()  # peft's empty card; ours is written by hand
