"""Log-in, log-out and the interface language: plain pages without scripts."""

from __future__ import annotations

import asyncio
import logging
import math
import time
import unicodedata
from collections.abc import Mapping
from urllib.parse import parse_qsl

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response

from assistant.web.auth import COOKIE, ROLES, Lockout, Passwords, Role, Session, Sessions
from assistant.web.gate import AREAS, PAGE_POLICY
from assistant.web.staff_html import render, staff_languages, staff_texts
from assistant.web.texts import preferred

log = logging.getLogger(__name__)
PAGE_OF: Mapping[Role, str] = {role: f"{area}/" for area, role in reversed([*AREAS.items()])}
_MAX_FORM_BYTES = 4096
_MAX_NAME = 40


def login_app(passwords: Passwords, sessions: Sessions) -> FastAPI:
    """An application with the routes /login, /logout and /staff/language, and no others."""
    routes = FastAPI(openapi_url=None)
    lockout = Lockout()

    @routes.get("/login")
    def form(request: Request) -> Response:
        return _form(request, {"role": request.query_params.get("role", "")})

    @routes.post("/login")
    async def log_in(request: Request) -> Response:
        values = await _read_form(request)
        role, name = values.get("role", ""), clean_name(values.get("name", ""))
        address = request.client.host if request.client else ""
        wait = lockout.count(role, address)
        if wait:
            log.warning("log-in closed: role %r, address %s", role[:20], address)
            return _form(request, values, "locked", 429, math.ceil(wait / 60))
        right = await asyncio.to_thread(passwords.verify, role, values.get("password", ""))
        known = next((r for r in ROLES if r == role), None)
        if known is None or not right:
            log.warning("wrong password: role %r, address %s", role[:20], address)
            return _form(request, values, "wrong", 401)
        lockout.forgive(role, address)
        if not name:
            return _form(request, values, "name_missing", 422)
        session = sessions.start(known, name, _language(request))
        return _with_cookie(request, sessions, session)

    @routes.post("/logout")
    def log_out(request: Request) -> Response:
        session: Session | None = request.state.staff
        if session:
            sessions.end(session)
        response = RedirectResponse("/login", 303)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response

    @routes.post("/staff/language")
    async def change_language(request: Request) -> Response:
        session: Session | None = request.state.staff
        if session is None:
            return RedirectResponse("/login", 303)
        wanted = (await _read_form(request)).get("language", "")
        language = wanted if wanted in staff_languages() else session.language
        return _with_cookie(request, sessions, sessions.in_language(session, language))

    return routes


def clean_name(name: str) -> str:
    """A name in one line, without characters that cannot be seen."""
    seen = "".join(c for c in name if not unicodedata.category(c).startswith("C"))
    return " ".join(seen.split())[:_MAX_NAME].strip()


async def _read_form(request: Request) -> dict[str, str]:
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


def _language(request: Request) -> str:
    wanted = request.query_params.get("language", "")
    if wanted in staff_languages():
        return wanted
    return preferred(request.headers.get("accept-language", ""))


def _form(
    request: Request,
    values: Mapping[str, str],
    problem: str = "",
    status: int = 200,
    minutes: int = 0,
) -> Response:
    """The log-in page; the password is never sent back."""
    language = _language(request)
    page = render(
        "login.html",
        words=staff_texts(language),
        role="operator" if values.get("role") == "operator" else "agent",
        name=clean_name(values.get("name", "")),
        problem=problem,
        minutes=minutes,
    )
    return HTMLResponse(page, status, {"content-security-policy": PAGE_POLICY})


def _with_cookie(request: Request, sessions: Sessions, session: Session) -> Response:
    """To the role's page, with the session in a cookie that scripts cannot read."""
    response = RedirectResponse(PAGE_OF[session.role], 303)
    response.set_cookie(
        COOKIE,
        sessions.token(session),
        max_age=max(0, int(session.expires - time.time())),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response
