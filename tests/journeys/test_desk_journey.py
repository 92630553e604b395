"""An agent at the desk with keyboard and mouse, in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from assistant.canned import CannedReplies
from assistant.edits import Edits
from assistant.service import ChatService
from assistant.web.desk_keys import KEYS
from tests.staffing import AGENT, QUOTE

if TYPE_CHECKING:
    from playwright.sync_api import Page

    Enter = Callable[..., Page]

pytestmark = pytest.mark.slow


def waiting(service: ChatService, text: str = "My plate is broken") -> str:
    conversation = service.start("en")
    service.send(conversation.id, text)
    return conversation.id


def take(page: Page, conversation: str) -> None:
    """Take a conversation over with keys alone, when the whole page is there."""
    page.locator("#sd-help").wait_for(state="attached")
    page.locator(f'.sd-row[data-id="{conversation}"]').focus()
    page.keyboard.press("Enter")
    page.locator(f'.sd-reply[data-conversation="{conversation}"] [data-act="take"]').wait_for()
    page.keyboard.press("t")
    page.locator("#sd-text").wait_for()


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.id"))


def leave(page: Page) -> None:
    """Leave the field, so that keys are keys again."""
    page.keyboard.press("Escape")
    assert focused(page) == ""


def test_keys_do_what_the_help_says_and_nothing_while_typing(
    enter: Enter, service: ChatService
) -> None:
    mine = waiting(service, "Keys are wanted here")
    ada = enter("/desk", "Ada", AGENT)
    take(ada, mine)
    assert focused(ada) == "sd-text", "who takes over wants to write"
    ada.keyboard.type("jk? rnt")
    assert ada.locator("#sd-text").input_value() == "jk? rnt"
    assert not ada.locator("#sd-help").is_visible()
    leave(ada)

    ada.keyboard.press("?")
    ada.locator("#sd-help").wait_for()
    assert ada.locator("#sd-help kbd").all_inner_texts() == [key.shown for key in KEYS]
    ada.keyboard.press("n")
    assert ada.locator("#sd-help").is_visible(), "under the sheet nothing moves"
    ada.keyboard.press("Escape")
    assert not ada.locator("#sd-help").is_visible()

    ada.keyboard.press("n")
    assert focused(ada) == "sd-note"
    leave(ada)
    ada.keyboard.press("R")
    assert focused(ada) == "sd-text"
    assert not ada.locator("#sd-note").is_visible()
    ada.keyboard.press("Control+k")
    assert focused(ada) == "sd-search"
    leave(ada)
    ada.keyboard.press("j")
    first = ada.evaluate("document.activeElement.dataset.id")
    ada.keyboard.press("j")
    ada.keyboard.press("k")
    assert ada.evaluate("document.activeElement.dataset.id") == first is not None


def test_keys_of_an_input_method_are_not_keys_of_the_page(
    enter: Enter, service: ChatService
) -> None:
    take_this = waiting(service, "An input method is at work")
    ada = enter("/desk", "王芳", AGENT, locale="zh-CN")
    take(ada, take_this)
    leave(ada)
    ada.evaluate("""() => document.body.dispatchEvent(
        new KeyboardEvent("keydown", { key: "?", bubbles: true, isComposing: true }))""")
    assert not ada.locator("#sd-help").is_visible()
    ada.keyboard.press("r")
    ada.keyboard.insert_text("、")  # what the key of the slash writes with Chinese punctuation
    assert focused(ada) == "sd-canned-find"


def test_a_canned_reply_is_saved_from_the_draft_found_and_inserted(
    enter: Enter, service: ChatService
) -> None:
    for shortcut, text in (("ship", "It ships today, says {name}."), ("sorry", "I am so sorry.")):
        CannedReplies(service.conversations).save(shortcut, "en", text, "Mina")
    ada = enter("/desk", "Ada", AGENT)
    ada.on("dialog", lambda dialog: dialog.accept())
    take(ada, waiting(service, "Canned is wanted"))
    leave(ada)
    ada.keyboard.press("/")
    field = ada.locator("#sd-canned-find")
    field.wait_for()
    chosen = ada.locator('#sd-canned-list [aria-selected="true"]')
    ada.keyboard.type("s")
    assert "/ship" in chosen.inner_text()
    ada.keyboard.press("ArrowDown")
    assert "/sorry" in chosen.inner_text()
    assert field.get_attribute("aria-activedescendant") == chosen.get_attribute("id")
    ada.keyboard.press("ArrowDown")
    assert "/ship" in chosen.inner_text(), "round and round"
    ada.keyboard.type("orr")
    assert ada.locator("#sd-canned-list li:visible").count() == 1
    ada.keyboard.press("Escape")
    assert focused(ada) == "sd-text"
    ada.keyboard.type("/")
    ada.keyboard.type("sh")
    ada.keyboard.press("Enter")
    assert ada.locator("#sd-text").input_value() == "It ships today, says Ada."
    ada.locator('[data-desk="canned"]').click()
    ada.locator("#sd-canned-list li", has_text="/sorry").click()
    assert ada.locator("#sd-text").input_value() == "It ships today, says Ada.\nI am so sorry."

    ada.locator('[data-desk="canned"]').click()
    ada.get_by_role("button", name="Add or change canned replies").click()
    sheet = ada.locator("#sd-canned-sheet")
    sheet.locator("summary", has_text="New reply").click()
    sheet.get_by_role("button", name="Use my present draft").click()
    sheet.locator("#sd-shortcut-new").fill("both")
    sheet.locator("#sd-canned-new").get_by_role("button", name="Save").click()
    sheet.get_by_text("/both is saved").wait_for()
    sheet.locator("summary", has_text="/both").click()
    sheet.locator("details[open]", has_text="/both").get_by_role("button", name="Delete").click()
    sheet.get_by_text("/both is deleted").wait_for()
    ada.keyboard.press("Escape")
    assert not sheet.is_visible()
    assert ada.locator("#sd-text").input_value().startswith("It ships today"), "the draft is there"


def test_an_edited_suggestion_a_note_and_the_end_of_a_conversation(
    enter: Enter, service: ChatService
) -> None:
    mine = waiting(service, "Everything is broken")
    ada = enter("/desk", "Dora", AGENT)  # who has no other conversation
    ada.on("dialog", lambda dialog: dialog.accept())
    take(ada, mine)
    ada.locator("#sd-mode-note").check()
    ada.locator("#sd-note").fill("She is upset.")
    ada.keyboard.press("Enter")
    ada.locator(".sd-private", has_text="She is upset.").wait_for()
    assert ada.locator("#sd-note").is_visible(), "the next one may be a note too"
    ada.locator("#sd-mode-reply").check()

    ada.get_by_role("button", name="Insert").click()
    ada.keyboard.type(" Unworn ones.")
    ada.keyboard.press("Enter")
    ada.get_by_text("Edited from the suggestion").wait_for()
    ada.get_by_role("button", name="Insert").click()
    ada.locator("#sd-text").fill("")
    ada.keyboard.type("Let me look.")
    ada.keyboard.press("Enter")
    ada.locator(".fd-agent", has_text="Let me look.").wait_for()
    edits = Edits(service.conversations).of(mine).values()
    assert [(e.sent, e.inserted) for e in edits] == [
        (f"{QUOTE} Unworn ones.", True), ("Let me look.", False),
    ]  # fmt: skip

    ada.get_by_role("button", name="Close", exact=True).click()
    ada.get_by_text("The conversation is closed").wait_for()
    ada.keyboard.press("Control+k")
    ada.keyboard.type("everything broken")
    ada.keyboard.press("Enter")
    ada.locator("mark", has_text="Everything").wait_for()
    leave(ada)
    ada.locator("#sd-filter-all").wait_for()
    ada.locator("#sd-filter-mine").click()
    ada.get_by_text("None at the moment").wait_for()
    assert focused(ada) == "sd-filter-mine", "a part that is made anew keeps the focus"


def test_the_desk_fits_a_telephone(enter: Enter, service: ChatService) -> None:
    mine = waiting(service, "On a small screen")
    page = enter("/desk", "Ada", AGENT, viewport={"width": 390, "height": 800})
    page.locator("#sd-help").wait_for(state="attached")
    assert page.locator("#sd-search").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator(f'.sd-row[data-id="{mine}"]').click()
    page.get_by_role("button", name="Take over").click()
    page.locator("#sd-text").wait_for()
    assert not page.locator("#sd-search").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for button in page.locator(".sd-reply .sd-actions button:visible").all():
        box = button.bounding_box()
        assert box
        assert 0 <= box["x"] <= box["x"] + box["width"] <= 390
