"""Two hundred pieces of markup that run where a page is careless: from the customer to the agent's
desk and from the agent to the customer's page, in a real browser (threat: chatwoot/chatwoot#15779).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice, product
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from assistant import tables
from assistant.service import ChatService
from tests.staffing import AGENT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request

pytestmark = pytest.mark.slow

RUNS = (
    "<script>window.broken=1</script>",
    "<img src=x onerror=window.broken=1>",
    "<svg onload=window.broken=1>",
    "<svg><script>window.broken=1</script></svg>",
    "<svg><animate onbegin=window.broken=1 attributeName=x dur=1s>",
    "<iframe srcdoc='<script>parent.broken=1</script>'></iframe>",
    "<iframe src=javascript:parent.broken=1></iframe>",
    "<object data=javascript:window.broken=1></object>",
    "<embed src=javascript:window.broken=1>",
    "<details open ontoggle=window.broken=1>x</details>",
    "<input autofocus onfocus=window.broken=1>",
    "<video><source onerror=window.broken=1></video>",
    "<audio src=x onerror=window.broken=1>",
    "<body onload=window.broken=1>",
    "<marquee onstart=window.broken=1>x</marquee>",
    "<math><mtext><img src=x onerror=window.broken=1></mtext></math>",
    "<style>@import 'https://evil.example/x.css'</style>",
    "<link rel=stylesheet href=https://evil.example/x.css>",
    "<img src=https://evil.example/pixel.png>",
    "<form action=https://evil.example><button autofocus onfocus=window.broken=1>x</button></form>",
    "<template><img src=x onerror=window.broken=1></template>",
    "<noscript><p title='</noscript><img src=x onerror=window.broken=1>'>",
    "![x](https://evil.example/markdown.png)",
    "[x](javascript:window.broken=1)",
    "<base href=https://evil.example/>",
)  # fmt: skip
AROUND: tuple[Callable[[str], str], ...] = (
    lambda p: p,
    lambda p: f"\"'>{p}",
    lambda p: f"</textarea></title></script>{p}",
    lambda p: f"```html\n{p}\n```",
    lambda p: f"${{document.write(`{p}`)}} {{{{constructor.constructor('window.broken=1')()}}}}",
    lambda p: f"[{p}]({p})",
    lambda p: f"<!--{p}-->{p}<![CDATA[{p}]]>",
    lambda p: p.upper().replace("WINDOW.BROKEN", "window.broken"),
    lambda p: p.replace(" ", "/").replace("=", "\t=\n", 1),
)
PAYLOADS = list(dict.fromkeys(around(payload) for around, payload in product(AROUND, RUNS)))
BATCH = 25
OPENING = "My plate is broken, and I should like a person"


def watched(page: Page) -> list[str]:
    """Requests that the page makes to anywhere else, from now on."""
    elsewhere: list[str] = []

    def look(request: Request) -> None:
        if "evil.example" in request.url:
            elsewhere.append(request.url)

    page.on("request", look)
    page.on("dialog", lambda dialog: elsewhere.append(dialog.message))
    return elsewhere


def batches() -> list[list[str]]:
    rest = iter(PAYLOADS)
    return [list(islice(rest, BATCH)) for _ in range(0, len(PAYLOADS), BATCH)]


def test_nothing_that_a_customer_writes_runs_on_the_desk(
    enter: Callable[..., Page], service: ChatService
) -> None:
    assert len(set(PAYLOADS)) >= 200
    for number, payloads in enumerate(batches()):
        asked = service.start("en")
        service.send(asked.id, f"Batch {number}: my plate is broken")
        for payload in payloads:
            service.send(asked.id, payload)
    ada = enter("/desk", "Ada", AGENT)
    elsewhere = watched(ada)
    for row in ada.locator(".sd-row").all():
        row.click()
        ada.locator(".fd-customer").first.wait_for()
    ada.locator(".sd-row").first.click()
    shown = ada.locator(".fd-customer").all_inner_texts()
    assert any("broken=1" in text for text in shown), "it is shown as the text that it is"
    assert ada.evaluate("window.broken") is None
    assert elsewhere == []


def test_nothing_that_an_agent_or_a_model_writes_runs_on_the_customers_page(
    browser: Browser, url: str, service: ChatService
) -> None:
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    elsewhere = watched(page)
    page.goto(url)
    page.locator("#fd-text").fill(OPENING)
    page.keyboard.press("Enter")
    page.locator("#fd-transcript .fd-assistant").first.wait_for()
    with service.conversations.readers.connect() as connection:
        asked = tables.messages.c.text == OPENING
        mine = connection.execute(
            select(tables.messages.c.conversation_id).where(asked)
        ).scalar_one()
    service.hand_off(mine)
    assert service.take_over(mine, "Ada")
    for payloads in batches():
        service.reply_as(mine, "Ada", "\n".join(payloads))
    page.locator(".fd-agent", has_text="evil.example").first.wait_for()
    page.reload()
    page.locator(".fd-agent", has_text="evil.example").first.wait_for()
    assert page.evaluate("window.broken") is None
    assert elsewhere == []
    context.close()
