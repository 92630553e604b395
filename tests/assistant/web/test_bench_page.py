"""The agents' test bench: what is asked, what is shown, and what is kept."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from assistant.golden import GoldenSet
from assistant.replay import golden_questions
from assistant.service import ChatService
from assistant.settings import Settings
from assistant.testbench import TestBench as Bench
from assistant.types import Reply, Utterance
from assistant.variants import Variant, Variants
from assistant.watch import Listener, ignore
from assistant.web.auth import Session, Sessions
from assistant.web.room.bench import PAGE, bench_panels, bench_routes
from assistant.web.room.page import RoomPage, Screen, build_room_page
from assistant.web.staff_html import staff_languages, staff_texts
from tests.staffing import ScriptedAssistant, cookies, staff_settings

OLD, NEW = "20261101-100000-000000", "20261102-100000-000000"
ATTACK = "<img src=x onerror=alert(1)>"


class NewAssistant(ScriptedAssistant):
    """Answers as the scripted one does, and says 14 days where that one says 30."""

    def respond(self, utterance: Utterance, listen: Listener = ignore) -> Reply:
        reply = super().respond(utterance, listen)
        text = reply.outcome.text.replace("30", "14")
        return replace(reply, outcome=replace(reply.outcome, text=text))


class ScriptedVariants(Variants):
    """Real versions, scripted assistants; loading waits until the test lets it go on."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, lambda: ScriptedAssistant(settings))  # type: ignore[arg-type, return-value]
        self.go = threading.Event()
        self.go.set()

    def assistant(self, variant: Variant) -> Any:
        assert self.go.wait(20)
        kind = NewAssistant if variant.version == NEW else ScriptedAssistant
        return kind(self.settings)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home with a published version and one that waits."""
    settings = staff_settings(tmp_path)
    folder = tmp_path / "knowledge" / "versions"
    for name in (OLD, NEW):
        (folder / name).mkdir(parents=True)
        manifest = {"created": f"2026-11-0{1 + (name == NEW)}T10:00:00+00:00"}
        (folder / name / "manifest.json").write_text(json.dumps(manifest))
    (folder / NEW / "prepared").write_text(OLD)
    (tmp_path / "knowledge" / "current").write_text(OLD)
    return settings


@pytest.fixture
def bench(settings: Settings) -> Bench:
    return Bench(ScriptedVariants(settings), GoldenSet(settings))


class Agent:
    """An agent in front of the page."""

    def __init__(self, page: RoomPage, bench: Bench, name: str = "Ada", language: str = "en"):
        self.page, self.bench = page, bench
        self.request: Any = SimpleNamespace(cookies=cookies(page.sessions, name, language))
        self.seen: Any = None
        self.shown: Screen = {}
        self.open()

    def open(self) -> Screen:
        return self._keep(self.page.open("", self.request))

    def poll(self) -> Screen:
        return self._keep(self.page.poll("bench", self.seen, self.request))

    def act(self, **detail: object) -> Screen:
        event: Any = SimpleNamespace(_data=detail)
        return self._keep(self.page.act(event, "bench", self.seen, self.request))

    def compare(self, *lines: str, **fields: str) -> Screen:
        """Compare the published version with the one that waits, to the end."""
        form = {"b_version": NEW} | fields
        screen = self.act(act="bench_run", cases="\n".join(lines), **form)
        deadline = time.monotonic() + 20
        while self.bench.last and self.bench.last.running:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        self.poll()
        return screen

    def save(self, index: int = 0, **fields: str) -> Screen:
        number = str(self.bench.last.number) if self.bench.last else "0"
        return self.act(act="bench_save", run=number, index=str(index), page="0", only="", **fields)

    def _keep(self, screen: Screen) -> Screen:
        self.seen = screen.get("seen", self.seen)
        self.shown = self.shown | screen
        return screen


@pytest.fixture
def page(bench: Bench, service: ChatService, sessions: Sessions) -> RoomPage:
    return RoomPage(bench_panels(bench, service), sessions, "agent", "bench_title")


@pytest.fixture
def ada(page: RoomPage, bench: Bench) -> Agent:
    return Agent(page, bench)


def audit(service: ChatService) -> list[Mapping[str, Any]]:
    return [e for e in service.conversations.audit() if e["what"] in ("bench", "golden")]


def test_a_poll_without_news_is_nothing_that_gradio_refuses(ada: Agent, page: RoomPage) -> None:
    functions = build_room_page(page).fns.values()
    (polled,) = (f.fn for f in functions if getattr(f.fn, "__name__", "") == "polled")
    assert list(polled("bench", ada.seen, ada.request).values()) == [gr.skip()]


# Asking.


def test_replies_stand_side_by_side_with_the_words_that_differ(ada: Agent) -> None:
    ada.compare("Can I return it?", "My plate is broken")
    html = ada.shown["bench_results"]
    assert "within <del>30</del> days" in html
    assert "within <ins>14</ins> days" in html
    assert html.count("90 is not in it") == 4, "by sentence, and in the trace"
    assert "Sentence by sentence: 1 kept, 1 dropped" in html
    assert "Returns › How long you have" in html
    assert html.count("How this reply came about") == 4
    assert "64 ms" in html
    counts = html[html.index("sd-counts") : html.index("</dl>", html.index("sd-counts"))]
    assert [int(part.split("<")[0]) for part in counts.split("<dd>")[1:]] == [1, 1, 0, 0]


def test_the_form_offers_versions_by_date_and_the_one_that_waits_for_b(ada: Agent) -> None:
    html = ada.shown["bench_form"]
    assert f"2026-11-01 10:00 UTC · {OLD} (published)" in html
    assert html.count(f'<option value="{NEW}" selected>') == 1
    assert "not published yet" in html
    assert ada.poll() == {}, "no news"


def test_a_run_goes_on_in_the_background_and_is_stopped(ada: Agent, bench: Bench) -> None:
    assert isinstance(bench.variants, ScriptedVariants)
    bench.variants.go.clear()
    screen = ada.act(act="bench_run", cases="a\nb\nc")
    assert "0 of 3" in screen["bench_progress"]
    assert "Started by Ada" in screen["bench_progress"]
    assert "under way" in ada.act(act="bench_run", cases="d")["notice"]
    ada.act(act="bench_stop")
    bench.variants.go.set()
    deadline = time.monotonic() + 20
    while bench.last and bench.last.running:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert ada.poll()["bench_progress"].strip() == ""
    assert bench.last
    assert bench.last.stage == "stopped"


@pytest.mark.parametrize(("fields", "words"), [
    ({"cases": " \n"}, "Write a question first"),
    ({"cases": "a\n{"}, "Line 2 cannot be read"),
    ({"cases": "a\n" * 501}, "These are 501 questions"),
    ({"cases": "a", "a_version": ATTACK}, "There is no version &lt;img"),
    ({"cases": "a", "b_adapter": "x"}, "No language model is set up here, so x cannot"),
])  # fmt: skip
def test_what_cannot_be_asked_is_told_and_changes_nothing(
    ada: Agent, fields: dict[str, str], words: str
) -> None:
    assert words in ada.act(act="bench_run", **fields)["notice"]
    assert ada.bench.last is None


@pytest.mark.parametrize("detail", [
    {}, {"act": "bench_run"}, {"act": "bench_run", "cases": 3}, {"act": "other"},
])  # fmt: skip
def test_odd_events_change_nothing(ada: Agent, detail: dict[str, object]) -> None:
    ada.act(**detail)
    assert ada.bench.last is None


def test_a_failure_is_told_with_its_reason(ada: Agent, bench: Bench) -> None:
    bench.golden.path.write_text("{}\n")
    ada.compare("a")
    assert "has failed" in ada.shown["bench_progress"]
    assert "not JSON Lines of" in ada.shown["bench_progress"]


def test_asking_as_a_customer_is_written_down(ada: Agent, service: ChatService) -> None:
    ada.compare("Can I return it?")
    assert audit(service) == []
    ada.compare('{"text": "Can I return it?", "customer": "C-9"}', a_customer=" C-1 ")
    (entry,) = audit(service)
    assert (entry["who"], entry["what"], entry["detail"]) == ("Ada", "bench", "as C-1, C-9")
    assert "Customer C-1" in ada.shown["bench_results"]


def test_a_test_is_no_conversation(ada: Agent, service: ChatService) -> None:
    ada.compare("Can I return it?")
    assert service.conversations.queue() == []
    assert service.conversations.recent_questions(5) == []


# Looking.


def test_only_those_that_differ_and_page_by_page(ada: Agent, page: RoomPage, bench: Bench) -> None:
    bruno = Agent(page, bench, "Bruno")
    ada.compare(*[f"Can I return it {n}?" for n in range(PAGE + 2)], "My plate is broken")
    bruno.poll()
    assert ada.shown["bench_results"].count('class="bench-case"') == PAGE
    assert "Page 1 of 2" in ada.shown["bench_results"]
    screen = ada.act(act="bench_show", run="1", page="1", only="")
    assert screen["bench_results"].count('class="bench-case"') == 3
    screen = ada.act(act="bench_show", run="1", page="1", only="differ")
    assert screen["bench_results"].count('class="bench-case"') == 2
    assert 'aria-pressed="true"' in screen["bench_results"]
    assert "Page 1 of 2" in bruno.shown["bench_results"], "others look as they like"
    assert ada.poll() == {}
    for odd in ("-1", "x", "99", None):
        html = ada.act(act="bench_show", run="1", page=odd, only="")["bench_results"]
        assert 'class="bench-case"' in html


def test_results_of_an_earlier_run_are_not_taken_for_the_new_ones(ada: Agent) -> None:
    ada.compare("Can I return it?")
    ada.compare("My plate is broken")
    fields = {"run": "1", "index": "0", "expected": "nothing"}
    assert "earlier comparison" in ada.act(act="bench_save", **fields)["notice"]
    assert not ada.bench.golden.path.exists()


def test_what_people_type_and_documents_say_is_escaped(ada: Agent) -> None:
    row = {"id": ATTACK, "text": f"return {ATTACK}", "customer": ATTACK,
           "history": [{"role": "customer", "text": ATTACK}]}  # fmt: skip
    ada.compare(json.dumps(row), a_customer=ATTACK)
    assert "<img" not in ada.shown["bench_results"]
    assert "&lt;img" in ada.shown["bench_results"]


def test_results_are_gone_with_a_version(ada: Agent, settings: Settings) -> None:
    ada.compare("Can I return it?")
    (settings.home / "knowledge" / "versions" / NEW / "manifest.json").unlink()
    assert ada.poll()["bench_results"] == ""


# Keeping.


def test_a_case_is_saved_as_the_agent_expects_it(ada: Agent, service: ChatService) -> None:
    ada.compare("Can I return it?", "My plate is broken", "Who won the cup?")
    assert (
        "Saved to" in ada.save(0, expected="words", side="b", words="30 days | a month")["notice"]
    )
    screen = ada.save(1, expected="nothing", side="a", words="")
    assert screen["bench_results"].count("Saved to the golden questions.") == 1
    assert "rests on no page" in ada.save(2, expected="pages", side="a", words="")["notice"]
    assert "among the golden" in ada.save(0, expected="pages", side="a", words="")["notice"]
    first, second = golden_questions(ada.bench.golden.path)
    assert (first.relevant, first.facts) == (("en-returns-general",), (("30 days", "a month"),))
    assert (second.text, second.answerable) == ("My plate is broken", False)
    assert [e["detail"] for e in audit(service)] == [
        "nothing: My plate is broken", "words: Can I return it?"
    ]  # fmt: skip


def test_what_is_saved_is_judged_in_the_next_run(ada: Agent) -> None:
    ada.compare("Can I return it?")
    ada.save(expected="words", side="a", words="30 days")
    ada.compare("Can I return it?")
    html = ada.shown["bench_results"]
    assert "B is worse" in html
    assert "not right" in html


@pytest.mark.parametrize(("fields", "words"), [
    ({"expected": "words", "words": " "}, "Write the words"),
    ({"expected": "pages", "index": "7"}, "Choose what is right"),
    ({"expected": "pages", "index": "x"}, "Choose what is right"),
    ({"expected": "else"}, "Choose what is right"), ({}, "Choose what is right"),
])  # fmt: skip
def test_what_cannot_be_saved_is_told(
    ada: Agent, service: ChatService, fields: dict[str, str], words: str
) -> None:
    ada.compare("Can I return it?")
    detail = {"act": "bench_save", "run": "1", "index": "0"} | fields
    assert words in ada.act(**detail)["notice"]
    assert not ada.bench.golden.path.exists()
    assert audit(service) == []


def test_a_golden_file_that_cannot_be_written_is_told(ada: Agent, tmp_path: Path) -> None:
    ada.bench.golden.path = tmp_path / "no" / "golden.jsonl"
    ada.compare("Can I return it?")
    notice = ada.save(expected="pages", side="a", words="")["notice"]
    assert "could not be saved" in notice
    assert "cannot be written: No such file or directory" in notice


# Roles, languages, download.


def test_the_page_is_not_for_operators(page: RoomPage) -> None:
    request: Any = SimpleNamespace(cookies=cookies(page.sessions, "Mina"))
    with pytest.raises(gr.Error, match="log in again"):
        page.open("", request)


def test_the_bar_leads_from_the_bench_to_the_desk(ada: Agent, page: RoomPage, bench: Bench) -> None:
    assert '<a class="fd-quiet" href="/desk/">Conversations</a>' in ada.shown["bar"]
    assert "测试台" in Agent(page, bench, "王芳", "zh").shown["bar"]
    assert ada.shown["rooms"] == "", "one room needs no list of rooms"


def test_both_languages_have_the_same_words() -> None:
    keys = [{k for k in staff_texts(code) if "bench" in k} for code in staff_languages()]
    assert keys[0] == keys[1]
    assert len(keys[0]) > 80


@pytest.fixture
def routed(bench: Bench) -> TestClient:
    """The download, behind a middleware that says who asks, as the gate does."""
    app = FastAPI()
    app.include_router(bench_routes(bench))

    @app.middleware("http")
    async def who(request: Request, go: Any) -> Any:
        role = request.headers.get("role")
        request.state.staff = Session("s", role, "Ada", "en", 0.0) if role else None  # type: ignore[arg-type]
        return await go(request)

    return TestClient(app)


def test_the_comparison_is_downloaded_as_json(ada: Agent, routed: TestClient) -> None:
    path, agent = "/bench/comparison.json", {"role": "agent"}
    assert routed.get(path).status_code == 401
    assert routed.get(path, headers={"role": "operator"}).status_code == 401
    assert routed.get(path, headers=agent).status_code == 404
    ada.compare("Can I return it?", "退货要多久？")
    assert path in ada.shown["bench_results"]
    answer = routed.get(path, headers=agent)
    assert "attachment" in answer.headers["content-disposition"]
    told = answer.json()
    assert told["b"] == {"version": NEW, "adapter": "", "customer": ""}
    assert told["counts"] == {"same": 1, "differ": 1, "better": 0, "worse": 0}
    first = told["cases"][0]
    assert (first["text"], first["differs"]) == ("Can I return it?", ["text"])
    assert first["a"]["trace"]["considered"][0]["evidence_id"] == "en-returns-general#1"
    assert "退货要多久？" in answer.text
