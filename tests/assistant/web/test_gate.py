"""Who gets through the gate: cross-site writes, cookies, roles, proxies. Every single route is asked
in test_doors.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from app import secure
from assistant import tables
from assistant.web.auth import COOKIE
from tests.staffing import AGENT, HOST, log_in, staff_settings

ORIGIN = {"origin": HOST}


@pytest.mark.parametrize("path", [
    "/desk/gradio_api/upload", "/desk/gradio_api/file=/etc/passwd", "/desk/config",
    "/desk/monitoring", "/operator/gradio_api/proxy=x", "/bench/gradio_api/upload",
])  # fmt: skip
def test_gradios_file_routes_are_closed_even_to_staff(client: TestClient, path: str) -> None:
    assert log_in(client, "admin") == 303
    answer = client.get(path)
    assert (answer.status_code, answer.json()) == (404, {"error": "not found"})


def test_the_test_bench_is_open_to_agents(client: TestClient) -> None:
    assert client.get("/bench/").headers["location"] == "/login?to=/bench"
    assert log_in(client, "agent") == 303
    assert client.get("/bench").headers["location"] == "/bench/"
    assert client.get("/bench/").status_code == 200
    nothing_yet = client.get("/bench/comparison.json")
    assert nothing_yet.status_code == 404
    assert "nothing was compared" in nothing_yet.json()["error"]
    assert nothing_yet.headers["cache-control"] == "no-store"


def test_another_roles_page_says_so_and_leads_back(client: TestClient) -> None:
    assert log_in(client, "operator") == 303
    answer = client.get("/desk/")
    assert answer.status_code == 403
    assert "Support agent" in answer.text
    assert 'href="/operator/"' in answer.text


def test_an_admin_opens_every_page(client: TestClient) -> None:
    assert log_in(client, "admin") == 303
    for path in ("/desk/", "/bench/", "/operator/"):
        assert client.get(path).status_code == 200


FOREIGN = [
    {}, {"origin": "null"}, {"origin": "http://evil.example"}, {"origin": f"{HOST}.evil.example"},
    {"origin": "http://testserver:81"}, {"referer": "http://evil.example/testserver"},
    {"origin": HOST, "sec-fetch-site": "cross-site"}, {"sec-fetch-site": "none"},
    {"origin": "http://shop.testserver", "sec-fetch-site": "same-site"},
]  # fmt: skip


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("path", [
    "/login", "/logout", "/staff/language", "/staff/password", "/operator/uploads",
    "/operator/gradio_api/run/predict", "/operator/gradio_api/queue/join",
])  # fmt: skip
def test_cross_site_writes_are_refused(
    client: TestClient, path: str, headers: dict[str, str]
) -> None:
    assert log_in(client, "operator") == 303
    method = "PUT" if path == "/operator/uploads" else "POST"
    answer = client.request(method, path, headers=headers)
    assert (answer.status_code, "own page" in answer.json()["error"]) == (403, True)


@pytest.mark.parametrize("headers", [
    {"origin": HOST}, {"referer": f"{HOST}/desk/"}, {"origin": HOST, "sec-fetch-site": "same-origin"},
    {"origin": "https://seen-by-the-proxy.example", "sec-fetch-site": "same-origin"},
])  # fmt: skip
def test_writes_of_our_own_pages_pass(client: TestClient, headers: dict[str, str]) -> None:
    assert log_in(client, "operator") == 303
    answer = client.post("/staff/language", data={"language": "en"}, headers=headers)
    assert answer.status_code == 303


def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(client: TestClient) -> None:
    form = {"login": "ada", "password": AGENT}
    answer = client.post("/login", data=form, headers=ORIGIN)
    assert answer.headers["location"] == "/desk/"
    cookie = answer.headers["set-cookie"].casefold()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "path=/;" in cookie
    assert "max-age=43200" in cookie
    assert "secure" not in cookie, "plain http on this machine"


def test_behind_https_the_cookie_never_leaves_in_the_clear(app: FastAPI) -> None:
    client = TestClient(app, "https://testserver", client=("https", 1), follow_redirects=False)
    form = {"login": "ada", "password": AGENT}
    answer = client.post("/login", data=form, headers={"origin": "https://testserver"})
    assert "; secure" in answer.headers["set-cookie"].casefold()


def test_log_out_makes_the_cookie_worthless(client: TestClient) -> None:
    assert log_in(client, "agent") == 303
    token = client.cookies[COOKIE]
    assert client.get("/desk/").status_code == 200
    answer = client.post("/logout", headers=ORIGIN)
    assert answer.status_code == 303
    assert "max-age=0" in answer.headers["set-cookie"].casefold()
    client.cookies.set(COOKIE, token)
    assert client.get("/desk/").status_code == 303


def test_looking_for_news_keeps_no_session_open(app: FastAPI, client: TestClient) -> None:
    assert log_in(client, "agent", name="Bruno") == 303
    store, kept = app.state.store, tables.staff_sessions
    with store.engine.begin() as connection:
        connection.execute(kept.update().values(seen=kept.c.seen - 600))

    def last_done() -> float:
        with store.readers.connect() as connection:
            return float(connection.execute(select(func.max(kept.c.seen))).scalar_one())

    before = last_done()
    for _ in range(3):
        assert client.get("/desk/gradio_api/info").status_code == 200
    assert last_done() == before
    assert client.get("/desk/").status_code == 200
    assert last_done() > before + 500


def test_staff_pages_are_neither_framed_nor_kept(client: TestClient) -> None:
    log_in(client, "agent")
    for path in ("/login", "/desk/", "/bench/", "/staff/password"):
        headers = client.get(path).headers
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]


# Proxies.


def behind(proxies: tuple[str, ...], **headers: str) -> tuple[str, str]:
    """(address, scheme) that the application sees of a request from 10.0.0.7."""
    app = FastAPI()

    @app.get("/seen")
    def seen(request: Request) -> list[str]:
        assert request.client
        return [request.client.host, request.url.scheme]

    secure(app, staff_settings(Path(), proxies=proxies))
    client = TestClient(app, client=("10.0.0.7", 1))
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    address, scheme = client.get("/seen", headers=named).json()
    return address, scheme


@pytest.mark.parametrize(("proxies", "forwarded", "seen"), [
    ((), "1.2.3.4", "10.0.0.7"),
    (("10.0.0.8",), "1.2.3.4", "10.0.0.7"),
    (("10.0.0.7",), "1.2.3.4", "1.2.3.4"),
    (("10.0.0.0/8",), "6.6.6.6, 1.2.3.4", "1.2.3.4"),
    (("10.0.0.0/8",), "6.6.6.6, 1.2.3.4, 10.0.0.9", "1.2.3.4"),
])  # fmt: skip
def test_a_forwarded_address_is_believed_of_listed_proxies_only(
    proxies: tuple[str, ...], forwarded: str, seen: str
) -> None:
    scheme = "https" if seen == "1.2.3.4" else "http"
    headers = {"x_forwarded_for": forwarded, "x_forwarded_proto": "https"}
    assert behind(proxies, **headers) == (seen, scheme)
