"""From a one-time password to a page of one's own, and in by the company's provider."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvicorn

from app import create_app
from assistant.service import ChatService
from tests.provider import Provider, oidc_settings, serving
from tests.staffing import ADMIN, chat_service, hire, staff_settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow
GOOD = "four lamps under ice"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    """At another host than the shop's pages, so that to a browser it is another site."""
    with serving(Provider("", asks=True), "localhost") as started:
        yield started


@pytest.fixture(scope="module")
def staffed(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[ChatService]:
    home: Path = tmp_path_factory.mktemp("home")
    settings = staff_settings(home).model_copy(update={"oidc": oidc_settings(provider.url)})
    started = chat_service(settings)
    yield started
    started.conversations.close()


@pytest.fixture(scope="module")
def url(staffed: ChatService, provider: Provider) -> Iterator[str]:
    """The whole application, with the passwords hashed as they are for shops."""
    hire(staffed.conversations)
    app = create_app(staffed.assistant.settings, staffed)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    provider.callback = f"{address}/login/oidc/callback"
    yield address
    server.should_exit = True
    thread.join(10)


def log_in(page: Page, login: str, password: str) -> None:
    page.locator("#login:focus").wait_for()
    page.keyboard.type(login)
    page.keyboard.press("Tab")
    page.keyboard.type(password)
    page.keyboard.press("Enter")


def test_an_admin_adds_an_agent_who_works_and_is_shut_out(browser: Browser, url: str) -> None:
    root = browser.new_context(locale="en-GB").new_page()
    root.on("dialog", lambda dialog: dialog.accept())
    root.goto(f"{url}/operator/")
    log_in(root, "root", ADMIN)
    root.locator('.sd-room[data-name="users"]').click()
    root.locator("#sd-users-new > summary").click()
    root.locator(".sd-users-form input[name=login]").fill("zoe")
    root.locator(".sd-users-form input[name=name]").fill("Zoé")
    root.keyboard.press("Enter")
    password = root.locator("#sd-once code").inner_text()
    root.locator(".sd-people li", has_text="Zoé").locator("summary").click()

    zoe = browser.new_context(locale="en-GB").new_page()
    zoe.goto(f"{url}/bench/")
    log_in(zoe, "zoe", password)
    zoe.wait_for_url(f"{url}/staff/password")
    zoe.goto(f"{url}/desk/")
    zoe.wait_for_url(f"{url}/staff/password")  # nothing else opens before
    for name, text in (("password", password), ("new", GOOD), ("again", GOOD)):
        zoe.locator(f"input[name={name}]").fill(text)
    zoe.keyboard.press("Enter")
    zoe.wait_for_url(f"{url}/desk/")
    zoe.locator(".fd-role", has_text="Zoé").wait_for()

    root.locator(".sd-people li", has_text="Zoé").locator('[data-act="users_disable"]').click()
    root.locator(".sd-notice", has_text="Zoé is disabled").wait_for()
    zoe.wait_for_url("**/login**")  # at the next poll
    log_in(zoe, "zoe", GOOD)
    zoe.get_by_role("alert").wait_for()
    assert "do not match" in zoe.get_by_role("alert").inner_text()


def test_who_comes_from_the_provider_is_in_at_once(browser: Browser, url: str) -> None:
    context = browser.new_context(locale="en-GB")
    vera = context.new_page()
    vera.goto(f"{url}/bench/")
    vera.get_by_role("link", name="Log in with Example ID").click()
    vera.get_by_role("link", name="me").click()
    vera.wait_for_url(f"{url}/bench/")
    vera.locator(".fd-role", has_text="Vera").wait_for()
    (cookie,) = (c for c in context.cookies() if c["name"] == "frontdesk_staff")
    assert (cookie["sameSite"], cookie["httpOnly"]) == ("Strict", True)
