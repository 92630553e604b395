"""The chat page: what it renders, and what its events do to the stored conversation."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from assistant.conversations import Conversations
from assistant.handoff import Handoffs
from assistant.hours import Hours
from assistant.service import ChatService
from assistant.settings import WebSettings, load_settings
from assistant.types import (
    Answer,
    CheckedSentence,
    Citation,
    Clarify,
    Handoff,
    Intent,
    Outcome,
    Refuse,
    Reply,
    SentenceReady,
    StageStarted,
    Utterance,
)
from assistant.watch import Listener, ignore
from assistant.web.chat import ChatPage, Memory, Screen
from assistant.web.flood import Flood
from assistant.web.guard import is_open
from assistant.web.passages import marked_lines, web_address
from assistant.web.texts import languages, preferred, texts
from assistant.web.transcript import formatted

RETURNS = "Welcome.\nYou may return an item within 28 days.\n- Earrings cannot be returned."
EVIL = "<img src=x onerror=alert(1)> ${alert(2)} {{value}} `x`"


def answer(sentence: str = "You may return an item within 28 days.", text: str = RETURNS) -> Answer:
    """An answer that rests on one passage."""
    citation = Citation(
        "returns#0", "en/returns.md", "Returns › Time limit", sentence, text,
        "https://shop.example/returns", date(2025, 6, 1), date(2027, 1, 31),
    )  # fmt: skip
    return Answer(sentence, (CheckedSentence(sentence, True, "returns#0"),), (citation,))


class ScriptedAssistant:
    """Gives the outcomes it was made with, in order; asked too often, it fails the test."""

    def __init__(self, outcomes: list[Outcome]) -> None:
        self.settings = load_settings(environment={})
        self.outcomes = outcomes
        self.before_reply: Callable[[], Any] = lambda: None

    def respond(self, utterance: Utterance, listen: Listener = ignore) -> Reply:
        """The next outcome, announced as the pipeline does."""
        listen(StageStarted("retrieval", "en"))
        self.before_reply()
        outcome = self.outcomes.pop(0)
        for sentence in outcome.sentences if isinstance(outcome, Answer) else ():
            listen(SentenceReady(sentence))
        return Reply(outcome, "en", Intent("returns", 0.9))


class Customer:
    """A browser with the page open: keeps the memory and the newest value of each part."""

    def __init__(self, page: ChatPage, language: str = "en-GB") -> None:
        self.page = page
        self.request = SimpleNamespace(headers={"accept-language": language})
        self.memory: Any = {}
        self.seen: Any = None
        self.parts: dict[str, Any] = {}
        self.lives: list[str] = []
        self.show(page.open(self.memory, self.request))

    def show(self, screen: Screen) -> None:
        """Take in what the page sends; a skipped part stays."""
        for name, value in screen._asdict().items():
            if not (isinstance(value, dict) and value.get("__type__") == "update"):
                self.parts[name] = value
        self.memory = self.parts["memory"]
        self.seen = self.parts["seen"]

    def do(self, **detail: str) -> str:
        """Press or send something; the transcript afterwards."""

        async def act() -> None:
            event = SimpleNamespace(_data=detail)
            async for screen in self.page.act(event, self.memory, self.request):
                self.show(screen)
                self.lives.append(self.parts["live"])

        asyncio.run(act())
        return str(self.parts["transcript"])

    def ask(self, text: str, message_id: str = "m1") -> str:
        """Send a message."""
        return self.do(act="ask", value=text, id=message_id)

    def poll(self) -> str:
        """Let the timer tick."""
        self.show(self.page.poll(self.memory, self.seen))
        return str(self.parts["transcript"])


Open = Callable[..., Customer]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Conversations]:
    conversations = Conversations.in_home(tmp_path)
    yield conversations
    conversations.close()


@pytest.fixture
def open_page(store: Conversations) -> Open:
    """Opens the page over an assistant that gives these outcomes."""

    def build(*outcomes: Outcome, language: str = "en-GB") -> Customer:
        assistant: Any = ScriptedAssistant(list(outcomes))
        return Customer(
            ChatPage(load_settings(environment={}), ChatService(assistant, store)), language
        )

    return build


def test_the_page_says_that_it_is_an_ai_and_how_to_reach_a_person(open_page: Open) -> None:
    customer = open_page()
    assert "AI assistant" in customer.parts["header"]
    assert 'data-act="person"' in customer.parts["header"]
    assert "AI assistant" in customer.parts["transcript"]
    assert customer.parts["transcript"].count('class="fd-choice"') == 4


def test_the_browser_language_chooses_the_words_and_the_switch_changes_them(
    open_page: Open,
) -> None:
    customer = open_page(language="zh-CN,zh;q=0.9,en;q=0.8")
    assert "转人工客服" in customer.parts["header"]
    customer.do(act="language")
    assert "Talk to a person" in customer.parts["header"]
    assert customer.memory["language"] == "en"


def test_every_language_has_the_same_words() -> None:
    assert all(texts(code).starters and len(texts(code).months) == 12 for code in languages())
    assert preferred("fr, de;q=0.5") == "en"
    assert preferred("") == "en"
    assert preferred("en;q=0.3, zh-TW") == "zh"


def test_an_answer_carries_a_chip_with_title_and_date_that_opens_the_passage(
    open_page: Open,
) -> None:
    shown = open_page(answer()).ask("How long?")
    assert "Time limit" in shown
    assert "since 1 Jun 2025" in shown
    opens = re.search(r'data-open="([^"]+)"', shown)
    assert opens
    assert f'hidden id="{opens[1]}"' in shown
    assert "<mark>You may return an item within 28 days.</mark>" in shown


@pytest.mark.parametrize(
    "outcome", [Refuse("No.", "x"), Clarify("Which?", "x", ("A", "B")), Handoff("Moment.", "x")]
)
def test_only_an_answer_has_chips(open_page: Open, outcome: Outcome) -> None:
    shown = open_page(outcome).ask("Hello")
    assert outcome.text in shown
    assert "fd-chip" not in shown
    assert "data-open" not in shown


def test_choices_are_buttons_that_ask(open_page: Open) -> None:
    shown = open_page(Clarify("Which?", "x", ("Returns › Beauty",))).ask("which one")
    assert 'data-act="ask" data-value="Returns › Beauty"' in shown


def test_all_text_from_outside_is_escaped(open_page: Open, store: Conversations) -> None:
    customer = open_page(answer(EVIL, f"Welcome.\n{EVIL}"))
    customer.ask(EVIL)
    customer.do(act="person")
    Handoffs(store).happen(customer.memory["conversation"], "take", EVIL)
    store.add(customer.memory["conversation"], "agent", EVIL)
    shown = customer.poll() + customer.parts["header"] + "".join(customer.lives)
    assert "&lt;img" in shown
    assert "<img" not in shown


def test_a_source_links_only_to_the_web() -> None:
    assert web_address("https://shop.example/a") == "https://shop.example/a"
    for address in ("javascript:alert(1)", "data:text/html,x", "//evil.example", "file:///etc"):
        assert web_address(address) == ""


def test_of_markdown_only_bold_and_bullets_are_shown() -> None:
    shown = formatted("- **48 hours** [here](javascript:x) ![dot](https://x.example/p.png) <i>**")
    assert shown == "• <strong>48 hours</strong> here dot &lt;i&gt;"


def test_a_quote_is_marked_across_lines_and_bullets() -> None:
    lines = marked_lines(
        "First rule. It\nholds here.\n- An item.", ["It holds here.", "- An item."]
    )
    marked = [piece.text for line in lines for piece in line.pieces if piece.marked]
    assert marked == ["It", "holds here.", "An item."]
    assert [line.is_item for line in lines] == [False, False, True]


def test_a_reworded_sentence_marks_the_sentence_it_comes_from() -> None:
    text = "Delivery to Germany costs 9 euros.\nDelivery to Spain costs 12 euros."
    lines = marked_lines(text, ["It costs 9 euros to Germany."])
    assert [line.pieces[0].marked for line in lines] == [True, False]


def test_several_sources_are_numbered_after_the_sentences_that_rest_on_them(
    open_page: Open,
) -> None:
    one, two = answer("Rule one."), answer("Rule two.").citations[0]
    second = CheckedSentence("Rule two.", True, "refund#0")
    other = Citation("refund#0", two.source, "Refunds", two.quote, "Rule two.")
    both = Answer("Rule one. Rule two.", (*one.sentences, second), (*one.citations, other))
    shown = open_page(both).ask("both?")
    text = re.sub(r"<[^>]+>", "", shown)
    assert "Rule one.1 Rule two.2" in text


def test_sentences_stream_before_the_reply_is_stored(open_page: Open) -> None:
    customer = open_page(answer())
    customer.ask("How long?")
    assert "Sending" in customer.lives[0]
    assert any("Searching our policies" in live for live in customer.lives)
    assert any("fd-sentence" in live for live in customer.lives)
    assert customer.lives[-1] == ""


def test_a_conversation_is_there_again_after_a_reload(open_page: Open) -> None:
    customer = open_page(answer())
    before = customer.ask("How long?")
    again = customer.page.open(customer.memory, customer.request)
    assert again.transcript == before


def test_a_page_loaded_while_a_turn_runs_shows_its_progress(open_page: Open) -> None:
    customer = open_page(answer())
    reloaded: list[Screen] = []
    assistant: Any = customer.page.service.assistant
    assistant.before_reply = lambda: reloaded.append(
        customer.page.open(customer.memory, customer.request)
    )
    customer.ask("How long?")
    assert "How long?" in reloaded[0].live
    assert "How long?" not in reloaded[0].transcript
    assert "fd-chip" in customer.page.poll(customer.memory, reloaded[0].seen).transcript


def test_a_poll_without_news_sends_nothing(open_page: Open) -> None:
    customer = open_page(answer())
    customer.ask("How long?")
    assert customer.page.poll(customer.memory, customer.seen) == Screen()


def test_the_bot_is_silent_while_a_person_is_awaited(open_page: Open, store: Conversations) -> None:
    customer = open_page()  # An assistant without outcomes fails when it is asked.
    shown = customer.do(act="person")
    assert "in the queue for a person" in shown
    assert "I also have a question" in customer.ask("I also have a question")
    conversation = customer.memory["conversation"]
    Handoffs(store).happen(conversation, "take", "Ana")
    store.add(conversation, "agent", "Hello from Ana")
    shown = customer.poll()
    assert "Hello from Ana" in shown
    assert "You are talking to Ana" in shown


def test_the_customer_can_leave_the_queue(open_page: Open) -> None:
    customer = open_page(answer())
    customer.do(act="person")
    assert "in the queue" not in customer.do(act="bot")
    assert "fd-chip" in customer.ask("How long?")


def test_a_message_the_server_did_not_answer_can_be_sent_again_once(
    open_page: Open, store: Conversations
) -> None:
    customer = open_page(answer())
    conversation = store.start("en").id
    store.add(conversation, "customer", "How long?", "lost")
    customer.memory = {"conversation": conversation, "language": "en"}
    assert 'data-id="lost"' in customer.poll()
    shown = customer.ask("How long?", "lost")
    assert 'data-id="lost"' not in shown
    assert [m.role for m in store.messages(conversation)] == ["customer", "assistant"]


def test_a_rating_is_kept_with_its_reason(open_page: Open, store: Conversations) -> None:
    customer = open_page(answer())
    customer.ask("How long?")
    reply = store.messages(customer.memory["conversation"])[-1]
    shown = customer.do(act="rate", message=str(reply.id), value="down")
    assert 'class="fd-reason"' in shown
    shown = customer.do(act="reason", message=str(reply.id), value="too short")
    assert "we will look into it" in shown
    [row] = store.ratings()
    assert (row["message"], row["helpful"], row["reason"]) == (reply.id, 0, "too short")


def test_nobody_rates_a_reply_in_another_conversation(
    open_page: Open, store: Conversations
) -> None:
    open_page(answer()).ask("How long?")
    stranger = open_page(answer())
    stranger.ask("And I?")
    stranger.do(act="rate", message="2", value="up")
    assert store.ratings() == []


@pytest.mark.parametrize("stored", [None, [], "x", {"conversation": 7, "language": "xx"}])
def test_an_odd_memory_counts_as_forgotten(stored: object) -> None:
    assert Memory.of(stored) == Memory()


def test_an_unknown_or_closed_conversation_starts_anew(
    open_page: Open, store: Conversations
) -> None:
    customer = open_page(answer(), answer())
    customer.memory = {"conversation": "gone", "language": "en"}
    assert "fd-chip" in customer.ask("How long?")
    first = customer.memory["conversation"]
    Handoffs(store).happen(first, "end")
    assert "This conversation is closed" in customer.poll()
    customer.ask("Again?")
    assert customer.memory["conversation"] != first


def test_a_new_chat_leaves_the_old_one_in_the_store(open_page: Open, store: Conversations) -> None:
    customer = open_page(answer())
    customer.ask("How long?")
    old = customer.memory["conversation"]
    assert "How long?" not in customer.do(act="new")
    assert customer.memory["conversation"] == ""
    assert len(store.messages(old)) == 2


def test_an_unknown_action_or_blank_message_changes_nothing(open_page: Open) -> None:
    customer = open_page()
    before = customer.parts["transcript"]
    assert customer.do(act="drop tables") == before
    assert customer.ask("   ") == before


def test_gradio_routes_that_the_page_does_not_need_are_closed() -> None:
    for path in (
        "/gradio_api/upload",
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/proxy=http://x",
    ):
        assert not is_open(path)
    assert is_open("/gradio_api/queue/join")
    assert is_open("/desk/gradio_api/upload")
    assert is_open("/")


def test_a_chat_that_is_deleted_is_gone(open_page: Open, store: Conversations) -> None:
    customer = open_page(answer())
    customer.ask("Can I return this?")
    conversation = customer.memory["conversation"]
    assert "How can we help?" in customer.do(act="delete")
    assert customer.memory["conversation"] == ""
    assert store.get(conversation) is None
    assert store.messages(conversation) == []


def test_who_waits_learns_the_place_and_a_poll_brings_a_better_one(
    open_page: Open, store: Conversations
) -> None:
    handoffs = Handoffs(store)
    first = store.start().id
    handoffs.happen(first, "ask")
    customer = open_page()
    assert "You are number 2" in customer.do(act="person")
    handoffs.happen(first, "take", "Ana")
    assert "You are number 1" in customer.poll()


def test_when_the_team_is_away_an_address_can_be_left(
    open_page: Open, store: Conversations
) -> None:
    customer = open_page()
    customer.page.service.handoffs = Handoffs(store, Hours(monday="00:00-00:01"))
    shown = customer.do(act="person")
    assert "data-opens=" in shown
    assert 'type="email"' in shown
    customer.do(act="contact", value="nobody")
    assert customer.page.service.handoffs.contact(customer.memory["conversation"]) == ""
    assert "We will write to ann@example.com" in customer.do(act="contact", value="ann@example.com")


def test_a_closed_conversation_can_be_continued(open_page: Open, store: Conversations) -> None:
    customer = open_page(answer(), answer())
    customer.ask("Can I return this?")
    conversation = customer.memory["conversation"]
    Handoffs(store).happen(conversation, "end", "Ana")
    assert 'data-act="reopen"' in customer.poll()
    customer.do(act="reopen")
    customer.ask("And that?", "m2")
    assert customer.memory["conversation"] == conversation
    assert len(store.messages(conversation)) == 4


def test_stop_reaches_the_turn_that_runs(open_page: Open) -> None:
    customer = open_page(answer())
    stopped: list[bool] = []
    assistant: Any = customer.page.service.assistant

    def stop() -> None:
        event: Any = SimpleNamespace(_data={"act": "stop"})
        page, memory = customer.page, {"conversation": next(iter(customer.page.turns._running))}

        async def press() -> None:
            async for _ in page.act(event, memory, customer.request):
                pass

        asyncio.run(press())
        stopped.append(page.turns._running[memory["conversation"]].stopped)

    assistant.before_reply = stop
    customer.ask("Can I return this?")
    assert stopped == [True]


def test_an_answer_offers_more_help_and_a_person_is_one_press_away(open_page: Open) -> None:
    customer = open_page(answer())
    shown = customer.ask("Can I return this?")
    assert "That helped" in shown
    assert 'data-act="person">Get more help' in shown


def test_who_sends_too_much_is_told_to_wait_and_nothing_is_lost(
    open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = open_page(answer(), answer())
    web = WebSettings(most_messages=1)
    monkeypatch.setattr(customer.page.turns, "flood", Flood(web))
    customer.ask("How long?", "m1")
    shown = customer.ask("And how much?", "m2")
    assert 'role="alert"' in customer.parts["live"]
    assert "not sent" in customer.parts["live"]
    assert "How long?" in shown
    assert "And how much?" not in shown
