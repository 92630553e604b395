"""What is counted of turns, hand-offs, verdicts and log lines, in one process and in several."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from assistant.announcements import ReplyRated, SpeakerChanged
from assistant.metrics import CountingHandler, Metrics
from assistant.types import Refuse
from assistant.usage import Usage
from tests.assistant.turns_made import CONVERSATION, SAID, answer, finished, handoff


def figure(metrics: Metrics, name: str, **labels: str) -> float:
    found = metrics.registry.get_sample_value(name, labels)
    assert found is not None, f"{name} {labels} is not there"
    return found


def test_a_turn_is_counted_by_outcome_and_timed_as_the_customer_waited() -> None:
    metrics = Metrics()
    metrics.observe(finished())
    metrics.observe(finished(handoff("grounding:unsupported")))
    assert figure(metrics, "frontdesk_turns_total", outcome="answer", reason="none") == 1
    assert figure(metrics, "frontdesk_turns_total", outcome="handoff", reason="grounding") == 1
    assert figure(metrics, "frontdesk_turn_seconds_sum") == pytest.approx(4.0)
    assert figure(metrics, "frontdesk_turn_queue_seconds_sum") == pytest.approx(1.0)
    assert figure(metrics, "frontdesk_first_sentence_seconds_sum") == pytest.approx(2.4)
    assert figure(metrics, "frontdesk_stage_seconds_sum", stage="retrieval") == pytest.approx(0.8)
    assert figure(metrics, "frontdesk_stage_seconds_bucket", stage="retrieval", le="0.25") == 0
    assert figure(metrics, "frontdesk_stage_seconds_bucket", stage="retrieval", le="0.5") == 2


def test_groundedness_is_what_was_dropped_of_what_was_drafted() -> None:
    metrics = Metrics()
    metrics.observe(finished())
    assert figure(metrics, "frontdesk_sentences_drafted_total") == 3
    assert figure(metrics, "frontdesk_sentences_dropped_total") == 1


def test_tokens_are_counted_and_a_model_that_was_asked_in_vain_is_told_apart() -> None:
    metrics = Metrics()
    usage = Usage(requests=1, read_tokens=300, written_tokens=40, seconds=2.0)
    metrics.observe(finished(answer("lm"), usage))
    metrics.observe(finished(answer("quote"), usage))
    metrics.observe(finished(answer("quote")))
    assert figure(metrics, "frontdesk_model_tokens_total", kind="read") == 600
    assert figure(metrics, "frontdesk_model_tokens_total", kind="written") == 80
    assert figure(metrics, "frontdesk_model_writing_seconds_total") == 4
    for generator in ("lm", "fallback", "quote"):
        assert figure(metrics, "frontdesk_answers_total", generator=generator) == 1


def test_hand_offs_and_verdicts_are_counted() -> None:
    metrics = Metrics()
    for what in (SpeakerChanged("ask"), SpeakerChanged("take"), ReplyRated(True)):
        metrics.observe(what)
    assert figure(metrics, "frontdesk_handoff_events_total", event="ask") == 1
    assert figure(metrics, "frontdesk_handoff_events_total", event="withdraw") == 0
    assert figure(metrics, "frontdesk_ratings_total", helpful="yes") == 1
    assert figure(metrics, "frontdesk_ratings_total", helpful="no") == 0


def test_nothing_that_was_said_and_nobodys_id_is_a_label() -> None:
    metrics = Metrics()
    metrics.observe(finished())
    metrics.observe(finished(Refuse(SAID, f"{SAID}:because")))
    metrics.observe_request("/x/{id}", f"BREW {SAID}", 418, 0.1)
    told = metrics.exposition().decode()
    for word in ("ada@", "Mill", CONVERSATION, "return_policy", "returns#0", "BREW"):
        assert word not in told
    assert figure(metrics, "frontdesk_turns_total", outcome="refuse", reason="other") == 1


def test_every_figure_says_what_it_is_and_has_its_unit_in_its_name() -> None:
    metrics = Metrics()
    families = list(text_string_to_metric_families(metrics.exposition().decode()))
    ours = [f for f in families if f.name.startswith("frontdesk_")]
    assert len(ours) > 20
    for family in ours:
        assert family.documentation.endswith("."), family.name
        if family.type == "histogram":
            assert family.name.endswith("_seconds")
    assert {"process_resident_memory_bytes", "process_cpu_seconds"} <= {f.name for f in families}


def test_warnings_and_worse_are_counted_by_level() -> None:
    metrics, log = Metrics(), logging.getLogger("some.library")
    handler = CountingHandler(metrics)
    log.addHandler(handler)
    try:
        for level in (logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL, 35, 99):
            log.log(level, "x")
    finally:
        log.removeHandler(handler)
    counts = {n: figure(metrics, "frontdesk_log_records_total", level=n)
              for n in ("warning", "error", "critical")}  # fmt: skip
    assert counts == {"warning": 2, "error": 1, "critical": 2}


WORKER = """
import sys
from assistant.announcements import ReplyRated
from assistant.metrics import Metrics
metrics = Metrics()
metrics.observe(ReplyRated(True))
metrics.turn.observe(2.0)
metrics.working.set(3)
metrics.ready.set(int(sys.argv[1]))
print("set", flush=True)
if sys.stdin.readline() == "show\\n":
    print(metrics.exposition().decode(), flush=True)
"""


def test_several_processes_are_added_up_and_the_dead_ones_do_not_count_as_working(
    tmp_path: Path,
) -> None:
    def worker(ready: int) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", WORKER, str(ready)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PATH": ""},
        )  # fmt: skip

    killed, ended, alive, asked = workers = [worker(ready) for ready in (0, 1, 0, 1)]
    for one in workers:
        assert one.stdout
        assert one.stdout.readline() == "set\n"
    killed.kill()
    killed.wait()
    ended.communicate("end\n")
    told = asked.communicate("show\n")[0]
    alive.communicate("end\n")
    found = {
        (s.name, s.labels.get("pid", s.labels.get("helpful", ""))): s.value
        for family in text_string_to_metric_families(told)
        for s in family.samples
    }
    assert found["frontdesk_ratings_total", "yes"] == 4, "what the dead have counted stays"
    assert found["frontdesk_turn_seconds_count", ""] == 4
    assert found["frontdesk_turns_in_progress", ""] == 6, "of the two that live"
    assert found["frontdesk_ready", ""] == 0, "one that is not ready"
    memory = {pid for name, pid in found if name == "process_resident_memory_bytes"}
    assert memory == {str(alive.pid), str(asked.pid)}
