"""Log-in, log-out, the interface language and the choice of a password: plain pages without
scripts."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import anyio
from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from assistant.accounts import Account, AccountError, Accounts
from assistant.errors import StoreError
from assistant.passwords import LONGEST, SHORTEST
from assistant.roles import may
from assistant.web.auth import Session, Sessions
from assistant.web.flood import address_of
from assistant.web.forms import language_of, page, read_form, with_cookie, without_cookie
from assistant.web.gate import AREAS, CHANGE_PASSWORD, HOME
from assistant.web.limits import unavailable
from assistant.web.lockout import Lockout
from assistant.web.staff_html import staff_languages

log = logging.getLogger(__name__)
# One Argon2 verification takes 64 MiB, so a flood of log-ins must not run many at once, nor take
# the threads of everybody else.
_VERIFICATIONS = 2


@dataclass(frozen=True, slots=True)
class Provider:
    """The company's own log-in, as the form offers it; see oidc.py."""

    name: str
    path: str


class Entrance:
    """What the pages of the entrance share: accounts, sessions and the lock."""

    def __init__(
        self, accounts: Accounts, sessions: Sessions, provider: Provider | None = None
    ) -> None:
        self.accounts = accounts
        self.sessions = sessions
        self.provider = provider
        self.lockout = Lockout(accounts.store)
        self.verifying = anyio.CapacityLimiter(_VERIFICATIONS)

    async def check(self, request: Request, login: str, password: str) -> Account | float | None:
        """The account, or None, or how many seconds to wait until the next try is looked at."""
        address, run = address_of(request), anyio.to_thread.run_sync
        wait = await run(self.lockout.count, login, address)
        if wait:
            log.warning("log-in closed for address %s", address)
            return wait
        account = await run(self.accounts.check, login, password, limiter=self.verifying)
        if account is None:
            log.warning("wrong log-in or password from address %s", address)
            if await run(self.lockout.is_closed, login, address):
                # Written whether there is such an account or not; what was typed may be a password.
                await run(self.accounts.store.log, "nobody", "user_locked", f"address {address}")
            return None
        await run(self.lockout.forgive, login, address)
        return account

    async def begin(self, request: Request, account: Account, response: Response) -> Response:
        """The response with a new session; one that was open in this browser ends."""
        before: Session | None = request.state.staff
        run = anyio.to_thread.run_sync
        if before:
            await run(self.sessions.end, before)
        token = await run(self.sessions.start, account, language_of(request))
        await run(self.accounts.store.log, account.name, "log_in", account.login)
        return with_cookie(request, self.sessions, token, response)


def login_app(entrance: Entrance) -> FastAPI:
    """An application with the routes of the entrance, and no others."""
    routes = FastAPI(openapi_url=None)
    routes.add_exception_handler(StoreError, lambda _, error: unavailable(error))
    sessions = entrance.sessions

    @routes.get("/login")
    def form(request: Request) -> Response:
        return login_form(request, entrance, {"to": request.query_params.get("to", "")})

    @routes.post("/login")
    async def log_in(request: Request) -> Response:
        values = await read_form(request)
        login, password = values.get("login", ""), values.get("password", "")
        account = await entrance.check(request, login, password)
        if isinstance(account, float):
            return login_form(request, entrance, values, "locked", 429, math.ceil(account / 60))
        if account is None:
            return login_form(request, entrance, values, "wrong", 401)
        target = RedirectResponse(way_in(account, values.get("to", "")), 303)
        return await entrance.begin(request, account, target)

    @routes.post("/logout")
    def log_out(request: Request) -> Response:
        session: Session | None = request.state.staff
        if session:
            sessions.end(session)
            entrance.accounts.store.log(session.name, "log_out", session.login)
        return without_cookie(request)

    @routes.post("/staff/language")
    async def change_language(request: Request) -> Response:
        session: Session | None = request.state.staff
        if session is None:
            return RedirectResponse("/login", 303)
        wanted = (await read_form(request)).get("language", "")
        if wanted in staff_languages():
            await anyio.to_thread.run_sync(sessions.speak, session, wanted)
        return RedirectResponse(_back(request, session), 303)

    @routes.get(CHANGE_PASSWORD)
    def password_form(request: Request) -> Response:
        if request.state.staff is None:
            return RedirectResponse("/login", 303)
        return _password_form(request)

    @routes.post(CHANGE_PASSWORD)
    async def change_password(request: Request) -> Response:
        if request.state.staff is None:
            return RedirectResponse("/login", 303)
        return await _change_password(request, entrance)

    return routes


def way_in(account: Account, wanted: str) -> str:
    """Where a log-in leads: to the page that was asked for, where the account may go there."""
    if account.must_change:
        return CHANGE_PASSWORD
    allowed = wanted in AREAS and may(account.role, AREAS[wanted])
    return f"{wanted if allowed else HOME[account.role]}/"


async def _change_password(request: Request, entrance: Entrance) -> Response:
    """Whoever knows the password may choose another one; it ends all sessions, and a new one
    begins."""
    session: Session = request.state.staff
    values = await read_form(request)
    new = values.get("new", "")
    if session.outside:
        return _password_form(request, "password_outside", 403)
    account = await entrance.check(request, session.login, values.get("password", ""))
    if isinstance(account, float):
        return _password_form(request, "locked", 429, math.ceil(account / 60))
    if account is None:
        return _password_form(request, "password_wrong", 401)
    if new != values.get("again", ""):
        return _password_form(request, "password_differs", 422)
    run = anyio.to_thread.run_sync
    try:
        await run(entrance.accounts.choose, session.login, new, limiter=entrance.verifying)
        account = await run(entrance.accounts.get, session.login)
    except AccountError as error:
        return _password_form(request, f"password_{error.problem}", 422)
    return await entrance.begin(request, account, RedirectResponse(way_in(account, ""), 303))


def _back(request: Request, session: Session) -> str:
    """To the page that the language was changed on."""
    path = urlsplit(request.headers.get("referer", "")).path
    if path.rstrip("/") in AREAS or path == CHANGE_PASSWORD:
        return path
    return f"{HOME[session.role]}/"


def login_form(
    request: Request,
    entrance: Entrance,
    values: Mapping[str, str],
    problem: str = "",
    status: int = 200,
    minutes: int = 0,
) -> Response:
    """The log-in page; the password is never sent back."""
    to = values.get("to", "")
    return page(
        request,
        "login.html",
        status,
        login=values.get("login", "")[:64],
        to=to if to in AREAS else "",
        problem=problem,
        minutes=minutes,
        provider=entrance.provider,
    )


def _password_form(
    request: Request, problem: str = "", status: int = 200, minutes: int = 0
) -> Response:
    session: Session = request.state.staff
    return page(
        request,
        "password.html",
        status,
        session=session,
        problem=problem,
        minutes=minutes,
        shortest=SHORTEST,
        longest=LONGEST,
        home=f"{HOME[session.role]}/",
    )
