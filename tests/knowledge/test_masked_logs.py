"""Logs without personal data, as a process writes them."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import logging, threading
from knowledge.masked_logs import mask_logs
mask_logs()
mask_logs()
logging.basicConfig(level=logging.INFO)
log = logging.getLogger("some.library")
log.info("asked by %s", "ada@customer.example")
log.info("card 4111 1111 1111 1111")
log.info("%d of", "ada@customer.example")
try:
    raise ValueError("cannot read +44 7700 900269 of ada@customer.example")
except ValueError:
    log.exception("failed")
def fail():
    raise KeyError("ada@customer.example")
thread = threading.Thread(target=fail)
thread.start()
thread.join()
raise RuntimeError("ended by ada@customer.example")
"""


def test_messages_tracebacks_and_ends_of_threads_and_processes_are_masked():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    told = done.stdout + done.stderr
    assert done.returncode == 1
    for value in ("ada@customer.example", "4111 1111", "7700 900269"):
        assert value not in told
    assert told.count("[EMAIL_1]") >= 4
    for place in ("asked by", "Traceback", "KeyError", "RuntimeError", "ended unexpectedly"):
        assert place in told
