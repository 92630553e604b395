"""A disk that is really full, and a folder that really cannot be written: what was published is
served, and the error says what to do."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from knowledge.errors import VersionError
from knowledge.language import Detector
from knowledge.load import Loader
from knowledge.refresh import Refresher
from knowledge.settings import KnowledgeSettings
from knowledge.store import Store
from knowledge.versions import Versions
from tests.knowledge.fakes import WordInspector

pytestmark = pytest.mark.slow


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own; only root can mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this user cannot mount a disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def refresher(disk: Path, detector: Detector, word_lengths) -> Refresher:
    versions = Versions(disk / "home")
    return Refresher(versions, Loader(detector), word_lengths, WordInspector(), KnowledgeSettings())


def corpus(path: Path, count: int, word: str) -> Path:
    rows = [
        {"id": f"d{n}", "title": f"T{n}", "text": f"{word} {n}.", "language": "en"}
        for n in range(count)
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def serves(refresher: Refresher, word: str) -> None:
    store = Store(refresher.versions.current_folder())
    (scope,) = store.scopes
    row, cosine = store.nearest(scope, store.vectors[0], 1)[0]
    assert cosine == pytest.approx(1, abs=1e-3)
    assert word in store.chunks[row].text
    store.close()


def test_a_full_disk_leaves_what_was_published(refresher, disk, tmp_path):
    refresher.refresh([corpus(tmp_path / "c.jsonl", 20, "Old")])
    filler = disk / "filler"
    subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=64k"], capture_output=True)
    with pytest.raises(VersionError, match="the disk is full; free some space and refresh again"):
        refresher.refresh([corpus(tmp_path / "c.jsonl", 20, "New")])
    serves(refresher, "Old")
    filler.unlink()
    refresher.refresh([tmp_path / "c.jsonl"])
    serves(refresher, "New")


def test_a_folder_that_cannot_be_written_leaves_what_was_published(refresher, disk, tmp_path):
    refresher.refresh([corpus(tmp_path / "c.jsonl", 20, "Old")])
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    try:
        with pytest.raises(VersionError, match="make its folder writable"):
            refresher.refresh([corpus(tmp_path / "c.jsonl", 20, "New")])
        serves(refresher, "Old")
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    refresher.refresh([tmp_path / "c.jsonl"])
    serves(refresher, "New")
