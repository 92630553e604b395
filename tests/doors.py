"""Knocking at every door of the application: its routes, and a request that says what was read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from starlette.routing import Mount

_LONGEST_SECONDS = 20.0


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
                yield method, path


def all_routes(app: FastAPI) -> list[tuple[str, str]]:
    """Every route of the application, those of the gate's entrance and of Gradio included."""
    entrances = [m.kwargs["entrance"] for m in app.user_middleware if "entrance" in m.kwargs]
    assert entrances, "the gate is there"
    inside = [route for entrance in entrances for route in routes_below(entrance.routes)]
    return sorted({*routes_below(app.routes), *inside})


@dataclass
class Answer:
    """What came back, and whether anything of the body was read before."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    read: bool = False


class Street:
    """The event loop in which an application is asked; close it at the end."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self._runner = asyncio.Runner()

    def knock(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"{}", **scope: Any
    ) -> Answer:
        """One request. Of a stream only the first part is waited for."""
        return self._runner.run(_knock(self.app, method, path, headers, body, scope))

    def close(self) -> None:
        """End what is still under way."""
        self._runner.close()


async def _knock(
    app: Any, method: str, path: str, headers: Mapping[str, str], body: bytes, scope: Any
) -> Answer:
    answer, over, sent = Answer(), asyncio.Event(), [body]

    async def receive() -> dict[str, Any]:
        if sent:
            answer.read = answer.read or not answer.status
            return {"type": "http.request", "body": sent.pop(), "more_body": False}
        await over.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {k.decode(): v.decode() for k, v in message["headers"]}
            if answer.headers.get("content-type", "").startswith("text/event-stream"):
                over.set()
        elif message["type"] == "http.response.body":
            answer.body += message.get("body", b"")
            if not message.get("more_body"):
                over.set()

    plain, _, query = path.partition("?")
    asked = {
        "type": "http", "http_version": "1.1", "method": method, "path": plain, "root_path": "",
        "raw_path": plain.encode(), "query_string": query.encode(), "scheme": "http",
        "headers": [(k.encode(), v.encode()) for k, v in ({"host": "testserver"} | dict(headers)).items()],
        "server": ("testserver", 80), "client": ("10.9.9.9", 1),
    } | scope  # fmt: skip
    running = asyncio.create_task(app(asked, receive, send))
    waiting = asyncio.create_task(over.wait())
    await asyncio.wait({running, waiting}, timeout=_LONGEST_SECONDS, return_when="FIRST_COMPLETED")
    for task in (running, waiting):
        task.cancel()
    done = await asyncio.gather(running, waiting, return_exceptions=True)
    if not answer.status and isinstance(done[0], Exception):
        raise done[0]
    return answer
