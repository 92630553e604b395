"""Forms of the staff's plain pages: read with a limit, answered with a page that runs nothing."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response

from assistant.web.auth import COOKIE, Session, Sessions
from assistant.web.headers import PAGE_POLICY
from assistant.web.staff_html import render, staff_languages, staff_texts
from assistant.web.texts import preferred

_MAX_FORM_BYTES = 8192


async def read_form(request: Request) -> dict[str, str]:
    """A small urlencoded form. Raises nothing: what cannot be read is an empty form."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MAX_FORM_BYTES:
            return {}
    try:
        return dict(parse_qsl(body.decode(), max_num_fields=10))
    except ValueError:
        return {}


def language_of(request: Request) -> str:
    """The language of a page: what its address says, else the session, else the browser."""
    session: Session | None = request.state.staff
    wanted = request.query_params.get("language", "") or (session.language if session else "")
    if wanted in staff_languages():
        return wanted
    return preferred(request.headers.get("accept-language", ""))


def page(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """A template as a page, in the language of whoever asks."""
    words = staff_texts(language_of(request))
    html = render(template, words=words, **values)
    return HTMLResponse(html, status, {"content-security-policy": PAGE_POLICY})


def with_cookie(request: Request, sessions: Sessions, token: str, response: Response) -> Response:
    """The response, with a session in a cookie that no script can read and no other site send."""
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(sessions.seconds),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


def without_cookie(request: Request) -> Response:
    """To the log-in, and the cookie is taken back."""
    response = RedirectResponse("/login", 303)
    secure = request.url.scheme == "https"
    response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=secure)
    return response
