"""The widget's script, and which sites may use it."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import ValidationError

from app import embedding, secure
from assistant.service import ChatService
from assistant.settings import Settings, WebSettings
from assistant.web.api import api_routes
from assistant.web.identity import Identities, Tickets
from assistant.web.turns import Turns
from assistant.web.widget import widget_routes, widget_script
from tests.staffing import staff_settings

SHOP = "https://www.shop.example"
MOST_BYTES = 30_000


@pytest.fixture
def site(service: ChatService, tmp_path: Path) -> Iterator[TestClient]:
    settings = staff_settings(tmp_path, origins=(SHOP,))
    app = FastAPI()
    embedding(app, settings)
    secure(app, settings)
    identities = Identities("", service.conversations)
    app.include_router(api_routes(service, Turns(service), Tickets("own"), identities))
    app.include_router(widget_routes(settings))
    with TestClient(app) as client:
        yield client


def test_the_script_is_small_and_kept_by_browsers(site: TestClient) -> None:
    with site.stream("GET", "/widget.js", headers={"accept-encoding": "gzip"}) as answer:
        packed = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert len(packed) <= MOST_BYTES
    assert gzip.decompress(packed).startswith(b"(() => {")
    again = site.get("/widget.js", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    plain = site.get("/widget.js", headers={"accept-encoding": "identity"})
    assert plain.content == gzip.decompress(packed)


def test_the_script_holds_no_address_but_the_name_space_of_svg() -> None:
    found = re.findall(r"https?://[^\s\"'`]+", widget_script(Settings()))
    assert [a for a in found if not a.startswith("http://www.w3.org/")] == []


def test_what_a_shop_is_called_cannot_break_the_script(tmp_path: Path) -> None:
    name = 'A"</script><script>alert(1)//\u2028`${x}'
    script = widget_script(Settings(shop_name=name))
    line = next(li for li in script.split("\n") if li.startswith("const SHOP = "))
    assert json.loads(line.removeprefix("const SHOP = ").rstrip(";")) == name
    if node := shutil.which("node"):
        path = tmp_path / "widget.js"
        path.write_text(script, encoding="utf-8")
        done = subprocess.run([node, "--check", str(path)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("origin", "status"), [(SHOP, 201), ("http://testserver", 201), (None, 201),
                           ("https://evil.example", 403), ("null", 403),
                           ("http://www.shop.example", 403), (f"{SHOP}:8443", 403)],
)  # fmt: skip
def test_only_listed_sites_reach_the_api(site: TestClient, origin: str | None, status: int) -> None:
    headers = {"origin": origin} if origin else {}
    answer = site.post("/api/v1/conversations", json={}, headers=headers)
    assert answer.status_code == status
    assert answer.headers.get("access-control-allow-origin") == (SHOP if origin == SHOP else None)


def test_a_browser_asks_first_and_is_told(site: TestClient) -> None:
    asking = {
        "origin": SHOP, "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }  # fmt: skip
    answer = site.options("/api/v1/conversations", headers=asking)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == SHOP
    assert "access-control-allow-credentials" not in answer.headers
    refused = site.options("/api/v1/conversations", headers=asking | {"origin": "https://e.vil"})
    assert refused.status_code == 403


def test_listed_sites_may_frame_the_chat_and_nobody_else(site: TestClient) -> None:
    policy = site.get("/widget.js").headers["content-security-policy"]
    assert policy.endswith(f"frame-ancestors 'self' {SHOP}")


def test_the_demo_page_allows_nothing_but_its_own(site: TestClient) -> None:
    page = site.get("/demo")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert '<script src="/widget.js" async></script>' in page.text
    assert site.get("/demo/style.css").headers["content-type"].startswith("text/css")


@pytest.mark.parametrize("wrong", ["shop.example", f"{SHOP}/", f"{SHOP}/path", "https://*", "*"])
def test_what_is_no_origin_is_refused(wrong: str) -> None:
    with pytest.raises(ValidationError, match="not an origin"):
        WebSettings(origins=(wrong,))
