"""What customers said about their purchases: kept by several processes in one file."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from assistant.errors import StoreError
from assistant.recommend.consent import ConsentFile


def _decide(path: Path, name: str) -> None:
    for number in range(40):
        ConsentFile(path).decide(f"{name}{number}", True)


def test_of_what_two_processes_write_at_once_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "consent.json"
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_decide, args=(path, name)) for name in "ab"]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
        assert process.exitcode == 0
    consent = ConsentFile(path)
    assert all(consent.allows(f"{name}{number}") for name in "ab" for number in range(40))


def test_where_nothing_can_be_written_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file where a folder should be")
    with pytest.raises(StoreError, match="cannot be written"):
        ConsentFile(tmp_path / "home" / "consent.json").decide("ada", True)
