"""The operators' panels of curated answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from assistant.conversations import Conversations
from assistant.curated import CuratedAnswers, Draft
from assistant.gaps import Gap
from assistant.web.auth import Sessions
from assistant.web.room.curated import CuratedNewPanel, CuratedPanel, CuratedTryPanel, detected
from assistant.web.room.gaps import GapsPanel
from assistant.web.room.page import RoomPage, Screen
from assistant.web.staff_html import staff_texts
from knowledge.encoder import Encoder
from knowledge.language import Detector
from tests.assistant.fakes import assistant_with
from tests.staffing import cookies

RETURNS = Draft("Can I return shoes in Germany?", "Yes.\nWithin 30 days.", "en")
TODAY = date(2026, 12, 1)
GAP = Gap(
    'Do "ferries" <b>count?', ("Ferries?",), ("c1",), ("Yes, <i>all.", "At the harbour."), 1.0
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Conversations]:
    conversations = Conversations.in_home(tmp_path)
    yield conversations
    conversations.close()


@pytest.fixture
def answers(store: Conversations) -> CuratedAnswers:
    return CuratedAnswers(store)


class Operator:
    """An operator in the room of the answers."""

    def __init__(self, page: RoomPage, language: str = "en") -> None:
        self.page = page
        self.request: Any = SimpleNamespace(cookies=cookies(page.sessions, "Mina", language))
        self.shown: Screen = {}
        self._keep(page.open("answers", self.request))

    def act(self, **detail: object) -> Screen:
        """What an action changes on the screen."""
        event: Any = SimpleNamespace(_data=detail)
        return self._keep(self.page.act(event, "answers", self.shown["seen"], self.request))

    def poll(self) -> Screen:
        return self._keep(self.page.poll("answers", self.shown["seen"], self.request))

    def _keep(self, screen: Screen) -> Screen:
        self.shown = self.shown | screen
        return screen


@pytest.fixture
def page(
    answers: CuratedAnswers, sessions: Sessions, encoder: Encoder, detector: Detector
) -> RoomPage:
    assistant = assistant_with(encoder, detector)
    panels = [
        GapsPanel(lambda: [GAP]),
        CuratedPanel(answers, lambda: TODAY),
        CuratedNewPanel(answers, lambda text: detected(assistant, text)),
        CuratedTryPanel(answers, lambda: assistant),
    ]
    return RoomPage(panels, sessions, "operator", "operator_title")


@pytest.fixture
def mina(page: RoomPage) -> Operator:
    return Operator(page)


def form(**fields: str) -> dict[str, str]:
    """What the form sends."""
    written = {"question": RETURNS.question, "answer": RETURNS.answer, "language": ""}
    return {"act": "curated_save", "wordings": "", "valid_from": "", "valid_until": ""} | (
        written | fields
    )


def test_a_new_answer_is_kept_told_and_listed(mina: Operator, answers: CuratedAnswers) -> None:
    assert "no curated answer yet" in mina.shown["curated"]
    before = mina.shown["curated_new"]
    screen = mina.act(**form(wordings="shoes back?\n\nshoe returns", valid_until="2027-06-01"))
    (kept,) = answers.all()
    assert (kept.language, kept.who, kept.valid_until) == ("en", "Mina", date(2027, 6, 1))
    assert kept.wordings == ("shoes back?", "shoe returns")
    assert RETURNS.question in screen["notice"]
    assert RETURNS.question in screen["curated"]
    assert "Within 30 days." in screen["curated"]
    assert screen["curated_new"] != before, "else the browser would leave what was written"
    assert RETURNS.question not in screen["curated_new"]
    assert mina.poll() == {}, "no news"


def test_the_language_is_that_of_the_question_unless_it_is_chosen(
    mina: Operator, answers: CuratedAnswers
) -> None:
    mina.act(**form(question="鞋子能退吗？"))
    mina.act(**form(language="de"))
    assert {a.question: a.language for a in answers.all()} == {
        "鞋子能退吗？": "zh", RETURNS.question: "de",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"question": " "}, "write the question"),
        ({"answer": " "}, "write the answer"),
        ({"valid_from": "2026-02-01", "valid_until": "2026-01-01"}, "before the first"),
        ({"valid_from": "tomorrow"}, "tomorrow is not a day"),
        ({"question": "SHOES?"}, "“Shoes?” is in use"),
    ],
)
def test_a_mistake_is_told_and_leaves_the_form_as_it_is(
    mina: Operator, answers: CuratedAnswers, fields: dict[str, str], reason: str
) -> None:
    answers.add(replace(RETURNS, question="Shoes?"), "Otto")
    mina.poll()
    screen = mina.act(**form(**fields))
    assert reason in screen["notice"]
    assert not {"curated", "curated_new"} & screen.keys()
    assert len(answers.all()) == 1


def test_mistakes_are_told_in_the_operators_language(page: RoomPage) -> None:
    screen = Operator(page, "zh").act(**form(answer=""))
    assert "请填写答案" in screen["notice"]


def test_an_answer_is_changed_in_its_place(mina: Operator, answers: CuratedAnswers) -> None:
    kept = answers.add(replace(RETURNS, enabled=False, wordings=("shoes back",)), "Otto")
    html = mina.act(act="curated_edit", id=kept.id)["curated"]
    assert f'data-act="curated_save" data-id="{kept.id}"' in html
    assert ">shoes back</textarea>" in html
    assert "<form" not in mina.act(act="curated_close")["curated"]
    screen = mina.act(id=kept.id, **form(answer="No.", language="en"))
    assert "No." in screen["curated"]
    assert "curated_new" not in screen
    changed = answers.get(kept.id)
    assert (changed.answer, changed.enabled, changed.wordings) == ("No.", False, ())


def test_switching_and_deleting_are_told_and_written_down(
    mina: Operator, answers: CuratedAnswers, store: Conversations
) -> None:
    kept = answers.add(RETURNS, "Otto")
    assert "no longer in use" in mina.act(act="curated_switch", id=kept.id, value="off")["notice"]
    assert not answers.get(kept.id).enabled
    assert "not in use" in mina.shown["curated"]
    assert "is in use" in mina.act(act="curated_switch", id=kept.id, value="on")["notice"]
    assert "data-sure=" in mina.shown["curated"], "deleting asks first"
    assert "is deleted" in mina.act(act="curated_delete", id=kept.id)["notice"]
    assert "no longer there" in mina.act(act="curated_delete", id=kept.id)["notice"]
    assert [(e["who"], e["what"]) for e in store.audit(3)] == [
        ("Mina", "curated_delete"), ("Mina", "curated_enable"), ("Mina", "curated_disable"),
    ]  # fmt: skip


def test_hits_are_listed_with_their_conversations_and_do_not_disturb_who_writes(
    mina: Operator, answers: CuratedAnswers
) -> None:
    kept = answers.add(RETURNS, "Otto")
    mina.poll()
    assert "not shown yet" in mina.shown["curated"]
    answers.hit(kept.id, "conversation-1", 1)
    answers.hit(kept.id, "conversation-2", 2)
    assert mina.poll() == {}
    html = mina.act(act="curated_close")["curated"]
    assert "shown 2×" in html
    assert "conversation-2, conversation-1" in html


def test_the_most_shown_come_first_and_those_out_of_use_last(
    mina: Operator, answers: CuratedAnswers
) -> None:
    keys = [answers.add(replace(RETURNS, question=f"Q{n}?"), "Otto").id for n in range(3)]
    answers.hit(keys[2], "c", 1)
    answers.hit(keys[0], "c", 2)
    answers.hit(keys[0], "c", 3)
    answers.disable(keys[0], "Otto")
    html = mina.act(act="curated_close")["curated"]
    assert re.findall(r"<strong[^>]*>(Q\d)", html) == ["Q2", "Q1", "Q0"]


def test_what_expires_is_marked(mina: Operator, answers: CuratedAnswers) -> None:
    for n, last in enumerate((TODAY - timedelta(1), TODAY + timedelta(9), TODAY + timedelta(90))):
        answers.add(replace(RETURNS, question=f"Q{n}?", valid_until=last), "Otto")
    html = mina.poll()["curated"]
    assert (
        html.count("sd-curated-expired") == html.count('<span class="sd-tag">expired</span>') == 1
    )
    assert html.count('<span class="sd-tag">expires soon</span>') == 1


def test_a_question_is_tried(mina: Operator, answers: CuratedAnswers) -> None:
    answers.add(RETURNS, "Otto")
    answers.add(replace(RETURNS, question="Is it dimmable?", enabled=False), "Otto")
    html = mina.act(act="curated_try", value="Hi, can I return shoes in GERMANY")["curated_try"]
    assert "answers, the same words" in html
    assert "nearness 1.00" in html
    assert "Within 30 days." in html
    html = mina.act(act="curated_try", value="Can I return shoes in Ireland?")["curated_try"]
    assert "No curated answer would be given" in html
    assert "other words" in html
    assert "not in use" in mina.act(act="curated_try", value="Is it dimmable?")["curated_try"]
    assert mina.act(act="curated_try", value=" ").keys() == {"notice"}


def test_a_gap_becomes_an_answer_with_one_click(mina: Operator, answers: CuratedAnswers) -> None:
    html = mina.act(act="gaps")["gaps"]
    assert 'value="Do &#34;ferries&#34; &lt;b&gt;count?"' in html
    assert ">Yes, &lt;i&gt;all.\n\nAt the harbour.</textarea>" in html
    assert "<b>count" not in html
    assert "<i>all" not in html
    mina.act(**form(question=GAP.title, answer="\n\n".join(GAP.replies)))
    assert answers.all()[0].answer == "Yes, <i>all.\n\nAt the harbour."


def test_what_people_write_is_escaped(mina: Operator, answers: CuratedAnswers) -> None:
    attack = "<img src=x onerror=alert(1)>?"
    kept = answers.add(Draft(attack, attack, "en", (attack + "!",)), attack)
    mina.act(act="curated_edit", id=kept.id)
    mina.act(act="curated_try", value=attack)
    mina.act(act="curated_switch", id=kept.id, value="off")
    assert "<img" not in "".join(v for v in mina.shown.values() if isinstance(v, str))


@pytest.mark.parametrize(
    "detail",
    [
        {},
        {"act": "curated_save", "id": 3},
        {"act": "curated_switch", "id": "x"},
        {"act": "curated_edit", "id": "x"},
        {"act": "curated_save"},
        {"act": "curated_save", "question": ["Q?"], "answer": {}, "valid_from": 7},
    ],
)
def test_odd_events_change_nothing(
    mina: Operator, answers: CuratedAnswers, detail: dict[str, object]
) -> None:
    mina.act(**detail)
    assert answers.all() == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_field_has_a_label_and_every_state_a_word(
    page: RoomPage, answers: CuratedAnswers, language: str
) -> None:
    words = staff_texts(language)
    kept = answers.add(RETURNS, "Otto")
    operator = Operator(page, language)
    html = operator.act(act="curated_edit", id=kept.id)["curated"] + operator.shown["curated_new"]
    for field in re.finditer(r"<(?:input|textarea|select)\b", html):
        before = html[: field.start()]
        assert before.rfind("<label>") > before.rfind("</label>")
    for key in ("off", "expired", "expiring", "later"):
        assert words[f"curated_state_{key}"]
    for key in ("exact", "near", "far", "other", "off", "expired", "later"):
        assert words[f"curated_fate_{key}"]
