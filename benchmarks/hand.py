"""A hand on a page whose clicks and entries are counted, and the place where it does its work."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.staffing import PEOPLE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Locator, Page

_PATIENT_SECONDS = 60.0


class Hand:
    """A person's hand on a page: all it does is counted, from the last `counted` on."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.clicks = self.entries = 0
        self.seconds = 0.0
        page.set_default_timeout(1000 * _PATIENT_SECONDS)
        page.on("dialog", self._agree)

    @contextmanager
    def counted(self) -> Iterator[None]:
        """The journey itself; what was done before only led to where it starts."""
        self.clicks = self.entries = 0
        started = time.perf_counter()
        yield
        self.seconds = time.perf_counter() - started

    def click(self, place: str | Locator) -> None:
        """Click once."""
        self._at(place).click()
        self.clicks += 1

    def press(self, key: str) -> None:
        """Press a key that stands for a click."""
        self.page.keyboard.press(key)
        self.clicks += 1

    def write(self, text: str, place: str | Locator = "") -> None:
        """Type in one go, where the cursor is or into the field of that place."""
        if place:
            self._at(place).click()
        self.page.keyboard.type(text)
        self.entries += 1

    def choose(self, opener: str | Locator, file: Path) -> None:
        """Click what asks for a file, and choose one."""
        with self.page.expect_file_chooser() as chooser:
            self.click(opener)
        chooser.value.set_files(file)
        self.entries += 1

    def button(self, name: str) -> Locator:
        """The button of that name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def see(self, place: str, text: str = "", longest: float = _PATIENT_SECONDS) -> None:
        """Wait until it can be seen, so many seconds at most."""
        self.page.locator(place, has_text=text).first.wait_for(timeout=1000 * longest)

    def _at(self, place: str | Locator) -> Locator:
        return self.page.locator(place).first if isinstance(place, str) else place

    def _agree(self, dialog: Dialog) -> None:
        self.clicks += 1
        dialog.accept()


@dataclass
class Stand:
    """The server and the browser that the journeys are walked in."""

    browser: Browser
    url: str  # ends with a slash
    files: Path
    hands: list[Hand] = field(default_factory=list)

    def visit(self) -> Hand:
        """A customer on the shop's page, the chat closed."""
        hand = self._open("demo")
        hand.see(".bubble")
        return hand

    def enter(self, area: str, name: str) -> Hand:
        """A member of staff, logged in; the whole page is there, and has looked for news once."""
        hand = self._open(area)
        hand.page.locator("input[name=login]").fill(name)
        hand.page.locator("input[name=password]").fill(PEOPLE[name][1])
        hand.page.keyboard.press("Enter")
        hand.page.wait_for_url(f"{self.url}{area}/")
        hand.page.locator("#sd-help, #sd-main").first.wait_for(state="attached")
        hand.page.wait_for_event("requestfinished", lambda asked: "/run/" in asked.url)
        return hand

    def _open(self, path: str) -> Hand:
        hand = Hand(self.browser.new_context(locale="en-GB").new_page())
        self.hands.append(hand)
        hand.page.goto(self.url + path)
        return hand
