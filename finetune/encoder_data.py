"""What the encoder learns languages from: parallel sentences, and texts whose words it is taught.

Sources (found below FRONTDESK_DATA): parallel_* (licences in corpora/PARALLEL.md), the Chinese
documents, dialogues and grounded questions (licences in corpora/README.md), the shops written for
this project, and whatever texts of one's own are named.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path

from finetune.reranker_data import read_records
from knowledge.formats import read_text

# Sources of shops' and service talk, and of everyday sentences; the rest is software help.
_NEAR = ("commerce", "ui:", "knowledge-base", "merchant", "multiwoz", "Tatoeba", "business")
_FAR_COUNT = 130_000
_MAX_CHINESE = 90  # characters of a sentence
_MAX_SPELT = 160
SPELT = ("de", "es", "fr", "it", "pt")
_SPELT_COUNT = 20_000
_OWN_WEIGHT = 4  # a shop's own words count this often
_MAX_BYTES = 500_000_000


def parallel_pairs(data: Path, rng: random.Random) -> list[tuple[str, str]]:
    """(foreign, English) sentences. Chinese: those near to shops twice, and most of the rest; of
    each language that English word pieces can spell, a sample."""
    rows = _pairs(data, "zh", _MAX_CHINESE)
    near = [pair for source, pair in rows if any(name in source for name in _NEAR)]
    far = [pair for source, pair in rows if not any(name in source for name in _NEAR)]
    chosen = 2 * near + rng.sample(far, min(len(far), _FAR_COUNT))
    for language in SPELT:
        pairs = [pair for _, pair in _pairs(data, language, _MAX_SPELT)]
        chosen += rng.sample(pairs, min(len(pairs), _SPELT_COUNT))
    return chosen


def _pairs(data: Path, language: str, longest: int) -> list[tuple[str, tuple[str, str]]]:
    """(source, (foreign, English)) of the sentences of at most so many characters."""
    rows = read_records(data / f"corpora/parallel_{language}.jsonl.zst")
    return [
        (row["source"], (row[language], row["en"])) for row in rows if len(row[language]) <= longest
    ]


def chinese_texts(data: Path, own: Iterable[Path]) -> Iterator[str]:
    """Texts to count words in; files of one's own, and of folders, several times."""
    for row in read_records(data / "corpora/parallel_zh.jsonl.zst"):
        yield row["zh"]
    for row in read_records(data / "corpora/chinese_grounded.jsonl.zst"):
        yield from (row.get("question", ""), *row["passages"][:1])
    for row in read_records(data / "corpora/chinese_dialogues.jsonl.zst"):
        yield from (turn["text"] for turn in row["turns"])
    for path in own:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                yield from [read_text(file, _MAX_BYTES)] * _OWN_WEIGHT
