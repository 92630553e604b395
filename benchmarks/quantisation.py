"""One model in other precisions, and pruned: size, rate, memory, perplexity, supported replies.

    python -m benchmarks.quantisation [--base FOLDER] [--limit N]

Each variant runs in a process of its own. `perplexity` is a token of the unseen shops' written
replies (see benchmarks.starter), `supported` the share of the model's own answers to them that
their passages support; `tokens/s` is of greedy replies, reading the prompt included.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import torch

from assistant.settings import load_settings
from benchmarks.starter import MAX_NEW_TOKENS, MAX_TOKENS, SEED, STARTER, held_out, is_supported
from finetune.examples import MARK, encode
from finetune.export import exported
from finetune.models import load_base, load_tokenizer, template_for
from finetune.precision import has_bfloat16
from finetune.prune import prune, weighing_texts
from finetune.reranker_data import shops_below
from finetune.scored import Int8Model, ScoredModel, TorchModel

SHOPS = Path(__file__).parent.parent / "finetune" / "shops"
VARIANTS = ("fp32", "bf16", "int8", "nf4")
_KEEP, _BATCH = 0.75, 8


def load(variant: str, base: Path) -> tuple[ScoredModel, float]:
    """A variant, and MiB of its weights in memory, or on disk for an export."""
    tokenizer = load_tokenizer(base)
    template = template_for(tokenizer)
    if variant == "int8":
        folder = exported(base, None, load_settings().engines)
        size = (folder / "model.bin").stat().st_size
        return Int8Model(folder, tokenizer, template, MAX_NEW_TOKENS), size / 2**20
    model, _ = load_base(base, quantised=variant == "nf4")
    if variant == "bf16":
        model = model.to(torch.bfloat16)
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    return TorchModel(model, tokenizer, template, MAX_NEW_TOKENS), size / 2**20


def measure(variant: str, base: Path, limit: int) -> dict[str, Any]:
    """The figures of a variant."""
    examples = held_out()
    random.Random(SEED).shuffle(examples)
    before = psutil.Process().memory_info().rss
    model, size = load(variant, base)
    tokenizer = load_tokenizer(base)
    template = template_for(tokenizer)
    rows = [encode(e, tokenizer, template, MAX_TOKENS) for e in examples[:limit]]
    order = sorted(range(len(rows)), key=lambda i: rows[i].prompt_tokens)
    loss, count, said, seconds = 0.0, 0, 0, 0.0
    supported: list[bool] = []
    for start in range(0, len(order), _BATCH):
        chosen = order[start : start + _BATCH]
        batch = [rows[i] for i in chosen]
        for summed, tokens in model.losses(batch):
            loss, count = loss + summed, count + tokens
        started = time.perf_counter()
        replies = model.replies(batch)
        seconds += time.perf_counter() - started
        for i, reply in zip(chosen, replies, strict=True):
            said += len(tokenizer(reply, add_special_tokens=False)["input_ids"])
            if MARK.search(reply):
                supported.append(is_supported(reply, examples[i].passages))
    return {
        "weights MiB": round(size),
        "memory MiB": round((psutil.Process().memory_info().rss - before) / 2**20),
        "tokens/s": round(said / seconds, 1),
        "perplexity": round(math.exp(loss / count), 2),
        "supported": round(sum(supported) / len(supported), 3) if supported else None,
        "replies": len(rows),
    }


def main() -> None:
    """Print a line for each variant."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--base", type=Path, default=STARTER)
    parser.add_argument("--limit", type=int, default=96, help="replies")
    parser.add_argument("--only", choices=VARIANTS, help="one variant, as JSON")
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(measure(arguments.only, arguments.base, arguments.limit)))
        return
    with tempfile.TemporaryDirectory() as folder:
        pruned = Path(folder) / "pruned"
        prune(arguments.base, weighing_texts(shops_below(SHOPS)), pruned, _KEEP)
        runs = [(name, name, arguments.base) for name in VARIANTS]
        if not has_bfloat16("cpu"):
            print("bf16         left out: this processor only emulates it", flush=True)
            runs.pop(VARIANTS.index("bf16"))
        runs += [(f"pruned {name}", name, pruned) for name in ("fp32", "int8")]
        for name, variant, base in runs:
            command = [sys.executable, "-m", "benchmarks.quantisation", "--only", variant]
            command += ["--base", str(base), "--limit", str(arguments.limit)]
            found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            print(f"{name:12}", "  ".join(f"{k} {v}" for k, v in found.items()), flush=True)


if __name__ == "__main__":
    main()
