"""A little of `python -m benchmarks.fuzz`, with a scripted assistant: nothing breaks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from app import create_app
from assistant import passwords
from assistant.service import ChatService
from benchmarks.fuzz import fuzz_files, fuzz_requests, fuzz_texts
from tests.staffing import chat_service, quick_hasher, staff_settings


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FastAPI, ChatService]]:
    settings = staff_settings(tmp_path_factory.mktemp("home"))
    service = chat_service(settings)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(passwords, "PasswordHasher", quick_hasher)
        yield create_app(settings, service), service
    service.conversations.close()


def test_no_text_is_a_server_error(served: tuple[FastAPI, ChatService]) -> None:
    found = fuzz_texts(*served, 120)
    assert (found.inputs >= 100, found.faults) == (True, [])


def test_no_request_that_the_openapi_describes_is_a_server_error(
    served: tuple[FastAPI, ChatService],
) -> None:
    found = fuzz_requests(*served, 140)
    assert (found.inputs >= 50, found.faults) == (True, [])


def test_no_damaged_file_is_lost_or_brings_its_reader_down(tmp_path: Path) -> None:
    found = fuzz_files(tmp_path, 60)
    assert (found.inputs, found.faults) == (60, [])
