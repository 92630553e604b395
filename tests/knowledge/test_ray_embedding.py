"""Passages embedded by workers of a real, local Ray."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from knowledge.encoder import Vectors
from knowledge.engines import in_length_order, length_batches
from knowledge.errors import EncoderError
from knowledge.ray_embedding import RayEmbedding
from knowledge.settings import KnowledgeSettings
from knowledge.store import Store
from knowledge.versions import Versions
from tests.conftest import REPOSITORY, WordLengthEncoder

PASSAGES = 1200


def test_batches_are_those_of_one_process() -> None:
    lengths = [37 * n % 101 for n in range(70)]
    batches: list[list[int]] = []
    in_length_order(lengths, lambda rows: batches.append(rows) or rows)  # type: ignore[func-returns-value]
    assert batches == length_batches(lengths)
    assert [len(batch) for batch in batches] == [32, 32, 6]
    assert length_batches([]) == []


def test_without_ray_the_error_says_what_to_install(
    word_lengths: WordLengthEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    settings = KnowledgeSettings(embedding="ray")
    with pytest.raises(EncoderError, match=r"pip install \"frontdesk\[ray\]\""):
        list(RayEmbedding(word_lengths, tmp_path, settings).embed([["a"]]))


# With Ray.


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Passages of all lengths."""
    pytest.importorskip("ray", reason="pip install 'frontdesk[ray]'")
    documents = sorted((REPOSITORY / "assistant/demo/shop/documents/en").glob("*.md"))
    words = " ".join(path.read_text() for path in documents).split()
    path = tmp_path_factory.mktemp("source") / "corpus.jsonl"
    with path.open("w") as file:
        for n in range(PASSAGES):
            text = " ".join(words[n * 5 % 9000 :][: 12 + n * 7 % 60])
            file.write(json.dumps({"id": f"p{n}", "title": f"Page {n}", "text": text}) + "\n")
    return path


def refreshing(home: Path, source: Path, engines: Path, how: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.knowledge.refreshing"]
    return subprocess.Popen(
        [*command, str(home), str(source), str(engines), how],
        stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, start_new_session=True,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> str:
    """The version that was published."""
    assert process.stdout
    lines = process.stdout.read().splitlines()
    assert process.wait() == 0
    return lines[-1]


def wait_for_vectors(process: subprocess.Popen[str]) -> None:
    assert process.stdout
    assert any(line.startswith("embedded") for line in process.stdout)


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    below = psutil.Process(process.pid).children(recursive=True)
    return [p for p in below if "ray::_Worker" in " ".join(p.cmdline())]


def held(home: Path) -> tuple[list[str], Vectors]:
    store = Store(Versions(home).current_folder())
    try:
        return [c.id for c in store.chunks], np.array(store.vectors)
    finally:
        store.close()


@pytest.fixture(scope="module")
def here(source: Path, engines: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home that one process made."""
    home = tmp_path_factory.mktemp("here")
    finish(refreshing(home, source, engines, "process"))
    return home


@pytest.mark.slow
def test_workers_make_the_same_passages_and_the_same_vectors(
    here: Path, source: Path, engines: Path, tmp_path: Path
) -> None:
    finish(refreshing(tmp_path, source, engines, "ray"))
    (ids, vectors), (expected_ids, expected) = held(tmp_path), held(here)
    assert ids == expected_ids
    assert len(ids) > 0.9 * PASSAGES
    assert np.array_equal(vectors, expected)


@pytest.mark.slow
def test_a_worker_that_dies_is_started_again(
    here: Path, source: Path, engines: Path, tmp_path: Path
) -> None:
    process = refreshing(tmp_path, source, engines, "ray")
    wait_for_vectors(process)
    workers = workers_of(process)
    assert len(workers) == 2
    workers[0].kill()
    finish(process)
    (ids, vectors), (expected_ids, expected) = held(tmp_path), held(here)
    assert ids == expected_ids
    assert np.array_equal(vectors, expected)


@pytest.mark.slow
def test_a_refresh_that_is_killed_leaves_the_old_version_and_what_it_had_embedded(
    here: Path, source: Path, engines: Path, tmp_path: Path
) -> None:
    first = tmp_path / "first.jsonl"
    first.write_text(json.dumps({"id": "old", "title": "Old", "text": "Parcels arrive soon."}))
    home = tmp_path / "home"
    version = finish(refreshing(home, first, engines, "process"))
    process = refreshing(home, source, engines, "ray")
    wait_for_vectors(process)
    workers = workers_of(process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert Versions(home).current() == version
    assert len(held(home)[0]) == 1
    assert list((home / "knowledge" / "pending").glob("vectors-*.npz"))
    assert len(workers) == 2
    assert not psutil.wait_procs(workers, timeout=30)[1], "nobody embeds for nobody"
    finish(refreshing(home, source, engines, "ray"))
    assert np.array_equal(held(home)[1], held(here)[1])
