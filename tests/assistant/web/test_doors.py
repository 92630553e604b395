"""Every route of the application, asked by everybody: who gets in is written in one table.

A route that is not in the table fails the test, so whoever adds one has to say who may use it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app import create_app
from assistant import passwords
from assistant.service import ChatService
from assistant.web.auth import COOKIE, Sessions, StaffFile
from assistant.web.identity import Tickets
from tests.doors import Answer, Street, all_routes
from tests.staffing import HOST, chat_service, hire, quick_hasher, staff_settings

# Who may use what is ours. PUBLIC is everybody; TOKEN is who has the conversation's own token.
PUBLIC, TOKEN, STAFF = "public", "token", "anybody who has logged in"
SCRAPER = "this machine, or who has the token for figures"
AGENTS, OPERATORS = "agent", "operator"
OURS = {
    "GET /demo": PUBLIC,
    "GET /demo/goods/{name}.svg": PUBLIC,
    "GET /demo/style.css": PUBLIC,
    "GET /health/live": PUBLIC,
    "GET /health/ready": PUBLIC,
    "GET /metrics": SCRAPER,
    "GET /widget.js": PUBLIC,
    "GET /openapi.json": PUBLIC,
    "HEAD /openapi.json": PUBLIC,
    "GET /login": PUBLIC,
    "POST /login": PUBLIC,
    "POST /logout": PUBLIC,
    "GET /logout": PUBLIC,
    "POST /staff/language": STAFF,
    "GET /staff/password": STAFF,
    "POST /staff/password": STAFF,
    "POST /api/v1/conversations": PUBLIC,
    "GET /api/v1/conversations/{conversation_id}": TOKEN,
    "DELETE /api/v1/conversations/{conversation_id}": TOKEN,
    "GET /api/v1/conversations/{conversation_id}/events": TOKEN,
    "POST /api/v1/conversations/{conversation_id}/messages": TOKEN,
    "POST /api/v1/conversations/{conversation_id}/rating": TOKEN,
    "POST /api/v1/conversations/{conversation_id}/handoff": TOKEN,
    "DELETE /api/v1/conversations/{conversation_id}/handoff": TOKEN,
    "POST /api/v1/conversations/{conversation_id}/reopen": TOKEN,
    "POST /api/v1/conversations/{conversation_id}/stop": TOKEN,
    "PUT /api/v1/conversations/{conversation_id}/contact": TOKEN,
    "GET /desk": AGENTS,
    "GET /bench": AGENTS,
    "GET /bench/comparison.json": AGENTS,
    "GET /operator": OPERATORS,
    "GET /operator/analytics.csv": OPERATORS,
    "GET /operator/audit.csv": OPERATORS,
    "PUT /operator/uploads": OPERATORS,
}
# Where 401 says that the password is wrong, and 303 to the log-in that somebody has left.
ENTRANCE = {"POST /login", "POST /staff/password", "POST /logout"}
MOUNTS = {"/desk": AGENTS, "/bench": AGENTS, "/operator": OPERATORS, "": PUBLIC}
# Of Gradio's routes below each mount, those that its pages need; all others are for nobody.
GRADIO_OPEN = {
    "GET /", "HEAD /", "GET /assets/{path:path}", "GET /static/{path:path}",
    "GET /svelte/{path:path}", "GET /favicon.ico", "GET /manifest.json", "GET /robots.txt",
    "GET /pwa_icon", "GET /pwa_icon/{size}", "GET /theme.css", "GET /openapi.json",
    "HEAD /openapi.json", "GET /gradio_api/app_id", "GET /gradio_api/info",
    "GET /gradio_api/startup-events", "GET /gradio_api/theme.css", "GET /gradio_api/queue/data",
    "GET /gradio_api/heartbeat/{session_hash}", "POST /gradio_api/queue/join",
    "POST /gradio_api/run/{api_name}", "POST /gradio_api/reset", "POST /gradio_api/cancel",
}  # fmt: skip
GRADIO_CLOSED = {
    "GET /config", "POST /login", "GET /logout", "GET /monitoring", "GET /monitoring/summary",
    "GET /monitoring/{key}", "POST /gradio_api/api/{api_name}", "POST /gradio_api/call/{api_name}",
    "POST /gradio_api/call/v2/{api_name}", "GET /gradio_api/call/{api_name}/{event_id}",
    "GET /gradio_api/call/v2/{api_name}/{event_id}", "POST /gradio_api/component_server",
    "GET /gradio_api/custom_component/{id}/{environment}/{type}/{file_name}",
    "GET /gradio_api/deep_link", "GET /gradio_api/dev/reload", "GET /gradio_api/file/{path:path}",
    "GET /gradio_api/file={path_or_url:path}", "HEAD /gradio_api/file={path_or_url:path}",
    "GET /gradio_api/login_check", "GET /gradio_api/openapi.json",
    "POST /gradio_api/process_recording", "GET /gradio_api/proxy={url_path:path}",
    "HEAD /gradio_api/proxy={url_path:path}", "GET /gradio_api/queue/status",
    "GET /gradio_api/runs", "POST /gradio_api/stream/{event_id}",
    "POST /gradio_api/stream/{event_id}/close",
    "GET /gradio_api/stream/{session_hash}/{run}/{component_id}/playlist-file",
    "GET /gradio_api/stream/{session_hash}/{run}/{component_id}/playlist.m3u8",
    "GET /gradio_api/stream/{session_hash}/{run}/{component_id}/{segment_id}.{ext}",
    "GET /gradio_api/token", "POST /gradio_api/upload", "GET /gradio_api/upload_progress",
    "GET /gradio_api/user", "GET /gradio_api/vibe-code", "POST /gradio_api/vibe-code",
    "POST /gradio_api/vibe-edit", "POST /gradio_api/undo-vibe-edit",
    "POST /gradio_api/vibe-starter-queries",
}  # fmt: skip
# What a role opens. A customer has no cookie but a conversation's token.
OPENS = {
    "anonymous": {PUBLIC},
    "customer": {PUBLIC, TOKEN},
    "newcomer": {PUBLIC, STAFF},
    "agent": {PUBLIC, STAFF, AGENTS},
    "operator": {PUBLIC, STAFF, OPERATORS},
    "admin": {PUBLIC, STAFF, AGENTS, OPERATORS},
}
NAMES = {"agent": "Ada", "operator": "Mina", "admin": "Root"}


def rule_of(method: str, path: str) -> tuple[str, bool]:
    """(who may use a route, whether it is one of Gradio's that are for nobody). Raises KeyError for
    a route that the table does not have."""
    if own := OURS.get(f"{method} {path.removesuffix('/')}"):
        return own, False
    mount = next(m for m in MOUNTS if path.startswith(f"{m}/"))
    inside = path.removeprefix(mount)
    known = f"{method} {inside if inside == '/' else inside.removesuffix('/')}"
    if known not in GRADIO_OPEN | GRADIO_CLOSED:
        raise KeyError(
            f"{method} {path} is in no table: say in tests/assistant/web/test_doors.py who may use it"
        )
    return MOUNTS[mount], known in GRADIO_CLOSED


class House:
    """The whole application, and somebody of each kind who knocks."""

    def __init__(self, app: FastAPI, service: ChatService, home: Path) -> None:
        self.app, self.service = app, service
        self.street = Street(app)
        self.tickets = Tickets(StaffFile(home).secret)
        self.sessions = Sessions(service.conversations, 1.0, 60.0)
        self._keys: dict[str, str] = {}

    def knock(self, who: str, method: str, path: str) -> Answer:
        """A request with what somebody has, to a real conversation where the path wants one."""
        conversation = self.service.start("en").id if "{conversation_id}" in path else "x"
        headers = {"origin": HOST, "content-type": "application/json"}
        if who == "customer":
            headers["authorization"] = f"Bearer {self.tickets.issue(conversation)}"
        elif who != "anonymous":
            headers["cookie"] = f"{COOKIE}={self.key(who)}"
        if path == "/logout":
            self._keys.pop(who, None)
        real = re.sub(r"\{[^}]+\}", "x", path.replace("{conversation_id}", conversation))
        return self.street.knock(method, real, headers)

    def key(self, who: str) -> str:
        """The token of somebody who has logged in; a newcomer has not chosen a password yet."""
        if who not in self._keys:
            accounts = hire(self.service.conversations)
            newcomer = f"new{len(accounts.all())}"
            account = (
                accounts.get(NAMES[who])
                if who in NAMES
                else accounts.add(newcomer, "admin", "tests")[0]
            )
            self._keys[who] = self.sessions.start(account, "en")
        return self._keys[who]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    home = tmp_path_factory.mktemp("home")
    settings = staff_settings(home, identity_secret="i" * 32, origins=("https://shop.example",))
    service = chat_service(settings)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(passwords, "PasswordHasher", quick_hasher)
        hire(service.conversations)
        built = House(create_app(settings, service), service, home)
        yield built
        built.street.close()
    service.conversations.close()


def is_refused(answer: Answer) -> bool:
    """401 or 403, or for who opens a page the way to the log-in."""
    if answer.status == 303:
        return answer.headers["location"].startswith(("/login", "/staff/password"))
    return answer.status in (401, 403)


def test_every_route_is_in_the_table(house: House) -> None:
    routes = all_routes(house.app)
    assert len(routes) > 300, "Gradio's are among them"
    for method, path in routes:
        rule_of(method, path)


def test_the_table_has_no_route_of_ours_that_is_gone(house: House) -> None:
    there = {f"{method} {path}" for method, path in all_routes(house.app)}
    assert set(OURS) <= there


def test_a_new_route_that_is_not_in_the_table_is_found_out() -> None:
    for new in ("/operator/secrets.csv", "/desk/gradio_api/new", "/gradio_api/new", "/new"):
        with pytest.raises(KeyError, match="in no table"):
            rule_of("GET", new)


@pytest.mark.parametrize("who", OPENS)
def test_everybody_gets_where_the_table_says_and_nowhere_else(house: House, who: str) -> None:
    faults = []
    for method, path in all_routes(house.app):
        rule, closed = rule_of(method, path)
        answer = house.knock(who, method, path)
        told = f"{method} {path}: {answer.status} {answer.body[:80]!r}"
        if rule not in OPENS[who]:
            if not is_refused(answer):
                faults.append(f"{told}, should be refused")
            if answer.read:
                faults.append(f"{told}, the body was read first")
        elif closed:
            if answer.status not in (404, 405):
                faults.append(f"{told}, should be closed")
        elif is_refused(answer) and f"{method} {path}" not in ENTRANCE:
            faults.append(f"{told}, should be let in")
        elif answer.status >= 500 and path != "/health/ready":
            faults.append(f"{told}, should not fail")
    assert faults == []


def test_requests_are_counted_by_templates_alone_whatever_is_asked_for(house: House) -> None:
    for method, path in [*all_routes(house.app), ("GET", "/made/up"), ("GET", "/desk/made/up")]:
        house.knock("admin", method, path)
    metrics = house.app.state.observation.metrics.requests.collect()
    counted = {sample.labels["route"] for family in metrics for sample in family.samples}
    assert len(counted) > 30
    assert counted - {path for _, path in all_routes(house.app)} == {"none"}


def test_a_token_opens_its_own_conversation_and_no_other(house: House) -> None:
    mine, other = house.service.start("en"), house.service.start("en")
    headers = {"authorization": f"Bearer {house.tickets.issue(mine.id)}"}
    for method, path in all_routes(house.app):
        if OURS.get(f"{method} {path}") == TOKEN:
            answer = house.street.knock(
                method, path.replace("{conversation_id}", other.id), headers
            )
            assert (answer.status, answer.read) == (401, False), (method, path)
    assert house.service.conversations.get(other.id)


def test_a_refused_upload_is_neither_read_nor_kept(house: House) -> None:
    for who in ("anonymous", "customer", "newcomer", "agent"):
        for method, path in [
            ("PUT", "/operator/uploads?name=a.md"),
            ("POST", "/operator/gradio_api/upload"),
        ]:
            answer = house.knock(who, method, path)
            assert (answer.status in (401, 403), answer.read) == (True, False), (who, path)
    assert not (house.service.assistant.settings.home / "documents").exists()


def test_gradios_events_are_closed_to_other_pages_even_with_a_session(house: House) -> None:
    cookie = {"cookie": f"{COOKIE}={house.key('admin')}"}
    for method, path in all_routes(house.app):
        if method in ("GET", "HEAD") or rule_of(method, path)[0] not in (STAFF, AGENTS, OPERATORS):
            continue
        for source in ({}, {"origin": "null"}, {"origin": "https://shop.example"},
                       {"origin": HOST, "sec-fetch-site": "cross-site"}):  # fmt: skip
            answer = house.street.knock(method, re.sub(r"\{[^}]+\}", "x", path), cookie | source)
            assert (answer.status, answer.read) == (403, False), (method, path, source)


# Headers, and other origins.


@pytest.fixture
def site(house: House) -> TestClient:
    return TestClient(house.app, follow_redirects=False)


PAGES = ["/", "/login", "/desk/", "/demo", "/widget.js", "/health/live", "/openapi.json", "/nowhere",
         "/gradio_api/upload", "/desk/gradio_api/info", "/api/v1/conversations/x"]  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
def test_every_response_says_what_a_browser_may_do_with_it(site: TestClient, path: str) -> None:
    headers = site.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "default-src" in headers["content-security-policy"]
    assert "frame-ancestors" in headers["content-security-policy"]
    assert "camera=()" in headers["permissions-policy"]
    assert "strict-transport-security" not in headers, "plain http"


@pytest.mark.parametrize("path", PAGES)
def test_behind_https_browsers_are_told_to_keep_to_it(house: House, path: str) -> None:
    headers = TestClient(house.app, "https://testserver").get(path).headers
    assert headers["strict-transport-security"] == "max-age=31536000"


def test_only_what_is_the_customers_may_be_framed_by_the_shop(
    house: House, site: TestClient
) -> None:
    assert (
        site.get("/")
        .headers["content-security-policy"]
        .endswith("frame-ancestors 'self' https://shop.example")
    )
    for path in ("/login", "/desk/", "/operator/", "/desk/gradio_api/info"):
        answer = house.knock("admin", "GET", path)
        assert answer.headers["content-security-policy"].endswith("frame-ancestors 'none'"), path
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://shop.example",
                                    "https://shop.example:8443", "https://shop.example.evil.example"])  # fmt: skip
def test_an_unlisted_site_gets_nothing_from_the_api(site: TestClient, origin: str) -> None:
    asked = {"origin": origin, "access-control-request-method": "POST"}
    before = site.options("/api/v1/conversations", headers=asked)
    after = site.post("/api/v1/conversations", json={}, headers={"origin": origin})
    assert (before.status_code, after.status_code) == (403, 403)
    for answer in (before, after, site.get("/", headers={"origin": origin}),
                   site.get("/gradio_api/info", headers={"origin": origin}),
                   site.options("/gradio_api/run/x", headers=asked),
                   site.options("/desk/gradio_api/run/x", headers=asked)):  # fmt: skip
        assert "access-control-allow-origin" not in answer.headers


def test_a_listed_site_gets_the_api_and_no_staff_page(house: House, site: TestClient) -> None:
    shop = {"origin": "https://shop.example"}
    asked = shop | {"access-control-request-method": "POST"}
    answer = site.options("/api/v1/conversations", headers=asked)
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert "access-control-allow-credentials" not in answer.headers
    refused = site.get("/api/v1/conversations/x", headers=shop)
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"], "the widget may read why"
    cookie = {"cookie": f"{COOKIE}={house.key('admin')}"}
    for answer in (site.options("/desk/gradio_api/run/x", headers=asked),
                   site.options("/operator/uploads", headers=asked),
                   site.get("/desk/", headers=shop | cookie),
                   site.get("/operator/audit.csv", headers=shop | cookie)):  # fmt: skip
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "identity", ["rubbish", "e30.e30.", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJDLTEifQ."]
)
def test_a_forged_identity_opens_nothing(site: TestClient, identity: str) -> None:
    answer = site.post("/api/v1/conversations", json={"identity": identity})
    assert answer.status_code == 401
    assert "token" not in json.dumps(answer.json().get("conversation_id", ""))
