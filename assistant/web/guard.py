"""Which of Gradio's routes the public may call, and which sites may embed the chat."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

# The chat page needs these few; uploads, file reading and proxying are for nobody here.
_API = "/gradio_api/"
_ALLOWED = (
    "queue/join", "queue/data", "run/", "heartbeat/", "startup-events", "theme.css", "info",
    "reset", "cancel", "app_id",
)  # fmt: skip
_SHOPS_API = "/api/"
_CLOSED = ("/monitoring", "/config", "/login", "/logout", "/gradio_api")


class Guard:
    """ASGI middleware: hides Gradio's routes that the page does not use."""

    def __init__(self, app: ASGIApp, origins: Sequence[str] = ()) -> None:
        self.app = app
        self.origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 404 for a closed route, 403 for a site that is not listed, else pass it on."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self.app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        """Why a request goes no further, if it does not."""
        if not is_open(scope["path"]):
            return PlainTextResponse("Not found", 404)
        if scope["path"].startswith(_SHOPS_API) and not self._is_welcome(Headers(scope=scope)):
            return PlainTextResponse("add this site to web.origins to let it embed the chat", 403)
        return None

    def _is_welcome(self, headers: Headers) -> bool:
        """Whether a page that asks is this site's own or one of those that may embed the chat;
        what sends no origin is no page."""
        origin = headers.get("origin")
        return (
            origin is None
            or origin in self.origins
            or urlsplit(origin).netloc == headers.get("host")
        )


def is_open(path: str) -> bool:
    """Whether the public may ask for this path of the chat page."""
    if path.startswith(_API):
        return path.removeprefix(_API).startswith(_ALLOWED)
    return not path.startswith(_CLOSED)
