"""Traces of turns: in memory, and sent to a real collector on this machine."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from assistant.announcements import turn_id
from assistant.errors import SettingsError
from assistant.service import ChatService
from assistant.settings import load_settings
from assistant.tracing import Tracing, hashed, new_provider, open_tracing
from assistant.usage import Usage
from tests.assistant.fakes import assistant_with
from tests.assistant.turns_made import CONVERSATION, answer, finished, handoff

pytest.importorskip("opentelemetry.sdk")
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode


@dataclass
class Kept:
    """Tracing, and the spans that it has made by name."""

    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)

    def __post_init__(self) -> None:
        provider = new_provider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracing = Tracing(provider, "starter")

    def spans(self) -> dict[str, Any]:
        return {span.name: span for span in self.exporter.get_finished_spans()}


def observed(kept: Kept, what: Any) -> dict[str, Any]:
    """As the service does: while the turn's id is known."""
    token = turn_id.set(what.id)
    kept.tracing.observe(what)
    turn_id.reset(token)
    return kept.spans()


def test_a_turn_is_a_span_with_one_below_it_for_each_stage_at_its_time() -> None:
    what = finished()
    spans = observed(Kept(), what)
    turn = spans.pop("invoke_agent frontdesk")
    assert list(spans) == ["language", "intent", "retrieval", "generation", "grounding"]
    assert f"{turn.context.trace_id:032x}" == what.id
    assert turn.end_time - turn.start_time == pytest.approx(2e9, abs=1e4)
    for name, (first, last) in what.reply.stages_ms.items():
        span = spans[name]
        assert span.parent.span_id == turn.context.span_id
        assert span.start_time - turn.start_time == pytest.approx(5e8 + first * 1e6, abs=1e4)
        assert span.end_time - span.start_time == pytest.approx((last - first) * 1e6, abs=1e4)
        assert span.attributes["frontdesk.stage.busy_ms"] == what.reply.latency_ms[name]


def test_attributes_have_the_names_of_the_semantic_conventions() -> None:
    from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as conventions

    known = {v for k, v in vars(conventions).items() if k.startswith("GEN_AI")}
    spans = observed(Kept(), finished(answer("lm"), Usage(1, 300, 40, 2.0)))
    assert spans["invoke_agent frontdesk"].attributes["gen_ai.operation.name"] == "invoke_agent"
    written = spans["generation"].attributes
    assert written["gen_ai.request.model"] == "starter"
    assert written["gen_ai.usage.input_tokens"] == 300
    assert written["gen_ai.usage.output_tokens"] == 40
    for span in spans.values():
        ours = {n for n in span.attributes if n.startswith("frontdesk.") or n == "error.type"}
        assert set(span.attributes) - ours <= known


def test_nothing_that_was_said_is_in_a_span_and_a_conversations_id_is_hashed() -> None:
    kept = Kept()
    observed(kept, finished())
    observed(kept, finished(handoff()))
    told = "".join(span.to_json() for span in kept.exporter.get_finished_spans())
    for word in ("ada", "Mill Lane", "Where is it", "90 days", "colleague", CONVERSATION):
        assert word not in told
    assert hashed(CONVERSATION) in told


def test_only_a_turn_that_failed_is_an_error() -> None:
    failed = observed(Kept(), finished(handoff("pipeline:error")))["invoke_agent frontdesk"]
    refused = observed(Kept(), finished(handoff("safety:fraud")))["invoke_agent frontdesk"]
    assert failed.status.status_code is StatusCode.ERROR
    assert failed.attributes["error.type"] == "pipeline:error"
    assert refused.status.status_code is StatusCode.UNSET


def test_the_id_of_a_stored_reply_is_that_of_its_trace(
    tmp_path: Any, word_lengths: Any, detector: Any
) -> None:
    from assistant.conversations import Conversations

    kept = Kept()
    service = ChatService(assistant_with(word_lengths, detector), Conversations.in_home(tmp_path))
    service.observers.append(kept.tracing.observe)
    said = service.send(service.start("en").id, "Can I return shoes?")
    assert said
    assert said.reply
    span = kept.spans()["invoke_agent frontdesk"]
    assert said.reply["trace"]["turn"] == f"{span.context.trace_id:032x}"
    assert list(kept.spans())[:3] == ["language", "intent", "retrieval"]
    service.conversations.close()


# Whether traces are sent, and where to.


def test_traces_are_off_unless_the_settings_or_the_standard_environment_ask_for_them() -> None:
    assert open_tracing(load_settings(environment={})) is None
    asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
    assert load_settings(environment=asked).observability.traces
    for off in ({"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"},
                {"FRONTDESK_OBSERVABILITY__TRACES": "false"}):  # fmt: skip
        assert not load_settings(environment=asked | off).observability.traces


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace.export", None)
    settings = load_settings(environment={}, observability={"traces": True})
    with pytest.raises(SettingsError, match=r"pip install frontdesk\[otel\]"):
        open_tracing(settings)


@dataclass
class Collector:
    """What a collector on this machine has been sent."""

    url: str
    bodies: list[bytes]
    told: threading.Event


@pytest.fixture
def collector() -> Iterator[Collector]:
    bodies, told = [], threading.Event()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            assert self.headers["content-type"] == "application/x-protobuf"
            bodies.append(body)
            self.send_response(200)
            self.end_headers()
            told.set()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Collector(f"http://127.0.0.1:{server.server_port}/v1/traces", bodies, told)
    server.shutdown()
    server.server_close()


def test_a_real_collector_gets_the_spans_when_the_server_stops(collector: Collector) -> None:
    settings = load_settings(
        environment={}, observability={"traces": True, "traces_url": collector.url}
    )
    tracing = open_tracing(settings)
    assert tracing
    what = finished()
    token = turn_id.set(what.id)
    tracing.observe(what)
    turn_id.reset(token)
    tracing.close()
    assert collector.told.wait(5)
    (resource,) = ExportTraceServiceRequest.FromString(collector.bodies[0]).resource_spans
    names = {a.key: a.value.string_value for a in resource.resource.attributes}
    assert names["service.name"] == "frontdesk"
    spans = resource.scope_spans[0].spans
    assert {span.trace_id.hex() for span in spans} == {what.id}
    assert len(spans) == 6
    assert json.dumps(what.conversation_id).encode() not in collector.bodies[0]
