"""The gate before the staff's pages: who asks is settled before anything else is read."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.web.auth import Role, Session, Sessions
from assistant.web.guard import is_open
from assistant.web.staff_html import render, staff_texts

# The first of a role is where its log-in leads.
AREAS: Mapping[str, Role] = {"/desk": "agent", "/bench": "agent", "/operator": "operator"}
# Log-in, log-out and language: open to all, and served by the gate itself.
_ENTRANCE = ("/login", "/logout", "/staff")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# A page with our own style only: nothing is loaded, run, framed, or sent elsewhere.
PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


class Gate:
    """ASGI middleware around the whole application; it minds only the staff's paths.

    `entrance` serves the log-in, so that nothing else in the application need know of it.
    """

    def __init__(self, app: ASGIApp, sessions: Sessions, entrance: ASGIApp) -> None:
        self.app = app
        self.sessions = sessions
        self.entrance = entrance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its session in `request.state.staff`, or refuse it."""
        area = _area(scope.get("path", ""), (*AREAS, *_ENTRANCE))
        if not area or scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        request = HTTPConnection(scope)
        session = self.sessions.read(request.cookies)
        inside = self.entrance if area in _ENTRANCE else self.app
        target = self._refusal(request, area, session) or inside
        scope.setdefault("state", {})["staff"] = session
        await target(scope, receive, _with_headers(send))

    def _refusal(
        self, request: HTTPConnection, area: str, session: Session | None
    ) -> Response | None:
        """Why the request goes no further, if it does not."""
        scope = request.scope
        if scope["type"] == "websocket":
            return _plain("not found", 404)
        if scope["method"] not in _SAFE_METHODS and not is_same_origin(request):
            return _plain("this request does not come from this site's own page", 403)
        role = AREAS.get(area)
        if role is None:
            return None
        if session is None:
            if is_page(request, area):
                return RedirectResponse(f"/login?role={role}", 303)
            return _plain("log in first", 401)
        if session.role != role:
            if is_page(request, area):
                words = staff_texts(session.language)
                page = render("refused.html", words=words, session=session, role=role)
                policy = {"content-security-policy": PAGE_POLICY}
                return HTMLResponse(page, 403, policy)
            return _plain(f"this is for the role {role}", 403)
        if not is_open(scope["path"].removeprefix(area)):
            return _plain("not found", 404)
        return None


def is_page(request: HTTPConnection, area: str) -> bool:
    """Whether a person opens a page, rather than a script its interface."""
    path = request.scope["path"].removeprefix(area)
    return request.scope["method"] == "GET" and path in ("", "/")


def is_same_origin(request: HTTPConnection) -> bool:
    """Whether a browser says that the request comes from this host's own pages."""
    source = request.headers.get("origin") or request.headers.get("referer") or ""
    host = urlsplit(source).netloc
    return bool(host) and host == request.headers.get("host")


def _area(path: str, areas: tuple[str, ...]) -> str:
    """The first part of the path, if it is one of these."""
    return next((a for a in areas if path == a or path.startswith(f"{a}/")), "")


def _plain(reason: str, status: int) -> Response:
    return JSONResponse({"error": reason}, status)


def _with_headers(send: Send) -> Send:
    """Staff's pages are never framed, and never kept by a browser or a proxy."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["x-frame-options"] = "DENY"
            headers["x-content-type-options"] = "nosniff"
            if headers.get("content-type", "").startswith(("text/html", "application/json")):
                headers["cache-control"] = "no-store"
        await send(message)

    return sending
