"""A refresh in a process of its own, which says how far its embedding is.

python -m tests.knowledge.refreshing HOME SOURCE ENGINES process|ray
"""

from __future__ import annotations

import sys
from pathlib import Path

from knowledge.build import open_refresher
from knowledge.inspection.inspector import Uninspected
from knowledge.settings import KnowledgeSettings


def tell(stage: str, done: int, _: int) -> None:
    """Say how much is embedded."""
    if stage == "embed":
        print(f"embedded {done}", flush=True)


if __name__ == "__main__":
    home, source, engines = map(Path, sys.argv[1:4])
    settings = KnowledgeSettings(embedding=sys.argv[4], embedding_workers=2, threads=1)  # type: ignore[arg-type]
    refresher = open_refresher(home, engines, settings, tell, inspector=Uninspected())
    print(refresher.refresh([source]).version, flush=True)
