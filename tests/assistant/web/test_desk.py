"""The agents' page: its queue, its traces, and who speaks."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from assistant.service import ChatService
from assistant.web.auth import COOKIE, Sessions
from assistant.web.desk import Desk, Screen, Seen
from tests.staffing import QUOTE, stored

ATTACKS = (
    "<img src=x onerror=alert(1)>", "</p><script>alert(1)</script>", '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)", "<a href=javascript:alert(1)>x</a>", "&lt;script&gt;", "${alert(1)}",
    "{{7*7}}", "{% raw %}",
)  # fmt: skip


class Agent:
    """A member of staff in front of the page."""

    def __init__(self, desk: Desk, name: str, role: Any = "agent", language: str = "en") -> None:
        self.desk = desk
        session = desk.sessions.start(role, name, language)
        self.request: Any = SimpleNamespace(cookies={COOKIE: desk.sessions.token(session)})
        self.opened = ""
        self.seen: Seen | None = None

    def open(self) -> Screen:
        return self._keep(self.desk.open(self.opened, self.request))

    def poll(self) -> Screen:
        return self._keep(self.desk.poll(self.opened, self.seen, self.request))

    def act(self, **detail: object) -> Screen:
        event: Any = SimpleNamespace(_data=detail)
        return self._keep(self.desk.act(event, self.opened, self.seen, self.request))

    def _keep(self, screen: Screen) -> Screen:
        if isinstance(screen.opened, str):
            self.opened = screen.opened
        if isinstance(screen.seen, Seen):
            self.seen = screen.seen
        return screen


@pytest.fixture
def desk(service: ChatService, sessions: Sessions) -> Desk:
    return Desk(service, sessions)


@pytest.fixture
def ada(desk: Desk) -> Agent:
    return Agent(desk, "Ada")


@pytest.fixture
def bruno(desk: Desk) -> Agent:
    return Agent(desk, "Bruno")


def waiting(service: ChatService, text: str = "My plate is broken") -> str:
    conversation = service.start("en")
    service.send(conversation.id, text)
    return conversation.id


# The queue.


def test_rows_are_labelled_by_who_speaks(service: ChatService, ada: Agent) -> None:
    answered = service.start("en")
    service.send(answered.id, "Can I return it?")
    waiting(service)
    taken = waiting(service)
    service.take_over(taken, "Bruno")
    queue = ada.open().queue
    for text in ("AI", "Waiting", "Bruno", "return policy", "complaint",
                 "no sentence was supported", "EN", "1 waiting"):  # fmt: skip
        assert text in queue
    assert "You</span>" in Agent(ada.desk, "Bruno").open().queue


def test_a_customer_who_writes_while_waiting_keeps_the_place(
    service: ChatService, ada: Agent
) -> None:
    first, second = waiting(service, "first in line"), waiting(service, "second in line")
    service.send(first, "first writes again")
    queue = ada.open().queue
    assert queue.index(first) < queue.index(second)


def test_the_reason_of_the_handoff_stays_after_take_over(service: ChatService, ada: Agent) -> None:
    conversation = waiting(service)
    screen = ada.act(act="take", id=conversation)
    assert "no sentence was supported" in screen.thread


def test_conversations_without_a_word_are_no_rows_unless_someone_waits(
    service: ChatService, ada: Agent
) -> None:
    silent, asking = service.start("en"), service.start("en")
    service.hand_off(asking.id, "customer:asked")
    queue = ada.open().queue
    assert silent.id not in queue
    assert asking.id in queue


# Who speaks.


def test_take_over_reply_and_hand_back(service: ChatService, ada: Agent) -> None:
    conversation = waiting(service)
    ada.act(act="open", id=conversation)
    assert "sd-text" in ada.act(act="take", id=conversation).composer
    assert "Here I am" in ada.act(act="reply", id=conversation, value="Here I am").thread
    assert service.send(conversation, "thanks") is None, "the bot is silent"
    assert "answers again" in ada.act(act="back", id=conversation).thread
    now = service.conversations.get(conversation)
    assert now
    assert now.state == "bot"
    assert [e["what"] for e in service.conversations.audit()] == ["hand_back", "take_over"]


def test_of_agents_who_race_one_wins_and_the_others_hear_who(
    service: ChatService, desk: Desk
) -> None:
    conversation = waiting(service)
    agents = [Agent(desk, f"Agent {n}") for n in range(8)]
    start = threading.Barrier(len(agents))
    said: dict[str, str] = {}

    def race(number: int) -> None:
        start.wait()
        said[f"Agent {number}"] = agents[number].act(act="take", id=conversation).thread

    threads = [threading.Thread(target=race, args=(n,)) for n in range(len(agents))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    now = service.conversations.get(conversation)
    assert now
    winners = [name for name, thread in said.items() if "You have this conversation" in thread]
    assert winners == [now.agent]
    losers = [thread for name, thread in said.items() if name != now.agent]
    assert all(f"{now.agent} was faster" in thread for thread in losers)


def test_nobody_replies_or_hands_back_for_another_agent(
    service: ChatService, ada: Agent, bruno: Agent
) -> None:
    conversation = waiting(service)
    ada.act(act="take", id=conversation)
    bruno.act(act="open", id=conversation)
    screen = bruno.act(act="reply", id=conversation, value="I barge in")
    assert "Not sent" in screen.thread
    assert "I barge in" not in screen.thread
    assert "not yours" in bruno.act(act="back", id=conversation).thread
    assert "Ada has this conversation" in screen.composer
    now = service.conversations.get(conversation)
    assert now
    assert now.agent == "Ada"


def test_a_reply_to_a_closed_conversation_is_not_sent(service: ChatService, ada: Agent) -> None:
    conversation = waiting(service)
    ada.act(act="take", id=conversation)
    service.conversations.move(conversation, "closed", only_from=("agent",))
    screen = ada.act(act="reply", id=conversation, value="too late")
    assert "This conversation is closed" in screen.composer
    assert "too late" not in screen.thread


def test_an_action_on_a_conversation_that_is_not_open_changes_nothing(
    service: ChatService, ada: Agent
) -> None:
    conversation, other = waiting(service), waiting(service)
    ada.act(act="take", id=conversation)
    ada.act(act="open", id=other)
    ada.act(act="reply", id=conversation, value="to the wrong customer")
    assert "wrong customer" not in str(service.conversations.messages(conversation))


@pytest.mark.parametrize("detail", [
    {}, {"act": "open"}, {"act": "open", "id": 7}, {"act": []}, {"act": "take", "id": "nobody"},
    {"act": "reply", "value": 1},
])  # fmt: skip
def test_odd_events_change_nothing(ada: Agent, detail: dict[str, object]) -> None:
    ada.open()
    assert ada.act(**detail).opened == ""


@pytest.mark.parametrize("cookies", [{}, {COOKIE: "forged"}])
def test_an_event_without_a_session_is_refused(desk: Desk, cookies: dict[str, str]) -> None:
    with pytest.raises(gr.Error):
        desk.poll("", None, SimpleNamespace(cookies=cookies))  # type: ignore[arg-type]


def test_an_operator_cannot_send_the_agents_events(desk: Desk) -> None:
    with pytest.raises(gr.Error):
        Agent(desk, "Mina", role="operator").open()


# What is shown.


def test_a_poll_without_news_sends_nothing(service: ChatService, ada: Agent) -> None:
    conversation = waiting(service)
    ada.act(act="open", id=conversation)
    assert ada.poll() == Screen()
    service.send(conversation, "Still there?")
    screen = ada.poll()
    assert "Still there?" in screen.thread
    assert screen.composer == gr.skip(), "the agent may be writing"


def test_state_is_in_the_database_not_in_the_page(service: ChatService, ada: Agent) -> None:
    conversation = waiting(service)
    ada.act(act="take", id=conversation)
    restarted = Agent(Desk(service, ada.desk.sessions), "Ada")
    restarted.opened = conversation
    assert "sd-text" in restarted.open().composer


def test_the_trace_shows_how_a_reply_came_about(service: ChatService, ada: Agent) -> None:
    conversation = service.start("en")
    service.send(conversation.id, "Can I return it?")
    thread = ada.act(act="open", id=conversation.id).thread
    for text in ("91 %", "refund status", "93 %", "31 %", "Returns › How long you have", QUOTE,
                 "Returns are free for 90 days.", "90 is not in it", "41.5 ms", "64 ms",
                 "Quoted from the passage", "cited"):  # fmt: skip
        assert text in thread


def test_ratings_are_shown(service: ChatService, ada: Agent) -> None:
    conversation = service.start("en")
    answer = service.send(conversation.id, "Can I return it?")
    assert answer
    service.conversations.rate(conversation.id, answer.id, False, "too short")
    thread = ada.act(act="open", id=conversation.id).thread
    assert "did not find this helpful" in thread
    assert "too short" in thread


def test_a_stored_reply_without_a_trace_is_shown(service: ChatService, ada: Agent) -> None:
    conversation = service.start("en")
    old = {"outcome": "answer"}
    service.conversations.add(conversation.id, "assistant", "An old reply", "m", old)
    assert "An old reply" in ada.act(act="open", id=conversation.id).thread


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_a_stranger_wrote_becomes_markup(
    service: ChatService, ada: Agent, attack: str
) -> None:
    conversation = service.start(attack[:8], customer_id=attack[:60])
    service.send(conversation.id, f"return {attack}")
    reply = stored("return").reply or {}
    evil = {"evidence_id": attack, "title": attack, "quote": attack, "relevance": 0.9}
    reply |= {"intent": attack, "reason": attack, "outcome": "handoff", "citations": [evil]}
    reply["trace"] = {"standalone": attack, "intents": [[attack, 0.5]], "considered": [evil],
                      "dropped": [{"text": attack, "reason": attack}]}  # fmt: skip
    answer = service.conversations.add(conversation.id, "assistant", attack, "m2", reply)
    service.conversations.rate(conversation.id, answer.id, True, attack)
    service.conversations.move(conversation.id, "waiting", only_from=("bot",), reason=attack)
    evil_agent = Agent(ada.desk, attack)
    evil_agent.act(act="take", id=conversation.id)
    screen = evil_agent.open()
    html = "".join(part for part in screen[:4] if isinstance(part, str))
    html += ada.act(act="take", id=conversation.id).thread
    if "<" in attack or '"' in attack or "'" in attack:
        assert attack not in html
    assert "<script" not in html


def test_a_conversation_that_is_gone_shows_the_empty_page(ada: Agent) -> None:
    ada.opened = "no-such-conversation"
    screen = ada.open()
    assert screen.opened == ""
    assert "Choose a conversation" in screen.thread


def test_chinese_labels(desk: Desk, service: ChatService) -> None:
    waiting(service)
    queue = Agent(desk, "王芳", language="zh").open().queue
    assert "等待中" in queue
    assert "没有一句得到依据支持" in queue
