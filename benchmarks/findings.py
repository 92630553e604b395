"""What the inspector finds of what was planted: precision and recall for each kind.

    python -m benchmarks.findings [FILE ...]

A file holds cases as those in `benchmarks/findings`: one or two documents, whether a finding of
the kind is planted in them, and otherwise an innocent look-alike. Each case is a shop of its own:
its documents are cut, embedded and inspected as a refresh does, on the day the cases were written.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from assistant.settings import load_settings
from finetune.inspector import WRITTEN_ON
from finetune.inspector_data import Case, cut, read_cases
from knowledge.build import open_inspector
from knowledge.encoder import Encoder, load_encoder
from knowledge.inspection.inspector import Inspector
from knowledge.types import Seen

CASES = Path(__file__).parent / "findings"


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


def main() -> None:
    """Print a line for each kind and language."""
    settings = load_settings()
    encoder = load_encoder(None, settings.engines, settings.knowledge.threads, bulk=True)
    inspector = open_inspector(encoder, settings.engines, settings.knowledge)
    counts: Counter[tuple[str, str, bool, bool]] = Counter()
    for path in [Path(a) for a in sys.argv[1:]] or sorted(CASES.glob("*.jsonl")):
        for case in read_cases(path):
            found = case.kind in kinds_found(case, encoder, inspector)
            for language in ("all", case.language):
                counts[case.kind, language, case.planted, found] += 1
    for kind, language in sorted({(k, n) for k, n, _, _ in counts}):
        right, missed = counts[kind, language, True, True], counts[kind, language, True, False]
        false = counts[kind, language, False, True]
        print(
            f"{kind:14} {language:4} planted {right + missed:3}"
            f"  innocent {false + counts[kind, language, False, False]:3}"
            f"  recall {right / max(1, right + missed):.3f}"
            f"  precision {right / max(1, right + false):.3f}"
        )


if __name__ == "__main__":
    main()
