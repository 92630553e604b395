"""The agents' page: its queue, its traces, and who speaks."""

from __future__ import annotations

import re
import threading
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from assistant.service import ChatService
from assistant.web.auth import COOKIE, Sessions
from assistant.web.desk import Desk, Screen, Seen
from assistant.web.desk_keys import KEYS
from assistant.web.staff_html import FOLDER, staff_texts
from tests.staffing import QUOTE, cookies, stored

ATTACKS = (
    "<img src=x onerror=alert(1)>", "</p><script>alert(1)</script>", '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)", "<a href=javascript:alert(1)>x</a>", "&lt;script&gt;", "${alert(1)}",
    "{{7*7}}", "{% raw %}",
)  # fmt: skip


class Agent:
    """A member of staff in front of the page."""

    def __init__(self, desk: Desk, name: str, language: str = "en") -> None:
        self.desk = desk
        self.request: Any = SimpleNamespace(cookies=cookies(desk.sessions, name, language))
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
    service.end(conversation, "Ada")
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
    ada.act(**detail)
    assert ada.opened == ""


@pytest.mark.parametrize("held", [{}, {COOKIE: "forged"}])
def test_an_event_without_a_session_is_refused(desk: Desk, held: dict[str, str]) -> None:
    with pytest.raises(gr.Error):
        desk.poll("", None, SimpleNamespace(cookies=held))  # type: ignore[arg-type]


def test_an_act_keeps_the_session_open_and_a_poll_does_not(service: ChatService) -> None:
    now = [1_000_000.0]
    sessions = Sessions(service.conversations, hours=12.0, idle_minutes=60.0, clock=lambda: now[0])
    ada = Agent(Desk(service, sessions), "Ada")
    for step in (ada.open, ada.act, ada.act):
        now[0] += 59 * 60
        step()
    now[0] += 59 * 60
    ada.poll()
    now[0] += 2 * 60
    with pytest.raises(gr.Error, match="log in again"):
        ada.poll()


def test_an_operator_cannot_send_the_agents_events(desk: Desk) -> None:
    with pytest.raises(gr.Error):
        Agent(desk, "Mina").open()


def test_a_conversation_is_left_to_the_team_or_ended_by_who_has_it(
    service: ChatService, ada: Agent, bruno: Agent
) -> None:
    conversation = waiting(service)
    ada.act(act="take", id=conversation)
    bruno.act(act="open", id=conversation)
    for act in ("requeue", "end"):
        assert "not yours" in bruno.act(act=act, id=conversation).thread
    screen = ada.act(act="requeue", id=conversation)
    assert "waits for the team again" in screen.thread
    assert "Waiting" in screen.queue
    bruno.act(act="take", id=conversation)
    assert 'data-act="end"' in bruno.open().composer
    screen = bruno.act(act="end", id=conversation)
    assert "The conversation is closed" in screen.thread
    assert "At a glance" in screen.thread, "why it was handed over stays to be read"
    assert conversation not in screen.queue
    now = service.conversations.get(conversation)
    assert now
    assert now.state == "closed"
    assert "not yours" in bruno.act(act="end", id=conversation).thread


# Finding conversations.


def test_filters_show_mine_and_those_that_wait(
    service: ChatService, ada: Agent, bruno: Agent
) -> None:
    answered = service.start("en").id
    service.send(answered, "Can I return it?")
    mine, bruno_has, waits = (waiting(service) for _ in range(3))
    ada.act(act="take", id=mine)
    bruno.act(act="take", id=bruno_has)
    shown = {
        name: {i for i in (answered, mine, bruno_has, waits)
               if f'data-id="{i}"' in ada.act(act="filter", name=name).queue}
        for name in ("mine", "waiting", "all")
    }  # fmt: skip
    assert shown == {"mine": {mine}, "waiting": {waits}, "all": {answered, mine, bruno_has, waits}}
    ada.act(act="filter", name="mine")
    assert 'data-waiting="1"' in ada.act(act="filter", name="evil").queue
    assert ada.poll() == Screen()
    late = waiting(service)
    queue = ada.poll().queue
    assert late not in queue, "the filter stays"
    assert 'data-waiting="2"' in queue, "those who wait are counted whatever is shown"


def test_the_queue_shows_the_assistants_newest_conversations(
    service: ChatService, ada: Agent
) -> None:
    talks = [service.start("en").id for _ in range(33)]
    for talk in talks:
        service.send(talk, "Can I return it?")
    queue = ada.open().queue
    assert [talk in queue for talk in talks] == [False] * 3 + [True] * 30


def test_the_search_finds_closed_conversations_and_opens_them(
    service: ChatService, ada: Agent
) -> None:
    conversation = waiting(service, "My blue kettle is broken")
    other = waiting(service, "My plate is broken")
    ada.act(act="take", id=conversation)
    ada.act(act="end", id=conversation)
    queue = ada.act(act="search", words=" KETTLE ").queue
    assert "<mark>kettle</mark>" in queue
    assert "1 found" in queue
    assert other not in queue
    assert "<mark>" in ada.act(act="open", id=conversation).queue, "the hits stay"
    assert "blue kettle" in ada.open().thread
    ada.act(act="search", words="kettle")
    assert ada.poll() == Screen(), "a poll does not search again"
    waiting(service)
    assert 'data-waiting="2"' in ada.poll().queue
    queue = ada.act(act="search", words="").queue
    assert other in queue
    assert "<mark>" not in queue


def test_rows_say_what_was_doubted(service: ChatService, desk: Desk) -> None:
    dropped, unsure = service.start("en").id, service.start("en").id
    reply = stored("return").reply or {}
    trace = reply["trace"]
    gone = [{"text": "Free for 90 days.", "reason": "number not in the evidence: 90"}]
    for talk, changed in ((dropped, {"dropped": gone}), (unsure, {"dropped": [], "sure": False})):
        service.conversations.add(talk, "customer", "Can I return it?")
        said = reply | {"trace": trace | changed}
        service.conversations.add(talk, "assistant", "Yes.", "m", said)
    english = Agent(desk, "Ada").open().queue
    assert 'number not in the evidence: <span dir="auto">90</span>' in english
    assert "only 91 % sure that it is about: return policy" in english
    chinese = Agent(desk, "王芳", language="zh").open().queue
    assert '依据中没有这个数字: <span dir="auto">90</span>' in chinese


# The hand-off card, notes and suggestions.


def test_a_handed_off_conversation_begins_with_its_card(service: ChatService, ada: Agent) -> None:
    conversation = service.start("en", "C-1").id
    service.send(conversation, "Can I return my plate of order MW-1234567?")
    assert "At a glance" not in ada.act(act="open", id=conversation).thread
    service.send(conversation, "It is broken, and I am in Brisbane")
    service.handoffs.leave_contact(conversation, "ann@example.com")
    thread = ada.poll().thread
    for text in ("At a glance", "Can I return my plate of order MW-1234567?", "MW-1234567", "C-1",
                 "It is broken, and I am in Brisbane", "Australia", "ann@example.com", QUOTE,
                 "no sentence was supported"):  # fmt: skip
        assert text in thread.split("fd-messages")[0]
    service.handoffs.leave_contact(conversation, "ann@other.example")
    assert "ann@other.example" in ada.poll().thread


def test_notes_stand_between_the_messages_and_only_there(
    service: ChatService, ada: Agent, bruno: Agent
) -> None:
    conversation = waiting(service)
    bruno.act(act="open", id=conversation)
    assert (
        "only colleagues see it"
        in bruno.act(act="note", id=conversation, value="A regular.").thread
    )
    ada.act(act="take", id=conversation)
    thread = ada.act(act="reply", id=conversation, value="Here I am").thread
    assert thread.index("My plate is broken") < thread.index("A regular.")
    assert thread.index("A regular.") < thread.index("Here I am")
    assert "Private note" in thread
    assert "Bruno" in thread
    assert "A regular." not in str(service.conversations.messages(conversation))
    screen = ada.act(act="note", id=conversation, value="  ")
    assert "not kept" in screen.thread
    other = waiting(service)
    ada.act(act="note", id=other, value="Not the one that is open")
    assert "Not the one" not in ada.act(act="open", id=other).thread


def test_what_became_of_a_suggestion_is_kept_and_shown(service: ChatService, ada: Agent) -> None:
    conversation = waiting(service)
    ada.act(act="take", id=conversation)
    assert QUOTE in ada.open().composer
    thread = ada.act(act="reply", id=conversation, value=QUOTE, inserted="").thread
    assert "Sent as suggested" in thread
    thread = ada.act(act="reply", id=conversation, value="Within 30 days.", inserted="").thread
    assert "Edited from the suggestion" in thread
    thread = ada.act(act="reply", id=conversation, value="Anything else?").thread
    assert thread.count("suggestion") == 1, "what was written beside it is not said to come from it"
    edits = list(ada.desk.edits.of(conversation).values())
    assert [(e.sent, e.inserted, e.changed) for e in edits] == [
        (QUOTE, True, False), ("Within 30 days.", True, True), ("Anything else?", False, False),
    ]  # fmt: skip
    assert {(e.suggestion, e.evidence_id) for e in edits} == {(QUOTE, "en-returns-general#1")}


def test_a_reply_that_is_not_sent_leaves_no_edit(
    service: ChatService, ada: Agent, bruno: Agent
) -> None:
    conversation = waiting(service)
    ada.act(act="take", id=conversation)
    bruno.act(act="open", id=conversation)
    bruno.act(act="reply", id=conversation, value=QUOTE, inserted="")
    assert ada.desk.edits.of(conversation) == {}


# Canned replies.


def test_canned_replies_are_kept_and_offered_filled_in(service: ChatService, ada: Agent) -> None:
    text = "I am {name} of {shop}. {order}?"
    screen = ada.act(act="canned_save", shortcut="/Hello", language="en", text=text)
    assert "/Hello is saved" in screen.canned
    conversation = waiting(service)
    composer = ada.act(act="take", id=conversation).composer
    shop = service.assistant.settings.shop_name
    assert f'data-text="I am Ada of {shop}. {{order}}?"' in composer
    assert 'role="option"' in composer
    assert "/hello" in composer
    assert text in ada.open().canned, "the sheet shows what was written"
    again = ada.act(act="canned_save", shortcut="hello", language="en", text="Another")
    assert "has the shortcut" in again.canned
    (kept,) = ada.desk.canned.replies.all()
    changed = ada.act(
        act="canned_save", id=str(kept.id), shortcut="hi", language="zh", text="您好，我是{name}。"
    )
    assert "您好，我是Ada。" in changed.composer, "an open conversation has it at once"
    gone = ada.act(act="canned_delete", id=str(kept.id))
    assert "/hi is deleted" in gone.canned
    assert 'role="option"' not in gone.composer
    assert "deleted already" in ada.act(act="canned_delete", id=str(kept.id)).canned
    log = [e["what"] for e in service.conversations.audit()][:3]
    assert log == ["canned_delete", "canned_save", "take_over"]


@pytest.mark.parametrize("detail", [
    {"shortcut": "two words", "language": "en", "text": "x"},
    {"shortcut": "a", "language": "xx", "text": "x"},
    {"shortcut": "a", "language": "en", "text": " "},
    {"shortcut": "a", "language": "en"},
    {"shortcut": 1, "language": "en", "text": "x"},
])  # fmt: skip
def test_a_bad_canned_reply_is_refused(ada: Agent, detail: dict[str, object]) -> None:
    assert "Not saved" in ada.act(act="canned_save", **detail).canned
    assert ada.desk.canned.replies.all() == []


def test_saving_a_canned_reply_does_not_redraw_what_the_agent_writes_in(
    service: ChatService, ada: Agent
) -> None:
    ada.act(act="open", id=waiting(service))
    ada.act(act="canned_save", shortcut="a", language="zh", text="你好")
    assert ada.poll().canned == gr.skip()
    screen = ada.act(act="canned_save", shortcut="bad word", language="en", text="x")
    assert screen._replace(canned=gr.skip()) == Screen(), "nothing else changed"


# Keys.


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_help_lists_the_keys_that_the_script_obeys(desk: Desk, language: str) -> None:
    sheet = Agent(desk, "Ada", language=language).open().help
    script = (FOLDER / "desk.js").read_text("utf-8")
    obeyed = script.split("const does = {")[1].split("\n  };")[0]
    named = set(re.findall(r"^    (\w+)(?:: |,)", obeyed, re.MULTILINE))
    assert named == {key.does for key in KEYS}
    for key in KEYS:
        assert f'data-key="{key.key}" data-does="{key.does}"' in sheet
        assert staff_texts(language)[f"desk_key_{key.does}"] in sheet
    assert len({(k.key, k.ctrl) for k in KEYS}) == len(KEYS)


# What is shown.


def test_a_poll_without_news_sends_nothing(service: ChatService, ada: Agent) -> None:
    conversation = waiting(service)
    ada.act(act="open", id=conversation)
    assert ada.poll() == Screen()
    service.send(conversation, "Still there?")
    screen = ada.poll()
    assert "Still there?" in screen.thread
    assert screen.composer == gr.skip(), "the agent may be writing"


def test_a_poll_that_comes_late_does_not_close_what_was_opened_meanwhile(
    service: ChatService, ada: Agent
) -> None:
    conversation = waiting(service)
    before = ada.seen
    opened = ada.act(act="open", id=conversation)
    assert opened.opened == conversation
    late = ada.desk.poll("", before, ada.request)
    assert late.queue != gr.skip(), "it has news"
    assert late.opened == gr.skip()


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
    assert re.search(r"In logs and traces [0-9a-f]{32}<", thread)
    for text in ("91 %", "refund status", "93 %", "31 %", "Returns › How long you have", QUOTE,
                 "Returns are free for 90 days.", "90 is not in it", "41.5 ms", "64 ms",
                 "Quoted from the passage", "cited"):  # fmt: skip
        assert text in thread


def test_the_trace_shows_the_prompt_and_the_verdict_on_each_sentence(
    service: ChatService, desk: Desk
) -> None:
    conversation = service.start("en").id
    reply = stored("return").reply or {}
    dropped = [{"text": "It is free.", "reason": "the passage does not say so"}]
    trace = reply["trace"] | {"prompt": "<|passage|>[1] Returns", "dropped": dropped}
    service.conversations.add(conversation, "assistant", QUOTE, "m", reply | {"trace": trace})
    thread = Agent(desk, "Ada").act(act="open", id=conversation).thread
    assert "&lt;|passage|&gt;[1] Returns" in thread
    verdicts = thread.split("The verifier on each sentence")[1].split("</ol>")[0]
    shown, left_out = verdicts.split("sd-dropped")
    assert shown.count(QUOTE) == 2, "the sentence, and the words of the page"
    assert "Returns › How long you have" in shown
    assert "It is free." in left_out
    assert "the passage does not say so" in left_out
    chinese = Agent(desk, "王芳", language="zh").act(act="open", id=conversation).thread
    assert "段落没有这样说" in chinese
    service.send(conversation, "Can I return it?")
    assert desk.store.messages(conversation)[-1].reply["trace"]["prompt"] == ""  # type: ignore[index]


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
                      "prompt": attack, "dropped": [{"text": attack, "reason": attack}]}  # fmt: skip
    answer = service.conversations.add(conversation.id, "assistant", attack, "m2", reply)
    service.conversations.rate(conversation.id, answer.id, True, attack)
    service.hand_off(conversation.id, attack)
    evil_agent = Agent(ada.desk, attack)
    evil_agent.act(act="take", id=conversation.id)
    screen = evil_agent.open()
    evil_agent.act(act="note", id=conversation.id, value=f"note {attack}")
    evil_agent.act(act="reply", id=conversation.id, value=attack, inserted="")
    evil_agent.act(act="canned_save", shortcut="hi", language="", text=attack)
    screen = evil_agent.open()
    html = "".join(part for part in screen[:7] if isinstance(part, str))
    html += ada.act(act="take", id=conversation.id).thread
    html += ada.act(act="search", words="return").queue + ada.act(act="search", words=attack).queue
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
