"""Training examples: one for each of the agent's turns, rendered as serving renders them."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from finetune.pointing import pointed
from finetune.prompt import PromptTemplate, Turn
from finetune.rows import Row
from knowledge.segment import content_words, split_sentences, with_plain_numbers

IGNORED = -100  # the label that torch's cross-entropy leaves out
_STOP = re.compile(r"[.!?。！？]*$")
# Not part of a name or placeholder; a Chinese character may stand before a number.
_NUMBER = re.compile(r"(?<![A-Za-z0-9_])[0-9]+(?:[.,:/-][0-9]+)*")
MARK = re.compile(r"\s*\[\d{1,2}\]")
_TOGETHER = 5000
_CLAIM_WORDS = 3  # content words; fewer are a manner of speaking
SUPPORT_SHARE = 0.6  # of a sentence's content words; below, paraphrase and invention look alike


@dataclass(frozen=True, slots=True)
class Example:
    """A reply with all that the agent knew when it was written; `quotes` are what the reader points
    at in the passages, one each, or none at all."""

    passages: tuple[str, ...]
    history: tuple[Turn, ...]
    question: str
    reply: str
    language: str = ""
    intent: str = ""
    quotes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of prompt and reply; the first `prompt_tokens` are not learned. `replayed`: what
    the base has learnt before."""

    ids: tuple[int, ...]
    prompt_tokens: int
    replayed: bool = False


def numbers_of(text: str) -> set[str]:
    """Numbers, amounts and dates as written, thousands separators left out."""
    found = _NUMBER.findall(with_plain_numbers(text))
    return {re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", number) for number in found}


def supported_by_words(reply: str, passages: Sequence[str], least: float = SUPPORT_SHARE) -> bool:
    """True when each number stands in the passages and `least` of the content words do."""
    reply, source = MARK.sub("", reply), "\n".join(passages)
    words = content_words(reply)
    if not words:
        return False
    known = set(content_words(source))
    share = sum(word in known for word in words) / len(words)
    return share >= least and numbers_of(reply) <= numbers_of(source)


def supported_share(reply: str, passages: Sequence[str]) -> float | None:
    """Share of the sentences that claim something which a passage supports by its words; None when
    nothing is claimed."""
    claims = [s for s in _sentences(reply) if _claims(s)]
    held = [any(supported_by_words(s, [p]) for p in passages) for s in claims]
    return sum(held) / len(held) if held else None


def marked(sentence: str, number: int) -> str:
    """The sentence with the mark of a passage before its full stop."""
    return _STOP.sub(rf" [{number}]\g<0>", sentence, count=1)


def with_marks(reply: str, passages: Sequence[str]) -> str:
    """The reply with a mark such as [1] in each sentence that a passage supports.

    Agents do not cite; without this the model would never learn to say what it rests on.
    """
    lines = []
    for line in reply.splitlines():
        sentences = []
        for sentence in split_sentences(line):
            if number := _supporting(sentence, passages):
                sentence = marked(sentence, number)
            sentences.append(sentence)
        lines.append(" ".join(sentences))
    return "\n".join(lines)


def _supporting(sentence: str, passages: Sequence[str]) -> int:
    """Number, from 1, of the passage that shares most words with a sentence it supports; or 0."""
    if not _claims(sentence):
        return 0
    words = set(content_words(sentence))
    found = [
        (len(words & set(content_words(passage))), -number)
        for number, passage in enumerate(passages, start=1)
        if supported_by_words(sentence, [passage])
    ]
    return -max(found)[1] if found else 0


def _claims(sentence: str) -> bool:
    """Whether a sentence says something that can be wrong; "Sure, no problem." does not, nor does a
    question."""
    said = MARK.sub("", sentence).strip()
    if said.endswith(("?", "？")):
        return False
    return len(set(content_words(said))) >= _CLAIM_WORDS or bool(numbers_of(said))


def _sentences(text: str) -> list[str]:
    return [s for line in text.splitlines() for s in split_sentences(line)]


def borne_out(examples: Iterable[Example]) -> Iterator[Example]:
    """The examples with what their passages support of the replies, and what claims nothing; those
    that claim something of which nothing is supported are left out.

    What a model learns to say without a passage is never sent: the grounding check cuts it.
    Examples without passages stay as they are.
    """
    for example in examples:
        said = _sentences(example.reply)
        cited, claimed = any(map(MARK.search, said)), any(map(_claims, said))
        if not example.passages:
            yield example
        elif cited or not claimed:
            kept = (s for s in said if MARK.search(s) or not _claims(s))
            yield replace(example, reply=" ".join(kept))


def _quotes(passages: Sequence[str], question: str, reply: str) -> tuple[str, ...]:
    """What the reader would point at in each passage that the reply cites, and in the others."""
    rng = random.Random(f"{question}\n{reply}")
    said: dict[int, list[str]] = {}
    for sentence in split_sentences(reply):
        for mark in MARK.findall(sentence):
            said.setdefault(int(mark.strip(" []")), []).append(MARK.sub("", sentence))
    return tuple(
        pointed(passage, question, said.get(number, ()), rng)
        for number, passage in enumerate(passages, start=1)
    )


def examples_of(rows: Iterable[Row]) -> Iterator[Example]:
    """An example for each agent's turn that answers a customer's."""
    for row in rows:
        replies = 0
        for i, turn in enumerate(row.turns):
            if turn.role != "agent":
                continue
            if i and row.turns[i - 1].role == "customer":
                passages, question = row.passages_for(replies), row.turns[i - 1].text
                reply = with_marks(turn.text, passages)
                yield Example(
                    passages,
                    row.turns[: i - 1],
                    question,
                    reply,
                    row.language,
                    row.intent,
                    _quotes(passages, question, reply),
                )
            replies += 1


def encode(example: Example, tokenizer: Any, template: PromptTemplate, max_tokens: int) -> Encoded:
    """Prompt and reply in at most max_tokens. A reply takes half of them at most."""

    def ids(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    reply = ids(template.reply(example.reply))[: max_tokens // 2]
    prompt = template.fit(
        example.passages,
        example.history,
        example.question,
        lambda text: len(ids(text)),
        max_tokens - len(reply),
        example.quotes,
    )
    start = ids(prompt.text)[-(max_tokens - len(reply)) :]
    return Encoded((*start, *reply), len(start))


def encode_all(
    examples: Sequence[Example], tokenizer: Any, template: PromptTemplate, max_tokens: int
) -> list[Encoded]:
    """What encode makes of each; those that fit as they are, thousands at a time."""
    found: list[Encoded] = []
    for start in range(0, len(examples), _TOGETHER):
        some = examples[start : start + _TOGETHER]
        texts = [template.render(e.passages, e.history, e.question, e.quotes) for e in some]
        texts += [template.reply(e.reply) for e in some]
        ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
        for example, prompt, reply in zip(some, ids, ids[len(some) :], strict=False):
            if len(reply) <= max_tokens // 2 and len(prompt) + len(reply) <= max_tokens:
                found.append(Encoded((*prompt, *reply), len(prompt)))
            else:
                found.append(encode(example, tokenizer, template, max_tokens))
    return found


def collate(batch: Sequence[Encoded], pad_id: int) -> dict[str, Any]:
    """Tensors of a batch, padded on the right; labels only where the agent speaks."""
    width = max(len(row.ids) for row in batch)
    input_ids = torch.full((len(batch), width), pad_id)
    mask = torch.zeros((len(batch), width), dtype=torch.long)
    labels = torch.full((len(batch), width), IGNORED)
    for i, row in enumerate(batch):
        size = len(row.ids)
        input_ids[i, :size] = torch.tensor(row.ids)
        mask[i, :size] = 1
        labels[i, row.prompt_tokens : size] = input_ids[i, row.prompt_tokens : size]
    tensors = {"input_ids": input_ids, "attention_mask": mask, "labels": labels}
    if any(row.replayed for row in batch):
        tensors["replayed"] = torch.tensor([row.replayed for row in batch])
    return tensors
