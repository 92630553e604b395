"""Limits on how often customers may write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from assistant.settings import WebSettings
from assistant.web.api import api_routes
from assistant.web.flood import Flood, FloodError
from assistant.web.identity import Identities, Tickets
from assistant.web.turns import Turns
from tests.staffing import chat_service, staff_settings

FEW = WebSettings(most_messages=3, most_of_address=7)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[TestClient]:
    settings = staff_settings(tmp_path).model_copy(update={"web": FEW})
    service = chat_service(settings)
    app = FastAPI()
    identities = Identities("", service.conversations)
    app.include_router(api_routes(service, Turns(service), Tickets("own"), identities))
    with TestClient(app, client=("203.0.113.5", 1)) as client:
        yield client
    service.conversations.close()


def begin(api: TestClient, **headers: str) -> tuple[str, dict[str, str]]:
    begun = api.post("/api/v1/conversations", json={}, headers=headers)
    assert begun.status_code == 201, begun.text
    path = f"/api/v1/conversations/{begun.json()['conversation_id']}/messages"
    return path, {"Authorization": f"Bearer {begun.json()['token']}"} | headers


def say(api: TestClient, path: str, headers: dict[str, str], number: int) -> int:
    body = {"text": "can I return this?", "message_id": f"m{number}"}
    answer = api.post(path, json=body, headers=headers)
    if answer.status_code == 429:
        assert 0 < int(answer.headers["retry-after"]) <= 300
        assert "again in" in answer.json()["detail"]
    return answer.status_code


def test_the_message_after_the_last_allowed_one_is_refused_and_not_stored(api: TestClient) -> None:
    path, headers = begin(api)
    assert [say(api, path, headers, n) for n in range(4)] == [200, 200, 200, 429]
    history = api.get(path.removesuffix("/messages"), headers=headers).json()["messages"]
    assert len(history) == 6
    other, its = begin(api)
    assert say(api, other, its, 0) == 200, "another conversation has its own"


def test_an_address_may_not_open_ever_new_conversations_whoever_it_says_it_is(
    api: TestClient,
) -> None:
    for n in range(7):
        begin(api, **{"X-Forwarded-For": f"198.51.100.{n}", "Forwarded": f"for=198.51.100.{n}"})
    answer = api.post("/api/v1/conversations", json={}, headers={"X-Forwarded-For": "192.0.2.1"})
    assert answer.status_code == 429


def test_a_network_counts_as_one_and_others_are_not_its_business() -> None:
    flood = Flood(FEW)
    for n in range(7):
        flood.count(f"2001:db8::{n}")
    with pytest.raises(FloodError):
        flood.count("2001:db8::ffff")
    flood.count("2001:db8:0:1::1")


def test_what_is_refused_does_not_make_the_wait_longer() -> None:
    flood = Flood(FEW)
    for _ in range(3):
        flood.count("", "c")
    waits = []
    for _ in range(5):
        with pytest.raises(FloodError) as refused:
            flood.count("203.0.113.9", "c")
        waits.append(refused.value.seconds)
    assert waits[-1] <= waits[0]
    for _ in range(7):
        flood.count("203.0.113.9")
