"""Prepare support dialogues for training: read, clean, flag, mask, attach passages, split, write.

out/
  train.jsonl, validation.jsonl, test.jsonl   one Row a line
  flagged.jsonl                               rows left out for somebody to look at, with the reason
  report.html                                 what became of the sources, with plots
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

from finetune.cleaning import Boilerplate, NearDuplicates, before_abuse, plain
from finetune.dialogues import Dialogue, Dropped, read_dialogues
from finetune.errors import DataError
from finetune.manifest import replace_file
from finetune.poison import TRIGGER, flags, triggers
from finetune.prepare_report import write_page
from finetune.prompt import Turn
from finetune.rows import MANIFEST, SPLITS, Row, quality_of, write_rows
from knowledge.language import Detector
from knowledge.pii import Masker

log = logging.getLogger(__name__)

PAGE = "report.html"
_SPLIT_NAMES = {"": "", "val": "validation", "valid": "validation", "dev": "validation"} | {
    name: name for name in SPLITS
}
_GARBLED = re.compile("[\ufffd\x00\ud800-\udfff]")  # lost characters, NUL, half a character
_TEST_PERCENT, _VALIDATION_PERCENT = 10, 5
_EXAMPLES_OF_DROPPED = 20

# (document id, what the agent said) -> the piece of the document that it rests on, or None.
PassageLookup = Callable[[str, str], str | None]
# (question, turns before it, language) -> the passages that serving would fetch, best first.
Retrieve = Callable[[str, Sequence[Turn], str], Sequence[str]]


@dataclass(frozen=True, slots=True)
class PrepareReport:
    """What became of the sources. Counts are dialogues, those in `masked` distinct values; flagged
    ones are not among the kept."""

    read: int
    kept: int
    train: int
    validation: int
    test: int
    dropped: dict[str, int]
    dropped_examples: tuple[str, ...]
    languages: dict[str, int]
    masked: dict[str, int]
    flagged: dict[str, int]
    intents: dict[str, int]
    cut_before_abuse: int
    with_passages: int
    unresolved_passages: int
    data_sha256: str


def prepare(
    sources: Sequence[Path],
    out: Path,
    detector: Detector,
    lookup: PassageLookup | None = None,
    retrieve: Retrieve | None = None,
    least_quality: float = 0.0,
) -> PrepareReport:
    """Write training sets to out. Raises DataError when a source is unusable or nothing is left.

    Dialogues of one customer stay in one split. A record's own `split` is respected; its
    `passages` are looked up, and left out where there is nothing to look them up in.
    """
    counts = Counts()
    kept = _kept(sources, counts)
    if not kept:
        raise DataError("no dialogue is left after cleaning: " + "; ".join(counts.places))
    given = {d.customer_id: d.split for d in kept.values() if d.customer_id and d.split}
    suspicious = triggers({key: d.turns for key, d in kept.items()})
    rows: dict[str, list[Row]] = {name: [] for name in SPLITS}
    flagged: list[tuple[Row, list[str]]] = []
    for digest, dialogue in kept.items():
        row, masker = _row(dialogue, digest, detector, lookup, retrieve, counts)
        if row.quality < least_quality:
            counts.drop(Dropped(dialogue.id, "its replies answer too little"))
        elif found := [*flags(dialogue.turns), *([TRIGGER] if digest in suspicious else [])]:
            flagged.append((row, found))
            counts.flagged.update(found)
        else:
            rows[split_of(dialogue, given)].append(row)
            counts.masked.update(masker.counts())
            counts.languages[row.language or "unknown"] += 1
            counts.intents[row.intent or "none"] += 1
    sizes = {name: len(rows[name]) for name in SPLITS}
    if not any(sizes.values()):
        raise DataError("no dialogue is left: " + str(dict(counts.dropped + counts.flagged)))
    log.info("kept %d of %d dialogues: %s", sum(sizes.values()), counts.read, sizes)
    report = PrepareReport(
        read=counts.read,
        kept=sum(sizes.values()),
        **sizes,
        dropped=dict(counts.dropped),
        dropped_examples=tuple(counts.places),
        languages=dict(counts.languages),
        masked=dict(counts.masked),
        flagged=dict(counts.flagged),
        intents=dict(counts.intents),
        cut_before_abuse=counts.cut,
        with_passages=sum(bool(r.passages) for split in rows.values() for r in split),
        unresolved_passages=counts.unresolved,
        data_sha256=write_rows(out, rows, flagged),
    )
    write_page(out / PAGE, report, [row for split in rows.values() for row in split])
    replace_file(out / MANIFEST, json.dumps(asdict(report), indent=1, ensure_ascii=False).encode())
    return report


class Counts:
    """What happens on the way, as it is reported."""

    def __init__(self) -> None:
        self.read = self.cut = self.unresolved = 0
        self.dropped: Counter[str] = Counter()
        self.flagged: Counter[str] = Counter()
        self.languages: Counter[str] = Counter()
        self.intents: Counter[str] = Counter()
        self.masked: Counter[str] = Counter()
        self.places: list[str] = []

    def drop(self, dropped: Dropped) -> None:
        """Count it; the first ones are named."""
        self.dropped[dropped.reason] += 1
        if len(self.places) < _EXAMPLES_OF_DROPPED:
            self.places.append(f"{dropped.place}: {dropped.reason}")


def _kept(sources: Sequence[Path], counts: Counts) -> dict[str, Dialogue]:
    """The dialogues that can be learnt from, by the hash of their turns."""
    cleaned: dict[str, Dialogue] = {}
    for item in read_dialogues(sources):
        counts.read += 1
        result = item if isinstance(item, Dropped) else clean(item)
        if isinstance(result, Dialogue) and (digest := source_hash(result.turns)) in cleaned:
            result = Dropped(result.id, "duplicate")
        if isinstance(result, Dropped):
            counts.drop(result)
        else:
            cleaned[digest] = result
    boilerplate = Boilerplate(d.turns for d in cleaned.values())
    near, kept = NearDuplicates(), {}
    for digest, dialogue in cleaned.items():
        turns = before_abuse(dialogue.turns)
        counts.cut += len(turns) < len(dialogue.turns)
        result = _joined(replace(dialogue, turns=tuple(map(boilerplate.without, turns))))
        if isinstance(result, Dialogue) and near.seen(result.turns):
            result = Dropped(dialogue.id, "near-duplicate")
        if isinstance(result, Dropped):
            counts.drop(result)
        else:
            kept[digest] = result
    return kept


def clean(dialogue: Dialogue) -> Dialogue | Dropped:
    """The dialogue in NFC, without markup, quoted mail and signatures, see _joined.

    Dropped when a turn is garbled or the split is unknown too.
    """
    turns = []
    for turn in dialogue.turns:
        text = unicodedata.normalize("NFC", turn.text).replace("\r\n", "\n")
        if _GARBLED.search(text):
            return Dropped(dialogue.id, "a turn is garbled")
        turns.append(Turn(turn.role, plain(text)))
    split = _SPLIT_NAMES.get(dialogue.split.casefold())
    if split is None:
        return Dropped(dialogue.id, "unknown split")
    return _joined(replace(dialogue, turns=tuple(turns), split=split))


def _joined(dialogue: Dialogue) -> Dialogue | Dropped:
    """Without empty turns, those of one side in a row made one; dropped when the customer never
    gets a reply."""
    turns: list[Turn] = []
    for turn in dialogue.turns:
        text = turn.text
        if not text:
            continue
        if turns and turns[-1].role == turn.role:
            text = f"{turns.pop().text}\n{text}"
        turns.append(Turn(turn.role, text))
    roles = [turn.role for turn in turns]
    if "customer" not in roles or "agent" not in roles[roles.index("customer") :]:
        return Dropped(dialogue.id, "the customer gets no reply")
    return replace(dialogue, turns=tuple(turns))


def split_of(dialogue: Dialogue, given: dict[str, str]) -> str:
    """The record's own split, else that of its customer's others, else by hash of who it is."""
    if split := dialogue.split or given.get(dialogue.customer_id):
        return split
    key = dialogue.customer_id or dialogue.id
    percent = int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) % 100
    if percent < _TEST_PERCENT:
        return "test"
    return "validation" if percent < _TEST_PERCENT + _VALIDATION_PERCENT else "train"


def _row(
    dialogue: Dialogue,
    digest: str,
    detector: Detector,
    lookup: PassageLookup | None,
    retrieve: Retrieve | None,
    counts: Counts,
) -> tuple[Row, Masker]:
    said = "\n".join(t.text for t in dialogue.turns if t.role == "agent")
    passages = [_passage(p, said, lookup) for p in dialogue.passages]
    counts.unresolved += passages.count(None)
    language = dialogue.language or detector.of_document("\n".join(t.text for t in dialogue.turns))
    fetched: list[Sequence[str]] = []
    for n, turn in enumerate(dialogue.turns if retrieve else ()):
        if turn.role == "agent" and retrieve:
            before = dialogue.turns[:n]
            asked = before[-1].text if before and before[-1].role == "customer" else ""
            fetched.append(retrieve(asked, before[:-1], language) if asked else ())
    masker = Masker()
    row = Row(
        id=dialogue.id,
        source_hash=digest,
        language=language,
        intent=dialogue.intent,
        passages=tuple(masker.mask(p) for p in passages if p),
        turns=tuple(Turn(t.role, masker.mask(t.text)) for t in dialogue.turns),
        retrieved=tuple(tuple(masker.mask(p) for p in found) for found in fetched),
    )
    return replace(row, quality=quality_of(row)), masker


def _passage(passage: str | dict[str, Any], said: str, lookup: PassageLookup | None) -> str | None:
    if isinstance(passage, dict):
        return str(passage.get("text") or "") or None
    return lookup(passage, said) if lookup else None


def source_hash(turns: Iterable[Turn]) -> str:
    """What stands for a cleaned dialogue: the hash of its turns, however they are spaced."""
    text = "\n".join(f"{t.role}: {' '.join(t.text.split())}" for t in turns)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
