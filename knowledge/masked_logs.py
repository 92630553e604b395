"""Logs without personal data: what is logged, tracebacks too, has it masked before any handler,
file or console sees it.

OpenTelemetry's conventions for generative AI capture no content by default; here no message does
either, but libraries put what they choke on into their errors. Names are not found (see `pii`).
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from types import TracebackType
from typing import Any

from knowledge.pii import Masker

log = logging.getLogger(__name__)
Factory = Any  # of log records: logging's own type of it says no more


class MaskedRecords:
    """Makes log records with their personal data masked. A filter on the root logger would not be
    asked about what other loggers pass up to its handlers; every record is made here."""

    def __init__(self, make: Factory) -> None:
        self._make = make

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        """A record whose message and traceback are final."""
        record: logging.LogRecord = self._make(*args, **kwargs)
        masker = Masker()
        try:
            record.msg, record.args = masker.mask(record.getMessage()), ()
        except Exception:  # arguments that do not go with the message: logging itself reports them
            record.msg, record.args = masker.mask(f"{record.msg} {record.args}"), ()
        if record.exc_info and record.exc_info[0]:
            record.exc_text = masker.mask("".join(traceback.format_exception(*record.exc_info)))
        if record.stack_info:
            record.stack_info = masker.mask(record.stack_info)
        return record


def mask_logs() -> None:
    """Mask from now on what any logger of this process logs, and what ends a thread or the process
    unexpectedly; a second call changes nothing."""
    make = logging.getLogRecordFactory()
    if isinstance(make, MaskedRecords):
        return
    logging.setLogRecordFactory(MaskedRecords(make))
    threading.excepthook = lambda failed: _log_end(
        failed.exc_type, failed.exc_value, failed.exc_traceback
    )
    sys.excepthook = _log_end


def _log_end(
    kind: type[BaseException], error: BaseException | None, where: TracebackType | None
) -> None:
    if error is None or issubclass(kind, SystemExit):
        return
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, where)
        return
    log.critical("ended unexpectedly", exc_info=(kind, error, where))
