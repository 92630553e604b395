"""Figures for Prometheus: what finished turns, hand-offs, verdicts and requests add up to.

Every label has few values, all of them known here or in the code: nothing that is said, no ids, no
intents. With several processes set PROMETHEUS_MULTIPROC_DIR to an empty folder before they start:
the client library then keeps the figures in files there, and each process serves those of all.
Names and units: prometheus.io/docs/practices/naming.
"""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from assistant.announcements import Announcement, ReplyRated, SpeakerChanged, TurnFinished
from assistant.handoff import TRANSITIONS
from assistant.types import Answer, Reply

# From what a stage takes that has nothing to do to what a customer gives up after.
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
LEVELS = ("warning", "error", "critical")
# What stands before the colon of a reply's reason (see `types.Reply`); "none" is an answer's.
REASONS = frozenset({
    "none", "safety", "intent", "retrieval", "grounding", "pipeline", "customer", "orders",
    "products", "recommend", "curated", "small_talk", "knowledge",
})  # fmt: skip
_OUTCOMES = ("answer", "clarify", "refuse", "handoff")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the library's own switch, which it reads at its import

# When a series began: a second one for each, which nothing here asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """The figures of a server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = made = CollectorRegistry()
        self.turn = Histogram(
            "frontdesk_turn_seconds",
            "From a customer's message to the whole reply, waiting included.",
            registry=made, buckets=SECONDS,
        )  # fmt: skip
        self.queued = Histogram(
            "frontdesk_turn_queue_seconds",
            "From a customer's message to the beginning of its turn.",
            registry=made, buckets=SECONDS,
        )  # fmt: skip
        self.first_sentence = Histogram(
            "frontdesk_first_sentence_seconds",
            "From a customer's message to the first verified sentence of an answer.",
            registry=made, buckets=SECONDS,
        )  # fmt: skip
        self.stage = Histogram(
            "frontdesk_stage_seconds",
            "Time that a stage of a turn took, where it ran.",
            ["stage"], registry=made, buckets=SECONDS,
        )  # fmt: skip
        self.outcomes = Counter(
            "frontdesk_turns",
            "Turns by outcome and by the stage or skill that its reason names.",
            ["outcome", "reason"], registry=made,
        )  # fmt: skip
        self.answers = Counter(
            "frontdesk_answers",
            "Answers by what wrote them: quote, lm, or fallback where a model was asked in vain.",
            ["generator"], registry=made,
        )  # fmt: skip
        self.drafted = Counter(
            "frontdesk_sentences_drafted", "Sentences that were checked.", registry=made
        )
        self.dropped = Counter(
            "frontdesk_sentences_dropped",
            "Sentences that no passage or record supported, so that they were not shown.",
            registry=made,
        )
        self.tokens = Counter(
            "frontdesk_model_tokens",
            "Tokens that the language model read (kind=read) and wrote (kind=written).",
            ["kind"], registry=made,
        )  # fmt: skip
        self.writing = Counter(
            "frontdesk_model_writing_seconds",
            "Seconds between the first and the last token of the replies that a model wrote.",
            registry=made,
        )
        self.handoffs = Counter(
            "frontdesk_handoff_events",
            "Changes of who speaks: ask begins the wait for a person, take ends it.",
            ["event"], registry=made,
        )  # fmt: skip
        self.ratings = Counter(
            "frontdesk_ratings", "Customers' verdicts on replies.", ["helpful"], registry=made
        )
        self.requests = Counter(
            "frontdesk_http_requests",
            "HTTP requests by route, method and status.",
            ["route", "method", "status"], registry=made,
        )  # fmt: skip
        self.request = Histogram(
            "frontdesk_http_request_seconds",
            "From an HTTP request to the beginning of its response, by route.",
            ["route"], registry=made, buckets=SECONDS,
        )  # fmt: skip
        self.logged = Counter(
            "frontdesk_log_records", "Lines logged as warnings or worse.", ["level"], registry=made
        )
        self._gauges()
        self._begin_at_zero()
        if not is_shared():
            ProcessCollector(registry=made)
            for collector in (GC_COLLECTOR, PLATFORM_COLLECTOR):
                made.register(collector)

    def _gauges(self) -> None:
        """What `vitals` sets when somebody asks. Of several processes those that hold for one are
        added up over the living; what holds for the shop is the latest that any has seen."""
        self.working = self._gauge(
            "frontdesk_turns_in_progress", "Turns that are worked on.", "livesum"
        )
        self.waiting = self._gauge(
            "frontdesk_turns_waiting", "Turns that wait for a thread.", "livesum"
        )
        self.people = self._gauge("frontdesk_handoffs_waiting", "Customers who wait for a person.")
        self.longest = self._gauge(
            "frontdesk_handoffs_longest_wait_seconds", "For how long the first of them has waited."
        )
        self.ready = self._gauge(
            "frontdesk_ready", "1 if a load balancer may send customers here.", "livemin"
        )
        self.checks = self._gauge(
            "frontdesk_check_ok",
            "1 for a check of /health/ready that holds.",
            "livemin",
            "check",
        )
        self.free = self._gauge("frontdesk_home_free_bytes", "Free space where the home lies.")
        self.paused = self._gauge(
            "frontdesk_model_paused", "1 while people have stopped the language model."
        )
        self.breakers = self._gauge(
            "frontdesk_breaker_open",
            "1 since what a breaker protects failed, until it has answered again.",
            "livemax", "breaker",
        )  # fmt: skip
        self.info = self._gauge(
            "frontdesk_info",
            "1 for what is served: versions of the program, the knowledge base and the adapters.",
            "livemax", "version", "knowledge", "adapter", "canary",
        )  # fmt: skip

    def _gauge(
        self,
        name: str,
        says: str,
        mode: Literal["livesum", "livemin", "livemax", "livemostrecent"] = "livemostrecent",
        *labels: str,
    ) -> Gauge:
        return Gauge(name, says, labels, registry=self.registry, multiprocess_mode=mode)

    def _begin_at_zero(self) -> None:
        """A counter that appears with its first event shows no rise."""
        for outcome in _OUTCOMES:
            self.outcomes.labels(outcome, "pipeline" if outcome == "handoff" else "none")
        for generator in ("quote", "lm", "fallback"):
            self.answers.labels(generator)
        for kind in ("read", "written"):
            self.tokens.labels(kind)
        for event in TRANSITIONS:
            self.handoffs.labels(event)
        for helpful in ("yes", "no"):
            self.ratings.labels(helpful)
        for level in LEVELS:
            self.logged.labels(level)

    def observe(self, what: Announcement) -> None:
        """Count what a chat service announces."""
        match what:
            case TurnFinished():
                self._count_turn(what)
            case SpeakerChanged(event):
                self.handoffs.labels(event).inc()
            case ReplyRated(helpful):
                self.ratings.labels("yes" if helpful else "no").inc()

    def observe_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an HTTP request; `route` is a template of the code's, `seconds` until the response
        began."""
        known = method if method in _METHODS else "other"
        self.requests.labels(route, known, str(status)).inc()
        self.request.labels(route).observe(seconds)

    def exposition(self) -> bytes:
        """All figures, of all processes, in Prometheus' text format."""
        if not is_shared():
            return generate_latest(self.registry)
        everybody = CollectorRegistry()
        everybody.register(_Processes(living()))
        MultiProcessCollector(everybody)  # type: ignore[no-untyped-call]
        return generate_latest(everybody)

    def _count_turn(self, turn: TurnFinished) -> None:
        reply, outcome = turn.reply, turn.reply.outcome
        self.outcomes.labels(reply.kind, reason_of(reply)).inc()
        self.turn.observe(turn.seconds)
        self.queued.observe(turn.queued_seconds)
        if reply.first_sentence_ms is not None:
            self.first_sentence.observe(turn.queued_seconds + reply.first_sentence_ms / 1000)
        for stage in reply.stages_ms:
            self.stage.labels(stage).observe(reply.latency_ms[stage] / 1000)
        if isinstance(outcome, Answer):
            in_vain = outcome.generator == "quote" and reply.usage.requests
            self.answers.labels("fallback" if in_vain else outcome.generator).inc()
            self.drafted.inc(len(outcome.sentences))
        self.drafted.inc(len(reply.dropped))
        self.dropped.inc(len(reply.dropped))
        self.tokens.labels("read").inc(reply.usage.read_tokens)
        self.tokens.labels("written").inc(reply.usage.written_tokens)
        self.writing.inc(reply.usage.seconds)


class CountingHandler(logging.Handler):
    """Counts what is logged as a warning or worse."""

    def __init__(self, metrics: Metrics) -> None:
        super().__init__(logging.WARNING)
        self._metrics = metrics

    def emit(self, record: logging.LogRecord) -> None:
        """Count a record."""
        level = min((record.levelno - logging.WARNING) // 10, len(LEVELS) - 1)
        self._metrics.logged.labels(LEVELS[level]).inc()


class _Processes(Collector):
    """The library's figures of several processes, each with its pid."""

    def __init__(self, pids: Sequence[int]) -> None:
        self.pids = pids

    def collect(self) -> Iterator[Metric]:
        """See Collector."""
        whole: dict[str, Metric] = {}
        for pid in self.pids:
            for metric in ProcessCollector(pid=lambda pid=pid: pid, registry=None).collect():  # type: ignore[misc]
                kept = whole.setdefault(metric.name, metric)
                told = [s._replace(labels={"pid": str(pid)}) for s in metric.samples]
                kept.samples = told if kept is metric else kept.samples + told
        yield from whole.values()


def reason_of(reply: Reply) -> str:
    """The stage or skill that a reply's reason names, of those that there are."""
    reason = reply.outcome.reason.partition(":")[0] or "none"
    return reason if reason in REASONS else "other"


def is_shared() -> bool:
    """Whether several processes keep their figures together."""
    return bool(os.environ.get(_FOLDER))


def living() -> list[int]:
    """The processes that share the folder and still run; what the others left that holds only of
    the living is forgotten."""
    files = glob.glob(os.path.join(os.environ[_FOLDER], "*_*.db"))  # noqa: PTH118, PTH207
    named = {Path(f).stem.rpartition("_")[2] for f in files}
    found = []
    for pid in sorted(int(name) for name in named if name.isdigit()):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid)  # type: ignore[no-untyped-call]
            continue
        except PermissionError:
            pass  # it runs, as somebody else
        found.append(pid)
    return found
