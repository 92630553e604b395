"""Serve everything: the customer chat at /, the staff's pages, and the health checks.

Run `python app.py`, then open http://127.0.0.1:7860.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware

from assistant.errors import AssistantError
from assistant.logs import set_up_logs
from assistant.observability_settings import LogFormat
from assistant.settings import Settings, load_settings
from knowledge.errors import KnowledgeError

if TYPE_CHECKING:
    from assistant.readiness import Readiness
    from assistant.service import ChatService

# Gradio reports use, and looks for a newer version, unless it is told not to before its import.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

log = logging.getLogger("frontdesk")
# Typer's own tracebacks print local variables, passwords among them.
main = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
_AGAIN_SECONDS = 5.0  # until the models are tried again
_FAVICON = Path(__file__).parent / "assistant" / "web" / "favicon.svg"


def create_app(settings: Settings, service: ChatService) -> FastAPI:
    """The web application over a chat service; it warms the models up when it starts.

    Its `state.observation` and `state.turns` are for whoever serves it. Raises SettingsError when
    home/staff.json is damaged, or traces are wanted and cannot be sent.
    """
    # Gradio takes seconds to import: not before the settings and the port are known to be good.
    import gradio as gr

    from assistant.build import watch_canary
    from assistant.drift import DriftWatch
    from assistant.retention import RetentionWatch
    from assistant.web.api import api_routes
    from assistant.web.auth import StaffFile
    from assistant.web.chat import build_chat, head, theme
    from assistant.web.identity import Identities, TicketGate, Tickets
    from assistant.web.limits import not_valid
    from assistant.web.observing import Observation, Requests, observing_routes
    from assistant.web.polling import calm
    from assistant.web.staff import mount_staff
    from assistant.web.turns import Turns
    from assistant.web.widget import widget_routes

    staff, turns = StaffFile(settings.home), Turns(service)
    observation = Observation(settings, service, turns)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        observation.start()
        warming = service, observation.readiness
        threading.Thread(target=_warm_up, args=warming, daemon=True).start()
        if watch := watch_canary(service):
            watch.start()
        drift = DriftWatch(service.conversations, settings)
        drift.start()
        retention = RetentionWatch(service.conversations, settings)
        retention.start()
        yield
        retention.close()
        drift.close()
        if watch:
            watch.close()
        observation.close()
        service.live.close()
        service.conversations.close()

    # FastAPI's documentation pages load their scripts from elsewhere; /openapi.json stays.
    app = FastAPI(title="Frontdesk", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_exception_handler(RequestValidationError, not_valid)
    tickets = Tickets(staff.secret)
    # The one added last is asked first.
    app.add_middleware(TicketGate, tickets=tickets)
    embedding(app, settings)

    app.state.observation, app.state.turns = observation, turns
    app.include_router(observing_routes(observation))
    identities = Identities(settings.web.identity_secret, service.conversations)
    app.include_router(api_routes(service, turns, tickets, identities))
    app.include_router(widget_routes(settings))
    mount_staff(app, settings, service, staff)
    secure(app, settings)
    app.add_middleware(Requests, metrics=observation.metrics)
    # Last, for the chat's mount at / takes every path that is left.
    application: FastAPI = gr.mount_gradio_app(
        app,
        calm(build_chat(settings, service, turns)),
        path="/",
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        show_error=False,
        theme=theme(),
        head=head(),
        favicon_path=str(_FAVICON),
    )
    return application


def embedding(app: FastAPI, settings: Settings) -> None:
    """Let the listed sites embed the chat, and nobody call what the chat page does not need."""
    from assistant.web.guard import Guard

    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.web.origins,
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=["authorization", "content-type", "last-event-id"],
        expose_headers=["retry-after"],
        max_age=86_400,
    )
    # The last one added is asked first: a site that is not listed learns nothing.
    app.add_middleware(Guard, origins=settings.web.origins)


def secure(app: FastAPI, settings: Settings) -> None:
    """Say on every response what it allows, bound what is sent, and believe the listed proxies."""
    from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

    from assistant.web.headers import SecureHeaders
    from assistant.web.limits import BodyLimit, StoreTrouble
    from assistant.web.uploads import PATH as UPLOADS

    app.add_middleware(StoreTrouble)
    app.add_middleware(BodyLimit, max_bytes=settings.web.max_body_bytes, exempt=[UPLOADS])
    app.add_middleware(
        SecureHeaders, origins=settings.web.origins, images=settings.web.image_origins
    )
    if settings.web.proxies:
        middleware: Any = ProxyHeadersMiddleware  # typed for uvicorn's own kind of application
        app.add_middleware(middleware, trusted_hosts=list(settings.web.proxies))


def _warm_up(service: ChatService, readiness: Readiness) -> None:
    """Send one question through every stage, for the first use of a model is the slowest; again
    until it is answered, as documents may be published meanwhile."""
    from assistant.types import Utterance

    while readiness.models:
        try:
            service.assistant.respond(Utterance("How long do I have to return something?"))
        except Exception as error:
            known = isinstance(error, AssistantError | KnowledgeError)
            wrong = str(error) if known else "the assistant failed on its first question"
            if wrong != readiness.models:
                log.error("not ready: %s", wrong, exc_info=not known)
            readiness.models = wrong
            time.sleep(_AGAIN_SECONDS)
        else:
            readiness.models = ""


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket; taken before the models load, so that a busy port is told at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise AssistantError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listener


@main.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 7860,
    config: Annotated[Path | None, typer.Option(help="Settings file (TOML).")] = None,
    home: Annotated[Path | None, typer.Option(help="Folder that holds all state.")] = None,
    log_format: Annotated[LogFormat | None, typer.Option(help="Log lines: text or json.")] = None,
) -> None:
    """Serve the customer chat, the staff's pages and the health checks."""
    set_up_logs(log_format or "text")
    flags = {"observability": {"log_format": log_format}} if log_format else {}
    try:
        settings = load_settings(config, home=home, **flags)
        set_up_logs(settings.observability.log_format)
        listener = _listen(host, port)
        from assistant.build import build_assistant, build_knowledge, build_service

        knowledge = build_knowledge(settings)
        knowledge.follow()
        app = create_app(settings, build_service(settings, build_assistant(settings, knowledge)))
    except (AssistantError, KnowledgeError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    import uvicorn

    from assistant.web.draining import DrainingServer

    # From here on a connection waits instead of being refused, so the address is true when shown.
    listener.listen(1024)
    name = f"[{host}]" if ":" in host else host
    address = f"Frontdesk answers at http://{name}:{listener.getsockname()[1]}"
    if settings.observability.log_format == "json":
        log.info(address)
    else:
        typer.echo(address, err=True)
    # Which proxies are believed is the application's business: see `secure`. Its log goes the way
    # of all others.
    serving = uvicorn.Config(
        app, log_level="warning", log_config=None, proxy_headers=False, server_header=False
    )
    server = DrainingServer(
        serving,
        drain=app.state.observation.readiness.drain,
        is_idle=lambda: not sum(app.state.turns.depth),
        least=settings.health.drain_seconds,
        most=settings.health.drain_seconds + settings.turn_seconds,
    )
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
