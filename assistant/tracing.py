"""Traces for OpenTelemetry: a span a turn, with a span below it for each stage that ran.

Attributes have the names of the semantic conventions for generative AI where there is one
(opentelemetry.io/docs/specs/semconv/gen-ai). As these advise, nothing that anybody said is in them;
nor is a name or an id of a customer, and a conversation's id is hashed. A turn's id is its trace's.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.announcements import Announcement, TurnFinished, turn_id
from assistant.errors import SettingsError
from assistant.metrics import reason_of
from assistant.settings import Settings
from assistant.types import Answer, Reply
from assistant.vitals import program_version

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

NAME = "frontdesk"
_NANOSECONDS = 1_000_000_000
_CLOSE_MILLISECONDS = 3000  # for what is not sent yet, when the server stops
Attributes = dict[str, str | int | float | bool]


class Tracing:
    """Makes spans of finished turns; `model` is the name of the language model's base."""

    def __init__(self, provider: TracerProvider, model: str = "") -> None:
        self.provider = provider
        self.model = model
        self._tracer = provider.get_tracer(NAME)

    def observe(self, what: Announcement) -> None:
        """Trace a turn."""
        if not isinstance(what, TurnFinished):
            return
        from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context

        began = what.ended - what.seconds
        # The pipeline began when a thread took the turn.
        base = began + what.queued_seconds
        span = self._tracer.start_span(
            f"invoke_agent {NAME}",
            kind=SpanKind.SERVER,
            attributes=turn_attributes(what),
            start_time=_instant(began),
        )
        if reason_of(what.reply) == "pipeline":
            span.set_status(StatusCode.ERROR)
            span.set_attribute("error.type", what.reply.outcome.reason)
        below = set_span_in_context(span)
        for stage, (first, last) in what.reply.stages_ms.items():
            self._tracer.start_span(
                stage,
                context=below,
                attributes=self._stage_attributes(stage, what.reply),
                start_time=_instant(base + first / 1000),
            ).end(_instant(base + last / 1000))
        span.end(_instant(what.ended))

    def close(self) -> None:
        """Send what is left."""
        self.provider.force_flush(_CLOSE_MILLISECONDS)
        self.provider.shutdown()

    def _stage_attributes(self, stage: str, reply: Reply) -> Attributes:
        busy: Attributes = {"frontdesk.stage.busy_ms": reply.latency_ms[stage]}
        if stage == "retrieval":
            known = {"gen_ai.data_source.id": reply.version} if reply.version else {}
            return busy | {"gen_ai.operation.name": "retrieval"} | known
        if stage == "generation" and reply.usage.requests:
            return busy | {
                "gen_ai.operation.name": "text_completion",
                "gen_ai.provider.name": NAME,
                "gen_ai.request.model": self.model,
                "gen_ai.usage.input_tokens": reply.usage.read_tokens,
                "gen_ai.usage.output_tokens": reply.usage.written_tokens,
            }
        return busy


def turn_attributes(turn: TurnFinished) -> Attributes:
    """What a turn's span says."""
    reply, outcome = turn.reply, turn.reply.outcome
    shown = len(outcome.sentences) if isinstance(outcome, Answer) else 0
    found: Attributes = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": NAME,
        "gen_ai.agent.name": NAME,
        "gen_ai.conversation.id": hashed(turn.conversation_id),
        "gen_ai.output.type": "text",
        "frontdesk.outcome": reply.kind,
        "frontdesk.reason": outcome.reason,
        "frontdesk.intent": reply.intent.name,
        "frontdesk.language": reply.language,
        "frontdesk.sentences.shown": shown,
        "frontdesk.sentences.dropped": len(reply.dropped),
        "frontdesk.queued_ms": round(1000 * turn.queued_seconds, 2),
    }
    if isinstance(outcome, Answer):
        found["frontdesk.generator"] = outcome.generator
    if reply.first_sentence_ms is not None:
        found["frontdesk.first_sentence_ms"] = reply.first_sentence_ms
    return found


def hashed(conversation_id: str) -> str:
    """An id that joins the turns of a conversation and opens nothing."""
    return hashlib.sha256(conversation_id.encode()).hexdigest()[:16]


def open_tracing(settings: Settings) -> Tracing | None:
    """What sends traces to the collector that settings and environment name; None where none are
    wanted. Raises SettingsError when the extra is missing."""
    if not settings.observability.traces:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise SettingsError(
            f"traces need {error.name}; install the extra: pip install frontdesk[otel]"
        ) from error
    provider = new_provider()
    exporter = OTLPSpanExporter(endpoint=settings.observability.traces_url or None)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Tracing(provider, Path(settings.model.base).name)


def new_provider() -> TracerProvider:
    """A provider that names this program, unless OTEL_SERVICE_NAME does, and whose traces have the
    ids of their turns."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class TurnIds(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            return int(turn_id.get(), 16) if turn_id.get() else super().generate_trace_id()

    told: Any = Resource.create().attributes
    named = str(told["service.name"])
    own = {"service.name": NAME} if named.startswith("unknown_service") else {}
    resource = Resource({"service.version": program_version()} | dict(told) | own)
    return TracerProvider(resource=resource, id_generator=TurnIds(), shutdown_on_exit=False)


def _instant(seconds: float) -> int:
    """Seconds since 1970 as OpenTelemetry counts them."""
    return int(seconds * _NANOSECONDS)
