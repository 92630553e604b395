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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from sklearn.metrics import average_precision_score, roc_auc_score
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from finetune.calibrate import judged_rows, write_calibration
from finetune.errors import DataError
from finetune.reranker_data import (
    Pair,
    Shop,
    grounded_pairs,
    shop_pairs,
    shops_below,
    squad_pairs,
)
from knowledge.cross_encoder import ADAPTER, MAX_TOKENS, CrossEncoder
from knowledge.encoder import Encoder, load_encoder, minilm_folder
from knowledge.segment import is_cjk
from knowledge.settings import KnowledgeSettings

BASE_NAME = "sentence-transformers/all-MiniLM-L6-v2"


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
    log: Callable[[str], object] = print,
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
            loss.backward()  # type: ignore[no-untyped-call]
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
    tidy_adapter(out)
    return result


def tidy_adapter(folder: Path) -> None:
    """Halve the weights to float16, and name the base by its public name, not by a path."""
    tensors = load_file(folder / ADAPTER)
    save_file({name: t.half() for name, t in tensors.items()}, folder / ADAPTER)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = BASE_NAME
    config["modules_to_save"] = sorted(set(config["modules_to_save"] or ()))
    path.write_text(json.dumps(config, indent=1, sort_keys=True))
    (folder / "README.md").unlink(missing_ok=True)  # peft's empty card; ours is written by hand


def public_pairs(data: Path, seed: int) -> list[Pair]:
    """Stage one: pairs from public question-answer sets below FRONTDESK_DATA."""
    rng = random.Random(seed)
    pairs = list(squad_pairs(data / "data/squad2_half_dev", rng))
    pairs += squad_pairs(data / "data/xquad", rng, "en")
    pairs += grounded_pairs(data / "corpora/english_grounded.jsonl.zst", rng, faq_share=0.28)
    rng.shuffle(pairs)
    return pairs


def train_reranker(
    out: Path,
    shops: Path,
    calibration_shops: Path,
    engines: Path,
    settings: KnowledgeSettings,
    *,
    data: Path | None = None,
    start: Path | None = None,
    epochs: int = 3,
    log: Callable[[str], object] = print,
) -> dict[str, float]:
    """Public pairs (or an earlier adapter), then shops full of near misses, then calibration.

    The calibration's shops must not be among those trained on: a reader is too sure of what it
    has learnt. Returns the scores on them. Raises DataError when there is nothing to start from.
    """
    encoder = load_encoder(settings.encoder, engines, settings.threads)
    words = settings.max_chunk_words
    base = minilm_folder()
    unseen = [s for s in shops_below(calibration_shops) if not is_cjk(s.passages[0][2])]
    held_out = [p for s in unseen for p in shop_pairs(s, encoder, words)]
    if start is None:
        if data is None:
            raise DataError("set FRONTDESK_DATA to the public sets, or give --start an adapter")
        start = out / "public"
        train(public_pairs(data, 1), held_out, base, start, epochs=1, log=log)
    spaced = [s for s in shops_below(shops) if not is_cjk(s.passages[0][2])]
    pairs = [p for s in spaced for p in shop_pairs(s, encoder, words, negatives=4)]
    result = train(pairs, held_out, base, out, adapter=start, epochs=epochs, log=log)
    calibrate(out, spaced, shops_below(shops), unseen, encoder, engines, settings)
    return result


def calibrate(
    folder: Path,
    spaced: Sequence[Shop],
    every: Sequence[Shop],
    unseen: Sequence[Shop],
    encoder: Encoder,
    engines: Path,
    settings: KnowledgeSettings,
) -> None:
    """Write calibration.json: the prior on all candidates, the reader on shops it never saw."""
    wide = settings.model_copy(update={"rerank_passages": settings.candidates})
    reader = CrossEncoder(folder, engines, settings.threads)
    chinese = [s for s in every if s not in spaced]
    rows = {
        "prior": [r for s in spaced for r in judged_rows(s, encoder, None, wide)],
        "lexical": [r for s in chinese for r in judged_rows(s, encoder, None, settings)],
        "read": [r for s in unseen for r in judged_rows(s, encoder, reader, settings)],
    }
    write_calibration(folder / "calibration.json", rows)


@torch.inference_mode()
def scores(model: Any, tokenizer: Any, pairs: Sequence[Pair]) -> dict[str, float]:
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
