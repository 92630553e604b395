"""What every response says about itself, which of Gradio's routes the public may call, and which
sites may embed the chat."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Gradio's frontend evaluates templates and styles inline; nothing may come from elsewhere.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'self' {origins}"
)
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}
# The chat page needs these few; uploads, file reading and proxying are for nobody here.
_API = "/gradio_api/"
_ALLOWED = (
    "queue/join", "queue/data", "run/", "heartbeat/", "startup-events", "theme.css", "info",
    "reset", "cancel", "app_id",
)  # fmt: skip
_SHOPS_API = "/api/"
_CLOSED = ("/monitoring", "/config", "/login", "/gradio_api")


class Guard:
    """ASGI middleware: adds security headers and hides Gradio's routes the page does not use."""

    def __init__(self, app: ASGIApp, origins: Sequence[str] = ()) -> None:
        self.app = app
        self.origins = frozenset(origins)
        policy = _POLICY.format(origins=" ".join(origins)).strip()
        self.headers = _HEADERS | {"content-security-policy": policy}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 404 for a closed route, else pass the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
            await send(message)

        target = self._refusal(scope) or self.app
        await target(scope, receive, send_with_headers)

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
