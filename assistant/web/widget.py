"""The widget for a shop's own pages: one script, `/widget.js`, its words and style in it."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Header, HTTPException
from fastapi.responses import FileResponse
from starlette.responses import Response

from assistant.demo.pictures import picture
from assistant.settings import Settings
from assistant.web.texts import languages, texts

_FOLDER = Path(__file__).parent / "widget_parts"
_PARTS = ("store", "api", "view", "chat", "widget")  # each uses only those before it
_KEPT_SECONDS = 300
_JS = "text/javascript; charset=utf-8"
_DEMO = Path(__file__).parent.parent / "demo" / "storefront"
# What a careful shop allows: no inline script or style, and nothing from elsewhere.
_STRICT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def widget_script(settings: Settings) -> str:
    """The whole script. Where its messages go it learns from its own address."""
    words = {code: asdict(texts(code)) for code in languages()}
    constants = {
        "SHOP": settings.shop_name,
        "LIMIT": settings.max_utterance_characters,
        "TEXTS": words,
        "IMAGES": list(settings.web.image_origins),
        "STYLE": (_FOLDER / "widget.css").read_text(encoding="utf-8"),
    }
    lines = [f"const {k} = {json.dumps(v, ensure_ascii=False)};" for k, v in constants.items()]
    parts = [(_FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in _PARTS]
    head = [
        '"use strict";',
        "const script = document.currentScript;",
        "const ORIGIN = new URL(script.src).origin;",
    ]
    return "(() => {\n" + "\n".join([*head, *lines, *parts]) + "\n})();\n"


def widget_routes(settings: Settings) -> APIRouter:
    """`/widget.js`, and a page of the demo shop that embeds it."""
    router = APIRouter(include_in_schema=False)

    @lru_cache(maxsize=1)
    def script() -> tuple[bytes, bytes, str]:
        plain = widget_script(settings).encode()
        return plain, gzip.compress(plain, 9), f'"{hashlib.sha256(plain).hexdigest()[:16]}"'

    @router.get("/widget.js")
    def widget(
        if_none_match: Annotated[str, Header()] = "", accept_encoding: Annotated[str, Header()] = ""
    ) -> Response:
        plain, packed, tag = script()
        headers = {
            "etag": tag,
            "vary": "accept-encoding",
            "cache-control": f"public, max-age={_KEPT_SECONDS}",
            "cross-origin-resource-policy": "cross-origin",
        }
        if tag in if_none_match:
            return Response(status_code=304, headers=headers)
        if "gzip" in accept_encoding:
            return Response(packed, headers=headers | {"content-encoding": "gzip"}, media_type=_JS)
        return Response(plain, headers=headers, media_type=_JS)

    @router.get("/demo")
    def demo() -> Response:
        return FileResponse(_DEMO / "index.html", headers={"content-security-policy": _STRICT})

    @router.get("/demo/style.css")
    def style() -> Response:
        return FileResponse(_DEMO / "style.css")

    @router.get("/demo/goods/{name}.svg")
    def goods(name: str) -> Response:
        if (drawn := picture(name)) is None:
            raise HTTPException(404)
        headers = {
            "cache-control": f"public, max-age={_KEPT_SECONDS}",
            "cross-origin-resource-policy": "cross-origin",
        }
        return Response(drawn, headers=headers, media_type="image/svg+xml")

    return router
