"""What the inspector finds of what was planted: precision and recall for each kind.

    python -m benchmarks.findings [FILE ...]

A file holds cases as those in `benchmarks/findings`: one or two documents, whether a finding of
the kind is planted in them, and otherwise an innocent look-alike.
"""

from __future__ import annotations

import sys
from pathlib import Path

from assistant.settings import load_settings
from finetune.inspector_report import inspection_scores
from knowledge.build import open_inspector
from knowledge.encoder import load_encoder

CASES = Path(__file__).parent / "findings"


def main() -> None:
    """Print a line for each kind and language."""
    settings = load_settings()
    encoder = load_encoder(None, settings.engines, settings.knowledge.threads, bulk=True)
    inspector = open_inspector(encoder, settings.engines, settings.knowledge)
    files = [Path(a) for a in sys.argv[1:]] or sorted(CASES.glob("*.jsonl"))
    for name, found in inspection_scores(files, encoder, inspector).items():
        print(f"{name:19}", "  ".join(f"{key} {value}" for key, value in found.items()))


if __name__ == "__main__":
    main()
