"""Texts that a starter model learns from: prepared dialogues, documents, grounded answers.

JSON Lines files (plain, gzip or zstd), or a folder of them, may hold, a row each:
  {"text"}, with "title" or without        a document
  {"turns": [{"role", "text"}]}            a dialogue
  {"passages", "answer", "passage", and "question" or "turns"}   an answer from passages
  {"en", and another language's code}      a sentence in two languages
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.errors import DataError
from finetune.examples import Example, marked, with_marks
from finetune.prompt import PromptTemplate, Turn, titled
from finetune.rows import MANIFEST, load_rows
from knowledge.formats import read_text

_MAX_FILE_BYTES = 2_000_000_000
_AGENTS = {"assistant", "agent"}


@dataclass(frozen=True, slots=True)
class Corpus:
    """Texts to learn from, and those kept back to measure on."""

    train: tuple[str, ...]
    held_out: tuple[str, ...]


def read_corpus(
    paths: Sequence[Path], leave_out: Iterable[str] = (), held_out_share: float = 0.0
) -> Corpus:
    """Every text of the files and prepared folders, without the sources named in `leave_out`.

    What is kept back is chosen by each text's own checksum, so that it stays the same whatever is
    read beside it. Raises DataError naming the file that cannot be read.
    """
    left_out = tuple(leave_out)
    limit = round(held_out_share * 10_000)
    train: list[str] = []
    held_out: list[str] = []
    for path in paths:
        for text in _texts(path, left_out):
            kept_back = zlib.crc32(text.encode()) % 10_000 < limit
            (held_out if kept_back else train).append(text)
    return Corpus(tuple(train), tuple(held_out))


def grounded_example(record: Mapping[str, Any]) -> Example:
    """A grounded record as an example: its answer cites the passage that it was taken from."""
    passages = tuple(titled(*_split_heading(p)) for p in record["passages"])
    turns = [_turn(t) for t in record.get("turns", ())]
    if "question" in record:
        turns.append(Turn("customer", record["question"]))
    answer = " ".join(record["answer"].split())
    if record.get("span"):
        answer = marked(answer, record["passage"] + 1)
    return Example(passages, tuple(turns[:-1]), turns[-1].text, answer)


def _texts(path: Path, left_out: Sequence[str]) -> Iterator[str]:
    template = PromptTemplate()
    if path.is_dir() and not (path / MANIFEST).is_file():
        for file in sorted(path.glob("*.jsonl*")):
            yield from _texts(file, left_out)
        return
    if path.is_dir():
        for row in load_rows(path, "train"):
            turns = [
                Turn(t.role, with_marks(t.text, row.passages) if t.role == "agent" else t.text)
                for t in row.turns
            ]
            yield template.render_dialogue(row.passages, turns)
        return
    try:
        for line in read_text(path, _MAX_FILE_BYTES).split("\n"):
            record = json.loads(line) if line.strip() else None
            if record is not None and not is_left_out(record, left_out):
                text = _text(record, template)
                text.encode()  # half a character, which no tokenizer takes
                yield text
    except (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is not JSON Lines of training texts: {error!r}") from error


def _text(record: Mapping[str, Any], template: PromptTemplate) -> str:
    if "text" in record:
        text = "\n".join([*filter(None, [record.get("title")]), record["text"]])
        return template.clean(text) + template.reply_end
    if "answer" in record:
        example = grounded_example(record)
        prompt = template.render(example.passages, example.history, example.question)
        return prompt + template.reply(example.reply)
    if "turns" in record:
        return template.render_dialogue((), [_turn(t) for t in record["turns"]])
    english = record["en"]
    (other,) = (v for k, v in record.items() if k not in {"en", "source"})
    # The checksum only makes both directions occur; which one a pair gets does not matter.
    pair = (english, other) if zlib.crc32(english.encode()) % 2 else (other, english)
    return template.clean("\n".join(pair)) + template.reply_end


def is_left_out(record: Mapping[str, Any], names: Iterable[str]) -> bool:
    """True when the record's source has one of the names in its own, whatever their case."""
    source = str(record.get("source", "")).casefold()
    return any(name.casefold() in source for name in names)


def _turn(turn: Mapping[str, str]) -> Turn:
    return Turn("agent" if turn["role"] in _AGENTS else "customer", turn["text"])


def _split_heading(passage: str) -> tuple[str, str]:
    heading, _, text = passage.partition("\n")
    return (heading, text) if text else ("", heading)
