"""The starter model's replies over shops that it never saw, beside quoting.

    python -m benchmarks.starter [--base FOLDER] [--engine ENGINE] [--limit N] [--replies FILE]
    python -m benchmarks.starter --candidates 4 [--limit N]

The second form asks the generator that serves (int8), which writes several replies and gives the
one that the grounding check supports best; with 1 it is greedy.

Each written reply of the unseen shops is asked for, its passages among near misses (drawn with a
fixed seed), put in order and pointed into by the reader, as they are served. Token F1 is that of
SQuAD (Rajpurkar et al. 2016), over words, against the written reply; quoting means the first
sentence of the best passage, pointing the sentence that the reader points at there. A reply counts
as supported when the check of `benchmarks.golden` finds nothing missing from the passages that its
sentences cite.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from assistant.grounding import GroundingCheck
from assistant.lm import load_language_model
from assistant.settings import load_settings
from assistant.types import Evidence, Message, Question
from benchmarks.golden import unsupported
from finetune.examples import MARK, Example, encode_all, marked
from finetune.export import exported
from finetune.models import load_base, load_tokenizer, template_for
from finetune.prompt import PromptTemplate
from finetune.reader_commands import RERANKER
from finetune.replies import Sources, lesson
from finetune.reranker_data import shops_below
from finetune.scored import Int8Model, ScoredModel, TorchModel
from finetune.settings import InstructRecipe
from knowledge.cross_encoder import CrossEncoder, Reading
from knowledge.encoder import load_encoder
from knowledge.rerank import sentence_at
from knowledge.segment import is_cjk, split_sentences, words

FINETUNE = Path(__file__).parent.parent / "finetune"
STARTER = Path(__file__).parent.parent / "assistant" / "weights" / "starter"
SEED, BATCH, MAX_TOKENS, MAX_NEW_TOKENS = 5, 16, 1024, 96


def held_out() -> list[Example]:
    """The written replies of the unseen shops, each among near misses, read by the reader."""
    settings = load_settings()
    threads = settings.knowledge.threads
    encoder = load_encoder(None, settings.engines, threads)
    sources = Sources(tuple(shops_below(FINETUNE / "unseen_shops")), FINETUNE / "replies")
    examples = lesson(sources, encoder, InstructRecipe(copies=1, seed=SEED))
    reader = CrossEncoder(RERANKER, settings.engines, threads, bulk=True)
    pairs = [(e.question, " ".join(passage.split())) for e in examples for passage in e.passages]
    readings = iter(reader.read_pairs(pairs))
    return [as_served(e, [next(readings) for _ in e.passages]) for e in examples]


def as_served(example: Example, readings: Sequence[Reading]) -> Example:
    """The passages in the reader's order, with what it points at in each; the reference's marks
    follow them."""
    order = sorted(range(len(readings)), key=lambda n: -readings[n].relevance)
    texts = [" ".join(passage.split()) for passage in example.passages]
    quotes = [sentence_at(example.passages[n], texts[n], readings[n].span) for n in order]
    places = {f"[{old + 1}]": f"[{new + 1}]" for new, old in enumerate(order)}
    reply = re.sub(r"\[\d\]", lambda mark: places[mark.group()], example.reply)
    passages = tuple(example.passages[n] for n in order)
    return replace(example, passages=passages, quotes=tuple(quotes), reply=reply)


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


def is_supported(reply: str, passages: Sequence[str]) -> bool:
    """True when nothing of any citing sentence is missing from the passages that it cites."""
    for sentence in split_sentences(reply):
        cited = [int(mark.strip(" []")) for mark in MARK.findall(sentence)]
        if any(number > len(passages) for number in cited):
            return False
        text = "\n".join(passages[number - 1] for number in cited)
        if cited and unsupported(MARK.sub("", sentence), text):
            return False
    return True


@cache
def titles() -> frozenset[str]:
    """The titles of all passages of the unseen shops."""
    shops = shops_below(FINETUNE / "unseen_shops")
    return frozenset(title for shop in shops for _, title, _ in shop.passages)


def first_sentence(passage: str) -> str:
    """The passage's first sentence, without the title in front of it."""
    title = max((t for t in titles() if passage.startswith(f"{t}: ")), key=len, default="")
    return split_sentences(passage.removeprefix(f"{title}: "))[0]


def measure(examples: Sequence[Example], replies: Sequence[str]) -> dict[str, Any]:
    """Shares over all replies, or over those that the reference or the model answers."""
    answerable = [(e, r) for e, r in zip(examples, replies, strict=True) if MARK.search(e.reply)]
    others = [r for e, r in zip(examples, replies, strict=True) if not MARK.search(e.reply)]
    said = [(e, r) for e, r in zip(examples, replies, strict=True) if MARK.search(r)]
    supported = [is_supported(r, e.passages) for e, r in said]
    ways = {
        "quoting": [first_sentence(e.passages[0]) for e, _ in answerable],
        "pointing": [e.quotes[0] for e, _ in answerable],
    }
    language = [is_cjk(e.question) == is_cjk(r) for e, r in zip(examples, replies, strict=True)]

    def mean(values: Sequence[float | bool]) -> float:
        return round(sum(values) / len(values), 3) if values else 0.0

    return (
        {
            "replies": len(replies),
            "answers where the reference does": mean([bool(MARK.search(r)) for _, r in answerable]),
            "refuses where the reference does": mean([not MARK.search(r) for r in others]),
            "answers supported": mean(supported),
            "token F1": mean([token_f1(r, e.reply) for e, r in answerable]),
        }
        | {
            f"token F1 of {way}": mean(
                [token_f1(q, e.reply) for (e, _), q in zip(answerable, quotes, strict=True)]
            )
            for way, quotes in ways.items()
        }
        | {
            "language of the question": mean(language),
            "with a loop": sum(loops(r) for r in replies),
        }
    )


def scored(engine: str, base: Path, tokenizer: Any, template: PromptTemplate) -> ScoredModel:
    """A base as an engine runs it."""
    if engine == "int8":
        folder = exported(base, None, load_settings().engines)
        return Int8Model(folder, tokenizer, template, MAX_NEW_TOKENS)
    model, _ = load_base(base, quantised=engine == "nf4")
    return TorchModel(model, tokenizer, template, MAX_NEW_TOKENS)


def greedy(base: Path, engine: str, examples: Sequence[Example]) -> list[str]:
    """Greedy replies of a base on an engine."""
    tokenizer = load_tokenizer(base)
    template = template_for(tokenizer)
    model = scored(engine, base, tokenizer, template)
    rows = encode_all(examples, tokenizer, template, MAX_TOKENS)
    order = sorted(range(len(rows)), key=lambda i: rows[i].prompt_tokens)
    replies = [""] * len(rows)
    for start in range(0, len(order), BATCH):
        chosen = order[start : start + BATCH]
        batch = [rows[i] for i in chosen]
        for i, reply in zip(chosen, model.replies(batch), strict=True):
            replies[i] = reply
        print(f"\r{start + len(chosen)}/{len(rows)}", end="", file=sys.stderr, flush=True)
    return replies


def served(base: Path, candidates: int, examples: Sequence[Example]) -> list[str]:
    """Replies as the serving generator writes them, each sentence with the mark of its passage."""
    settings = load_settings(model={"base": str(base), "candidates": candidates})
    generator = load_language_model(settings.model, None, settings.engines, 2, GroundingCheck())
    replies = []
    for n, example in enumerate(examples, start=1):
        pieces = [
            Evidence(str(i), "passage", "", "", text, "", 1.0, quote)
            for i, (text, quote) in enumerate(
                zip(example.passages, example.quotes, strict=True), start=1
            )
        ]
        past = tuple(Message(t.role, t.text) for t in example.history)
        language = "zh" if is_cjk(example.question) else "en"
        question = Question(example.question, example.question, language, past)
        drafts = generator.generate(question, pieces)
        replies.append(
            " ".join(
                marked(d.text, int(d.evidence_id)) if d.evidence_id else d.text for d in drafts
            )
        )
        print(f"\r{n}/{len(examples)}", end="", file=sys.stderr, flush=True)
    return replies


def main() -> None:
    """Generate, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--base", type=Path, default=STARTER)
    parser.add_argument("--engine", choices=("fp32", "nf4", "int8"), default="fp32")
    parser.add_argument("--candidates", type=int, help="ask the serving generator for so many")
    parser.add_argument("--limit", type=int, default=10_000)
    parser.add_argument("--replies", type=Path, help="write questions and replies here")
    arguments = parser.parse_args()
    examples = held_out()
    random.Random(SEED).shuffle(examples)
    examples = examples[: arguments.limit]
    if arguments.candidates:
        replies = served(arguments.base, arguments.candidates, examples)
    else:
        replies = greedy(arguments.base, arguments.engine, examples)
    print(file=sys.stderr)
    if arguments.replies:
        arguments.replies.write_text(
            "".join(
                json.dumps({"question": e.question, "reply": r, "reference": e.reply},
                           ensure_ascii=False) + "\n"
                for e, r in zip(examples, replies, strict=True)
            ),
            encoding="utf-8",
        )  # fmt: skip
    for name, value in measure(examples, replies).items():
        print(f"{name:36} {value}")


if __name__ == "__main__":
    main()
