"""LoRA, AdaLoRA, DoRA, a prefix and all weights on the starter: quality, memory, tokens a second.

    python -m benchmarks.methods [--set star] [--steps N] [--methods lora,adalora,dora,prefix,full]

Each adapter has about 1.15 million parameters when it is trained (AdaLoRA half as many more until
it has pruned), sees the same examples and sits on the starter in NF4; `full` trains all 30.4
million in float32. Rates are those of recipes/. Each runs in a process of its own, whose largest
resident memory while it trains is `MiB`; `tokens/s` counts loading and saving too; perplexity and
ROUGE-L are those of the test split, in NF4, as `benchmarks.adapters` has them. See
benchmarks.shapes for a 7B shape on a GPU.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.adapters import SETS
from benchmarks.starter import STARTER
from finetune.evaluate import evaluate
from finetune.examples import encode_all, examples_of, supported_share
from finetune.models import load_tokenizer, template_for
from finetune.rows import load_rows
from finetune.settings import METHODS, RECIPES, AdapterRecipe, WholeModelRecipe, load_recipe
from finetune.train import train_adapter, train_whole

# 8 layers of keys and values of 256: 4,096 numbers a position, so as many as LoRA of rank 16 has.
VIRTUAL_TOKENS = 280
PARAMETERS = 30_400_000


def measured(method: str, data: Path, steps: int, limit: int, work: Path) -> dict[str, float]:
    """A run of one method, and its scores."""
    base, adapter = STARTER, None
    started = time.perf_counter()
    if method == "full":
        whole = load_recipe(RECIPES / "full.yaml", WholeModelRecipe)
        train_whole(data, work / "out", STARTER, whole.model_copy(update={"max_steps": steps}))
        base, trained, recipe_batch = work / "out", PARAMETERS, whole.batch_size
    else:
        recipe = load_recipe(RECIPES / f"{method}.yaml", AdapterRecipe)
        changes = {"max_steps": steps, "virtual_tokens": VIRTUAL_TOKENS}
        manifest = train_adapter(data, work / "out", STARTER, recipe.model_copy(update=changes))
        adapter, trained = work / "out", int(manifest.training["parameters"])
        recipe_batch = recipe.batch_size
    seconds = time.perf_counter() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    scores = evaluate(data, base, adapter, supported_share, work / "engines", limit=limit)
    return {
        "parameters, millions": trained / 1e6,
        "tokens/s": steps * recipe_batch * mean_tokens(data) / seconds,
        "MiB": memory,
        "perplexity": scores.perplexity,
        "ROUGE-L": scores.rouge_l,
    }


def mean_tokens(data: Path) -> float:
    """Of an example."""
    tokenizer = load_tokenizer(STARTER)
    rows = list(examples_of(load_rows(data, "train")))[:2000]
    encoded = encode_all(rows, tokenizer, template_for(tokenizer), 640)
    return sum(len(row.ids) for row in encoded) / len(encoded)


def main() -> None:
    """Print a line for each method."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--set", choices=SETS, default="star")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--limit", type=int, default=100, help="replies to measure on")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--folder", type=Path, default=Path(".frontdesk/adapters-measured"))
    parser.add_argument("--only", choices=METHODS, help="one of them, as JSON")
    arguments = parser.parse_args()
    folder: Path = arguments.folder / arguments.set
    if not (folder / "data" / "manifest.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        SETS[arguments.set](folder)
    if arguments.only:
        with tempfile.TemporaryDirectory() as work:
            found: dict[str, Any] = measured(
                arguments.only, folder / "data", arguments.steps, arguments.limit, Path(work)
            )
        print(json.dumps(found))
        return
    for method in arguments.methods.split(","):
        command = [sys.executable, "-m", "benchmarks.methods", "--only", method]
        for name in ("set", "steps", "limit", "folder"):
            command += [f"--{name}", str(getattr(arguments, name))]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found = json.loads(printed.splitlines()[-1])
        print(f"{method:8}", "  ".join(f"{k} {v:.4g}" for k, v in found.items()), flush=True)


if __name__ == "__main__":
    main()
