"""The starter model's replies over shops that it never saw, beside quoting.

    python -m benchmarks.starter [--base FOLDER] [--nf4] [--limit N] [--replies FILE]

Each written reply of the unseen shops is asked for, its passages among near misses (drawn with a
fixed seed). Token F1 is that of SQuAD (Rajpurkar et al. 2016), over words, against the written
reply; quoting means the first sentence of the first passage. A reply counts as supported when the
check of `benchmarks.golden` finds nothing missing from its passages.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from assistant.settings import load_settings
from benchmarks.golden import unsupported
from finetune.evaluate import greedy_replies
from finetune.examples import MARK, Example, encode
from finetune.models import load_base, template_for
from finetune.replies import ShopBooks, reply_examples
from finetune.reranker_data import read_records, shops_below
from knowledge.encoder import load_encoder
from knowledge.segment import is_cjk, split_sentences, words

FINETUNE = Path(__file__).parent.parent / "finetune"
STARTER = Path(__file__).parent.parent / "assistant" / "weights" / "starter"
SEED, BATCH, MAX_TOKENS, MAX_NEW_TOKENS = 5, 16, 1024, 96


def held_out() -> list[Example]:
    """The written replies of the unseen shops, each among near misses."""
    settings = load_settings()
    encoder = load_encoder(None, settings.engines, settings.knowledge.threads)
    rng = random.Random(SEED)
    return [
        example
        for shop in shops_below(FINETUNE / "unseen_shops")
        for example in reply_examples(
            ShopBooks(shop, encoder),
            read_records(FINETUNE / "replies" / f"{shop.name}.jsonl"),
            rng,
        )
    ]


def token_f1(said: str, wanted: str) -> float:
    """Harmonic mean of precision and recall over words, marks left out."""
    own, other = (Counter(words(MARK.sub("", text))) for text in (said, wanted))
    shared = (own & other).total()
    return 2 * shared / (own.total() + other.total()) if shared else 0.0


def loops(reply: str) -> bool:
    """True when four words in a row come back."""
    said = words(reply)
    runs = [tuple(said[i : i + 4]) for i in range(len(said) - 3)]
    return len(runs) > len(set(runs))


def measure(examples: Sequence[Example], replies: Sequence[str]) -> dict[str, Any]:
    """Shares over all replies, or over those that the reference or the model answers."""
    answerable = [(e, r) for e, r in zip(examples, replies, strict=True) if MARK.search(e.reply)]
    others = [r for e, r in zip(examples, replies, strict=True) if not MARK.search(e.reply)]
    said = [(e, r) for e, r in zip(examples, replies, strict=True) if MARK.search(r)]
    supported = [not unsupported(MARK.sub("", r), "\n".join(e.passages)) for e, r in said]
    quotes = [split_sentences(e.passages[0].partition(": ")[2])[0] for e, _ in answerable]
    language = [is_cjk(e.question) == is_cjk(r) for e, r in zip(examples, replies, strict=True)]

    def mean(values: Sequence[float | bool]) -> float:
        return round(sum(values) / len(values), 3) if values else 0.0

    return {
        "replies": len(replies),
        "answers where the reference does": mean([bool(MARK.search(r)) for _, r in answerable]),
        "refuses where the reference does": mean([not MARK.search(r) for r in others]),
        "answers supported": mean(supported),
        "token F1": mean([token_f1(r, e.reply) for e, r in answerable]),
        "token F1 of quoting": mean(
            [token_f1(q, e.reply) for (e, _), q in zip(answerable, quotes, strict=True)]
        ),
        "language of the question": mean(language),
        "with a loop": sum(loops(r) for r in replies),
    }


def main() -> None:
    """Generate, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--base", type=Path, default=STARTER)
    parser.add_argument("--nf4", action="store_true", help="in 4 bits, as adapters are served")
    parser.add_argument("--limit", type=int, default=10_000)
    parser.add_argument("--replies", type=Path, help="write questions and replies here")
    arguments = parser.parse_args()
    examples = held_out()
    random.Random(SEED).shuffle(examples)
    examples = examples[: arguments.limit]
    if arguments.nf4:
        model, tokenizer = load_base(arguments.base)
    else:
        model = AutoModelForCausalLM.from_pretrained(arguments.base, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(arguments.base)
    template = template_for(tokenizer)
    rows = [encode(e, tokenizer, template, MAX_TOKENS) for e in examples]
    order = sorted(range(len(rows)), key=lambda i: rows[i].prompt_tokens)
    replies = [""] * len(rows)
    for start in range(0, len(order), BATCH):
        chosen = order[start : start + BATCH]
        batch = [rows[i] for i in chosen]
        found = greedy_replies(model.eval(), tokenizer, template, batch, MAX_NEW_TOKENS)
        for i, reply in zip(chosen, found, strict=True):
            replies[i] = reply
        print(f"\r{start + len(chosen)}/{len(rows)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    if arguments.replies:
        arguments.replies.write_text(
            "".join(
                json.dumps({"question": e.question, "reply": r, "reference": e.reply},
                           ensure_ascii=False) + "\n"
                for e, r in zip(examples, replies, strict=True)
            )
        )  # fmt: skip
    for name, value in measure(examples, replies).items():
        print(f"{name:36} {value}")


if __name__ == "__main__":
    main()
