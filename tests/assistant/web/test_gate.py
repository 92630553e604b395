"""Who gets through the gate: anonymous requests, other roles, and cross-site writes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.routing import Mount

from assistant.web.auth import COOKIE
from tests.staffing import AGENT, HOST, log_in

ORIGIN = {"origin": HOST}


def routes_below(routes: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """(method, path) of these routes and of all mounted or included below them."""
    for route in routes:
        path = prefix + getattr(route, "path", "")
        if isinstance(route, Mount):
            yield from routes_below(getattr(route.app, "routes", ()), path)
        elif router := getattr(route, "original_router", None):
            yield from routes_below(router.routes, prefix)
        else:
            for method in getattr(route, "methods", None) or ("GET",):
                yield method, path.replace("{", "").replace("}", "")


def staff_paths(app: FastAPI) -> list[tuple[str, str]]:
    """Every route below /desk, /bench and /operator, Gradio's own included."""
    found = set(routes_below(app.routes))
    return sorted(route for route in found if route[1].startswith(("/desk", "/bench", "/operator")))


def test_no_staff_route_answers_an_anonymous_request(app: FastAPI, client: TestClient) -> None:
    paths = staff_paths(app)
    assert {("PUT", "/operator/uploads"), ("POST", "/desk/gradio_api/upload")} <= set(paths)
    assert {("GET", "/bench/comparison.json"), ("GET", "/bench/")} <= set(paths)
    assert len(paths) > 60, "Gradio's routes are among them"
    for method, path in paths:
        answer = client.request(method, path, headers=ORIGIN)
        assert answer.status_code in (401, 303), (method, path)
        if answer.status_code == 303:
            assert answer.headers["location"].startswith("/login")


@pytest.mark.parametrize(("role", "other"), [
    ("agent", "/operator"), ("operator", "/desk"), ("operator", "/bench"),
])  # fmt: skip
def test_no_staff_route_answers_another_role(
    app: FastAPI, client: TestClient, role: str, other: str
) -> None:
    assert log_in(client, role) == 303
    for method, path in staff_paths(app):
        if path.startswith(other):
            assert client.request(method, path, headers=ORIGIN).status_code == 403, (method, path)


@pytest.mark.parametrize("path", [
    "/desk/gradio_api/upload", "/desk/gradio_api/file=/etc/passwd", "/desk/config",
    "/desk/monitoring", "/operator/gradio_api/proxy=x", "/bench/gradio_api/upload",
])  # fmt: skip
def test_gradios_file_routes_are_closed_even_to_staff(client: TestClient, path: str) -> None:
    assert log_in(client, "operator" if path.startswith("/operator") else "agent") == 303
    assert client.get(path).status_code == 404


def test_the_test_bench_is_open_to_agents(client: TestClient) -> None:
    assert client.get("/bench/").headers["location"] == "/login?role=agent"
    assert log_in(client, "agent") == 303
    assert client.get("/bench").headers["location"] == "/bench/"
    assert client.get("/bench/").status_code == 200
    nothing_yet = client.get("/bench/comparison.json")
    assert nothing_yet.status_code == 404
    assert "nothing was compared" in nothing_yet.json()["error"]
    assert nothing_yet.headers["cache-control"] == "no-store"


def test_a_refused_request_is_not_read(app: FastAPI) -> None:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        raise AssertionError("the body of an anonymous request was read")

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "PUT", "path": "/operator/uploads", "query_string": b"name=a.md",
        "headers": [(b"host", b"testserver"), (b"origin", HOST.encode())], "scheme": "http",
        "server": ("testserver", 80), "client": ("1.2.3.4", 1), "root_path": "",
        "http_version": "1.1",
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]
    assert sent[0]["status"] == 401


@pytest.mark.parametrize("headers", [
    {}, {"origin": "null"}, {"origin": "http://evil.example"}, {"origin": f"{HOST}.evil.example"},
    {"origin": "http://testserver:81"}, {"referer": "http://evil.example/testserver"},
])  # fmt: skip
@pytest.mark.parametrize("path", ["/login", "/logout", "/staff/language", "/operator/uploads"])
def test_cross_site_writes_are_refused(
    client: TestClient, path: str, headers: dict[str, str]
) -> None:
    assert log_in(client, "operator") == 303
    method = "PUT" if path == "/operator/uploads" else "POST"
    assert client.request(method, path, headers=headers).status_code == 403


def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(client: TestClient) -> None:
    form = {"role": "agent", "name": "Ada", "password": AGENT}
    answer = client.post("/login", data=form, headers=ORIGIN)
    assert answer.headers["location"] == "/desk/"
    cookie = answer.headers["set-cookie"].casefold()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "secure" not in cookie, "plain http on this machine"


def test_log_out_makes_the_cookie_worthless(client: TestClient) -> None:
    assert log_in(client, "agent") == 303
    token = client.cookies[COOKIE]
    assert client.get("/desk/").status_code == 200
    assert client.post("/logout", headers=ORIGIN).status_code == 303
    client.cookies.set(COOKIE, token)
    assert client.get("/desk/").status_code == 303


def test_staff_pages_are_neither_framed_nor_kept(client: TestClient) -> None:
    log_in(client, "agent")
    for path in ("/login", "/desk/", "/bench/"):
        headers = client.get(path).headers
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
