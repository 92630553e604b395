"""Corpora for the knowledge benchmarks: passages of real help documents, and questions on them."""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from finetune.ordinary import help_documents

_WORDS = range(25, 86)  # words of a passage: none is cut in two
_EVERY = 100  # one in this many is changed
_SEED = 1


def data_folder() -> Path:
    """FRONTDESK_DATA; ends the benchmark with a reason where there is none."""
    folder = os.environ.get("FRONTDESK_DATA", "")
    if not folder:
        sys.exit("skipped: set FRONTDESK_DATA to the folder of the public sets")
    return Path(folder)


def rows(count: int) -> list[dict[str, str]]:
    """`count` passages of english_docs as {id, title, text, language}, the same ones each time."""
    found = list(_passages(data_folder()))
    if len(found) < count:
        sys.exit(f"skipped: the corpus holds {len(found)} passages, {count} are needed")
    return random.Random(_SEED).sample(found, count)


def _passages(data: Path) -> Iterator[dict[str, str]]:
    seen: set[str] = set()
    for number, document in enumerate(help_documents(data, "english_docs")):
        for place, text in enumerate(document.text.split("\n\n")):
            if len(text.split()) in _WORDS and not text.startswith("#") and text not in seen:
                seen.add(text)
                row = {
                    "id": f"e{number}-{place}",
                    "title": document.title,
                    "text": " ".join(text.split()),
                }
                yield row | {"language": "en"}


def with_changes(corpus: list[dict[str, str]], word: str = "today") -> list[dict[str, str]]:
    """The corpus with a sentence added to one passage in a hundred."""
    return [
        row | {"text": f"{row['text']} Changed {word}."} if n % _EVERY == 0 else row
        for n, row in enumerate(corpus)
    ]


def questions(corpus: list[dict[str, str]], count: int) -> list[str]:
    """A stretch of words from the middle of passages, with their title."""
    rng = random.Random(_SEED)
    found = []
    for row in rng.sample(corpus, count):
        words = row["text"].split()
        start = rng.randrange(len(words) - 12)
        found.append(f"{row['title']}: {' '.join(words[start : start + 12])}")
    return found


def write(path: Path, corpus: list[dict[str, str]]) -> Path:
    """As JSON Lines."""
    path.write_text("\n".join(json.dumps(row) for row in corpus), encoding="utf-8")
    return path
