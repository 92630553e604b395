"""Bodies that are too large, or say that they are smaller than they are."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from pydantic import BaseModel

from assistant.errors import StoreError
from assistant.web.limits import BodyLimit, StoreTrouble
from tests.doors import Answer, Street

MOST = 1000


class Said(BaseModel):
    text: str


@pytest.fixture
def street() -> Iterator[Street]:
    app = FastAPI()
    app.add_middleware(StoreTrouble)
    app.add_middleware(BodyLimit, max_bytes=MOST, exempt=["/large"])

    @app.post("/said")
    def said(body: Said) -> int:
        return len(body.text)

    @app.post("/large")
    async def large(request: Request) -> int:
        return len(await request.body())

    @app.post("/locked")
    def locked() -> None:
        raise StoreError("try again in a moment")

    opened = Street(app)
    yield opened
    opened.close()


def post(street: Street, path: str, body: bytes, **headers: str) -> Answer:
    return street.knock("POST", path, {"content-type": "application/json"} | headers, body)


def text(length: int) -> bytes:
    return json.dumps({"text": "x" * (length - len('{"text": ""}'))}).encode()


def test_what_is_as_large_as_it_may_be_is_taken_and_a_byte_more_is_not(street: Street) -> None:
    assert post(street, "/said", text(MOST)).status == 200
    refused = post(street, "/said", text(MOST + 1))
    assert (refused.status, refused.headers["connection"]) == (413, "close")
    assert json.loads(refused.body)["detail"] == "this is larger than 1,000 bytes"


def test_a_content_length_that_is_too_large_is_refused_before_anything_is_read(
    street: Street,
) -> None:
    refused = post(street, "/said", b"{}", **{"content-length": str(MOST + 1)})
    assert (refused.status, refused.read) == (413, False)


@pytest.mark.parametrize("said", ["10", "", "-5", "ten", "9" * 5000, "１２"])
def test_a_content_length_that_lies_changes_nothing(street: Street, said: str) -> None:
    refused = post(street, "/said", text(MOST * 50), **{"content-length": said})
    assert refused.status == 413


def test_a_path_with_a_limit_of_its_own_is_left_alone(street: Street) -> None:
    taken = post(street, "/large", b"x" * 5 * MOST)
    assert (taken.status, taken.body) == (200, b"5000")


def test_a_flood_without_an_end_takes_no_memory(street: Street) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    parts = 0

    async def receive() -> dict[str, object]:
        nonlocal parts
        parts += 1
        assert parts < 10, "it goes on reading"
        return {"type": "http.request", "body": b"x" * 400, "more_body": True}

    statuses = []

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http", "method": "POST", "path": "/said", "raw_path": b"/said", "headers": [],
        "query_string": b"", "scheme": "http", "server": ("testserver", 80), "root_path": "",
        "http_version": "1.1", "client": ("127.0.0.1", 1), "asgi": {"spec_version": "2.3"},
    }  # fmt: skip
    street._runner.run(street.app(scope, receive, send))
    assert (statuses, parts) == ([413], 3)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_a_store_that_cannot_be_used_is_told_of_with_the_time_to_come_back(street: Street) -> None:
    refused = TestClient(street.app).post("/locked")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert refused.json() == {"detail": "try again in a moment"}
