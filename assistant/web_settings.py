"""Settings of the web: sessions, proxies, sites that embed the chat, the company's log-in."""

from __future__ import annotations

import re
from ipaddress import ip_network

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from assistant.roles import Role

_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d+)?")
_WELL_KNOWN = "/.well-known/openid-configuration"
# In the clear only to this machine.
_DISCOVERY = re.compile(
    rf"(https://[^\s/]+|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?)(/\S*)?{_WELL_KNOWN}"
)


class WebSettings(BaseModel):
    """Who may use the staff pages and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    identity_secret: str = Field(
        "", description="Signs the identities of logged-in customers (JWT, HS256); 32 characters."
    )
    session_hours: float = Field(
        12.0, gt=0, le=24, description="Hours until staff log in again, whatever they do."
    )
    idle_minutes: float = Field(
        60.0, gt=0, description="Minutes without doing anything until staff log in again."
    )
    proxies: tuple[str, ...] = Field(
        (),
        description="Addresses or networks of reverse proxies (127.0.0.1, 10.0.0.0/8), whose"
        " X-Forwarded-For and X-Forwarded-Proto are believed.",
    )
    max_body_bytes: int = Field(
        1_000_000,
        ge=300_000,  # the longest message, with every character as JSON's escapes
        description="Most bytes of a request that is no upload of a document; else 413.",
    )
    flood_minutes: int = Field(
        5, ge=1, description="Minutes over which customers' messages are counted."
    )
    most_messages: int = Field(
        300, ge=1, description="Messages to one conversation in that time; else 429."
    )
    most_of_address: int = Field(
        30_000,
        ge=1,
        description="Messages and new conversations of one address (IPv6: of a /64) in that time;"
        " an office or a whole mobile network may share one.",
    )
    origins: tuple[str, ...] = Field(
        (), description="Sites that may embed the chat: https://www.example.com, no path."
    )

    image_origins: tuple[str, ...] = Field(
        (),
        description="Sites that products' pictures may come from, beside this server and the page"
        " that embeds the chat: https://images.example.com, no path.",
    )

    @field_validator("origins", "image_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is not an origin: https://host or https://host:port")
        return origins

    @field_validator("proxies")
    @classmethod
    def _are_networks(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            try:
                ip_network(proxy)
            except ValueError as error:
                raise ValueError(f"{proxy!r} is no address and no network: {error}") from error
        return proxies


class OidcSettings(BaseModel):
    """The company's own log-in for staff, by OpenID Connect (the extra `oidc`); without discovery,
    passwords alone. Its callback address is /login/oidc/callback."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    discovery: str = Field(
        "", description="https://id.example.com/.well-known/openid-configuration"
    )
    client_id: str = Field("", description="Of this installation, as the provider knows it.")
    client_secret: str = Field("", description="The client's secret.")
    name: str = Field("OpenID Connect", description="What the provider is called on the log-in.")
    scopes: str = Field("openid profile email", description="What is asked for.")
    role_claim: str = Field("groups", description="Claim of the ID token that says the role.")
    roles: dict[str, Role] = Field(
        {}, description="The role that a value of the claim gives: support = 'agent'."
    )
    default_role: Role | None = Field(
        None, description="Role of those whom no value gives one; empty: they are refused."
    )

    @model_validator(mode="after")
    def _is_whole(self) -> OidcSettings:
        if not self.discovery:
            return self
        if not _DISCOVERY.fullmatch(self.discovery):
            raise ValueError(f"discovery is https://…{_WELL_KNOWN}, not {self.discovery!r}")
        if not self.client_id or "openid" not in self.scopes.split():
            raise ValueError("a client_id is needed, and openid among the scopes")
        if not self.roles and self.default_role is None:
            raise ValueError("roles or default_role has to say who gets in")
        return self
