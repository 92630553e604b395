"""Who speaks: the table of transitions, tried in every order."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from assistant.conversations import Conversations
from assistant.errors import InputError
from assistant.handoff import Handoffs
from assistant.hours import Hours
from assistant.service import ChatService
from tests.staffing import ScriptedAssistant, chat_service, staff_settings

AGENTS = st.sampled_from(["Ada", "Bruno"])
HANDED_OFF = "My plate is broken"  # the scripted assistant hands it off
ANSWERED = "Can I return it?"


class Interrupting(ScriptedAssistant):
    """While it thinks, something happens in the conversation."""

    meanwhile: Any = None

    def respond(self, utterance: Any, listen: Any = lambda event: None) -> Any:
        reply = super().respond(utterance)
        if self.meanwhile:
            self.meanwhile()
        return reply


class WhoSpeaks(RuleBasedStateMachine):
    """A customer and two agents do anything in any order; a plain model says who may speak."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        configured = staff_settings(Path(self.folder.name))
        self.assistant = Interrupting(configured)
        self.store = Conversations.in_home(configured.home)
        self.service = ChatService(self.assistant, self.store)  # type: ignore[arg-type]
        self.id = self.service.start("en").id
        self.state, self.agent = "bot", ""
        self.bot_said = 0

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    @rule(text=st.sampled_from([ANSWERED, HANDED_OFF]))
    def the_customer_writes(self, text: str) -> None:
        if self.state == "closed":
            with pytest.raises(InputError, match="closed"):
                self.service.send(self.id, text)
            return
        reply = self.service.send(self.id, text)
        assert (reply is not None) == (self.state == "bot")
        if self.state == "bot":
            self.bot_said += 1
            self.state = "waiting" if text == HANDED_OFF else "bot"

    @rule(text=st.sampled_from([ANSWERED, HANDED_OFF]), agent=AGENTS)
    def an_agent_takes_over_while_the_bot_thinks(self, text: str, agent: str) -> None:
        if self.state != "bot":
            return
        self.assistant.meanwhile = lambda: self.service.take_over(self.id, agent)
        assert self.service.send(self.id, text) is None, "the bot talks over an agent"
        self.assistant.meanwhile = None
        self.state, self.agent = "agent", agent

    @rule()
    def the_customer_asks_for_a_person(self) -> None:
        assert self.service.hand_off(self.id) == (self.state == "bot")
        self.state = "waiting" if self.state == "bot" else self.state

    @rule()
    def the_customer_goes_back_to_the_bot(self) -> None:
        assert self.service.withdraw(self.id) == (self.state == "waiting")
        self.state = "bot" if self.state == "waiting" else self.state

    @rule()
    def the_customer_reopens(self) -> None:
        assert self.service.reopen(self.id) == (self.state == "closed")
        self.state = "bot" if self.state == "closed" else self.state

    @rule(agent=AGENTS)
    def an_agent_takes_over(self, agent: str) -> None:
        can = self.state in ("bot", "waiting")
        assert self.service.take_over(self.id, agent) == can
        if can:
            self.state, self.agent = "agent", agent

    @rule(agent=AGENTS)
    def an_agent_writes(self, agent: str) -> None:
        if self.state == "agent" and self.agent == agent:
            assert self.service.reply_as(self.id, agent, "Hello").role == "agent"
        else:
            with pytest.raises(InputError):
                self.service.reply_as(self.id, agent, "Hello")

    @rule(agent=AGENTS, left_to=st.sampled_from(["bot", "waiting"]))
    def an_agent_lets_go(self, agent: str, left_to: str) -> None:
        can = self.state == "agent" and self.agent == agent
        leave = self.service.hand_back if left_to == "bot" else self.service.requeue
        assert leave(self.id, agent) == can
        if can:
            self.state, self.agent = left_to, ""

    @rule(agent=AGENTS)
    def an_agent_closes_it(self, agent: str) -> None:
        can = self.state in ("bot", "waiting") or (self.state == "agent" and self.agent == agent)
        assert self.service.end(self.id, agent) == can
        if can:
            self.state, self.agent = "closed", ""

    @invariant()
    def the_store_agrees(self) -> None:
        found = self.store.get(self.id)
        assert found is not None
        assert (found.state, found.agent or "") == (
            self.state,
            self.agent if self.state == "agent" else "",
        )
        assert sum(m.role == "assistant" for m in self.store.messages(self.id)) == self.bot_said
        assert (self.id in self.service.handoffs.queue()) == (self.state == "waiting")
        if self.state == "bot":
            assert found.reason == "", "an old reason would hand it off again"


TestWhoSpeaks = WhoSpeaks.TestCase
TestWhoSpeaks.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ChatService]:
    started = chat_service(staff_settings(tmp_path / "home"))
    yield started
    started.conversations.close()


def test_of_several_agents_who_race_one_wins(service: ChatService) -> None:
    conversation = service.start()
    barrier, winners = threading.Barrier(8), []

    def take(agent: str) -> None:
        barrier.wait()
        if service.take_over(conversation.id, agent):
            winners.append(agent)

    threads = [threading.Thread(target=take, args=(f"agent{i}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = service.conversations.get(conversation.id)
    assert found is not None
    assert [found.agent] == winners


def test_a_hand_off_is_never_silent(service: ChatService) -> None:
    conversation = service.start()
    reply = service.send(conversation.id, HANDED_OFF)
    assert reply is not None
    found = service.conversations.get(conversation.id)
    assert found is not None
    assert (found.state, found.reason) == ("waiting", "grounding:unsupported")
    assert reply.text, "the customer is told"


def test_a_take_over_keeps_the_reason_of_the_hand_off(service: ChatService) -> None:
    waiting = service.start()
    service.hand_off(waiting.id)
    service.take_over(waiting.id, "kim")
    taken = service.conversations.get(waiting.id)
    assert taken is not None
    assert (taken.agent, taken.reason) == ("kim", "customer:asked")


def test_after_reopening_the_bot_answers_again(service: ChatService) -> None:
    conversation = service.start()
    service.send(conversation.id, HANDED_OFF)
    service.end(conversation.id, "Ada")
    assert service.reopen(conversation.id)
    reply = service.send(conversation.id, ANSWERED)
    assert reply is not None
    assert (reply.reply or {})["outcome"] == "answer"
    found = service.conversations.get(conversation.id)
    assert found is not None
    assert found.state == "bot", "a loop: it is handed off again for the old reason"


def test_who_writes_while_waiting_keeps_the_place(service: ChatService) -> None:
    first, second = service.start(), service.start()
    for conversation in (first, second):
        service.hand_off(conversation.id)
    service.send(first.id, "Are you there?")
    waiting = service.handoffs.waiting(first.id)
    assert waiting is not None
    assert waiting.position == 1
    assert service.handoffs.queue() == [first.id, second.id]


def test_the_wait_is_promised_from_what_others_waited(
    service: ChatService, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000_000.0]
    monkeypatch.setattr("assistant.handoff.time.time", lambda: now[0])
    for minutes in (2, 4, 9):
        mine = service.start()
        service.hand_off(mine.id)
        told = service.handoffs.waiting(mine.id)
        assert told is not None
        assert told.minutes is None, "three waits are the fewest that say anything"
        now[0] += 60 * minutes
        service.take_over(mine.id, "Ada")
    mine = service.start()
    assert service.handoffs.waiting(mine.id) is None
    service.hand_off(mine.id)
    told = service.handoffs.waiting(mine.id)
    assert told is not None
    assert told.minutes == 4


def test_when_the_team_is_away_the_customer_learns_when_it_is_back(tmp_path: Path) -> None:
    store = Conversations.in_home(tmp_path)
    always = dict.fromkeys(("monday", "thursday"), "00:00-00:01")
    handoffs = Handoffs(store, Hours(**always))
    conversation = store.start()
    handoffs.happen(conversation.id, "ask")
    told = handoffs.waiting(conversation.id)
    assert told is not None
    assert told.opens == Hours(**always).opens(time.time())
    handoffs.leave_contact(conversation.id, "a@example.com")
    handoffs.leave_contact(conversation.id, "b@example.com")
    assert handoffs.contact(conversation.id) == "b@example.com"
    store.delete(conversation.id)
    assert handoffs.contact(conversation.id) == ""
    store.close()


def test_only_who_waited_and_was_taken_counts_as_a_wait(
    service: ChatService, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000_000.0]
    monkeypatch.setattr("assistant.handoff.time.time", lambda: now[0])
    monkeypatch.setattr("assistant.handoff.later", lambda: now[0])
    mine, other = service.start().id, service.start().id

    def pass_by(seconds: float, happens: Callable[..., object], *values: str) -> None:
        now[0] += seconds
        assert happens(*values)

    pass_by(0, service.hand_off, mine)
    pass_by(5, service.hand_off, other)
    pass_by(5, service.take_over, mine, "Ada")  # after 10
    pass_by(50, service.withdraw, other)
    pass_by(1, service.take_over, other, "Ada")  # who did not wait any more
    pass_by(7, service.requeue, mine, "Ada")
    pass_by(30, service.take_over, mine, "Ada")  # after 30
    assert service.handoffs.waits(0, 9) == [30, 10]
    assert service.handoffs.waits(0, 1) == [30]
    assert service.handoffs.waits(1_000_050, 9) == [30]
