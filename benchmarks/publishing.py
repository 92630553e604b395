"""What customers feel while an operator publishes, and what a filter costs.

    FRONTDESK_DATA=... python -m benchmarks.publishing [--passages 10000]

A reader in this process searches (fused, the question's vector given) as fast as it can, first
alone, then while `knowledge refresh` in a process of its own embeds and publishes passages that
changed; the same at half of the load that it could bear alone, which is how a shop runs. Then the
same query with and without a filter by language, audience and day. Milliseconds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import IO

import numpy as np

from assistant.build import build_knowledge
from assistant.settings import Settings, load_settings
from benchmarks.passages import questions, rows, with_changes, write
from knowledge.build import open_refresher
from knowledge.encoder import Vectors
from knowledge.retrieve import KnowledgeBase
from knowledge.types import silent

_IDLE_SECONDS = 10.0


def searches(knowledge: KnowledgeBase, asked: list[tuple[str, Vectors]]) -> Callable[[int], float]:
    """A function that runs the n-th search and says how many milliseconds it took."""

    def search(number: int) -> float:
        text, vector = asked[number % len(asked)]
        started = time.perf_counter()
        found = knowledge.candidates(text, vector, 5, "fused", "en")
        if not found:
            raise AssertionError(f"nothing found for {text!r}")
        return 1000 * (time.perf_counter() - started)

    return search


def run(search: Callable[[int], float], until: Callable[[], bool], pause: float) -> list[float]:
    """Milliseconds of searches one after another, one each `pause` seconds (0: without one)."""
    taken, number, due = [], 0, time.perf_counter()
    while not until():
        taken.append(search(number))
        number += 1
        due = max(due + pause, time.perf_counter() - pause)
        time.sleep(max(0.0, due - time.perf_counter()))
    return taken


def shown(name: str, taken: list[float]) -> float:
    """Print count, p50, p95 and the longest; the p95."""
    p50, p95 = np.percentile(taken, (50, 95))
    print(f"{name:42} {len(taken):6}  p50 {p50:7.2f}  p95 {p95:7.2f}  max {max(taken):8.1f}")
    return float(p95)


def refresh(settings: Settings, source: Path) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    """A refresh under way in another process, as the operators' page starts it."""
    command = [sys.executable, "-m", "knowledge", "refresh", str(source), "--json"]
    environment = os.environ | {"FRONTDESK_HOME": str(settings.home), "HF_HUB_OFFLINE": "1"}
    out = tempfile.TemporaryFile()  # noqa: SIM115 -- a pipe that nobody reads would fill up
    return subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT), out


def while_publishing(
    settings: Settings, search: Callable[[int], float], source: Path, pause: float
) -> list[float]:
    """Milliseconds of the searches until a refresh has published."""
    process, out = refresh(settings, source)
    taken = run(search, lambda: process.poll() is not None, pause)
    out.seek(0)
    told = out.read().decode()
    if process.returncode:
        raise RuntimeError(told[-500:])
    report = json.loads(told.splitlines()[-1])
    print(f"  published: {report['changed']} changed in {report['seconds']} s")
    return taken


def filtered(corpus: list[dict[str, str]], count: int) -> list[dict[str, str]]:
    """The corpus as `count` public passages in force among as many for staff, expired ones and
    ones in another language."""
    old = (date.today() - timedelta(days=9)).isoformat()
    kinds: list[dict[str, str]] = [
        {},
        {"audience": "agents"},
        {"valid_until": old},
        {"language": "de"},
    ]
    return [row | kinds[n // count] for n, row in enumerate(corpus[: 4 * count])]


def main() -> None:
    """Print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=10_000)
    arguments = parser.parse_args()
    corpus = rows(arguments.passages)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = load_settings(home=folder / "home")
        source = write(folder / "c.jsonl", corpus)
        refresher = open_refresher(settings.home, settings.engines, settings.knowledge, silent)
        refresher.refresh([source])
        knowledge = build_knowledge(settings)
        texts = questions(corpus, 200)
        asked = list(zip(texts, knowledge.encoder.embed(texts), strict=True))
        search = searches(knowledge, asked)
        knowledge.index()
        knowledge.follow()
        for number in range(50):
            search(number)
        deadline = time.monotonic() + _IDLE_SECONDS
        idle = run(search, lambda: time.monotonic() > deadline, 0)
        fastest = shown("idle, one after another", idle)
        write(source, with_changes(corpus, "once"))
        busy = while_publishing(settings, search, source, 0)
        print(f"  p95 {shown('while publishing, one after another', busy) / fastest:.2f} x idle")
        pause = 2 * float(np.mean(idle)) / 1000
        deadline = time.monotonic() + _IDLE_SECONDS
        half = shown(
            "idle, at half of that load", run(search, lambda: time.monotonic() > deadline, pause)
        )
        write(source, with_changes(corpus, "twice"))
        busy = while_publishing(settings, search, source, pause)
        print(f"  p95 {shown('while publishing, at half of that load', busy) / half:.2f} x idle")
        time.sleep(1)
        assert knowledge.index().store.folder == knowledge.versions.current_folder()
        knowledge.close()

        quarter = arguments.passages // 4
        for label, rows_of in (
            ("no filter applies", corpus[:quarter]),
            ("staff, expired, other language beside", filtered(corpus, quarter)),
        ):
            home = folder / label.split(",")[0].replace(" ", "-")
            settings = load_settings(home=home)
            refresher = open_refresher(home, settings.engines, settings.knowledge, silent)
            refresher.refresh([write(folder / "f.jsonl", rows_of)])
            knowledge = build_knowledge(settings)
            texts = questions(corpus[:quarter], 200)
            asked = list(zip(texts, knowledge.encoder.embed(texts), strict=True))
            search = searches(knowledge, asked)
            search(0)
            shown(label, [search(n) for n in range(2000)])
            knowledge.close()


if __name__ == "__main__":
    main()
