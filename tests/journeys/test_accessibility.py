"""Axe-core on every page, in both languages and both themes: nothing serious, nothing critical."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from assistant.service import ChatService
from tests.staffing import AGENT, OPERATOR

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = pytest.mark.slow

GRAVE = ("serious", "critical")
LOOKS = [
    ("en-GB", "light", 1280),
    ("en-GB", "dark", 390),
    ("zh-CN", "light", 390),
    ("zh-CN", "dark", 1280),
]


@pytest.fixture(params=LOOKS, ids=lambda look: "-".join(map(str, look)))
def context(browser: Browser, request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    """A browser in one language, theme and width."""
    locale, scheme, width = request.param
    made = browser.new_context(
        locale=locale, color_scheme=scheme, viewport={"width": width, "height": 800},
        bypass_csp=True, reduced_motion="reduce",
    )  # fmt: skip
    yield made
    made.close()


def grave(page: Page) -> list[str]:
    """What axe-core finds that is serious or worse, with the first place of each."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        f"{v['id']}: {v['nodes'][0]['html'][:200]} {v['nodes'][0].get('failureSummary', '')[:300]}"
        for v in found
        if v["impact"] in GRAVE
    ]


Check = Callable[["Page", str], None]


@pytest.fixture
def check() -> Iterator[Check]:
    """Looks at a page in one of its states; the test fails at the end, with all that was found."""
    faults: list[str] = []

    def look(page: Page, state: str) -> None:
        page.wait_for_timeout(300)
        faults.extend(f"{state}: {fault}" for fault in grave(page))
        width = (page.viewport_size or {"width": 0})["width"]
        if page.evaluate("document.documentElement.scrollWidth") > width:
            faults.append(f"{state}: wider than the screen")

    yield look
    assert faults == [], "\n".join(faults)


def test_the_chat_page(context: BrowserContext, check: Check, url: str) -> None:
    page = context.new_page()
    page.goto(url)
    page.locator("#fd-text").wait_for()
    check(page, "welcome")
    page.locator("#fd-text").fill("Can I return it?")
    page.keyboard.press("Enter")
    page.locator("#fd-transcript .fd-chip").first.wait_for()
    check(page, "answer")
    page.locator("#fd-transcript .fd-chip").first.click()
    page.get_by_role("dialog").wait_for()
    check(page, "passage")
    page.keyboard.press("Escape")
    page.locator(".fd-menu summary").click()
    check(page, "menu")
    page.locator("#fd-header .fd-person").click()
    page.locator(".fd-banner").wait_for()
    check(page, "waiting")


def test_the_widget(context: BrowserContext, check: Check, url: str) -> None:
    page = context.new_page()
    page.goto(f"{url}/demo")
    page.locator(".bubble").wait_for()
    check(page, "closed")
    page.locator(".bubble").click()
    page.locator(".welcome").wait_for()
    check(page, "welcome")
    page.locator("textarea").fill("Can I return it?")
    page.keyboard.press("Enter")
    page.locator(".chip").wait_for()
    check(page, "answer")
    page.locator(".chip").click()
    check(page, "passage")
    page.keyboard.press("Escape")
    page.locator("button.person").click()
    page.locator(".status strong").wait_for()
    check(page, "waiting")


def log_in(page: Page, url: str, path: str, password: str) -> None:
    page.goto(url + path)
    page.locator("input[name=name]").fill("Ada")
    page.locator("input[name=password]").fill(password)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{url}{path}/")
    page.locator(".fd-bar").wait_for()


def test_the_desk(context: BrowserContext, check: Check, url: str, service: ChatService) -> None:
    asked = service.start("en")
    service.send(asked.id, "Can I return it?")
    service.send(asked.id, "My plate is broken")
    page = context.new_page()
    page.goto(f"{url}/login?role=agent")
    check(page, "log-in")
    log_in(page, url, "/desk", AGENT)
    page.locator(f'.sd-row[data-id="{asked.id}"]').wait_for()
    check(page, "queue")
    page.locator(f'.sd-row[data-id="{asked.id}"]').click()
    page.locator('button[data-act="take"]').wait_for()
    check(page, "conversation")
    page.locator('button[data-act="take"]').click()
    page.locator("#sd-text").wait_for()
    check(page, "reply")
    page.locator(
        "summary", has=page.locator("xpath=ancestor::*[contains(@class,'sd-trace')]")
    ).first.click()
    check(page, "trace")


def test_every_room_of_the_operators_page(context: BrowserContext, check: Check, url: str) -> None:
    page = context.new_page()
    log_in(page, url, "/operator", OPERATOR)
    names = page.locator(".sd-room").evaluate_all("all => all.map(b => b.dataset.name)")
    assert len(names) > 1
    for name in names:
        page.locator(f'.sd-room[data-name="{name}"]').click()
        page.locator(f'.sd-room[data-name="{name}"][aria-current]').wait_for()
        page.wait_for_timeout(500)
        check(page, name)


def test_the_test_bench(context: BrowserContext, check: Check, url: str) -> None:
    page = context.new_page()
    log_in(page, url, "/desk", AGENT)
    page.goto(f"{url}/bench/")
    page.locator("textarea").first.wait_for()
    check(page, "bench")
