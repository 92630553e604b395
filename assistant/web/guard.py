"""What every response says about itself, and which of Gradio's routes the public may call."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Gradio's frontend evaluates templates and styles inline; nothing may come from elsewhere.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'self'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}
# The chat page needs these few; uploads, file reading and proxying are for nobody here.
_API = "/gradio_api/"
_ALLOWED = (
    "queue/join", "queue/data", "run/", "heartbeat/", "startup-events", "theme.css", "info",
    "reset", "cancel", "app_id",
)  # fmt: skip
_CLOSED = ("/monitoring", "/config", "/login", "/gradio_api")


class Guard:
    """ASGI middleware: adds security headers and hides Gradio's routes the page does not use."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 404 for a closed route, else pass the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        target = self.app if is_open(scope["path"]) else PlainTextResponse("Not found", 404)
        await target(scope, receive, send_with_headers)


def is_open(path: str) -> bool:
    """Whether the public may ask for this path of the chat page."""
    if path.startswith(_API):
        return path.removeprefix(_API).startswith(_ALLOWED)
    return not path.startswith(_CLOSED)
