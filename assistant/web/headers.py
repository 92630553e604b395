"""What every response says about itself, to browsers.

The values are those of the OWASP Secure Headers Project, but for what Gradio's pages need.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Gradio's frontend evaluates templates and styles inline; nothing may come from elsewhere.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:{images}; font-src 'self' data:; "
    "connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors {ancestors}"
)
STAFF_POLICY = _POLICY.format(ancestors="'none'", images="")
# A page with our own style only: nothing is loaded, run, framed, or sent elsewhere.
PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
# A year, as OWASP advises; other hosts of the shop's domain are the shop's own business.
_HTTPS_ONLY = {"strict-transport-security": "max-age=31536000"}


class SecureHeaders:
    """ASGI middleware: adds them to every response that has none of its own. `origins` may frame
    what is not the staff's, and pictures come from `images` too."""

    def __init__(
        self, app: ASGIApp, origins: Sequence[str] = (), images: Sequence[str] = ()
    ) -> None:
        self.app = app
        policy = _POLICY.format(
            ancestors=" ".join(["'self'", *origins]), images="".join(f" {i}" for i in images)
        )
        self.headers = _HEADERS | {"content-security-policy": policy}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        added = self.headers | (_HTTPS_ONLY if scope["scheme"] == "https" else {})

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in added.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, sending)
