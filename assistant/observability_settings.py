"""Settings of what operators see from outside: figures, traces, logs and the health checks."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

LogFormat = Literal["text", "json"]
LEAST_TOKEN = 16  # characters


class ObservabilitySettings(BaseModel):
    """Who may read `/metrics`, where traces go, and how log lines look."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metrics_networks: tuple[str, ...] = Field(
        ("127.0.0.0/8", "::1/128"),
        description="Addresses or networks that may read /metrics without a token, unless a proxy"
        " says that it passes something on.",
    )
    metrics_token: SecretStr = Field(
        SecretStr(""),
        description=f"Bearer token that opens /metrics from anywhere; {LEAST_TOKEN} characters.",
    )
    traces: bool = Field(
        False,
        description="Send a trace of each turn (the extra `otel`); on by itself where the"
        " environment names an OTEL_EXPORTER_OTLP_ENDPOINT.",
    )
    traces_url: str = Field(
        "",
        description="OTLP over HTTP: http://collector:4318/v1/traces; empty: what the environment's"
        " OTEL_* say, else this machine's port 4318.",
    )
    log_format: LogFormat = Field("text", description="A log line as text, or as a JSON object.")

    @field_validator("metrics_networks")
    @classmethod
    def _are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            try:
                ip_network(network)
            except ValueError as error:
                raise ValueError(f"{network!r} is no address and no network: {error}") from error
        return networks

    @field_validator("metrics_token")
    @classmethod
    def _is_long(cls, token: SecretStr) -> SecretStr:
        if 0 < len(token.get_secret_value()) < LEAST_TOKEN:
            raise ValueError(f"a token has at least {LEAST_TOKEN} characters")
        return token


class HealthSettings(BaseModel):
    """When the server says that it is not ready, and how it stops."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    least_free_bytes: int = Field(
        100_000_000, ge=0, description="Below so much free space in the home it is not ready."
    )
    drain_seconds: float = Field(
        5.0,
        ge=0,
        description="For so long after SIGTERM it is not ready and still answers, for load"
        " balancers to notice; then it ends when no turn runs, or after turn_seconds.",
    )


def from_standard(environment: Mapping[str, str]) -> dict[str, Any]:
    """What the environment variables of the OpenTelemetry specification ask for; the values that
    they give the exporter are read by its SDK itself."""
    named = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
    off = environment.get("OTEL_SDK_DISABLED", "").casefold() == "true"
    off = off or environment.get("OTEL_TRACES_EXPORTER", "otlp") == "none"
    wanted = any(environment.get(name) for name in named) and not off
    return {"observability": {"traces": True}} if wanted else {}
