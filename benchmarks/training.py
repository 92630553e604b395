"""Training an adapter: our loop beside trl's SFTTrainer as it comes, on one model and its data.

    python -m benchmarks.training [--steps N] [--base FOLDER]

Both train LoRA of rank 16 on the starter in NF4 over the same replies of the demo shop's dialogues,
eight a step, and each runs in a process of its own. trl keeps its defaults (gradient checkpointing,
rows padded to the longest), but for bfloat16 where the processor only emulates it. `tokens/s`
counts tokens that are not padding; `loss` is that of the last steps, `MiB` the largest resident
memory. Needs the package trl.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

from assistant.demo.__main__ import main as make_demo
from benchmarks.latency import DEMO
from benchmarks.starter import STARTER
from finetune.examples import IGNORED, Example, collate, encode, examples_of
from finetune.loop import begin, run
from finetune.models import load_base, template_for
from finetune.passages import DocumentPassages
from finetune.precision import has_bfloat16
from finetune.prepare import prepare
from finetune.rows import load_rows
from finetune.settings import AdapterRecipe
from knowledge.language import Detector

BATCH, MAX_TOKENS, RATE, RANK, SEED = 8, 640, 1e-3, 16, 7
SHOP_SEED = 20261123
LORA = LoraConfig(r=RANK, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")


def examples(count: int, folder: Path) -> list[Example]:
    """The first training examples of the demo shop's dialogues."""
    make_demo(folder / "demo", seed=SHOP_SEED)
    dialogues = folder / "some.jsonl"
    whole = (folder / "demo" / "dialogues.jsonl").read_text(encoding="utf-8").splitlines()
    dialogues.write_text("\n".join(whole[:count]), encoding="utf-8")
    detector = Detector()
    lookup = DocumentPassages.load([DEMO / "documents"], detector).lookup
    prepare([dialogues], folder / "data", detector, lookup)
    return list(examples_of(load_rows(folder / "data", "train")))[:count]


def ours(base: Path, steps: int, folder: Path) -> dict[str, float]:
    """By our loop."""
    model, tokenizer = load_base(base)
    template = template_for(tokenizer)
    rows = [encode(e, tokenizer, template, MAX_TOKENS) for e in examples(BATCH * steps, folder)]
    model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)  # type: ignore[no-untyped-call]
    model.config.use_cache = False
    model = get_peft_model(model, LORA)
    recipe = AdapterRecipe(
        seed=SEED, max_steps=steps, batch_size=BATCH, max_tokens=MAX_TOKENS, learning_rate=RATE,
        bf16=True,
    )  # fmt: skip
    begin(folder / "ours", {}, recipe, False)
    collator = partial(collate, pad_id=tokenizer.pad_token_id)
    started = time.perf_counter()
    outcome = run(model, rows, collator, recipe, steps, folder / "ours", False)
    seconds = time.perf_counter() - started
    tokens = sum(len(row.ids) for row in rows)
    return {"tokens/s": tokens / seconds, "loss": outcome.last_loss, "seconds": seconds}


def theirs(base: Path, steps: int, folder: Path) -> dict[str, float]:
    """By trl's SFTTrainer."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    model, tokenizer = load_base(base)
    template = template_for(tokenizer)
    found = examples(BATCH * steps, folder)
    rows = [encode(e, tokenizer, template, MAX_TOKENS) for e in found]
    data = Dataset.from_list(
        [
            {
                "input_ids": list(row.ids),
                "labels": [IGNORED] * row.prompt_tokens + list(row.ids[row.prompt_tokens :]),
            }
            for row in rows
        ]
    )
    cpu = not torch.cuda.is_available()
    config = SFTConfig(
        output_dir=str(folder / "theirs"), max_steps=steps, per_device_train_batch_size=BATCH,
        learning_rate=RATE, lr_scheduler_type="cosine", max_length=MAX_TOKENS, seed=SEED,
        logging_steps=max(1, min(20, steps // 10)), report_to="none", save_strategy="no",
        use_cpu=cpu, bf16=has_bfloat16("cpu" if cpu else "cuda"),
        dataset_kwargs={"skip_prepare_dataset": True},
    )  # fmt: skip
    trainer = SFTTrainer(
        model=model, args=config, train_dataset=data, processing_class=tokenizer, peft_config=LORA
    )
    started = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - started
    losses = [e["loss"] for e in trainer.state.log_history if "loss" in e]
    tokens = sum(len(row.ids) for row in rows)
    return {"tokens/s": tokens / seconds, "loss": float(losses[-1]), "seconds": seconds}


def main() -> None:
    """Print a line for each, and the ratio."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--base", type=Path, default=STARTER)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--only", choices=("ours", "theirs"), help="one of them, as JSON")
    arguments = parser.parse_args()
    if arguments.only:
        with tempfile.TemporaryDirectory() as folder:
            measure = ours if arguments.only == "ours" else theirs
            found: dict[str, Any] = measure(arguments.base, arguments.steps, Path(folder))
        found["MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(found))
        return
    rates = {}
    for name in ("ours", "theirs"):
        command = [sys.executable, "-m", "benchmarks.training", "--only", name]
        command += ["--base", str(arguments.base), "--steps", str(arguments.steps)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found = json.loads(printed.splitlines()[-1])
        rates[name] = found["tokens/s"]
        print(f"{name:8}", "  ".join(f"{k} {v:.4g}" for k, v in found.items()), flush=True)
    print(f"ratio {rates['ours'] / rates['theirs']:.2f}")


if __name__ == "__main__":
    main()
