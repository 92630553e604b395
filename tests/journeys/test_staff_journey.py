"""Agents and an operator at work: a real browser, and real refreshes in their own process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from assistant.service import ChatService
from knowledge.versions import Versions
from tests.staffing import AGENT, OPERATOR, QUOTE

if TYPE_CHECKING:
    from playwright.sync_api import Page

    Enter = Callable[..., Page]

pytestmark = pytest.mark.slow

ATTACK = "<img src=x onerror=window.broken=1> ${window.broken=1} {{7*7}}"


def test_two_agents_share_a_queue(enter: Enter, service: ChatService) -> None:
    asked = service.start("en", "C-1")
    service.send(asked.id, "Can I return it?")
    service.send(asked.id, f"My plate is broken {ATTACK}")
    ada, bruno = enter("/desk", "Ada", AGENT), enter("/desk", "Bruno", AGENT)
    for page in (ada, bruno):
        page.locator(".sd-row", has_text="broken").click()
        page.get_by_role("button", name="Take over").wait_for()

    ada.get_by_role("button", name="Take over").click()
    ada.get_by_text("You have this conversation now").wait_for()
    bruno.get_by_text("Ada has this conversation").wait_for()  # by itself, within a poll

    ada.get_by_role("button", name="Insert").click()
    assert ada.locator("#sd-text").input_value() == QUOTE
    ada.keyboard.type(" Take your time.")
    ada.keyboard.press("Enter")
    ada.locator(".fd-agent", has_text="Take your time.").wait_for()
    bruno.locator(".fd-agent", has_text="Take your time.").wait_for()

    ada.locator("summary", has_text="How this reply came about").first.click()
    assert ada.get_by_text("90 is not in it").first.is_visible()
    service.send(asked.id, "Thank you!")
    ada.locator(".fd-customer", has_text="Thank you!").wait_for()
    assert ada.get_by_text("90 is not in it").first.is_visible(), "what was opened stays open"

    ada.get_by_role("button", name="Return to the assistant").click()
    ada.get_by_text("The assistant answers again").wait_for()
    assert ada.evaluate("window.broken") is None
    assert ada.locator(".fd-customer", has_text="{{7*7}}").count() == 1


def test_a_draft_survives_looking_elsewhere_and_the_queue_obeys_the_keyboard(
    enter: Enter, service: ChatService
) -> None:
    mine, other = service.start("en"), service.start("en")
    service.send(mine.id, "A draft is wanted here")
    service.send(other.id, "Look elsewhere")
    ada = enter("/desk", "Ada", AGENT)
    ada.locator(f'.sd-row[data-id="{mine.id}"]').click()
    ada.get_by_role("button", name="Take over").click()
    ada.locator("#sd-text").fill("Half a sent")
    ada.locator(f'.sd-row[data-id="{other.id}"]').focus()
    ada.keyboard.press("Enter")
    ada.get_by_role("button", name="Take over").wait_for()
    ada.keyboard.press("j")
    ada.keyboard.press("k")
    assert ada.evaluate("document.activeElement.dataset.id") == other.id
    ada.locator(f'.sd-row[data-id="{mine.id}"]').click()
    ada.locator("#sd-text").wait_for()
    assert ada.locator("#sd-text").input_value() == "Half a sent"


def test_on_a_small_screen_the_queue_and_the_conversation_take_turns(
    enter: Enter, service: ChatService
) -> None:
    conversation = service.start("zh")
    service.send(conversation.id, "收到的商品有破损怎么办？")
    viewport = {"width": 390, "height": 800}
    page = enter("/desk", "王芳", AGENT, viewport=viewport, locale="zh-CN")
    page.locator(f'.sd-row[data-id="{conversation.id}"]').click()
    page.get_by_role("button", name="接管").wait_for()
    assert not page.locator(".sd-queue").is_visible()
    page.get_by_role("button", name="列表").click()
    page.locator(".sd-queue").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_an_ended_session_leads_back_to_the_log_in(enter: Enter, url: str) -> None:
    page = enter("/desk", "Ada", AGENT)
    elsewhere = page.context.new_page()
    elsewhere.goto(f"{url}/desk/")
    elsewhere.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login**")  # the next poll is refused


def test_an_operator_publishes_and_takes_it_back(enter: Enter, home: Path, tmp_path: Path) -> None:
    good, bad = tmp_path / "Gift wrapping.md", tmp_path / "tool.exe"
    good.write_text("# Gift wrapping\n\nGift wrapping costs 3.50 per item.\n")
    bad.write_bytes(b"MZ")
    mina = enter("/operator", "Mina", OPERATOR)
    mina.on("dialog", lambda dialog: dialog.accept())
    mina.set_input_files("#sd-files", [good, bad])
    mina.get_by_text("tool.exe · this format cannot be read").wait_for()
    mina.locator(".sd-table th", has_text="gift-wrapping.md").wait_for()
    mina.locator(".sd-changes li", has_text="gift-wrapping").wait_for(timeout=180_000)

    publish = mina.get_by_role("button", name="Publish", exact=True)
    for text in ("Gift wrapping costs 3.50 per item.", "Gift wrapping is free."):
        good.write_text(f"# Gift wrapping\n\n{text}\n")
        mina.set_input_files("#sd-files", good)
        mina.locator("#sd-uploading", has_text="replaced").wait_for()
        mina.locator(".sd-working").wait_for()
        assert publish.is_disabled(), "nothing is published unseen"
        mina.locator(".sd-changes li", has_text="gift-wrapping").wait_for(timeout=180_000)
        publish.click()
        mina.get_by_text("Published as version").wait_for(timeout=180_000)
    versions = Versions(home)
    first, second = versions.complete()
    assert versions.current() == second

    mina.get_by_role("button", name="Undo the last publication").click()
    mina.get_by_text(f"Version {first} is in use again").wait_for()
    assert versions.current() == first
    assert mina.locator(".sd-audit li", has_text="went back to").count() == 1
