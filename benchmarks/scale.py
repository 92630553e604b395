"""How cost grows with the number of passages: ingest, refresh, restart, query, memory.

    FRONTDESK_DATA=... python -m benchmarks.scale [--passages 1000,10000,100000]

For each size: seconds of the first ingest, of a no-op and of a refresh of one passage in a hundred;
seconds from a process started anew to its first search; milliseconds of a search without the
encoder; memory of the process that searches, and of the one that refreshes (their peaks, MB), and
size of a version on disk (MB). Each runs in a process of its own, one after the other.
"""

from __future__ import annotations

import argparse
import json
import re
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


def measure(count: int, folder: Path) -> dict[str, float]:
    """The figures for a number of passages."""
    return _apart("ingest", folder, count) | _apart("search", folder, count)


def _apart(part: str, folder: Path, count: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.scale", "--part", part, "--folder", str(folder)]
    command += ["--passages", str(count), "--started", str(time.time())]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{part} of {count}: {done.stderr.strip()[-1500:]}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def ingest(count: int, folder: Path) -> dict[str, float]:
    """Seconds of three refreshes, and what the last version takes on disk."""
    corpus = rows(count)
    home = folder / "home"
    settings = load_settings(home=home)
    refresher = open_refresher(home, settings.engines, settings.knowledge, silent)
    source = write(folder / "c.jsonl", corpus)
    seconds = {"first": refresher.refresh([source]).seconds}
    seconds["noop"] = refresher.refresh([source]).seconds
    write(source, with_changes(corpus))
    seconds["refresh"] = refresher.refresh([source]).seconds
    peak = _peak_megabytes()
    (folder / "questions.json").write_text(json.dumps(questions(corpus, min(300, count))))
    build_knowledge(settings)  # exports the reader, once in an installation
    version = refresher.versions.current_folder()
    size = sum(p.stat().st_size for p in version.rglob("*") if p.is_file())
    return seconds | {"refresh_mb": peak, "disk_mb": round(size / 1e6)}


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
    return {
        "restart": round(restart, 2),
        "p50_ms": round(float(p50), 2),
        "p95_ms": round(float(p95), 2),
        "memory_mb": _peak_megabytes(),
    }


def _peak_megabytes() -> int:
    """Of this process alone; `getrusage` also counts the one that it was forked from."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+)", status)[1]) // 1024  # type: ignore[index]


def main() -> None:
    """Print a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", default="1000,10000,100000")
    parser.add_argument("--part", choices=("ingest", "search"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--started", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part == "ingest":
        print(json.dumps(ingest(int(arguments.passages), arguments.folder)))
    elif arguments.part == "search":
        print(json.dumps(search(arguments.folder, arguments.started)))
    else:
        for size in arguments.passages.split(","):
            with tempfile.TemporaryDirectory() as folder:
                print(size, json.dumps(measure(int(size), Path(folder))), flush=True)


if __name__ == "__main__":
    main()
