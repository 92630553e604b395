"""Answers that a shop writes itself: kept, found for a question, given word for word, counted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

import assistant.commands as command
from assistant.build import with_store
from assistant.contract import reply_to_json
from assistant.conversations import Conversations
from assistant.curated import MAX_QUESTION, CuratedAnswers, CuratedError, Draft
from assistant.curated_match import CuratedMatcher
from assistant.errors import InputError
from assistant.generation import Generator
from assistant.pipeline import Assistant
from assistant.same_question import plain, say_the_same
from assistant.service import ChatService
from assistant.types import Answer, Handoff, Message, Question, SentenceReady, Utterance
from knowledge.encoder import Encoder
from knowledge.language import Detector
from tests.assistant.fakes import (
    PASSAGE,
    FixedRouter,
    FixedSkill,
    ScriptedGenerator,
    assistant_with,
)

RETURNS = Draft("How long do I have to return an item in Germany?", "Thirty days.", "en")
STRIKE = Draft(
    "Is my parcel late because of the strike?",
    "Parcels take two days longer.\n\n- London: 5 days\n- Leeds: 4 days\nSorry!  We mean it.",
    "en",
    ("Does the strike delay my order?",),
)
HOURS = Draft("展厅几点开门？", "上午十点。\n周一休息。", "zh")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Conversations]:
    conversations = Conversations.in_home(tmp_path)
    yield conversations
    conversations.close()


@pytest.fixture
def answers(store: Conversations) -> CuratedAnswers:
    return CuratedAnswers(store)


# Keeping.


def test_what_is_added_is_there_and_in_the_audit_log(
    answers: CuratedAnswers, store: Conversations
) -> None:
    kept = answers.add(STRIKE, "Mina")
    assert answers.all() == [kept]
    assert (kept.question, kept.wordings, kept.who) == (STRIKE.question, STRIKE.wordings, "Mina")
    assert kept.answer == STRIKE.answer.replace("  ", " ")
    assert [(e["who"], e["what"], e["detail"]) for e in store.audit()] == [
        ("Mina", "curated_add", f"{STRIKE.question} ({kept.evidence_id})")
    ]


def test_every_change_is_written_down_and_changes_the_revision(
    answers: CuratedAnswers, store: Conversations
) -> None:
    kept = answers.add(RETURNS, "Mina")
    revisions = [answers.revision()]
    steps: list[Callable[[], object]] = [
        lambda: answers.change(kept.id, replace(RETURNS, answer="Forty days."), "Otto"),
        lambda: answers.disable(kept.id, "Otto"),
        lambda: answers.enable(kept.id, "Otto"),
        lambda: answers.delete(kept.id, "Otto"),
    ]
    for step in steps:
        step()
        revisions.append(answers.revision())
    assert len(set(revisions)) == len(revisions)
    assert [e["what"] for e in reversed(store.audit())] == [
        "curated_add", "curated_change", "curated_disable", "curated_enable", "curated_delete",
    ]  # fmt: skip
    assert answers.all() == []


def test_a_change_keeps_the_id_and_the_day_of_its_making(answers: CuratedAnswers) -> None:
    kept = answers.add(RETURNS, "Mina")
    changed = answers.change(kept.id, replace(RETURNS, answer="Forty days."), "Otto")
    assert (changed.id, changed.created, changed.answer) == (kept.id, kept.created, "Forty days.")
    assert changed.updated > kept.updated


@pytest.mark.parametrize(
    ("draft", "problem"),
    [
        (replace(RETURNS, question=" ?! "), "no_question"),
        (replace(RETURNS, question="a" * (MAX_QUESTION + 1)), "long_question"),
        (replace(RETURNS, wordings=("b" * (MAX_QUESTION + 1),)), "long_question"),
        (replace(RETURNS, wordings=tuple(f"way {n}" for n in range(51))), "many_wordings"),
        (replace(RETURNS, answer=" \n "), "no_answer"),
        (replace(RETURNS, answer="long " * 1000), "long_answer"),
        (replace(RETURNS, language=""), "no_language"),
        (replace(RETURNS, language="English"), "no_language"),
        (replace(RETURNS, valid_from=date(2026, 2, 1), valid_until=date(2026, 1, 1)), "dates"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_the_reason(
    answers: CuratedAnswers, draft: Draft, problem: str
) -> None:
    with pytest.raises(InputError) as refused:
        answers.add(draft, "Mina")
    assert isinstance(refused.value, CuratedError)
    assert refused.value.problem == problem
    assert answers.all() == []


def test_two_answers_in_use_cannot_have_one_question(answers: CuratedAnswers) -> None:
    answers.add(STRIKE, "Mina")
    rival = replace(RETURNS, wordings=("does the STRIKE delay my order",))
    with pytest.raises(CuratedError, match="Is my parcel late"):
        answers.add(rival, "Mina")
    off = answers.add(replace(rival, enabled=False), "Mina")
    with pytest.raises(CuratedError, match="Is my parcel late"):
        answers.enable(off.id, "Mina")
    assert not answers.get(off.id).enabled
    answers.add(replace(rival, language="de"), "Mina")


def test_answers_for_different_days_may_share_a_question(answers: CuratedAnswers) -> None:
    answers.add(replace(RETURNS, valid_until=date(2026, 11, 30)), "Mina")
    answers.add(replace(RETURNS, answer="Sixty days.", valid_from=date(2026, 12, 1)), "Mina")
    with pytest.raises(CuratedError):
        answers.add(replace(RETURNS, answer="Ninety days."), "Mina")


def test_what_is_not_there_cannot_be_changed(answers: CuratedAnswers) -> None:
    for act in (
        lambda: answers.change("nobody", RETURNS, "Mina"),
        lambda: answers.enable("nobody", "Mina"),
        lambda: answers.delete("nobody", "Mina"),
    ):
        with pytest.raises(CuratedError, match="nobody"):
            act()


def test_the_state_tells_what_expires(answers: CuratedAnswers) -> None:
    today = date(2026, 12, 1)
    kept = answers.add(replace(RETURNS, valid_from=today, valid_until=date(2026, 12, 24)), "Mina")
    days = [today - timedelta(1), today, date(2026, 12, 24), date(2026, 12, 25)]
    assert [kept.state(day) for day in days] == ["later", "expiring", "expiring", "expired"]
    assert [kept.in_force(day) for day in days] == [False, True, True, False]
    assert replace(kept, valid_until=date(2027, 12, 24)).state(today) == "on"
    assert replace(kept, enabled=False).state(today) == "off"


def test_a_message_counts_once_and_goes_with_its_conversation(
    answers: CuratedAnswers, store: Conversations
) -> None:
    kept = answers.add(RETURNS, "Mina")
    one, two = store.start(), store.start()
    for conversation, message in ((one, 1), (one, 1), (one, 2), (two, 3)):
        answers.hit(kept.id, conversation.id, message)
    assert answers.hits()[kept.id].count == 3
    assert answers.shown_in(kept.id) == [two.id, one.id]
    store.delete(one.id)
    assert answers.hits()[kept.id].count == 1
    answers.delete(kept.id, "Mina")
    assert answers.hits() == {}


# Telling questions apart.


@pytest.mark.parametrize(
    ("one", "other", "language"),
    [
        ("Can I return shoes?", "hi, CAN I RETURN SHOES please", "en"),
        ("Don't you ship 1.5 kg?", "dont you ship 1.5 kg", "en"),
        ("我能退货吗？", "您好，请问我能退货吗，谢谢！", "zh"),
        ("運費多少？", "运费多少", "zh"),
        ("Ｃａｎ　Ｉ　ｐａｙ？", "can i pay", "en"),
        ("Kann ich zurückgeben?", "Hallo, kann ich zurückgeben? Danke", "de"),
    ],
)
def test_case_width_punctuation_and_politeness_do_not_count(
    one: str, other: str, language: str
) -> None:
    assert plain(one, language) == plain(other, language)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Is it 1.5 m?", "Is it 15 m?"), ("5 € off?", "5 $ off?"), ("20% off", "20 off")],
)
def test_signs_that_say_something_stay(one: str, other: str) -> None:
    assert plain(one, "en") != plain(other, "en")


@pytest.mark.parametrize(
    ("one", "other", "language"),
    [
        ("How much does express delivery cost?", "what is the price of express shipping", "en"),
        ("How do I return an item?", "how can i return items", "en"),
        ("How long does delivery to Norway take?", "How long does delivry to Norway take", "en"),
        ("鞋子可以退吗？", "鞋子能退吗", "zh"),
        ("怎么退货", "请问如何退货呢", "zh"),
    ],
)
def test_the_same_in_nearly_the_same_words(one: str, other: str, language: str) -> None:
    assert say_the_same(one, other, language)


@pytest.mark.parametrize(
    ("one", "other", "language"),
    [
        (
            "How long do I have to return in Ireland?",
            "How long do I have to return in Germany?",
            "en",
        ),
        ("Can I return it within 14 days?", "Can I return it within 30 days?", "en"),
        ("Is Acme Pro 2 waterproof?", "Is Acme Pro 3 waterproof?", "en"),
        ("Do you deliver to Austria?", "Do you deliver to Australia?", "en"),
        ("can i change from silver to gold", "can i change from gold to silver", "en"),
        ("How much is delivery from Ireland?", "How much is delivery to Ireland?", "en"),
        ("Can I return shoes?", "Do I have to return shoes?", "en"),
        ("Can I return shoes?", "Can't I return shoes?", "en"),
        ("Can I send you my phone?", "Can you send me my phone?", "en"),
        ("Do you have men's shoes?", "Do you have women's shoes?", "en"),
        ("How long does approval take?", "How much does approval cost?", "en"),
        ("Do you deliver to the US?", "Do you deliver?", "en"),
        ("How do I opt in to mails?", "How do I opt out of mails?", "en"),
        ("发货前能取消订单吗", "发货后能取消订单吗", "zh"),
        ("银卡怎么升金卡？", "金卡怎么升银卡？", "zh"),
        ("需要预约吗？", "可以预约吗？", "zh"),
        ("在德国退货要多久？", "在爱尔兰退货要多久？", "zh"),
        ("满100减多少", "满200减多少", "zh"),
        ("Was kostet der Versand nach Österreich?", "Was kostet der Versand in die Schweiz?", "de"),
        ("¿Cuánto cuesta el envío a Menorca?", "¿Cuánto cuesta el envío a Cerdeña?", "es"),
        ("Puis-je rendre des chaussures ?", "Puis-je rendre les chaussures ?", "fr"),
        ("Who are you?", "Who is it for?", "en"),
    ],
)
def test_what_an_encoder_takes_for_the_same_is_told_apart(
    one: str, other: str, language: str
) -> None:
    assert not say_the_same(one, other, language)
    assert plain(one, language) != plain(other, language)


# Finding, with the real encoder.


@pytest.fixture
def matcher(answers: CuratedAnswers, encoder: Encoder) -> CuratedMatcher:
    for draft in (RETURNS, STRIKE, HOURS, replace(RETURNS, question="退货要多久？", language="zh")):
        answers.add(draft, "Mina")
    return CuratedMatcher(answers, encoder)


@pytest.mark.parametrize(
    ("text", "language", "question", "fate"),
    [
        ("is my parcel late because of the strike", "en", STRIKE.question, "exact"),
        ("Hello, does the strike delay my order? Thanks!", "en", STRIKE.question, "exact"),
        ("Does the strike delay orders?", "en", STRIKE.question, "near"),
        ("how long do i have to return items in germany", "en", RETURNS.question, "near"),
        ("请问展厅几点开门呀", "zh", HOURS.question, "exact"),
        ("展廳幾點開門", "zh", HOURS.question, "exact"),
        ("退货需要多久", "zh", "", ""),
        ("How long do I have to return an item in Ireland?", "en", "", ""),
        ("How long do I have to return an item?", "en", "", ""),
        ("Do I have to return an item in Germany?", "en", "", ""),
        ("Is my parcel late?", "en", "", ""),
        ("展厅几点关门？", "zh", "", ""),
        ("上海展厅几点开门？", "zh", "", ""),
        ("展厅几点开门？", "ja", "", ""),
        ("Is my parcel late because of the strike?", "de", "", ""),
    ],
)
def test_near_questions_get_the_answer_and_others_do_not(
    matcher: CuratedMatcher, text: str, language: str, question: str, fate: str
) -> None:
    found = matcher.find(text, language)
    assert (found.answer.question, found.fate) == (question, fate) if found else question == ""
    shown = [m for m in matcher.beside(text, language) if m.answers]
    assert [m.answer for m in shown] == ([found.answer] if found else []), "what is tried is so"


def test_the_words_of_another_town_of_the_country_are_not_the_same(
    answers: CuratedAnswers, encoder: Encoder
) -> None:
    answers.add(replace(RETURNS, question="Can I collect my order in Dublin?"), "Mina")
    matcher = CuratedMatcher(answers, encoder)
    assert matcher.find("can I collect my order in Dublin (Ireland, EU)", "en")
    assert matcher.find("can I collect my order in Cork (Ireland, EU)", "en") is None


def test_days_and_switches_count_and_another_process_is_heard(
    tmp_path: Path, answers: CuratedAnswers, encoder: Encoder
) -> None:
    day = date(2026, 12, 1)
    kept = answers.add(replace(RETURNS, valid_until=day), "Mina")
    matcher = CuratedMatcher(answers, encoder, lambda: day)
    assert matcher.find(RETURNS.question, "en")
    day += timedelta(1)
    assert matcher.find(RETURNS.question, "en") is None
    assert matcher.beside(RETURNS.question, "en")[0].fate == "expired"
    other = Conversations.in_home(tmp_path)
    CuratedAnswers(other).change(kept.id, replace(RETURNS, answer="New."), "Otto")
    found = matcher.find(RETURNS.question, "en")
    assert found
    assert found.answer.answer == "New."
    CuratedAnswers(other).disable(kept.id, "Otto")
    assert matcher.find(RETURNS.question, "en") is None
    other.close()


def test_only_what_is_new_is_embedded(word_lengths, answers: CuratedAnswers) -> None:
    answers.add(RETURNS, "Mina")
    matcher = CuratedMatcher(answers, word_lengths)
    matcher.find("x", "en")
    matcher.find("x", "en")
    answers.add(STRIKE, "Mina")
    matcher.find("x", "en")
    assert len(word_lengths.embedded) == len(set(word_lengths.embedded)) == 3


def test_the_nearest_entries_are_shown_beside_a_question(matcher: CuratedMatcher) -> None:
    first, second = matcher.beside("Must I return an item in Germany?", "en")
    assert (first.answer.question, first.fate) == (RETURNS.question, "other")
    assert first.cosine > second.cosine


# In a turn.


def curated_assistant(
    store: Conversations,
    encoder: Encoder,
    detector: Detector,
    skill: FixedSkill | None = None,
    router: FixedRouter | None = None,
    generator: Generator | None = None,
) -> Assistant:
    assistant = assistant_with(
        encoder, detector, skill=skill, router=router, generator=generator or ScriptedGenerator()
    )
    return with_store(assistant, store)


def test_the_shops_own_answer_is_given_word_for_word_before_anything_is_looked_up(
    store: Conversations, answers: CuratedAnswers, encoder: Encoder, detector: Detector
) -> None:
    kept = answers.add(STRIKE, "Mina")
    skill, events = FixedSkill(PASSAGE), []
    reply = curated_assistant(store, encoder, detector, skill).respond(
        Utterance("Hi, does the strike delay my order?"), events.append
    )
    assert skill.questions == []
    assert isinstance(reply.outcome, Answer)
    assert reply.outcome.text == kept.answer
    assert (reply.outcome.reason, reply.outcome.generator) == ("curated", "quote")
    (citation,) = reply.outcome.citations
    assert (citation.evidence_id, citation.title) == (f"curated:{kept.id}", STRIKE.question)
    assert all(s.supported for s in reply.outcome.sentences)
    told = [e for e in events if isinstance(e, SentenceReady)]
    assert "".join(e.joint + e.sentence.text for e in told) == kept.answer
    row = reply_to_json(reply)
    assert row["explanation"].startswith("The shop wrote this answer itself")


def test_a_chinese_answer_keeps_its_lines(
    store: Conversations, answers: CuratedAnswers, encoder: Encoder, detector: Detector
) -> None:
    answers.add(HOURS, "Mina")
    reply = curated_assistant(store, encoder, detector).respond(Utterance("你好，展厅几点开门呢？"))
    assert reply.outcome.text == HOURS.answer


def test_other_questions_go_their_usual_way(
    store: Conversations, answers: CuratedAnswers, encoder: Encoder, detector: Detector
) -> None:
    answers.add(RETURNS, "Mina")
    skill = FixedSkill(PASSAGE, outcome=Handoff("…", "test"))
    assistant = curated_assistant(store, encoder, detector, skill)
    asked = RETURNS.question.replace("Germany", "Ireland")
    assert assistant.respond(Utterance(asked)).outcome == Handoff("…", "test")
    assert len(skill.questions) == 1


def test_who_wants_a_person_is_never_kept_from_one(
    store: Conversations, answers: CuratedAnswers, encoder: Encoder, detector: Detector
) -> None:
    answers.add(replace(RETURNS, question="I want to talk to a person"), "Mina")
    assistant = curated_assistant(store, encoder, detector, router=FixedRouter("human_agent"))
    assert isinstance(assistant.respond(Utterance("I want to talk to a person")).outcome, Handoff)


def test_a_follow_up_is_matched_as_it_stands_alone(
    store: Conversations, answers: CuratedAnswers, encoder: Encoder, detector: Detector
) -> None:
    question = "How long do I have to return a jacket? and for shoes?"
    answers.add(replace(RETURNS, question=question), "Mina")
    history = (Message("customer", "How long do I have to return a jacket?"),)
    assistant = curated_assistant(store, encoder, detector)
    reply = assistant.respond(Utterance("and for shoes?", history))
    assert reply.outcome.text == RETURNS.answer


def test_a_threshold_of_the_settings_does_not_hold_it_back(
    answers: CuratedAnswers, encoder: Encoder
) -> None:
    answers.add(STRIKE, "Mina")
    matcher = CuratedMatcher(answers, encoder)
    question = Question("", "Does the strike delay orders?", "en")
    fetched = matcher.fetch(question)
    assert fetched
    assert fetched.evidence[0].relevance == 1.0
    assert fetched.recalled[0].cosine < 1.0


def test_a_stored_turn_is_counted_once(
    store: Conversations, answers: CuratedAnswers, encoder: Encoder, detector: Detector
) -> None:
    kept = answers.add(STRIKE, "Mina")
    skill = FixedSkill(PASSAGE, outcome=Handoff("…", "test"))
    service = ChatService(curated_assistant(store, encoder, detector, skill), store)
    conversation = service.start()
    for _ in range(2):
        service.send(conversation.id, STRIKE.question, "m1")
    assert answers.hits()[kept.id].count == 1
    assert answers.shown_in(kept.id) == [conversation.id]
    service.send(conversation.id, "Something else?", "m2")
    assert answers.hits()[kept.id].count == 1


# The command line.


def run(*words: str) -> str:
    result = CliRunner().invoke(command.app, ["curated", *words])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_commands_add_list_export_and_import(tmp_path: Path) -> None:
    here, there, file = str(tmp_path / "a"), str(tmp_path / "b"), str(tmp_path / "out.jsonl")
    run(
        "add", STRIKE.question, STRIKE.answer, "--language", "en", "--wording",
        STRIKE.wordings[0], "--valid-until", "2026-12-24", "--home", here,
    )  # fmt: skip
    assert STRIKE.question in run("list", "--home", here)
    (row,) = json.loads(run("list", "--json", "--home", here))["curated"]
    assert (row["hits"], row["valid_until"], row["wordings"]) == (
        0, "2026-12-24", list(STRIKE.wordings),
    )  # fmt: skip
    run("export", "--out", file, "--home", here)
    for _ in range(2):  # one whose id is there is replaced
        assert json.loads(run("import", file, "--json", "--home", there)) == {"curated": 1}
    assert run("export", "--home", here).count("\n") == 1
    (again,) = json.loads(run("list", "--json", "--home", there))["curated"]
    assert (again["id"], again["answer"]) == (row["id"], row["answer"])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"question": "Q?", "answer": "", "language": "en"}', "entry 2: write the answer"),
        ('{"question": "Q?", "answer": "A", "language": "en", "valid_from": "soon"}', "entry 2"),
        ('{"question": 3, "answer": "A", "language": "en"}', "entry 2: question, answer"),
        ('{"question": "Q?", "answer": "A", "language": "en", "wordings": "x"}', "entry 2"),
        ('{"id": "a b", "question": "Q?", "answer": "A", "language": "en"}', "entry 2: an id"),
        ('{"question": "first one", "answer": "A", "language": "en"}', "First one?"),
        ("[]", "line 2: not a JSON object"),
    ],
)
def test_of_a_file_with_a_mistake_nothing_is_kept(tmp_path: Path, line: str, reason: str) -> None:
    file, home = tmp_path / "in.jsonl", str(tmp_path / "home")
    file.write_text('{"question": "First one?", "answer": "A", "language": "en"}\n' + line)
    result = CliRunner().invoke(command.app, ["curated", "import", str(file), "--home", home])
    assert result.exit_code == 1
    assert reason in result.stderr
    assert json.loads(run("list", "--json", "--home", home)) == {"curated": []}
