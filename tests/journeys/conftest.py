"""A real browser for the journeys, and the application to walk through."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvicorn

from app import create_app
from assistant import passwords
from assistant.conversations import Conversations
from assistant.service import ChatService
from tests.journeys.scripted import Announcing
from tests.staffing import hire, quick_hasher, staff_settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium; the test is skipped where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def service(home: Path) -> Iterator[ChatService]:
    settings = staff_settings(home)
    started = ChatService(Announcing(settings), Conversations.in_home(settings.home))  # type: ignore[arg-type]
    yield started
    started.conversations.close()


@pytest.fixture(scope="module")
def url(service: ChatService) -> Iterator[str]:
    """The whole application, served."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(passwords, "PasswordHasher", quick_hasher)
        hire(service.conversations)
        app = create_app(service.assistant.settings, service)
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        deadline = time.monotonic() + 60
        while not server.started:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def enter(browser: Browser, url: str) -> Iterator[Callable[..., Page]]:
    """Log in by keyboard and stand on the page; errors of the page fail the test."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def go(path: str, name: str, password: str, **options: object) -> Page:
        context = browser.new_context(**({"locale": "en-GB"} | options))  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url + path)
        assert "/login" in page.url
        page.locator("input[name=login]:focus").wait_for()  # as a person waits for the cursor
        page.keyboard.type(name)
        page.keyboard.press("Tab")
        page.keyboard.type(password)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{url}{path}/")
        page.wait_for_selector(".fd-bar")
        return page

    yield go
    for context in contexts:
        context.close()
    assert errors == []
