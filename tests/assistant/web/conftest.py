"""Fixtures of the web tests: the staff's pages around a scripted assistant."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from assistant.service import ChatService
from assistant.web.auth import Sessions
from tests.staffing import chat_service, staff_app, staff_settings


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ChatService]:
    started = chat_service(staff_settings(tmp_path))
    yield started
    started.conversations.close()


@pytest.fixture
def sessions(service: ChatService) -> Sessions:
    """The sessions that `service` keeps."""
    return Sessions(service.conversations, hours=1.0, idle_minutes=60.0)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    settings = staff_settings(tmp_path_factory.mktemp("home"))
    with pytest.MonkeyPatch.context() as monkeypatch:
        service = chat_service(settings)
        yield staff_app(settings, service, monkeypatch)
        service.conversations.close()


@pytest.fixture
def client(app: FastAPI, request: pytest.FixtureRequest) -> TestClient:
    """A client with an address of its own, so that tests do not lock each other out."""
    return TestClient(app, client=(request.node.name, 1), follow_redirects=False)
