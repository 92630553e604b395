"""Kill refreshes at random moments, and look at what is served after each.

    python -m benchmarks.kills [--kills 100]

A fifth of the documents change, and the refresh is killed with SIGKILL, until the new version is
served. After each kill the old version or the new one must be served whole, within ten seconds:
every document of one state and none of the other, every passage found by its own vector, and
`knowledge check` finds no problem.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from knowledge.check import check
from knowledge.store import Store
from knowledge.versions import Versions

DOCUMENTS = 200
_WORDS = "boots coats parcel refund days postage tent lamp order gift voucher returns stove".split()


def text_of(number: int, state: int) -> str:
    """A document's text: a fifth of the documents change with each state."""
    changed = state - (state - number) % 5
    rng = random.Random(f"{number}:{max(changed, 0)}")
    return f"State {max(changed, 0)} of {number}. " + " ".join(rng.choices(_WORDS, k=25)) + "."


def write_source(path: Path, state: int) -> dict[str, str]:
    """The documents of a state, also as a JSON Lines file."""
    texts = {f"d{n}": text_of(n, state) for n in range(DOCUMENTS)}
    rows = [{"id": i, "title": i, "text": t, "language": "en"} for i, t in texts.items()]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return texts


def refresh(home: Path, source: Path) -> subprocess.Popen[bytes]:
    """A refresh under way."""
    command = [sys.executable, "-m", "knowledge", "refresh", str(source), "--home", str(home)]
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip


def served(home: Path) -> tuple[dict[str, str], float]:
    """(texts by document id, seconds until they were all found); raises when one is not."""
    started = time.monotonic()
    report = check(Versions(home))
    if report.problems:
        raise AssertionError("; ".join(report.problems))
    store = Store(Versions(home).current_folder())
    try:
        scopes = store.scopes
        for row, chunk in enumerate(store.chunks):
            nearest = store.nearest(scopes[0], store.vectors[row], 1)
            if not nearest or abs(nearest[0][1] - 1) > 1e-3:
                raise AssertionError(f"{chunk.id} is not found by its own vector")
        return {c.document_id: c.text for c in store.chunks}, time.monotonic() - started
    finally:
        store.close()


def measure(home: Path, kills: int) -> Counter[str]:
    """What was served after each kill; raises AssertionError for anything but old or new."""
    source = home / "c.jsonl"
    old = write_source(source, 0)
    whole = refresh(home, source)
    if whole.wait() != 0:
        raise RuntimeError("the first refresh failed")
    started = time.monotonic()
    new = write_source(source, 1)
    refresh(home, source).wait()
    length = time.monotonic() - started
    old, outcomes, slowest = new, Counter[str](), 0.0
    rng = random.Random(7)
    state, killed = 2, 0
    while killed < kills:
        new = write_source(source, state)
        process = refresh(home, source)
        time.sleep(rng.uniform(0.3, 1.15) * length)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
        held, seconds = served(home)
        slowest = max(slowest, seconds)
        if held not in (old, new):
            raise AssertionError(f"state {state}: neither the old version nor the new one")
        if process.returncode == 0:
            outcomes["ended before the kill"] += 1
        else:
            outcomes[f"killed, then the {'new' if held == new else 'old'} version"] += 1
        if held == new:  # until then the same change is tried again
            old, state = held, state + 1
        print(f"\r{killed} of {kills}", end="", file=sys.stderr)
    print(file=sys.stderr)
    outcomes["slowest look, ms"] = round(1000 * slowest)
    return outcomes


def main() -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, count in sorted(measure(Path(folder), arguments.kills).items()):
            print(f"{name:34} {count}")


if __name__ == "__main__":
    main()
