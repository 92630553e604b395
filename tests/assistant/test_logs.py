"""Log lines of a process in both formats: nobody's data, everybody's lines, and ids that join."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

CODE = """
import logging, sys, threading, warnings
from assistant.announcements import request_id, turn_scope
from assistant.logs import set_up_logs
set_up_logs()
set_up_logs(sys.argv[1])
log = logging.getLogger("some.library")
log.info("asked by %s", "ada@customer.example", extra={"customer": "ada@customer.example"})
log.info("two\\nlines")
logging.getLogger("httpx").info("too much")
warnings.warn("written by ada@customer.example")
request_id.set("r1")
with turn_scope() as turn:
    log.info("in a turn", stack_info=True)
print(turn, flush=True)
try:
    raise ValueError("cannot read +44 7700 900269 of ada@customer.example")
except ValueError:
    log.exception("failed")
def fail():
    raise KeyError("card 4111 1111 1111 1111")
thread = threading.Thread(target=fail)
thread.start()
thread.join()
raise RuntimeError("ended by ada@customer.example")
"""
SECRETS = ("ada@customer.example", "7700 900269", "4111 1111")


def told(log_format: str) -> tuple[str, str]:
    """(what was logged, the turn's id)"""
    done = subprocess.run([sys.executable, "-c", CODE, log_format], capture_output=True, text=True)
    assert done.returncode == 1
    return done.stderr, done.stdout.strip()


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_nothing_personal_is_in_messages_tracebacks_warnings_and_ends(log_format: str) -> None:
    logged, _ = told(log_format)
    for value in SECRETS:
        assert value not in logged
    for place in ("asked by [EMAIL_1]", "ValueError", "KeyError", "RuntimeError",
                  "ended unexpectedly", "UserWarning"):  # fmt: skip
        assert place in logged
    assert "too much" not in logged


def test_json_is_an_object_a_line_whoever_logs() -> None:
    logged, turn = told("json")
    rows = [json.loads(line) for line in logged.splitlines()]
    asked, lines, warned, inside, failed, *ends = rows
    assert set(asked) == {"time", "level", "logger", "message"}
    assert (asked["level"], asked["logger"]) == ("info", "some.library")
    assert asked["time"].endswith("Z")
    assert lines["message"] == "two\nlines"
    assert warned["logger"] == "py.warnings"
    assert (inside["turn"], inside["request"]) == (turn, "r1")
    assert "in a turn" in inside["stack"] or "<module>" in inside["stack"]
    assert failed["error"].startswith("Traceback")
    assert "turn" not in failed
    assert [end["level"] for end in ends] == ["critical", "critical"]


def test_a_line_of_text_ends_with_the_ids_it_belongs_to() -> None:
    logged, turn = told("text")
    assert f"INFO some.library in a turn request=r1 turn={turn}" in logged
    assert "INFO some.library asked by [EMAIL_1]\n" in logged
