"""A customer's way through the chat page: a real browser against a really started server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from assistant.conversations import Conversations
from assistant.handoff import Handoffs

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DOCUMENTS = ROOT / "assistant" / "demo" / "shop" / "documents"
ENGLISH, CHINESE = "How do I use a promo code?", "花呗可以分几期？"


class Server:
    """`python app.py` over one home; started again, it takes the port it had."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Start, and wait until it says where it listens."""
        command = [sys.executable, "app.py", "--home", str(self.home), "--port", str(self.port)]
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        said: list[str] = []
        for line in self.process.stderr or ():
            said.append(line)
            if match := re.search(r"answers at http://[\d.]+:(\d+)", line):
                self.port = int(match[1])
                return
        pytest.fail("the server did not start:\n" + "".join(said[-20:]))

    def stop(self) -> None:
        """Kill it, as a crash would."""
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the demo shop's knowledge base."""
    folder = tmp_path_factory.mktemp("home")
    command = [sys.executable, "-m", "knowledge", "refresh", str(DOCUMENTS), "--home", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    started = Server(home)
    yield started
    started.stop()


OpenPage = Callable[..., "Page"]


@pytest.fixture
def open_page(browser: Browser, server: Server) -> Iterator[OpenPage]:
    """Opens the page in a fresh browser; a request elsewhere or a script error fails the test."""
    contexts, faults = [], []

    def build(
        locale: str = "en-GB", width: int = 1280, height: int = 860, dark: bool = False
    ) -> Page:
        context = browser.new_context(
            locale=locale,
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: elsewhere(request.url))
        page.goto(server.url)
        page.locator("#fd-text").wait_for()
        return page

    def elsewhere(url: str) -> None:
        if not url.startswith((server.url, "data:", "blob:")):
            faults.append(url)

    yield build
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def shoot(tmp_path: Path) -> Callable[[Page, str], None]:
    """Keeps a screenshot, in JOURNEY_SHOTS if it is set."""
    folder = Path(os.environ.get("JOURNEY_SHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)

    def keep(page: Page, name: str) -> None:
        page.screenshot(path=folder / f"{name}.png")

    return keep


def ask(page: Page, text: str) -> None:
    """Type a message and wait for the reply."""
    replies = page.locator("#fd-transcript .fd-assistant")
    before = replies.count()
    page.locator("#fd-text").fill(text)
    page.keyboard.press("Enter")
    replies.nth(before).wait_for()


@pytest.mark.parametrize(
    ("locale", "question", "width", "dark"),
    [
        ("en-GB", ENGLISH, 1280, False),
        ("en-GB", ENGLISH, 390, True),
        ("zh-CN", CHINESE, 1280, True),
        ("zh-CN", CHINESE, 390, False),
    ],
)
def test_a_question_gets_a_cited_answer_whose_passage_opens(
    open_page: OpenPage,
    shoot: Callable[[Page, str], None],
    locale: str,
    question: str,
    width: int,
    dark: bool,
) -> None:
    page = open_page(locale, width, dark=dark)
    name = f"{locale}-{width}-{'dark' if dark else 'light'}"
    shoot(page, f"{name}-1-welcome")
    ask(page, question)
    chip = page.locator("#fd-transcript .fd-chip").first
    chip.wait_for()
    page.wait_for_timeout(400)
    shoot(page, f"{name}-2-answer")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.documentElement.lang") == locale[:2]
    chip.focus()
    page.keyboard.press("Enter")
    sheet = page.get_by_role("dialog")
    sheet.locator("mark").first.wait_for()
    page.wait_for_timeout(300)
    shoot(page, f"{name}-3-passage")
    page.keyboard.press("Escape")
    sheet.wait_for(state="hidden")
    assert chip.evaluate("chip => chip === document.activeElement")


def test_there_is_a_sign_of_life_at_once(open_page: OpenPage) -> None:
    page = open_page()
    page.locator("#fd-text").fill(ENGLISH)
    started = time.perf_counter()
    page.keyboard.press("Enter")
    page.locator("#fd-live .fd-stage, #fd-transcript .fd-assistant").first.wait_for()
    assert time.perf_counter() - started < 0.3


def test_the_page_can_be_used_with_the_keyboard_alone(open_page: OpenPage) -> None:
    page = open_page()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "fd-skip"
    unnamed = page.locator("button, input, textarea, a").evaluate_all(
        "all => all.filter(e => e.checkVisibility() && e.offsetParent && !e.ariaLabel"
        " && !e.textContent.trim()).map(e => e.outerHTML)"
    )
    assert unnamed == []
    person = page.get_by_role("button", name="Talk to a person")
    person.focus()
    page.keyboard.press("Enter")
    page.get_by_text("You are in the queue for a person").wait_for()


def test_an_agent_is_heard_without_a_reload(open_page: OpenPage, home: Path) -> None:
    page = open_page()
    ask(page, ENGLISH)
    page.get_by_role("button", name="Talk to a person").click()
    page.get_by_text("You are in the queue for a person").wait_for()
    store = Conversations.in_home(home)
    waiting = max(store.queue(("waiting",)), key=lambda c: c.created)
    Handoffs(store).happen(waiting.id, "take", "Ana")
    store.add(waiting.id, "agent", "Hello, this is Ana.")
    store.close()
    page.get_by_text("Hello, this is Ana.").wait_for(timeout=10_000)
    replies = page.locator("#fd-transcript .fd-assistant").count()
    page.locator("#fd-text").fill("Thank you")
    page.keyboard.press("Enter")
    page.locator("#fd-transcript").get_by_text("Thank you").wait_for()
    assert page.locator("#fd-transcript .fd-assistant").count() == replies


def test_the_conversation_outlives_a_reload_and_a_restart(
    open_page: OpenPage, server: Server
) -> None:
    page = open_page()
    ask(page, ENGLISH)
    page.get_by_role("button", name="That helped").click()
    page.get_by_text("Thank you!").wait_for()
    before = page.locator("#fd-transcript .fd-messages").inner_text()
    page.reload()
    page.locator("#fd-transcript .fd-chip").first.wait_for()
    assert page.locator("#fd-transcript .fd-messages").inner_text() == before
    server.stop()
    server.start()
    page.reload()
    page.locator("#fd-transcript .fd-chip").first.wait_for()
    assert page.locator("#fd-transcript .fd-messages").inner_text() == before
    ask(page, "Which payment methods do you accept?")
