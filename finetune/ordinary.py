"""Help documents of other people, in which nothing is planted: what the inspector must not stumble
over, and what it need not read.

Source: english_docs and chinese_docs below FRONTDESK_DATA (licences in their README).
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from finetune.inspector_data import cut
from finetune.reranker_data import read_records
from knowledge.inspection.dates import may_name_days
from knowledge.inspection.reading import statements
from knowledge.types import Chunk, Document

_CORPORA = ("english_docs", "chinese_docs")
_SENTENCES, _DATED = 8, 2  # of a document
_PAGES = 5_000
_NAMED_YEAR = re.compile(r"\b([A-Z]\w+ (?:19|20)\d\d)\b(?!-)")
_OFTEN = 25  # documents with the same name and year: a version of a product


@dataclass(frozen=True, slots=True)
class Ordinary:
    """Sentences, one passage a document (`pages`), and passages that name days; `versions` are
    those of them where the year is the version of a product, as in Exchange 2013."""

    sentences: tuple[str, ...]
    pages: tuple[Chunk, ...]
    dated: tuple[Chunk, ...]
    versions: tuple[Chunk, ...]

    @classmethod
    def read(cls, data: Path) -> Ordinary:
        """The same ones each time."""
        rng = random.Random(1)
        sentences: list[str] = []
        every: list[Document] = []
        dated: list[Chunk] = []
        documents = (help_documents(data, name) for name in _CORPORA)
        for document in chain.from_iterable(documents):
            said = statements(document.text)
            sentences += rng.sample(said, min(_SENTENCES, len(said)))
            every.append(document)
            if may_name_days(f"{document.title}\n{document.text}"):
                dated += [c for c in cut(document) if may_name_days(c.indexed_text)][:_DATED]
        pages = [rng.choice(cut(d)) for d in rng.sample(every, min(_PAGES, len(every)))]
        return cls(tuple(sentences), tuple(pages), tuple(dated), tuple(_versions(dated)))


def help_documents(data: Path, name: str) -> Iterator[Document]:
    """The documents of a corpus in order, each under its first line."""
    language = "zh" if name == "chinese_docs" else "en"
    for number, record in enumerate(read_records(data / "corpora" / f"{name}.jsonl.zst")):
        title = record["text"].split("\n", 1)[0][:80].strip("# ")
        yield Document(f"{name}-{number}", title, record["text"], language, name)


def _versions(chunks: Sequence[Chunk]) -> Iterator[Chunk]:
    named = [(c, set(_NAMED_YEAR.findall(c.indexed_text))) for c in chunks]
    often = Counter(name for _, names in named for name in names)
    return (c for c, names in named if any(often[name] >= _OFTEN for name in names))
