"""Prepare support dialogues for training: read, clean, mask, split, write.

out/
  train.jsonl, validation.jsonl, test.jsonl   one Row a line
  manifest.json                               counts and hash; written last, so the folder is whole
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from finetune.dialogues import Dialogue, Dropped, read_dialogues
from finetune.errors import DataError
from finetune.prompt import Turn
from finetune.registry import files_digest, replace_file
from knowledge.language import Detector
from knowledge.pii import Masker

log = logging.getLogger(__name__)

SPLITS = ("train", "validation", "test")
MANIFEST = "manifest.json"
_SPLIT_NAMES = {"": "", "val": "validation", "valid": "validation", "dev": "validation"} | {
    name: name for name in SPLITS
}
_GARBLED = re.compile("[\ufffd\x00\ud800-\udfff]")  # lost characters, NUL, half a character
_TEST_PERCENT, _VALIDATION_PERCENT = 10, 5
_EXAMPLES_OF_DROPPED = 20

# (document id, what the agent said) -> the piece of the document that it rests on, or None.
PassageLookup = Callable[[str, str], str | None]


@dataclass(frozen=True, slots=True)
class Row:
    """A dialogue ready for training; `source_hash` is that of its turns before masking."""

    id: str
    source_hash: str
    language: str
    intent: str
    passages: tuple[str, ...]
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class PrepareReport:
    """What became of the sources. Counts are dialogues, those in `masked` distinct values."""

    read: int
    kept: int
    train: int
    validation: int
    test: int
    dropped: dict[str, int]
    dropped_examples: tuple[str, ...]
    languages: dict[str, int]
    masked: dict[str, int]
    with_passages: int
    unresolved_passages: int
    data_sha256: str


def prepare(
    sources: Sequence[Path], out: Path, detector: Detector, lookup: PassageLookup | None = None
) -> PrepareReport:
    """Write training sets to out. Raises DataError when a source is unusable or nothing is left.

    Dialogues of one customer stay in one split. A record's own `split` is respected; its
    `passages` are looked up, and left out where there is nothing to look them up in.
    """
    counts: dict[str, Counter[str]] = {
        name: Counter() for name in ("dropped", "languages", "masked", "passages")
    }
    places: list[str] = []
    kept: dict[str, Dialogue] = {}  # by hash of the turns
    read = 0
    for item in read_dialogues(sources):
        read += 1
        result = item if isinstance(item, Dropped) else clean(item)
        if isinstance(result, Dialogue):
            digest = _hash_of(result.turns)
            if digest not in kept:
                kept[digest] = result
                continue
            result = Dropped(result.id, "duplicate")
        counts["dropped"][result.reason] += 1
        if len(places) < _EXAMPLES_OF_DROPPED:
            places.append(f"{result.place}: {result.reason}")
    if not kept:
        raise DataError("no dialogue is left after cleaning: " + "; ".join(places))
    rows: dict[str, list[Row]] = {name: [] for name in SPLITS}
    given = {d.customer_id: d.split for d in kept.values() if d.customer_id and d.split}
    for digest, dialogue in kept.items():
        row, masker = _row(dialogue, digest, detector, lookup, counts["passages"])
        rows[split_of(dialogue, given)].append(row)
        counts["masked"].update(masker.counts())
        counts["languages"][row.language or "unknown"] += 1
    sizes = {name: len(rows[name]) for name in SPLITS}
    log.info("kept %d of %d dialogues: %s", len(kept), read, sizes)
    report = PrepareReport(
        read=read,
        kept=len(kept),
        **sizes,
        dropped=dict(counts["dropped"]),
        dropped_examples=tuple(places),
        languages=dict(counts["languages"]),
        masked=dict(counts["masked"]),
        with_passages=sum(bool(r.passages) for split in rows.values() for r in split),
        unresolved_passages=counts["passages"]["unresolved"],
        data_sha256=_write(out, rows),
    )
    replace_file(out / MANIFEST, json.dumps(asdict(report), indent=1, ensure_ascii=False).encode())
    return report


def clean(dialogue: Dialogue) -> Dialogue | Dropped:
    """The dialogue in NFC without empty turns, those of one side in a row joined to one.

    Dropped when a turn is broken or the customer never gets a reply.
    """
    turns: list[Turn] = []
    for turn in dialogue.turns:
        text = unicodedata.normalize("NFC", turn.text).replace("\r\n", "\n").strip()
        if _GARBLED.search(text):
            return Dropped(dialogue.id, "a turn is garbled")
        if not text:
            continue
        if turns and turns[-1].role == turn.role:
            text = f"{turns.pop().text}\n{text}"
        turns.append(Turn(turn.role, text))
    roles = [turn.role for turn in turns]
    if "customer" not in roles or "agent" not in roles[roles.index("customer") :]:
        return Dropped(dialogue.id, "the customer gets no reply")
    split = _SPLIT_NAMES.get(dialogue.split.casefold())
    if split is None:
        return Dropped(dialogue.id, "unknown split")
    return replace(dialogue, turns=tuple(turns), split=split)


def split_of(dialogue: Dialogue, given: dict[str, str]) -> str:
    """The record's own split, else that of its customer's others, else by hash of who it is."""
    if split := dialogue.split or given.get(dialogue.customer_id):
        return split
    key = dialogue.customer_id or dialogue.id
    percent = int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) % 100
    if percent < _TEST_PERCENT:
        return "test"
    return "validation" if percent < _TEST_PERCENT + _VALIDATION_PERCENT else "train"


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
    turns = tuple(Turn(t["role"], t["text"]) for t in row["turns"])
    return Row(**(row | {"turns": turns, "passages": tuple(row["passages"])}))


def _row(
    dialogue: Dialogue,
    digest: str,
    detector: Detector,
    lookup: PassageLookup | None,
    found: Counter[str],
) -> tuple[Row, Masker]:
    said = "\n".join(t.text for t in dialogue.turns if t.role == "agent")
    passages = [_passage(p, said, lookup) for p in dialogue.passages]
    found["unresolved"] += passages.count(None)
    masker = Masker()
    everything = "\n".join(t.text for t in dialogue.turns)
    row = Row(
        id=dialogue.id,
        source_hash=digest,
        language=dialogue.language or detector.of_document(everything),
        intent=dialogue.intent,
        passages=tuple(masker.mask(p) for p in passages if p),
        turns=tuple(Turn(t.role, masker.mask(t.text)) for t in dialogue.turns),
    )
    return row, masker


def _passage(passage: str | dict[str, Any], said: str, lookup: PassageLookup | None) -> str | None:
    if isinstance(passage, dict):
        return str(passage.get("text") or "") or None
    return lookup(passage, said) if lookup else None


def _hash_of(turns: Iterable[Turn]) -> str:
    text = "\n".join(f"{t.role}: {' '.join(t.text.split())}" for t in turns)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _write(out: Path, rows: dict[str, list[Row]]) -> str:
    """Write the splits, the old manifest gone first; returns their hash."""
    out.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST).unlink(missing_ok=True)
    paths = []
    for name, split in rows.items():
        lines = (json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in split)
        paths.append(out / f"{name}.jsonl")
        replace_file(paths[-1], "".join(lines).encode())
    return files_digest(paths)
