"""Gradio's pages behind nginx, with deploy/nginx.conf, before two apps that share a home and Redis."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvicorn

from app import create_app
from assistant import passwords
from assistant.conversations import Conversations
from assistant.live import open_live
from assistant.service import ChatService
from assistant.store_settings import SharedSettings
from benchmarks.engines import nginx
from benchmarks.engines import redis as redis_engine
from tests.engines import started
from tests.journeys.scripted import Announcing
from tests.staffing import AGENT, hire, quick_hasher, staff_settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow


@dataclass
class App:
    """An app in a thread; `stop` takes it away while customers look at it."""

    service: ChatService
    server: uvicorn.Server
    thread: threading.Thread = field(init=False)

    def start(self) -> int:
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        deadline = time.monotonic() + 60
        while not self.server.started:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return int(self.server.servers[0].sockets[0].getsockname()[1])

    def stop(self) -> None:
        self.server.force_exit = self.server.should_exit = True
        self.thread.join(20)


@pytest.fixture
def apps(tmp_path: Path) -> Iterator[tuple[str, list[App]]]:
    """(nginx's address, the two apps behind it)."""
    with ExitStack() as stack:
        monkeypatch = stack.enter_context(pytest.MonkeyPatch.context())
        monkeypatch.setattr(passwords, "PasswordHasher", quick_hasher)
        redis = stack.enter_context(started(redis_engine, tmp_path))
        shared = {"shared": SharedSettings(redis=redis.url)}
        settings = staff_settings(tmp_path / "home", proxies=("127.0.0.1",)).model_copy(
            update=shared
        )
        both = []
        for number in range(2):
            live = open_live(settings.shared)
            store = Conversations.of(settings)
            service = ChatService(Announcing(settings), store, live)  # type: ignore[arg-type]
            if number == 0:
                hire(store)
            config = uvicorn.Config(create_app(settings, service), port=0, log_level="warning")
            both.append(App(service, uvicorn.Server(config)))
        first, second = [app.start() for app in both]
        for app in both:
            stack.callback(app.stop)
        proxy = stack.enter_context(started(lambda folder: nginx(folder, first, second), tmp_path))
        yield proxy.url, both


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(locale="en-GB")
    yield context.new_page()
    context.close()


def ask(page: Page, text: str) -> None:
    replies = page.locator("#fd-transcript .fd-assistant")
    before = replies.count()
    page.locator("#fd-text").fill(text)
    page.keyboard.press("Enter")
    replies.nth(before).wait_for()


def test_a_customer_and_an_agent_talk_through_the_proxy(
    apps: tuple[str, list[App]], page: Page, browser: Browser
) -> None:
    url, _ = apps
    page.goto(url)
    page.locator("#fd-text").wait_for()
    ask(page, "Can I return it?")
    page.reload()
    page.locator("#fd-transcript .fd-assistant").wait_for()
    page.locator('button[data-act="person"]').first.click()
    context = browser.new_context(locale="en-GB")
    ada = context.new_page()
    ada.goto(f"{url}/desk")
    ada.locator("input[name=login]").fill("Ada")
    ada.locator("input[name=password]").fill(AGENT)
    ada.keyboard.press("Enter")
    ada.locator(".fd-bar").wait_for()
    ada.locator(".sd-row", has_text="Can I return it?").first.click(timeout=15_000)
    ada.locator('button[data-act="take"]').click()
    ada.locator("#sd-text").fill("Which order is it about?")
    ada.keyboard.press("Enter")
    page.locator("#fd-transcript", has_text="Which order is it about?").wait_for(timeout=15_000)
    context.close()


def test_when_the_app_of_a_page_is_gone_the_page_goes_on_with_the_other_one(
    apps: tuple[str, list[App]], page: Page
) -> None:
    url, both = apps
    page.goto(url)
    page.locator("#fd-text").wait_for()
    ask(page, "Can I return it?")
    held, other = sorted(both, key=lambda app: -app.server.server_state.total_requests)
    assert other.server.server_state.total_requests == 0, "a customer's pages are all with one app"
    held.stop()
    page.reload()
    page.locator("#fd-transcript .fd-assistant").wait_for(timeout=15_000)
    ask(page, "Can I return it then?")
