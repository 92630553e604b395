"""Prepared dialogues on disk: the rows of the splits, and the manifest that makes them whole."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from finetune.errors import DataError
from finetune.manifest import files_digest, replace_file
from finetune.prompt import Turn
from knowledge.segment import content_words, words

SPLITS = ("train", "validation", "test")
MANIFEST, FLAGGED = "manifest.json", "flagged.jsonl"
_ANSWER_WORDS, _ANSWER_SHARE = 5, 0.5


@dataclass(frozen=True, slots=True)
class Row:
    """A dialogue ready for training; `source_hash` is that of its turns before masking.

    `passages` are those that the dialogue came with, `retrieved` what would have been fetched for
    each of the agent's turns, in order, or nothing. `quality`, 0 to 1, is the share of the agent's
    turns that answer (see quality_of).
    """

    id: str
    source_hash: str
    language: str
    intent: str
    passages: tuple[str, ...]
    turns: tuple[Turn, ...]
    retrieved: tuple[tuple[str, ...], ...] = ()
    quality: float = 1.0

    def passages_for(self, reply: int) -> tuple[str, ...]:
        """What the agent's reply of this number can rest on, best first."""
        if not self.retrieved:
            return self.passages
        fetched = self.retrieved[reply]
        missing = [p for p in self.passages if p not in fetched]
        return (*missing, *fetched)[: max(len(fetched), len(missing))]


def quality_of(row: Row) -> float:
    """Share of the agent's turns that answer: that say five words or a number and, where there are
    passages, of which a passage holds half of the content words."""
    good = []
    replies = (t.text for t in row.turns if t.role == "agent")
    held_by = cache(lambda passages: {w for p in passages for w in content_words(p)})
    for n, text in enumerate(replies):
        said = content_words(text)
        held = held_by(row.passages_for(n))
        share = sum(w in held for w in said) / len(said) if said else 0.0
        says = len(words(text)) >= _ANSWER_WORDS or any(c.isdigit() for c in text)
        good.append(says and (not held or share >= _ANSWER_SHARE))
    return round(sum(good) / len(good), 3)


def write_rows(
    out: Path, rows: Mapping[str, Sequence[Row]], flagged: Sequence[tuple[Row, list[str]]]
) -> str:
    """Write the splits, the old manifest gone first; returns their hash."""
    out.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST).unlink(missing_ok=True)
    paths = []
    for name, split in rows.items():
        paths.append(out / f"{name}.jsonl")
        replace_file(paths[-1], _lines(asdict(row) for row in split))
    replace_file(out / FLAGGED, _lines(asdict(row) | {"flags": why} for row, why in flagged))
    return files_digest(paths)


def _lines(records: Iterable[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records).encode()


def load_rows(folder: Path, split: str) -> list[Row]:
    """Rows of a prepared split. Raises DataError when the folder is not whole or was changed."""
    # `splitlines` would also cut at the line separators that JSON leaves inside a text.
    lines = _checked(folder, split).read_text("utf-8").split("\n")
    return [_from_json(line) for line in lines if line]


def data_digest(folder: Path) -> str:
    """The hash in a prepared folder's manifest. Raises DataError."""
    try:
        return str(json.loads((folder / MANIFEST).read_text("utf-8"))["data_sha256"])
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{folder} is not prepared; run `python -m finetune prepare`") from error


def _checked(folder: Path, split: str) -> Path:
    paths = [folder / f"{name}.jsonl" for name in SPLITS]
    if not all(p.is_file() for p in paths) or files_digest(paths) != data_digest(folder):
        raise DataError(f"{folder} is incomplete or was changed; prepare it again")
    return folder / f"{split}.jsonl"


def _from_json(line: str) -> Row:
    row = json.loads(line)
    row["turns"] = tuple(Turn(t["role"], t["text"]) for t in row["turns"])
    row["passages"] = tuple(row["passages"])
    row["retrieved"] = tuple(map(tuple, row.get("retrieved", ())))
    return Row(**row)
