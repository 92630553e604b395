"""Dialogues taken out of prepared training sets, and the adapters that have learnt from them.

A set is written anew without them. Its manifest keeps the hashes that it had before
(`earlier_sha256`), so that an adapter trained on an earlier state of it is still known by its own.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from finetune.dialogues import Dialogue, dialogue_of
from finetune.errors import DataError
from finetune.manifest import MANIFEST as ADAPTER_MANIFEST
from finetune.manifest import replace_file
from finetune.prepare import PAGE, PrepareReport, clean, source_hash
from finetune.prepare_report import write_page
from finetune.rows import FLAGGED, MANIFEST, SPLITS, data_digest, load_rows, write_rows

Concerns = Callable[[Any], bool]  # whether a value of JSON tells of the person to be forgotten
_EARLIER = "earlier_sha256"
_RUN = "run.json"  # of a training that is not over: what it learns from, and how


def forget(
    roots: Sequence[Path], concerns: Concerns, records: Iterable[Mapping[str, Any]]
) -> dict[str, list[dict[str, Any]]]:
    """Take dialogues out of the prepared sets below some folders: those that concern the person,
    and those made of the person's records, which their source hash gives away.

    Returns {"training_sets": [{path, rows} or {path, problem}], "to_train_anew": [{path,
    because}]}: adapters, unfinished trainings and exports that have learnt from a set that held
    some. A set that somebody has changed by hand has a problem, and is left as it is.
    """
    hashes = {h for record in records for h in _hashes(record)}

    def goes(row: Mapping[str, Any]) -> bool:
        return row.get("source_hash") in hashes or concerns(row)

    sets: list[dict[str, Any]] = []
    tainted: dict[str, str] = {}
    for folder in _folders(roots, f"{SPLITS[0]}.jsonl"):
        held = _digests(folder)
        try:
            rows = _without(folder, goes, concerns)
        except DataError as error:  # its rows can go all the same, but it is no set any more
            sets.append({"path": str(folder), "problem": str(error)})
        else:
            if not rows:
                continue
            sets.append({"path": str(folder), "rows": rows})
        tainted |= dict.fromkeys(held, str(folder))
    return {"training_sets": sets, "to_train_anew": list(_learnt(roots, tainted))}


def _hashes(record: Mapping[str, Any]) -> Iterator[str]:
    """The source hashes that a record can have had: of all of its turns, and as it was before the
    last of them were said."""
    try:
        dialogue = dialogue_of(dict(record), "")
    except DataError:
        return
    for end in range(1, len(dialogue.turns) + 1):
        cleaned = clean(replace(dialogue, turns=dialogue.turns[:end]))
        if isinstance(cleaned, Dialogue):
            yield source_hash(cleaned.turns)


def _folders(roots: Sequence[Path], name: str) -> list[Path]:
    found = {p.parent.resolve() for root in roots for p in root.rglob(name)}
    return sorted(f for f in found if (f / MANIFEST).is_file())


def _digests(folder: Path) -> list[str]:
    """The hash that a prepared set has, and those that it had."""
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    return [*manifest.get(_EARLIER, ()), data_digest(folder)]


def _without(folder: Path, goes: Callable[[Mapping[str, Any]], bool], concerns: Concerns) -> int:
    """Write a prepared set anew where rows go; how many went. Raises DataError."""
    raw = {name: _lines(folder / f"{name}.jsonl") for name in SPLITS}
    flagged = _lines(folder / FLAGGED)
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
    named = [place for place in manifest.get("dropped_examples", ()) if concerns(place)]
    gone = sum(map(goes, flagged)) + sum(goes(row) for split in raw.values() for row in split)
    if not gone and not named:
        return 0
    kept = {
        name: [
            row
            for row, values in zip(load_rows(folder, name), raw[name], strict=True)
            if not goes(values)
        ]
        for name in SPLITS
    }
    earlier, still_flagged = _digests(folder), [row for row in flagged if not goes(row)]
    digest = write_rows(folder, kept, [])
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in still_flagged)
    replace_file(folder / FLAGGED, "".join(lines).encode())
    everything = [row for split in kept.values() for row in split]
    manifest |= {name: len(kept[name]) for name in SPLITS}
    manifest |= {
        "kept": len(everything),
        "languages": dict(Counter(row.language or "unknown" for row in everything)),
        "intents": dict(Counter(row.intent or "none" for row in everything)),
        "flagged": dict(Counter(flag for row in still_flagged for flag in row["flags"])),
        "with_passages": sum(bool(row.passages) for row in everything),
        "dropped_examples": [p for p in manifest.get("dropped_examples", ()) if p not in named],
        "data_sha256": digest,
        _EARLIER: earlier,
    }
    if everything:
        known = {f.name: manifest[f.name] for f in fields(PrepareReport) if f.name in manifest}
        write_page(folder / PAGE, PrepareReport(**known), everything)
    else:
        (folder / PAGE).unlink(missing_ok=True)
    replace_file(folder / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False).encode())
    return gone or len(named)


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def _learnt(roots: Sequence[Path], tainted: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """What has learnt from these sets: adapters, trainings under way, and exports of adapters."""
    if not tainted:
        return
    exports = {p for root in roots for p in root.rglob("int8-*") if p.is_dir()}
    for folder in _folders(roots, ADAPTER_MANIFEST):
        manifest = json.loads((folder / ADAPTER_MANIFEST).read_text("utf-8"))
        training = manifest.get("training") or {}
        learnt = (manifest.get("data_sha256"), training.get("replay_sha256"))
        if "adapter_sha256" in manifest and (of := _first(learnt, tainted)):
            yield {"path": str(folder), "because": of}
            suffix = str(manifest["adapter_sha256"])[:16]
            for export in sorted(e for e in exports if e.name.endswith(suffix)):
                yield {"path": str(export), "because": of}
    for run in sorted({p.resolve() for root in roots for p in root.rglob(_RUN)}):
        begun = json.loads(run.read_text("utf-8"))
        if of := _first((begun.get("data"), begun.get("replay")), tainted):
            yield {"path": str(run.parent), "because": of}


def _first(digests: Iterable[Any], tainted: Mapping[str, str]) -> str:
    return next((tainted[d] for d in digests if d in tainted), "")
