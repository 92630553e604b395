"""The widget on another site's page: strict content policy, no third-party cookies, a phone."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from fastapi import FastAPI

from app import embedding
from assistant.conversations import Conversations
from assistant.service import ChatService
from assistant.web.api import api_routes
from assistant.web.identity import Identities, Tickets
from assistant.web.turns import Turns
from assistant.web.widget import widget_routes
from tests.journeys.scripted import Announcing
from tests.staffing import QUOTE, staff_settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow

ATTACK = "<img src=x onerror=window.broken=1> {{7*7}} **bold**"


class ShopPage(http.server.BaseHTTPRequestHandler):
    """A shop's page on a host of its own: no inline script or style, two hosts allowed."""

    frontdesk = ""

    def do_GET(self) -> None:
        policy = (
            f"default-src 'none'; script-src {self.frontdesk}; connect-src {self.frontdesk}; "
            "base-uri 'none'; require-trusted-types-for 'script'"
        )
        script = f'<script src="{self.frontdesk}/widget.js" async></script>'
        body = f"<!doctype html><html lang=en><title>Shop</title><h1>Shop</h1>{script}".encode()
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-security-policy", policy)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChatService]:
    settings = staff_settings(tmp_path_factory.mktemp("home"))
    started = ChatService(Announcing(settings), Conversations.in_home(settings.home))  # type: ignore[arg-type]
    yield started
    started.conversations.close()


@pytest.fixture(scope="module")
def shop(service: ChatService) -> Iterator[str]:
    """Where the shop's page is; Frontdesk answers at another address."""
    page = http.server.ThreadingHTTPServer(("127.0.0.1", 0), ShopPage)
    threading.Thread(target=page.serve_forever, daemon=True).start()
    url = f"http://localhost:{page.server_port}"
    settings = staff_settings(Path(service.assistant.settings.home), origins=(url,))
    app = FastAPI()
    embedding(app, settings)
    identities = Identities("", service.conversations)
    app.include_router(api_routes(service, Turns(service), Tickets("own"), identities))
    app.include_router(widget_routes(settings))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    ShopPage.frontdesk = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    yield url
    server.should_exit = True
    thread.join(10)
    page.shutdown()


Visit = Callable[..., "Page"]


@pytest.fixture
def visit(browser: Browser, shop: str) -> Iterator[Visit]:
    """Opens the shop's page; a script error, a blocked resource or a request to any third place
    fails the test."""
    contexts, faults = [], []

    def go(locale: str = "en-GB", width: int = 1280, **options: Any) -> Page:
        context = browser.new_context(
            locale=locale, viewport={"width": width, "height": 800}, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda told: told.type == "error" and faults.append(told.text))
        page.on("request", lambda request: elsewhere(request.url))
        page.goto(shop)
        page.locator(".bubble").wait_for()
        return page

    def elsewhere(url: str) -> None:
        if not url.startswith((shop, ShopPage.frontdesk, "data:", "blob:")):
            faults.append(url)

    yield go
    for context in contexts:
        context.close()
    assert [f for f in faults if not f.endswith("net::ERR_FAILED")] == []  # as a test wanted


def enter(page: Page) -> None:
    page.locator(".bubble").focus()
    page.keyboard.press("Enter")
    page.locator(".welcome").wait_for()


def ask(page: Page, text: str) -> None:
    page.locator("textarea").fill(text)
    page.keyboard.press("Enter")


@pytest.mark.parametrize(
    ("locale", "width", "scheme"), [("en-GB", 1280, "light"), ("zh-CN", 390, "dark")]
)
def test_a_question_is_answered_with_a_chip_that_opens_the_passage(
    visit: Visit, locale: str, width: int, scheme: str
) -> None:
    page = visit(locale, width, color_scheme=scheme)
    enter(page)
    assert page.evaluate(
        "document.querySelector('#frontdesk').shadowRoot.activeElement.tagName"
    ) == "TEXTAREA"  # fmt: skip
    ask(page, "Can I return it?")
    page.locator(".assistant .chip").wait_for()
    assert page.locator(".assistant .text").last.inner_text().endswith(QUOTE)
    assert QUOTE in page.locator(".sr[role=status]").inner_text(), "heard by a screen reader"
    page.locator(".chip").focus()
    page.keyboard.press("Enter")
    page.locator("dialog mark").wait_for()
    assert page.locator("dialog mark").inner_text() == QUOTE
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="hidden")
    assert page.locator(".panel").is_visible(), "Escape closed the passage alone"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.keyboard.press("Escape")
    assert not page.locator(".panel").is_visible()
    assert page.context.cookies() == []


def test_stop_ends_the_turn(visit: Visit) -> None:
    page = visit()
    enter(page)
    ask(page, "slow: can I return it?")
    page.locator(".stage").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.locator(".assistant .text").wait_for(timeout=5000)
    page.get_by_role("button", name="Send").wait_for()


def test_an_agent_is_heard_also_after_another_page_was_opened(
    visit: Visit, service: ChatService, shop: str
) -> None:
    page = visit()
    enter(page)
    ask(page, ATTACK)
    page.locator(".status", has_text="You are in the queue").wait_for()
    conversation = page.evaluate("JSON.parse(localStorage[Object.keys(localStorage)[0]]).id")
    page.goto(f"{shop}/another")
    page.locator(".customer").wait_for()
    assert page.locator(".customer .text").inner_text().endswith(ATTACK)
    assert service.take_over(conversation, "Ada")
    service.reply_as(conversation, "Ada", f"Hello. {ATTACK}")
    page.locator(".agent", has_text="Hello.").wait_for(timeout=10_000)
    page.locator(".status", has_text="You are talking to Ada").wait_for()
    replies = page.locator(".assistant").count()
    ask(page, "Can I return it?")
    page.locator(".customer", has_text="Can I return").wait_for()
    page.get_by_role("button", name="Send").wait_for()
    assert page.locator(".assistant").count() == replies, "the bot is silent"
    assert page.evaluate("window.broken") is None
    service.end(conversation, "Ada")
    page.get_by_role("button", name="Continue this chat").click(timeout=10_000)
    ask(page, "Can I return it?")
    page.locator(".assistant .chip").wait_for()


def test_a_chat_is_rated_downloaded_and_deleted(visit: Visit, service: ChatService) -> None:
    page = visit()
    enter(page)
    ask(page, "Can I return it?")
    page.get_by_role("button", name="That did not help").click()
    page.locator(".why input").fill("too short")
    page.keyboard.press("Enter")
    page.get_by_text("we will look into it").wait_for()
    conversation = page.evaluate("JSON.parse(localStorage[Object.keys(localStorage)[0]]).id")
    (kept,) = service.conversations.ratings(conversation)
    assert (kept["helpful"], kept["reason"]) == (0, "too short")
    page.get_by_label("More").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download this chat").click()
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert "You: Can I return it?" in text
    assert "[Returns › How long you have]" in text
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete this chat").click()
    page.locator(".welcome").wait_for()
    assert service.conversations.get(conversation) is None


def test_a_message_that_could_not_be_sent_is_offered_again(visit: Visit) -> None:
    page = visit()
    enter(page)
    page.route("**/messages", lambda route: route.abort())
    ask(page, "Can I return it?")
    page.locator(".status [role=alert]").wait_for()
    page.unroute("**/messages")
    page.get_by_role("button", name="Try again").click()
    page.locator(".assistant .chip").wait_for()
    assert page.locator(".customer").count() == 1


def test_a_server_that_is_started_again_is_not_noticed(visit: Visit) -> None:
    page = visit()
    enter(page)
    page.route("**/messages", lambda route: route.abort(), times=2)
    ask(page, "Can I return it?")
    page.locator(".assistant .chip").wait_for()
    assert page.locator(".customer").count() == 1
    assert page.locator(".status [role=alert]").count() == 0


def test_the_words_change_with_the_language_and_stay_changed(visit: Visit) -> None:
    page = visit()
    enter(page)
    page.get_by_label("More").click()
    page.get_by_role("button", name="中文").click()
    page.get_by_text("有什么可以帮您").wait_for()
    assert page.locator(".panel").get_attribute("lang") == "zh"
    page.reload()
    page.get_by_text("有什么可以帮您").wait_for()


def test_without_any_storage_it_still_answers(visit: Visit) -> None:
    page = visit()
    page.add_init_script("Object.defineProperty(window, 'localStorage', {get() { throw 1; }})")
    page.reload()
    page.locator(".bubble").wait_for()
    enter(page)
    ask(page, "Can I return it?")
    page.locator(".assistant .chip").wait_for()
