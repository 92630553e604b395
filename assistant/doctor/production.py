"""Checks of whether the settings are those of a server that customers reach."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from urllib.parse import urlsplit

from assistant.doctor.findings import Finding, broken, ok, warning
from assistant.settings import Settings

_LEAST_SECRET = 32  # characters: RFC 7518, section 3.2
_HERE = frozenset({"127.0.0.1", "localhost", "::1"})


class Production:
    """Secrets, proxies, sites and what is kept for how long."""

    name = "production"

    def look(self, settings: Settings) -> Iterator[Finding]:
        """See Check."""
        found = [
            *_identity(settings),
            *_proxies(settings),
            *_plain_http(settings),
            *_figures(settings),
            *_kept(settings),
        ]
        yield from found or [ok("the settings are those of a server that customers reach")]


def _identity(settings: Settings) -> Iterator[Finding]:
    secret = settings.web.identity_secret
    if 0 < len(secret) < _LEAST_SECRET:
        yield broken(
            "identity_secret is too short, so that no identity is believed",
            f"set one of {_LEAST_SECRET} random characters below [web], and in your shop",
        )
    elif not secret and settings.web.origins:
        yield warning(
            "customers who have logged in to your shop are not known here",
            "set identity_secret below [web], and sign identities with it in your shop",
        )


def _proxies(settings: Settings) -> Iterator[Finding]:
    networks = [ip_network(proxy) for proxy in settings.web.proxies]
    if not networks:
        yield warning(
            "no proxy is listed: behind one, cookies are not marked Secure, and all customers"
            " share one address",
            "list your TLS proxy's address as `proxies` below [web], or ignore this without one",
        )
    elif any(network.prefixlen == 0 for network in networks):
        yield broken(
            "everybody is believed to be a proxy, so addresses can be forged",
            "list only the addresses of your own proxies below [web]",
        )


def _plain_http(settings: Settings) -> Iterator[Finding]:
    """What goes over the network for everybody to read."""
    urls = {
        "a site that embeds the chat": settings.web.origins,
        "a site of pictures": settings.web.image_origins,
        "the shop's orders": (settings.orders.url,),
        "the language model's server": (settings.model.server.url,),
        "the collector of traces": (settings.observability.traces_url,),
    }
    for what, values in urls.items():
        for url in values:
            parts = urlsplit(url)
            if parts.scheme == "http" and parts.hostname not in _HERE:
                yield warning(f"{what} is asked without TLS: {url}", "use https")
    if settings.orders.url and not settings.orders.token:
        yield warning(
            "the shop's orders are asked without a token",
            "let your system ask for one, and set it as `token` below [orders]",
        )


def _figures(settings: Settings) -> Iterator[Finding]:
    if any(ip_network(n).prefixlen == 0 for n in settings.observability.metrics_networks):
        yield warning(
            "everybody may read /metrics",
            "list only where Prometheus is in `metrics_networks`, or use `metrics_token`",
        )


def _kept(settings: Settings) -> Iterator[Finding]:
    if settings.store.words_days is None and settings.store.conversations_days is None:
        yield warning(
            "what customers write is kept for ever",
            "set `words_days` or `conversations_days` below [store]",
        )
