"""What an inspector finds of what was planted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from finetune.inspector import WRITTEN_ON
from finetune.inspector_data import Case, cut, read_cases
from knowledge.encoder import Encoder
from knowledge.inspection.inspector import Inspector
from knowledge.types import Seen


def kinds_found(case: Case, encoder: Encoder, inspector: Inspector) -> set[str]:
    """The kinds of findings about the documents of a case."""
    chunks = [c for d in case.documents for c in cut(d)]
    orders = inspector.orders(chunks, [], Seen())
    held_back = {p for f in orders if f.severity == "blocking" for p in f.passages}
    served = [c for c in chunks if c.id not in held_back]
    found = {f.kind for f in orders}
    if served:
        vectors = encoder.embed([c.indexed_text for c in served])
        findings = inspector.inspect(case.documents, served, vectors, Seen(), WRITTEN_ON)
        found |= {f.kind for f in findings}
    return found


def inspection_scores(
    files: Iterable[Path], encoder: Encoder, inspector: Inspector
) -> dict[str, dict[str, float]]:
    """By kind and language: cases planted and innocent, recall of the planted ones, and precision;
    each case is a shop of its own, inspected as a refresh does on the day it was written."""
    counts: Counter[tuple[str, bool, bool]] = Counter()
    for path in files:
        for case in read_cases(path):
            found = case.kind in kinds_found(case, encoder, inspector)
            for language in ("all", case.language):
                counts[f"{case.kind} {language}", case.planted, found] += 1
    scores = {}
    for name in sorted({name for name, _, _ in counts}):
        right, missed = counts[name, True, True], counts[name, True, False]
        false = counts[name, False, True]
        scores[name] = {
            "planted": right + missed,
            "innocent": false + counts[name, False, False],
            "recall": round(right / max(1, right + missed), 3),
            "precision": round(right / max(1, right + false), 3),
        }
    return scores
