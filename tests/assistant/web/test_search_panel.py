"""The retrieval bench: trying values on a question and on the golden ones, keeping and taking back."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assistant.build import build_assistant, knowledge_of, retuned
from assistant.conversations import Conversations
from assistant.dial import PROMISE, TRIALS, Trial, keep_trials
from assistant.pipeline import Assistant
from assistant.service import ChatService
from assistant.settings import Settings, load_settings
from assistant.tuned import FILE, Tuned
from assistant.types import Utterance
from assistant.web.auth import Session
from assistant.web.golden_trial import GoldenTrial
from assistant.web.room.panel import Done
from assistant.web.room.search import GoldenPanel, SearchPanel
from assistant.web.staff_html import staff_texts
from assistant.web.tuning import Tuner
from knowledge.build import open_refresher
from knowledge.modes import STAGES
from knowledge.versions import Versions

TEXTS = {
    "returns": "Boots can be sent back within 14 days of delivery, unworn and in their box.",
    "sandals": "Sandals can be sent back within 30 days of delivery, unworn and in their bag.",
    "postage": "Standard delivery to an address in Spain costs EUR 6.50 and takes four days.",
    "klarna": "Klarna is offered in the Netherlands: pay within 30 days of the invoice.",
    "repairs": "A torn seam of a boot is mended in our workshop within two weeks, free of charge.",
    "colours": "<b>Boots</b> come in oxblood, ink and chestnut; sandals in ink only.",
}
QUESTION = "Within how many days can boots be sent back?"
GOLDEN = [
    {"text": QUESTION, "relevant": ["returns"], "answerable": True},
    {"text": "How much does standard delivery to Spain cost?", "relevant": ["postage"],
     "answerable": True},
    {"text": "Can I pay with seashells on the moon?", "answerable": False},
]  # fmt: skip
OPERATOR = Session("1", "operator", "Mina", "en", 1e12)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory, engines: Path) -> Iterator[Assistant]:
    """The assistant over six published pages. It never changes: saving puts another in its place."""
    home = tmp_path_factory.mktemp("home")
    (home / "engines").symlink_to(engines)
    settings = load_settings(environment={}, home=home)
    source = home / "pages.jsonl"
    rows = [{"id": i, "title": i.title(), "text": t, "language": "en"} for i, t in TEXTS.items()]
    source.write_text("\n".join(map(json.dumps, rows)))
    open_refresher(home, settings.engines, settings.knowledge, lambda *_: None).refresh([source])
    assistant = build_assistant(settings)
    yield assistant
    knowledge_of(assistant).close()


@pytest.fixture
def home(loaded: Assistant) -> Path:
    return loaded.settings.home


@pytest.fixture
def service(loaded: Assistant, tmp_path: Path) -> Iterator[ChatService]:
    """The chat service with a store of its own; what it leaves in the home is cleared away."""
    started = ChatService(loaded, Conversations.in_home(tmp_path))
    yield started
    started.conversations.close()
    home = loaded.settings.home
    for name in (FILE, PROMISE, "golden.jsonl"):
        (home / name).unlink(missing_ok=True)
    (Versions(home).current_folder() / TRIALS).unlink(missing_ok=True)


@pytest.fixture
def bench(service: ChatService) -> Bench:
    return Bench(service)


class Bench:
    """An operator at the bench."""

    def __init__(self, service: ChatService) -> None:
        self.service = service
        self.golden = GoldenTrial(Tuner(service))
        self.panels = SearchPanel(self.golden), GoldenPanel(self.golden)

    @property
    def settings(self) -> Settings:
        return self.service.assistant.settings

    def act(self, act: str, **detail: object) -> Done:
        for panel in self.panels:
            done = panel.act({"act": act, **detail}, OPERATOR)
            if done is not None:
                return done
        raise AssertionError(f"{act} is nobody's business")

    def try_out(self, question: str = QUESTION, **values: object) -> str:
        done = self.act("search_try", question=question, language="", **values)
        assert done.html, done.notice
        return done.html

    def ask_golden(self, **values: object) -> str:
        done = self.act("search_golden", **values)
        assert not done.notice.key, done.notice
        deadline = time.monotonic() + 60
        while self.golden.last is None or not self.golden.last.ended:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return self.shown(1)

    def save(self, **values: object) -> str:
        return self.act("search_save", **values).notice.key

    def shown(self, panel: int = 0, language: str = "en") -> str:
        return self.panels[panel].render(staff_texts(language))


def write_golden(home: Path, rows: list[dict[str, Any]] = GOLDEN) -> None:
    (home / "golden.jsonl").write_text("\n".join(map(json.dumps, rows)))


def audit(service: ChatService) -> list[tuple[str, str, str]]:
    return [(e["who"], e["what"], e["detail"]) for e in service.conversations.audit()]


def cells(html: str, passage: str) -> list[str]:
    """The text of a passage's cells."""
    (row,) = (r for r in re.findall(r"<tr.*?</tr>", html, re.DOTALL) if f">{passage}#0<" in r)
    found = re.findall(r"<td.*?</td>", row, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]*>", " ", cell).split()) for cell in found]


def test_a_question_shows_the_ranks_of_each_mode_what_is_quoted_and_the_time(bench: Bench) -> None:
    html = bench.try_out()
    dense, bm25, fused, reranked, fate = cells(html, "returns")
    for place in (dense, bm25, fused, reranked):
        assert re.fullmatch(r"1 \d+\.\d\d", place)
    assert fate == "sure enough to quote"
    assert cells(html, "klarna")[-1] in ("not read", "withheld")
    for stage in STAGES:
        assert staff_texts("en")[f"search_stage_{stage}"] in html
    assert re.search(r"\d\.\d ms", html)
    assert "Answer</span>" in html, "what a customer would get"
    assert "Difference" not in html, "the values are those in force"
    assert Versions(bench.settings.home).served() in html


def test_other_values_are_shown_beside_those_in_force_with_what_differs(bench: Bench) -> None:
    html = bench.try_out(answer_threshold="1.0")
    *_, fate, now, difference = cells(html, "returns")
    assert fate == "sure enough to ask back"
    assert now == "1 sure enough to quote"
    assert difference == "no longer quoted"
    assert "Answer</span>" in html
    assert "Asked back</span>" in html
    assert bench.settings.answer_threshold == 0.6
    assert not (bench.settings.home / FILE).exists(), "a trial keeps nothing"


def test_with_fewer_passages_read_the_others_are_not_read(bench: Bench) -> None:
    question = "How much is a parcel to Spain, and are boots mended?"
    html = bench.try_out(question, rerank_passages="1")
    fates = [cells(html, passage)[-3] for passage in TEXTS]
    assert fates.count("not read") == 5
    assert bench.settings.knowledge.rerank_passages == 3


def test_fewer_candidates_leave_passages_out(bench: Bench) -> None:
    html = bench.try_out(candidates="5")
    dense = [cells(html, passage)[0] for passage in TEXTS]
    assert dense.count("–") == 1, "five of six pages are found by meaning"


def test_what_is_typed_and_what_documents_say_is_escaped(bench: Bench) -> None:
    html = bench.try_out('<img src=x> "boots" in oxblood?')
    assert "<img" not in html
    assert "&lt;b&gt;Boots" in html


@pytest.mark.parametrize(
    "values",
    [
        {"answer_threshold": "high"},
        {"answer_threshold": "nan"},
        {"answer_threshold": "0.05"},  # below the other threshold
        {"candidates": "5", "rerank_passages": "6"},
        {"candidates": "100000"},
        {"rerank_passages": "0"},
        {"max_quote_words": "2.5"},
    ],
)
def test_values_that_do_not_go_are_told_and_change_nothing(
    bench: Bench, values: dict[str, str]
) -> None:
    before = bench.settings
    for act in ("search_try", "search_golden", "search_save"):
        done = bench.act(act, question=QUESTION, **values)
        assert done.notice.key == "search_failed"
        assert done.notice.name
        assert done.html is None
    assert bench.settings == before
    assert audit(bench.service) == []


def test_an_empty_knowledge_base_says_so(bench: Bench, home: Path) -> None:
    versions = Versions(home)
    version = versions.current()
    versions.withdraw()
    try:
        done = bench.act("search_try", question=QUESTION)
        assert done.notice.key == "search_failed"
        assert "knowledge base is empty" in done.notice.name
        assert bench.shown(), "the form is still there"
    finally:
        versions.publish(version)


def test_all_golden_questions_are_judged_under_both_sets_of_values(
    bench: Bench, home: Path
) -> None:
    write_golden(home)
    assert "Ask all golden questions" in bench.try_out("", answer_threshold="1.0")
    html = bench.ask_golden(answer_threshold="1.0")
    run = bench.golden.last
    assert run is not None
    assert (run.total, run.done, run.judged, run.right) == (6, 6, 3, (3, 1))
    assert (run.count("worse"), run.count("better")) == (2, 0)
    assert "Right before: 3, then: 1, of 3" in html
    assert "0 golden answers get better and 2 worse" in html
    assert html.count("sd-blocking") == 2


def test_only_values_that_all_golden_questions_were_asked_under_are_saved(
    bench: Bench, home: Path
) -> None:
    write_golden(home)
    assert bench.save(answer_threshold="0.5") == "search_golden_first"
    bench.ask_golden(answer_threshold="0.5")
    assert bench.save(answer_threshold="0.4") == "search_golden_first"
    write_golden(home, GOLDEN[:2])
    assert bench.save(answer_threshold="0.5") == "search_golden_first", "others are asked now"
    assert "ask all of them again" in bench.shown(1)
    assert bench.settings.answer_threshold == 0.6
    bench.ask_golden(answer_threshold="0.5")
    assert "Save these values" in bench.shown(1)
    assert bench.save(answer_threshold="0.5") == "search_saved"
    assert "These values are in force now" in bench.shown(1)


def test_saved_values_hold_from_the_next_turn_on_and_after_a_restart(
    bench: Bench, service: ChatService, home: Path
) -> None:
    conversation = service.start("en")

    def outcome(message: str) -> str:
        sent = service.send(conversation.id, QUESTION, message)
        assert sent
        assert sent.reply
        return str(sent.reply["outcome"])

    assert outcome("m1") == "answer"
    assert bench.save(answer_threshold="1.0", candidates="20") == "search_saved"
    assert outcome("m2") == "clarify"
    assert json.loads((home / FILE).read_text()) == {"answer_threshold": 1.0, "candidates": 20}
    again = load_settings(environment={"FRONTDESK_ANSWER_THRESHOLD": "0.7"}, home=home)
    assert (again.answer_threshold, again.knowledge.candidates) == (1.0, 20)
    assert retuned(service.assistant, again).respond(Utterance(QUESTION)).kind == "clarify"
    assert again.own.answer_threshold == 0.7
    assert audit(service) == [
        ("Mina", "search_save", "answer_threshold 0.6 → 1, candidates 40 → 20")
    ]
    assert "The shop&#39;s own: 0.6" in bench.shown()


def test_going_back_deletes_the_file_and_holds_at_once(
    bench: Bench, service: ChatService, home: Path
) -> None:
    assert "Back to the shop" not in bench.shown(), "nothing is tuned"
    bench.save(answer_threshold="1.0")
    seen = bench.panels[0].state()
    assert "Back to the shop" in bench.shown()
    assert bench.act("search_reset").notice.key == "search_reset"
    assert not (home / FILE).exists()
    assert service.assistant.respond(Utterance(QUESTION)).kind == "answer"
    assert bench.panels[0].state() != seen, "open pages show it"
    assert audit(service)[0] == ("Mina", "search_reset", "answer_threshold 1 → 0.6")


def test_another_process_goes_by_what_is_saved_and_by_the_shops_own_again(
    bench: Bench, service: ChatService, home: Path
) -> None:
    other = ChatService(copy(service.assistant), service.conversations, service.live)
    tuner = Tuner(other)
    bench.save(answer_threshold="1.0")
    assert other.assistant.respond(Utterance(QUESTION)).kind == "clarify"
    (home / FILE).write_text("{")
    other.live.tell("tuned", "")
    assert tuner.settings.answer_threshold == 1.0, "what cannot be read changes nothing"
    bench.act("search_reset")
    assert other.assistant.respond(Utterance(QUESTION)).kind == "answer"


def test_a_turn_under_way_ends_by_the_values_that_it_began_with(
    bench: Bench, service: ChatService
) -> None:
    before = service.assistant
    bench.save(answer_threshold="1.0")
    assert before.respond(Utterance(QUESTION)).kind == "answer"
    assert service.assistant.encoder is before.encoder, "no model is loaded again"


def test_under_a_dial_its_threshold_is_shown_and_what_it_was_found_with_cannot_be_saved(
    bench: Bench, home: Path
) -> None:
    (home / PROMISE).write_text('{"most_wrong": 0.5}')
    folder = Versions(home).current_folder()
    keep_trials(folder, [Trial(0.9, True, True)] * 10)
    assert bench.golden.tuner.dial() is not None
    html = bench.try_out(answer_threshold="1.0")
    assert "The dial is in force: for at most 50 % wrong" in html
    assert "0.900" in html
    assert re.search(r'name="answer_threshold"[^>]*disabled', html)
    *_, fate, now, difference = cells(html, "returns")
    assert now == "1 " + fate, "the threshold is the dial's on both sides"
    assert difference == ""
    for values in ({"candidates": "20"}, {"rerank_passages": "2"}, {"max_quote_words": "30"}):
        assert bench.save(**values) == "search_dial"
    assert not (home / FILE).exists()
    assert bench.save(clarify_threshold="0.2") == "search_saved"
    assert (folder / TRIALS).exists()


def test_going_back_is_refused_where_it_would_break_the_dial(bench: Bench, home: Path) -> None:
    bench.save(candidates="20")
    (home / PROMISE).write_text('{"most_wrong": 0.5}')
    keep_trials(Versions(home).current_folder(), [Trial(0.9, True, True)] * 10)
    assert bench.act("search_reset").notice.key == "search_dial"
    assert bench.settings.knowledge.candidates == 20


def test_trials_made_under_other_values_are_forgotten_so_that_no_promise_rests_on_them(
    bench: Bench, home: Path
) -> None:
    folder = Versions(home).current_folder()
    keep_trials(folder, [Trial(0.9, True, True)] * 10)
    bench.save(answer_threshold="0.5")
    assert (folder / TRIALS).exists(), "they hold for every threshold"
    bench.save(rerank_passages="2")
    assert not (folder / TRIALS).exists()


def test_without_golden_questions_saving_warns(bench: Bench) -> None:
    html = bench.try_out("", answer_threshold="0.5")
    assert "There are no golden questions" in html
    assert 'data-act="search_save"' in html
    assert 'data-answer_threshold="0.5"' in html
    assert bench.act("search_golden", answer_threshold="0.5").notice.key == "search_failed"


def test_a_damaged_golden_file_is_told_and_keeps_values_from_being_saved(
    bench: Bench, home: Path
) -> None:
    (home / "golden.jsonl").write_text("no json")
    assert bench.shown()
    assert bench.act("search_golden", answer_threshold="0.5").notice.key == "search_failed"
    assert bench.save(answer_threshold="0.5") == "search_failed"
    assert bench.settings.answer_threshold == 0.6


def test_one_trial_at_a_time_with_its_progress(bench: Bench, home: Path) -> None:
    write_golden(home)
    bench.ask_golden(answer_threshold="0.5")
    assert bench.golden.last is not None
    bench.golden.last = replace(bench.golden.last, done=2, ended=False)
    html = bench.shown(1)
    assert 'value="2" max="6"' in html
    assert "2 of 6 replies" in html
    assert bench.act("search_golden", answer_threshold="0.4").notice.key == "busy"


def test_other_panels_business_is_left_to_them(bench: Bench) -> None:
    assert [p.act({"act": "publish"}, OPERATOR) for p in bench.panels] == [None, None]
    assert bench.panels[1].state()[0] == ()  # type: ignore[index]
    assert bench.shown(1).strip() == ""


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_field_has_a_label_in_both_languages(bench: Bench, language: str) -> None:
    words = staff_texts(language)
    html = bench.shown(0, language)
    for name in Tuned.model_fields:
        label = words[f"search_knob_{name}"]
        assert re.search(rf'<label>{re.escape(label)}\s*<input name="{name}"', html)
