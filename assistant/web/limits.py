"""How much the public may send, and what is said where a request cannot be taken."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence

from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.errors import StoreError

log = logging.getLogger(__name__)
RETRY_SECONDS = "5"


class TooLarge(HTTPException):
    """A body has more bytes than it may; FastAPI passes on what is raised while it reads one."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(413, f"this is larger than {max_bytes:,} bytes", {"connection": "close"})


class BodyLimit:
    """ASGI middleware: 413 for a body that is too large, by its Content-Length or, where that lies
    or is missing, as soon as so many bytes have come. `exempt` are paths with a limit of their own.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, exempt: Sequence[str] = ()) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.exempt = frozenset(exempt)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting what is read of it."""
        if scope["type"] != "http" or scope["path"] in self.exempt:
            await self.app(scope, receive, send)
            return
        received, started = 0, False

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_bytes:
                raise TooLarge(self.max_bytes)
            return message

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            if self._announced(scope) > self.max_bytes:
                raise TooLarge(self.max_bytes)
            await self.app(scope, counted, sending)
        except TooLarge as error:
            if started:  # the answer was on its way before the rest of the body came
                raise
            answer = JSONResponse({"detail": error.detail}, error.status_code, error.headers)
            await answer(scope, receive, send)

    @staticmethod
    def _announced(scope: Scope) -> int:
        """What Content-Length says, if it says anything."""
        said = Headers(scope=scope).get("content-length", "")
        return int(said) if said.isascii() and said.isdigit() and len(said) < 20 else 0


class StoreTrouble:
    """ASGI middleware: 503 where the store cannot be used for now. What was sent can be sent again:
    a message by its id, anything else because nothing of it was stored."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except StoreError as error:
            if started or scope["type"] != "http":
                raise
            await unavailable(error)(scope, receive, send)


def unavailable(error: Exception) -> JSONResponse:
    """503 with what is wrong, and when to try again."""
    log.error("%s", error)
    return JSONResponse({"detail": str(error)}, 503, {"retry-after": RETRY_SECONDS})


def not_valid(_: Request, error: Exception) -> Response:
    """422 with what is wrong where, and without what was sent: that may be no text that UTF-8 can
    hold (a lone surrogate), and is nothing for logs on the way."""
    assert isinstance(error, RequestValidationError)
    detail = [{key: one[key] for key in ("type", "loc", "msg")} for one in error.errors()]
    return Response(json.dumps({"detail": detail}), 422, media_type="application/json")
