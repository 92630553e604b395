"""A customer, two agents and an operator at once, each in a browser of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from assistant.service import ChatService
from tests.staffing import AGENT, OPERATOR

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = pytest.mark.slow


@pytest.fixture
def contexts(browser: Browser) -> Iterator[list[BrowserContext]]:
    """Four browsers that know nothing of each other."""
    made = [browser.new_context(locale="en-GB") for _ in range(4)]
    yield made
    for context in made:
        context.close()


def staff(context: BrowserContext, url: str, path: str, name: str, password: str) -> Page:
    page = context.new_page()
    page.goto(url + path)
    page.locator("input[name=login]").fill(name)
    page.locator("input[name=password]").fill(password)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{url}{path}/")
    page.locator(".fd-bar").wait_for()
    return page


def test_everybody_at_once(contexts: list[BrowserContext], url: str, service: ChatService) -> None:
    customer = contexts[0].new_page()
    customer.goto(f"{url}/demo")
    ada = staff(contexts[1], url, "/desk", "Ada", AGENT)
    bruno = staff(contexts[2], url, "/desk", "Bruno", AGENT)
    mina = staff(contexts[3], url, "/operator", "Mina", OPERATOR)

    # The bot answers, the customer wants a person, and both agents see it.
    customer.locator(".bubble").click()
    customer.locator("textarea").fill("Can I return it?")
    customer.keyboard.press("Enter")
    customer.locator(".chip").wait_for()
    customer.get_by_role("button", name="Get more help").click()
    customer.locator(".status", has_text="You are number 1").wait_for()
    for page in (ada, bruno):
        page.locator(".sd-row", has_text="Can I return it?").first.click(timeout=15_000)
        page.locator('button[data-act="take"]').wait_for()

    # One of them takes it; the operator publishes a document meanwhile.
    ada.locator('button[data-act="take"]').click()
    ada.locator("#sd-text").wait_for()
    customer.locator(".status", has_text="You are talking to Ada").wait_for(timeout=15_000)
    mina.locator("#sd-files").set_input_files(
        [{"name": "returns.md", "mimeType": "text/markdown", "buffer": b"Returns take 30 days."}]
    )
    mina.locator("#fd-documents", has_text="returns.md").wait_for(timeout=15_000)
    ada.locator("#sd-text").fill("Which order is it about?")
    ada.keyboard.press("Enter")
    customer.locator(".agent", has_text="Which order is it about?").wait_for(timeout=15_000)
    customer.locator("textarea").fill("The blue kettle")
    customer.keyboard.press("Enter")
    bruno.locator(".fd-customer", has_text="The blue kettle").wait_for(timeout=15_000)
    bruno.locator(".sd-reply", has_text="Ada has this conversation").wait_for()

    # The bot was silent all the while, and speaks again when Ada is done.
    conversation = customer.evaluate("JSON.parse(localStorage[Object.keys(localStorage)[0]]).id")
    said = [m.role for m in service.conversations.messages(conversation)]
    assert said == ["customer", "assistant", "agent", "customer"]
    ada.locator('button[data-act="back"]').click()
    customer.get_by_role("button", name="Talk to a person").wait_for(timeout=15_000)
    customer.locator("textarea").fill("Can I return it then?")
    customer.keyboard.press("Enter")
    customer.locator(".chip").nth(1).wait_for()  # sentences are shown before the reply is stored
    assert [m.role for m in service.conversations.messages(conversation)][-1] == "assistant"
    entries = {(e["who"], e["what"]) for e in service.conversations.audit()}
    assert {("Ada", "take_over"), ("Ada", "hand_back"), ("Mina", "upload")} <= entries
