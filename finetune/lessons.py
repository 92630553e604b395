"""Drawn lessons as a file, so that they can be drawn on one machine and learned on another."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import zstandard

from finetune.errors import DataError
from finetune.examples import Example, examples_of
from finetune.manifest import files_digest
from finetune.prompt import Turn
from finetune.rows import data_digest, load_rows
from knowledge.formats import read_text

_MOST_BYTES = 4_000_000_000
_WINDOW = zstandard.ZstdCompressionParameters.from_level(
    12,
    window_log=27,
    enable_ldm=True,  # the same passages come back all the time
)


def write_lessons(path: Path, examples: Iterable[Example]) -> None:
    """JSON Lines, compressed with zstd; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    compressor = zstandard.ZstdCompressor(compression_params=_WINDOW)
    with path.open("wb") as file, compressor.stream_writer(file) as out:
        for example in examples:
            out.write(json.dumps(asdict(example), ensure_ascii=False).encode() + b"\n")


def read_lessons(path: Path) -> Sequence[Example]:
    """What write_lessons wrote. Raises DataError when it is something else."""
    try:
        lines = read_text(path, _MOST_BYTES).split("\n")  # a text may hold other line breaks
        return [_example(json.loads(line)) for line in lines if line]
    except (OSError, EOFError, ValueError, LookupError, TypeError) as error:
        raise DataError(f"{path} holds no lessons: {error!r}") from error


def examples_at(path: Path, split: str) -> Sequence[Example]:
    """The examples of a prepared folder's split, or of a file of lessons. Raises DataError."""
    return read_lessons(path) if path.is_file() else list(examples_of(load_rows(path, split)))


def digest_at(path: Path) -> str:
    """What stands for the folder or file. Raises DataError."""
    return files_digest([path]) if path.is_file() else data_digest(path)


def _example(record: dict[str, object]) -> Example:
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in record.items()}
    values["history"] = tuple(Turn(**turn) for turn in record["history"])  # type: ignore[attr-defined]
    return Example(**values)  # type: ignore[arg-type]
