"""OpenAI's completions API as servers speak it: a stream's lines, refusals, when to ask again."""

from __future__ import annotations

import json
import random
import time
from email.utils import parsedate_to_datetime

import httpx

from assistant.errors import GenerationError

_FIRST, _LONGEST = 0.2, 4.0  # seconds between two tries at first, and at most
_SHOWN = 200  # characters of what a server says against a request


class Refused(GenerationError):
    """The server is well and will not answer this request, however often it is asked."""


class Trouble(Exception):
    """The server is not well; `may_help` says whether to ask again, `after` when (seconds)."""

    def __init__(self, message: str, may_help: bool, after: float = 0.0) -> None:
        super().__init__(message)
        self.may_help = may_help
        self.after = after


def text_of(line: str) -> tuple[str, bool]:
    """The text in a line of a stream of server-sent events, and whether the reply is whole with it.
    Raises Trouble for a line that makes no sense."""
    if not line.startswith("data:"):
        return "", False
    data = line.removeprefix("data:").strip()
    if data == "[DONE]":
        return "", True
    try:
        chunk = json.loads(data)
        if chunk.get("error"):
            raise Trouble("it says that it failed", False)
        choices = chunk["choices"]
        if not choices:  # the chunk that tells how much was used
            return "", False
        return str(choices[0].get("text") or ""), bool(choices[0].get("finish_reason"))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Trouble("it sent what is no completion", False) from error


async def refusal(response: httpx.Response) -> Exception:
    """What a status other than 200 means. What is said of a key is not repeated: it may hold it."""
    status = response.status_code
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return Refused(f"the language model's server refuses the key ({status}): model.server")
    if status == httpx.codes.TOO_MANY_REQUESTS or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return Trouble(f"it answers {status}", True, _seconds(response.headers.get("retry-after")))
    said = (await response.aread()).decode(errors="replace")[:_SHOWN]
    return Refused(f"the language model's server answers {status}: {said}")


def pause_before(tried: int, after: float) -> float:
    """Seconds until a request is made once more, after so many retries: what the server asks for,
    and a random part of what doubles each time (full jitter: Brooker, "Exponential backoff and
    jitter", AWS architecture blog, 2015)."""
    return after + random.uniform(0, min(_LONGEST, _FIRST * 2**tried))


def _seconds(retry_after: str | None) -> float:
    """Of a Retry-After header: seconds, or a date (RFC 9110, section 10.2.3)."""
    if not retry_after:
        return 0.0
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return 0.0
