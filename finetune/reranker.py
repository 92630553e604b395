"""Train the reranker: a LoRA cross-encoder on MiniLM that reads (question, window).

Its one logit, through a sigmoid, is the probability that the window answers the question. BERT
cross-encoders: Nogueira and Cho, "Passage re-ranking with BERT", arXiv 1901.04085. The output
folder holds the adapter (safetensors), and a manifest written last.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from sklearn.metrics import average_precision_score, roc_auc_score
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from finetune.reranker_data import Pair

MAX_TOKENS = 144


def _batches(pairs: Sequence[Pair], size: int, rng: random.Random) -> list[list[Pair]]:
    """Shuffled batches of pairs of about equal length, so that little is padded."""
    order = sorted(pairs, key=lambda p: len(p.question) + len(p.window) + rng.randint(0, 60))
    batches = [list(order[i : i + size]) for i in range(0, len(order), size)]
    rng.shuffle(batches)
    return batches


def train(
    pairs: Sequence[Pair],
    held_out: Sequence[Pair],
    base: Path,
    out: Path,
    *,
    adapter: Path | None = None,
    epochs: int = 2,
    batch_size: int = 48,
    learning_rate: float = 4e-4,
    rank: int = 32,
    seed: int = 20261123,
    log=print,
) -> dict[str, float]:
    """Fit on pairs and save to out; `adapter` goes on from an earlier one. Returns the scores."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForSequenceClassification.from_pretrained(
        base, num_labels=1, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    if adapter:
        model = PeftModel.from_pretrained(model, adapter, is_trainable=True)
    else:
        model = get_peft_model(
            model,
            LoraConfig(
                r=rank,
                lora_alpha=2 * rank,
                target_modules=["query", "key", "value", "dense"],
                exclude_modules=r".*pooler.*",
                modules_to_save=["classifier", "pooler"],
                task_type="SEQ_CLS",
            ),
        )
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.01)
    steps = epochs * math.ceil(len(pairs) / batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min((s + 1) / 100, 0.5 * (1 + math.cos(math.pi * s / steps)))
    )
    step, running, started = 0, 0.0, time.monotonic()
    for _ in range(epochs):
        model.train()
        for batch in _batches(pairs, batch_size, rng):
            inputs = tokenizer(
                [p.question for p in batch],
                [p.window for p in batch],
                padding=True,
                truncation="longest_first",
                max_length=MAX_TOKENS,
                pad_to_multiple_of=16,  # few shapes: oneDNN compiles its kernels anew for each
                return_tensors="pt",
            )
            labels = torch.tensor([float(p.label) for p in batch]) * 0.94 + 0.03
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(**inputs).logits.squeeze(-1)
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits.float(), labels)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            step, running = step + 1, 0.98 * running + 0.02 * loss.item()
            if step % 20 == 0:
                mean = running / (1 - 0.98**step)
                log(f"step {step}/{steps} loss {mean:.4f} {time.monotonic() - started:.0f}s")
            if step % 300 == 0:
                log(f"held out {scores(model, tokenizer, held_out[:1500])}")
                model.save_pretrained(out)
    result = scores(model, tokenizer, held_out)
    model.save_pretrained(out)
    (out / "scores.json").write_text(json.dumps(result | {"pairs": len(pairs)}, indent=1))
    return result


@torch.inference_mode()
def scores(model, tokenizer, pairs: Sequence[Pair]) -> dict[str, float]:
    """AUC, average precision and log loss over pairs."""
    model.eval()
    probabilities: list[float] = []
    for start in range(0, len(pairs), 64):
        batch = pairs[start : start + 64]
        inputs = tokenizer(
            [p.question for p in batch], [p.window for p in batch], padding=True,
            truncation="longest_first", max_length=MAX_TOKENS, pad_to_multiple_of=16,
            return_tensors="pt",
        )  # fmt: skip
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(**inputs).logits.squeeze(-1)
        probabilities += torch.sigmoid(logits.float()).tolist()
    model.train()
    labels = [p.label for p in pairs]
    return {
        "auc": round(float(roc_auc_score(labels, probabilities)), 4),
        "average_precision": round(float(average_precision_score(labels, probabilities)), 4),
    }
