"""How a server's log lines look: text for people, or a JSON object a line for what collects them.

Both come from the standard logging, so that other libraries' lines look the same, and both show
what `mask_logs` has made final: no personal data. A line that belongs to a request or a turn ends
with its id; the id of a turn is that of its trace, and is kept with the reply.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from assistant.announcements import request_id, turn_id
from assistant.observability_settings import LogFormat
from knowledge.masked_logs import mask_logs

_TEXT = "%(asctime)s %(levelname)s %(name)s %(message)s"
_NOISY = ("httpx", "chromadb")


class TextFormatter(logging.Formatter):
    """A line of text."""

    def __init__(self) -> None:
        super().__init__(_TEXT)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """See logging.Formatter."""
        line = super().formatMessage(record)
        return " ".join([line, *(f"{name}={value}" for name, value in ids().items())])


class JsonFormatter(logging.Formatter):
    """A JSON object: time (ISO 8601, UTC), level, logger, message, and where there are any the ids
    of request and turn, the error with its traceback, and the stack. Fields that a library hangs on
    its records are left out: nothing has masked them."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter."""
        moment = datetime.fromtimestamp(record.created, UTC)
        row = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **ids(),
        }
        if record.exc_text:
            row["error"] = record.exc_text
        if record.stack_info:
            row["stack"] = record.stack_info
        return json.dumps(row, ensure_ascii=False)


def ids() -> dict[str, str]:
    """The request and the turn that are worked on here, if any."""
    known = {"request": request_id.get(), "turn": turn_id.get()}
    return {name: value for name, value in known.items() if value}


def set_up_logs(format: LogFormat = "text") -> None:
    """Log to stderr, masked, in a format; called again it changes the format."""
    mask_logs()
    logging.captureWarnings(True)
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)
