"""The gate before the staff's pages: who asks is settled before anything else is read."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import anyio
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.roles import Role
from assistant.web.auth import COOKIE, Session, Sessions
from assistant.web.guard import is_open
from assistant.web.headers import PAGE_POLICY, STAFF_POLICY
from assistant.web.staff_html import render, staff_texts

AREAS: Mapping[str, Role] = {"/desk": "agent", "/bench": "agent", "/operator": "operator"}
HOME: Mapping[Role, str] = {"agent": "/desk", "operator": "/operator", "admin": "/operator"}
CHANGE_PASSWORD = "/staff/password"
# Log-in, log-out, language and password: served by the gate itself.
_ENTRANCE = ("/login", "/logout", "/staff")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_READERS = 4  # threads of their own: who is looked up waits for nobody who works
_STATIC = ("text/css", "text/javascript", "application/javascript", "font/", "image/")
_HEADERS = {
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Gate:
    """ASGI middleware around the whole application; it minds only the staff's paths.

    `entrance` serves the log-in, so that nothing else in the application need know of it.
    """

    def __init__(self, app: ASGIApp, sessions: Sessions, entrance: ASGIApp) -> None:
        self.app = app
        self.sessions = sessions
        self.entrance = entrance
        self._reading = anyio.CapacityLimiter(_READERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its session in `request.state.staff`, or refuse it."""
        area = _area(scope.get("path", ""), (*AREAS, *_ENTRANCE))
        if not area or scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        request = HTTPConnection(scope)
        session = None
        if request.cookies.get(COOKIE):
            session = await self._look_up(request)
        inside = self.entrance if area in _ENTRANCE else self.app
        target = self._refusal(request, area, session) or inside
        scope.setdefault("state", {})["staff"] = session
        await target(scope, receive, _with_headers(send))

    async def _look_up(self, request: HTTPConnection) -> Session | None:
        """Whose session it is. Gradio's calls look for news, so they keep no session open; what
        somebody does in its pages is noted there."""
        read, run = self.sessions.read, anyio.to_thread.run_sync
        session = await run(read, request.cookies, limiter=self._reading)
        if session and "/gradio_api/" not in request.scope["path"]:
            await run(self.sessions.note, session)
        return session

    def _refusal(
        self, request: HTTPConnection, area: str, session: Session | None
    ) -> Response | None:
        """Why the request goes no further, if it does not."""
        scope = request.scope
        if scope["type"] == "websocket":
            return _plain("not found", 404)
        if scope["method"] not in _SAFE_METHODS and not is_own(request):
            return _plain("this request does not come from this site's own page", 403)
        role = AREAS.get(area)
        if role is None:
            return None
        if session is None:
            if is_page(request, area):
                return RedirectResponse(f"/login?to={area}", 303)
            return _plain("log in first", 401)
        if session.must_change:
            if is_page(request, area):
                return RedirectResponse(CHANGE_PASSWORD, 303)
            return _plain("choose a password of your own first", 403)
        if not session.may(role):
            if is_page(request, area):
                return _refused(session, area, role)
            return _plain(f"this is for the role {role}", 403)
        if not is_open(scope["path"].removeprefix(area)):
            return _plain("not found", 404)
        return None


def is_page(request: HTTPConnection, area: str) -> bool:
    """Whether a person opens a page, rather than a script its interface."""
    path = request.scope["path"].removeprefix(area)
    return request.scope["method"] == "GET" and path in ("", "/")


def is_own(request: HTTPConnection) -> bool:
    """Whether a browser says that the request comes from this host's own pages.

    Sec-Fetch-Site, which no script can set, decides where it is sent; browsers leave it out over
    plain http. Else the origin has to be this host (OWASP CSRF Prevention Cheat Sheet, "Fetch
    Metadata" and "Verifying Origin").
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    source = request.headers.get("origin") or request.headers.get("referer") or ""
    host = urlsplit(source).netloc
    return bool(host) and host == request.headers.get("host")


def _area(path: str, areas: tuple[str, ...]) -> str:
    """The first part of the path, if it is one of these."""
    return next((a for a in areas if path == a or path.startswith(f"{a}/")), "")


def _plain(reason: str, status: int) -> Response:
    return JSONResponse({"error": reason}, status)


def _refused(session: Session, area: str, role: Role) -> Response:
    """The page that says whose page this is."""
    words = staff_texts(session.language)
    own = HOME[session.role]
    page = render("refused.html", words=words, session=session, role=role, area=area, own=own)
    return HTMLResponse(page, 403, {"content-security-policy": PAGE_POLICY})


def _with_headers(send: Send) -> Send:
    """Staff's pages are never framed, never kept by a browser or a proxy, and for no other site."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
            headers.setdefault("content-security-policy", STAFF_POLICY)
            del headers["access-control-allow-origin"]
            if not headers.get("content-type", "").startswith(_STATIC):
                headers["cache-control"] = "no-store"
        await send(message)

    return sending
