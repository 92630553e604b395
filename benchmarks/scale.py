"""How cost grows with the number of passages: ingest, refresh, restart, query, memory.

    FRONTDESK_DATA=... python -m benchmarks.scale [--passages 1000,10000,100000]

For each size: seconds of the first ingest, of a no-op and of a refresh of one passage in a hundred;
seconds from a process started anew to its first search; milliseconds of a search without the
encoder; memory of the process that searches (its peak, MB) and size of a version on disk (MB).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from assistant.build import build_knowledge
from assistant.settings import load_settings
from benchmarks.passages import questions, rows, with_changes, write
from knowledge.build import open_refresher
from knowledge.types import silent

_SEARCH = "--search"


def measure(count: int, folder: Path) -> dict[str, float]:
    """The figures for a number of passages."""
    corpus = rows(count)
    home = folder / "home"
    settings = load_settings(home=home)
    refresher = open_refresher(home, settings.engines, settings.knowledge, silent)
    source = write(folder / "c.jsonl", corpus)
    seconds = {"first": refresher.refresh([source]).seconds}
    seconds["noop"] = refresher.refresh([source]).seconds
    write(source, with_changes(corpus))
    seconds["refresh"] = refresher.refresh([source]).seconds
    (folder / "questions.json").write_text(json.dumps(questions(corpus, min(300, count))))
    build_knowledge(settings).search("warm up")  # exports the reader, once in an installation
    version = refresher.versions.current_folder()
    size = sum(p.stat().st_size for p in version.rglob("*") if p.is_file())
    command = [sys.executable, "-m", "benchmarks.scale", _SEARCH, str(time.time()), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return seconds | json.loads(done.stdout.splitlines()[-1]) | {"disk_mb": round(size / 1e6)}


def search(folder: Path, started: float) -> dict[str, float]:
    """In a process of its own, started at a time: seconds to the first search, milliseconds of
    more, memory at its height."""
    settings = load_settings(home=folder / "home")
    knowledge = build_knowledge(settings)
    texts = json.loads((folder / "questions.json").read_text())
    knowledge.search(texts[0])
    restart = time.time() - started
    vectors = knowledge.encoder.embed(texts)
    taken = []
    for text, vector in zip(texts, vectors, strict=True):
        begun = time.perf_counter()
        knowledge.candidates(text, vector, 5, "fused", "en")
        taken.append(1000 * (time.perf_counter() - begun))
    p50, p95 = np.percentile(taken, (50, 95))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "restart": round(restart, 2),
        "p50_ms": round(float(p50), 2),
        "p95_ms": round(float(p95), 2),
        "memory_mb": round(memory),
    }


def main() -> None:
    """Print a line for each size."""
    if _SEARCH in sys.argv:
        print(json.dumps(search(Path(sys.argv[-1]), float(sys.argv[-2]))))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", default="1000,10000,100000")
    for size in parser.parse_args().passages.split(","):
        with tempfile.TemporaryDirectory() as folder:
            print(size, json.dumps(measure(int(size), Path(folder))), flush=True)


if __name__ == "__main__":
    main()
