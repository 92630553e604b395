"""The server as operators see it from outside: /metrics, the health checks, and what is counted of
each request.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import time
from ipaddress import ip_address, ip_network

import anyio
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.announcements import request_id
from assistant.metrics import CountingHandler, Metrics
from assistant.observability_settings import ObservabilitySettings
from assistant.readiness import SLOW_SECONDS, Health, Readiness
from assistant.service import ChatService
from assistant.settings import Settings
from assistant.tracing import open_tracing
from assistant.vitals import Vitals
from assistant.web.identity import bearer
from assistant.web.turns import Turns

log = logging.getLogger(__name__)
# What a proxy adds to what it passes on: such a request does not come from the address it has.
_FORWARDED = ("x-forwarded-for", "forwarded", "via", "x-real-ip")
_HEADER = "x-request-id"


class Observation:
    """Everything that observes a server, from its start to its end. Raises SettingsError where
    traces are wanted and their extra is missing."""

    def __init__(
        self,
        settings: Settings,
        service: ChatService,
        turns: Turns,
    ) -> None:
        self.settings = settings
        self.service = service
        self.metrics = Metrics()
        self.tracing = open_tracing(settings)
        self.readiness = Readiness(settings, service.conversations)
        self.vitals = Vitals(self.metrics, service, self.readiness, lambda: turns.depth)
        self._counting = CountingHandler(self.metrics)

    def start(self) -> None:
        """Listen from now on."""
        self.service.observers.append(self.metrics.observe)
        if self.tracing:
            self.service.observers.append(self.tracing.observe)
        logging.getLogger().addHandler(self._counting)
        self.vitals.start()

    def close(self) -> None:
        """Send what was not sent yet, and listen no more."""
        self.vitals.close()
        logging.getLogger().removeHandler(self._counting)
        self.service.observers.clear()
        if self.tracing:
            self.tracing.close()


class Requests:
    """ASGI middleware: gives each request an id, which log lines and the response have, and counts
    it by the template of its route."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        token = request_id.set(secrets.token_hex(8))
        began, status = time.perf_counter(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[_HEADER] = request_id.get()
                seconds = time.perf_counter() - began
                self.metrics.observe_request(route_of(scope), scope["method"], status, seconds)
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except Exception:
            if not status:  # the server answers with 500
                seconds = time.perf_counter() - began
                self.metrics.observe_request(route_of(scope), scope["method"], 500, seconds)
            raise
        finally:
            request_id.reset(token)


def route_of(scope: Scope) -> str:
    """The template of the route that took a request, as the code writes it: /desk/assets/{path}.
    Where none did, `none`: an address that somebody made up is no label."""
    route = scope.get("route")
    path = getattr(route, "path", None)
    return f"{scope.get('root_path', '')}{path}" if isinstance(path, str) else "none"


def observing_routes(seen: Observation) -> APIRouter:
    """/metrics, /health/live and /health/ready."""
    router = APIRouter(tags=["health"])
    one, looking = anyio.CapacityLimiter(1), anyio.CapacityLimiter(1)

    @router.get("/health/live")
    async def live() -> dict[str, str]:
        """The process answers."""
        return {"status": "live"}

    @router.get("/health/ready", responses={503: {"description": "Not ready, and why."}})
    async def ready() -> JSONResponse:
        """Whether customers may be sent here: models, knowledge, database and disk are there."""
        health: Health = seen.readiness.too_slow()
        with anyio.move_on_after(SLOW_SECONDS):
            look = seen.readiness.look
            health = await anyio.to_thread.run_sync(look, limiter=one, abandon_on_cancel=True)
        return JSONResponse(health.body, 200 if health.is_ready else 503)

    @router.get("/metrics", response_class=Response)
    async def metrics(request: Request) -> Response:
        """Figures in Prometheus' format, for those whom `[observability]` names."""
        refuse_strangers(request, seen.settings.observability)
        text = await anyio.to_thread.run_sync(_figures, seen, limiter=looking)
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    return router


def _figures(seen: Observation) -> bytes:
    """All figures; those that cannot be looked at now stay as they were."""
    try:
        seen.vitals.look()
    except Exception:
        log.exception("the server's figures could not be looked at")
    return seen.metrics.exposition()


def refuse_strangers(request: Request, settings: ObservabilitySettings) -> None:
    """Raise HTTPException unless a request brings the token, or comes from one of the networks and
    through no proxy: behind one, everybody has its address."""
    token = settings.metrics_token.get_secret_value()
    given = bearer(request.headers)
    if token and given and hmac.compare_digest(given.encode(), token.encode()):
        return
    direct = not any(name in request.headers for name in _FORWARDED)
    if direct and not given and _is_in(request, settings.metrics_networks):
        return
    if token:
        raise HTTPException(401, "give the token: Authorization: Bearer TOKEN", _CHALLENGE)
    raise HTTPException(403, "this address may not read the figures; see [observability]")


_CHALLENGE = {"www-authenticate": "Bearer"}


def _is_in(request: Request, networks: tuple[str, ...]) -> bool:
    try:
        address = ip_address(request.client.host if request.client else "")
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in ip_network(network) for network in networks)
