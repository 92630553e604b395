"""/metrics, the health checks and the ids of requests, on an application like the real one."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.routing import Mount

from assistant.announcements import request_id
from assistant.breaker import Breaker
from assistant.logs import ids
from assistant.service import ChatService
from assistant.settings import Settings, load_settings
from assistant.web.observing import Observation, Requests, observing_routes
from assistant.web.turns import Turns
from tests.assistant.test_readiness import publish
from tests.staffing import chat_service

TOKEN = "a-scraper's-token"
Open = Callable[..., TestClient]


def application(observation: Observation) -> FastAPI:
    app = FastAPI()
    app.include_router(observing_routes(observation))
    app.add_middleware(Requests, metrics=observation.metrics)

    @app.get("/things/{key}")
    def thing(key: str) -> dict[str, str]:
        return ids() if key else {}

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError

    inner = FastAPI()
    inner.get("/part/{name}")(lambda name: name)
    app.routes.append(Mount("/mounted", inner))
    return app


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens an application, as asked by an address."""
    services: list[tuple[ChatService, Observation]] = []

    def opening(address: str = "127.0.0.1", **observability: Any) -> TestClient:
        settings = load_settings(environment={}, home=tmp_path, observability=observability)
        service = chat_service(settings)
        observation = Observation(settings, service, Turns(service))
        observation.start()
        services.append((service, observation))
        app = application(observation)
        app.state.observation, app.state.service = observation, service
        return TestClient(app, client=(address, 1), raise_server_exceptions=False)

    yield opening
    for service, observation in services:
        observation.close()
        service.conversations.close()


def figures(client: TestClient) -> str:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    return answer.text


# Who may read the figures.


@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("::ffff:127.0.0.1", {}, 200),
        ("127.0.0.1", {"x-forwarded-for": "127.0.0.1"}, 403),
        ("127.0.0.1", {"forwarded": "for=127.0.0.1"}, 403),
        ("127.0.0.1", {"authorization": "Bearer guessed-at-random"}, 403),
        ("10.0.0.7", {}, 403),
        ("203.0.113.9", {"x-forwarded-for": "127.0.0.1"}, 403),
        ("testclient", {}, 403),
    ],
)
def test_by_default_only_this_machine_reads_the_figures_and_nobody_through_a_proxy(
    opened: Open, address: str, headers: dict[str, str], status: int
) -> None:
    assert opened(address).get("/metrics", headers=headers).status_code == status


def test_a_token_opens_them_from_anywhere_and_a_wrong_one_is_401(opened: Open) -> None:
    client = opened("203.0.113.9", metrics_token=TOKEN)
    bearer = {"authorization": f"Bearer {TOKEN}", "x-forwarded-for": "203.0.113.9"}
    assert client.get("/metrics", headers=bearer).status_code == 200
    for wrong in (
        {},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": "Bearer ünsinn".encode()},
    ):  # type: ignore[var-annotated]
        refused = client.get("/metrics", headers=wrong)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"


def test_listed_networks_may_read_them(opened: Open) -> None:
    assert opened("10.0.0.7", metrics_networks=("10.0.0.0/8",)).get("/metrics").status_code == 200
    assert opened("127.0.0.1", metrics_networks=()).get("/metrics").status_code == 403


# What is counted.


def test_requests_are_counted_by_the_template_of_their_route(opened: Open) -> None:
    client = opened()
    for path in ("/things/ada", "/things/bob", "/mounted/part/ada", "/no/such/ada", "/broken"):
        client.get(path)
    client.request("BREW", "/things/ada")
    told = figures(client)
    wanted = {
        ("/things/{key}", "GET", "200"): 2,
        ("/mounted/part/{name}", "GET", "200"): 1,
        ("none", "GET", "404"): 1,
        ("/broken", "GET", "500"): 1,
    }
    for (route, method, status), count in wanted.items():
        labels = f'method="{method}",route="{route}",status="{status}"'
        assert f"frontdesk_http_requests_total{{{labels}}} {count}.0" in told
    assert "/ada" not in told
    assert "BREW" not in told


def test_each_request_has_an_id_which_its_log_lines_and_its_response_have(opened: Open) -> None:
    client = opened()
    one, other = client.get("/things/x"), client.get("/things/x", headers={"x-request-id": "mine"})
    assert one.json() == {"request": one.headers["x-request-id"]}
    assert other.headers["x-request-id"] not in ("mine", one.headers["x-request-id"])
    assert request_id.get() == ""


def test_turns_hand_offs_and_verdicts_of_a_conversation_are_in_the_figures(opened: Open) -> None:
    client = opened()
    service: ChatService = client.app.state.service  # type: ignore[attr-defined]
    conversation = service.start("en").id
    said = service.send(conversation, "May I return it?")
    assert said
    service.rate(conversation, said.id, False)
    service.send(conversation, "Write me a poem")
    logging.getLogger("x").error("something")
    told = figures(client)
    for line in (
        'frontdesk_turns_total{outcome="answer",reason="none"} 1.0',
        'frontdesk_turns_total{outcome="handoff",reason="grounding"} 1.0',
        'frontdesk_handoff_events_total{event="ask"} 1.0',
        "frontdesk_handoffs_waiting 1.0",
        'frontdesk_ratings_total{helpful="no"} 1.0',
        'frontdesk_log_records_total{level="error"} 1.0',
        "frontdesk_turns_in_progress 0.0",
        "frontdesk_ready 0.0",
        'frontdesk_check_ok{check="database"} 1.0',
        'frontdesk_check_ok{check="knowledge"} 0.0',
    ):
        assert line in told, line


def test_a_new_version_takes_the_place_of_the_one_before(opened: Open, tmp_path: Path) -> None:
    client = opened()
    served = re.compile(r'frontdesk_info\{.*knowledge="(.*?)",.*\} (\d)')
    publish(tmp_path, "20260901-080000-000000")
    figures(client)
    publish(tmp_path, "20260902-080000-000000")
    assert served.findall(figures(client)) == [
        ("20260901-080000-000000", "0"), ("20260902-080000-000000", "1"),
    ]  # fmt: skip


def test_a_breaker_shows_from_its_failures_until_an_answer(opened: Open) -> None:
    client, breaker = opened(), Breaker("a server of the tests", most=2, seconds=0.0)
    line = 'frontdesk_breaker_open{breaker="a server of the tests"}'
    breaker.failed()
    assert f"{line} 0.0" in figures(client)
    breaker.failed()
    assert f"{line} 1.0" in figures(client), "also while one call is tried"
    breaker.succeeded()
    assert f"{line} 0.0" in figures(client)


def test_figures_are_there_while_the_database_is_not(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = opened()
    service: ChatService = client.app.state.service  # type: ignore[attr-defined]
    monkeypatch.setattr(service.handoffs, "depth", lambda: 1 / 0)
    assert "frontdesk_turn_seconds_count 0.0" in figures(client)


# The health checks.


def test_live_says_nothing_of_what_ready_misses(opened: Open) -> None:
    client = opened()
    assert client.get("/health/live").json() == {"status": "live"}
    ready = client.get("/health/ready")
    assert ready.status_code == 503
    assert ready.json()["checks"]["models"] == "warming up"


def test_it_is_ready_when_all_is_there_and_not_while_it_drains(
    opened: Open, tmp_path: Path
) -> None:
    publish(tmp_path)
    client = opened()
    client.app.state.observation.readiness.models = ""  # type: ignore[attr-defined]
    assert client.get("/health/ready").status_code == 200
    client.app.state.observation.readiness.drain()  # type: ignore[attr-defined]
    assert client.get("/health/ready").json()["checks"] == {"server": "shutting down"}
    assert client.get("/health/live").status_code == 200


def test_a_database_that_hangs_makes_it_not_ready_in_time(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, go_on = opened(), threading.Event()
    monkeypatch.setattr("assistant.web.observing.SLOW_SECONDS", 0.1)
    monkeypatch.setattr(client.app.state.observation.readiness, "look", lambda: go_on.wait(10))  # type: ignore[attr-defined]
    for _ in range(2):
        assert "no answer" in client.get("/health/ready").json()["checks"]["database"]
    assert client.get("/health/live").status_code == 200
    go_on.set()


def test_settings_refuse_a_short_token_and_what_is_no_network() -> None:
    with pytest.raises(Exception, match="16 characters"):
        Settings.model_validate({"observability": {"metrics_token": "short"}})
    with pytest.raises(Exception, match="no network"):
        Settings.model_validate({"observability": {"metrics_networks": ["here"]}})
