"""Checks of the servers that the settings name: whether they take a connection.

A server that more is asked of has a check of its own; all begin with `reachable`.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from assistant.doctor.contents import base_here
from assistant.doctor.findings import Finding, broken, ok, warning
from assistant.errors import GenerationError
from assistant.live import redis_of
from assistant.server_engine import ServerEngine
from assistant.settings import Settings
from finetune.registry import Registry
from knowledge.vector_index import INDEX_ERRORS, Place

SECONDS = 3.0
_PORTS = {"http": 80, "https": 443, "postgresql": 5432}


@dataclass(frozen=True, slots=True)
class Service:
    """A server by the setting that names it."""

    what: str
    setting: str
    url: str


def configured(settings: Settings) -> Iterator[Service]:
    """The servers that the settings name."""
    if settings.store.url and not settings.store.url.startswith("sqlite"):
        yield Service("the database", "url below [store]", settings.store.url)
    if settings.orders.url:
        yield Service("the shop's orders", "url below [orders]", settings.orders.url)
    if settings.oidc.discovery:
        yield Service("the company's log-in", "discovery below [oidc]", settings.oidc.discovery)
    if url := settings.observability.traces_url:
        yield Service("the collector of traces", "traces_url below [observability]", url)


class Services:
    """Every server that the settings name."""

    name = "services"

    def look(self, settings: Settings) -> Iterator[Finding]:
        """See Check."""
        services = list(configured(settings))
        for service in services:
            if reason := reachable(service.url):
                yield broken(
                    f"{service.what} cannot be reached: {reason}",
                    f"start it, let this machine reach it, or change {service.setting}",
                )
            else:
                yield ok(f"{service.what} takes connections")
        if not services:
            yield ok("none is configured")


class ModelServer:
    """The server that runs the language model: whether it serves what is promoted."""

    name = "model"

    def look(self, settings: Settings) -> Iterator[Finding]:
        """See Check."""
        model = settings.model
        if not model.is_remote:
            yield ok("no server is configured")
            return
        if reason := reachable(model.server.url):
            yield broken(
                f"the language model's server cannot be reached, so answers are quoted: {reason}",
                "start it, let this machine reach it, or change `url` below [model.server]",
            )
            return
        base = base_here(model.base)
        if base is None:
            yield warning("it takes connections", "what it serves is seen when the base is here")
            return
        registry = Registry(settings.home)
        current, canary = registry.current(), registry.canary()
        names = [current.name if current else "", *([canary.name] if canary else [])]
        for name in names:
            try:
                engine = ServerEngine(model, base, name)
                engine.close()
                if engine.unsaid:
                    yield warning(
                        f"it takes connections, but does not say what it serves: {engine.unsaid}",
                        "let `url` below [model.server] end where its API begins (/v1, mostly)",
                    )
                    return
                yield ok(f"it takes connections, and serves {name or model.server.model or 'it'}")
            except GenerationError as error:
                yield broken(str(error), "see deploy/model-server.md")


class Redis:
    """Where several processes meet."""

    name = "redis"

    def look(self, settings: Settings) -> Iterator[Finding]:
        """See Check. Raises SettingsError when the extra is missing."""
        if not settings.shared.redis:
            yield ok("none is configured: one process serves the shop")
            return
        client = redis_of(settings.shared)
        from redis import RedisError

        try:
            client.ping()
            yield ok("it answers")
        except RedisError as error:
            yield broken(
                f"it does not answer, so each process goes on alone: {error}",
                "start it, let this machine in, or change `redis` below [shared]",
            )
        finally:
            client.close()


class Chroma:
    """The server that holds vectors."""

    name = "chroma"

    def look(self, settings: Settings) -> Iterator[Finding]:
        """See Check."""
        url = settings.knowledge.chroma
        if not url:
            yield ok("none is configured: vectors are in the home")
            return
        try:
            Place(Path(), url).client(SECONDS).close()  # it has asked already
            yield ok("it answers")
        except INDEX_ERRORS as error:
            yield broken(
                f"{error}; nothing can be published",
                "start it (`chroma run`), let this machine reach it, or change `chroma` below"
                " [knowledge]",
            )


def reachable(url: str) -> str:
    """Why no connection can be made to a URL's host and port within SECONDS; nothing if it can."""
    parts = urlsplit(url)
    port = parts.port or _PORTS.get(parts.scheme.partition("+")[0], 0)
    if not parts.hostname or not port:
        return "its URL names no host and port"
    try:
        socket.create_connection((parts.hostname, port), SECONDS).close()
    except OSError as error:
        return error.strerror or str(error) or type(error).__name__
    return ""
