"""Axe-core on every page, in both languages and both themes: nothing serious, nothing critical."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from assistant.audit import PAGE
from assistant.service import ChatService
from tests.staffing import ADMIN, AGENT, OPERATOR, PEOPLE, accounts_of

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
    page.locator("input[name=login]").fill(
        next(n for n, (_, own) in PEOPLE.items() if own == password)
    )
    page.locator("input[name=password]").fill(password)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{url}{path}/")
    page.locator(".fd-bar").wait_for()


def test_the_desk(context: BrowserContext, check: Check, url: str, service: ChatService) -> None:
    asked = service.start("en")
    service.send(asked.id, "Can I return it?")
    service.send(asked.id, "My plate is broken")
    page = context.new_page()
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


def test_the_log_in_and_the_choice_of_a_password(
    context: BrowserContext, check: Check, url: str, service: ChatService
) -> None:
    page = context.new_page()
    page.goto(f"{url}/login")
    check(page, "log-in")
    login = f"new{len(accounts_of(service.conversations).all())}"
    _, password = accounts_of(service.conversations).add(login, "agent", "tests")
    page.locator("input[name=login]").fill(login)
    page.locator("input[name=password]").fill("wrong")
    page.keyboard.press("Enter")
    page.locator("input[name=password]:focus").wait_for()  # where the next try is typed
    check(page, "wrong password")
    page.locator("input[name=password]").fill(password)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{url}/staff/password")
    check(page, "first log-in")
    for name, text in (("password", password), ("new", "too short"), ("again", "too short")):
        page.locator(f"input[name={name}]").fill(text)
    page.keyboard.press("Enter")
    page.locator("input[name=new]:focus[aria-invalid]").wait_for()
    check(page, "a password that may not be chosen")
    for name, text in (("password", password), ("new", "four lamps under ice")):
        page.locator(f"input[name={name}]").fill(text)
    page.locator("input[name=again]").fill("four lamps under ice")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{url}/desk/")
    page.locator(".fd-menu summary").press("Enter")
    check(page, "menu")
    page.locator('.fd-menu a[href="/staff/password"]').press("Enter")
    page.locator("#password:focus").wait_for()
    check(page, "another password")
    page.goto(f"{url}/operator/")
    check(page, "another role's page")


def test_the_accounts(
    context: BrowserContext, check: Check, url: str, service: ChatService
) -> None:
    page = context.new_page()
    page.on("dialog", lambda dialog: dialog.accept())
    log_in(page, url, "/operator", ADMIN)
    page.locator('.sd-room[data-name="users"]').press("Enter")
    page.locator(".sd-people li").first.wait_for()
    page.locator("#sd-users-new > summary").press("Enter")
    check(page, "the form")
    login = f"new{len(accounts_of(service.conversations).all())}"
    page.locator(".sd-users-form input[name=login]").fill(login)
    page.keyboard.press("Enter")
    page.locator("#sd-once:focus").wait_for()  # so that it is read out
    page.locator(".sd-person", has_text=login).first.wait_for()
    check(page, "a one-time password")
    mine = page.locator(".sd-people li", has=page.get_by_text(login, exact=True).first)
    mine.locator("summary").press("Enter")
    mine.locator("select").select_option("operator")
    check(page, "what can be done")
    mine.locator(".sd-user-role button").press("Enter")
    page.locator(".sd-notice:not(:empty)").wait_for()
    check(page, "changed")
    page.locator(".fd-menu summary").press("Enter")
    check(page, "menu")


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


def test_the_audit_log(
    context: BrowserContext, check: Check, url: str, service: ChatService
) -> None:
    log = service.conversations.log
    log("Mina", "allow", "en-returns-general#1: an example")
    service.send(service.start("en").id, "Can I return it?")
    for n in range(PAGE):
        log("Mina", "upload", f"{n}.md")
    page = context.new_page()
    log_in(page, url, "/operator", OPERATOR)
    page.locator('.sd-room[data-name="audit"]').click()
    page.locator("#sd-log-older").press("Enter")
    page.locator("#sd-log-found:focus").wait_for()  # who turns the page reads on at its top
    page.locator(".sd-log summary").first.press("Enter")
    page.locator(".sd-log details[open] code").first.wait_for()
    check(page, "replies that rest on it")
    field = page.locator(".sd-log-find input[name=words]")
    field.fill("nothing like it")
    field.press("Enter")
    page.locator(".sd-log .sd-empty").wait_for()
    check(page, "nothing found")
    page.locator(".sd-log-find button[type=reset]").press("Enter")
    page.locator(".sd-log-entries").wait_for()
    assert field.input_value() == "", "what was looked for is gone from the form too"
    check(page, "newest")


def test_the_test_bench(context: BrowserContext, check: Check, url: str) -> None:
    page = context.new_page()
    log_in(page, url, "/desk", AGENT)
    page.goto(f"{url}/bench/")
    page.locator("textarea").first.wait_for()
    check(page, "bench")
