"""The test bench on a real knowledge base of two versions: what differs, and what is left alone."""

from __future__ import annotations

import copy
import gzip
import json
import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from assistant.build import build_assistant, knowledge_of
from assistant.errors import AssistantError
from assistant.generation import Drafts, QuotingComposer
from assistant.golden import GoldenSet
from assistant.model_settings import ModelSettings
from assistant.pipeline import Assistant
from assistant.replay import ReplayQuestion, golden_questions, home_golden, is_right
from assistant.replay import answered as answered_by
from assistant.settings import Settings
from assistant.skills import Fetched
from assistant.testbench import BenchError, BenchRun, Case, cases_of, compare, golden_question
from assistant.testbench import TestBench as Bench
from assistant.types import (
    Answer,
    Citation,
    Evidence,
    Handoff,
    Intent,
    Message,
    Question,
    Reply,
    Utterance,
)
from assistant.variants import QUOTING, Variant, VariantError, Variants
from knowledge.build import open_refresher
from knowledge.versions import Versions
from tests.conftest import REPOSITORY

RETURNS = "Boots can be sent back within {} days of delivery, unworn and in their box."
POSTAGE = "Standard delivery to an address in Spain costs EUR 6.50 and takes four working days."
BOOTS = "Within how many days can boots be sent back?"
SPAIN = "How much does standard delivery to Spain cost?"


def refresh(settings: Settings, source: Path, prepare: bool = False, **texts: str) -> str:
    rows = [{"id": i, "title": i.title(), "text": t, "language": "en"} for i, t in texts.items()]
    source.write_text("\n".join(json.dumps(r) for r in rows))
    refresher = open_refresher(
        settings.home, settings.engines, settings.knowledge, lambda stage, done, total: None
    )
    return refresher.refresh([source], prepare=prepare).version


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, engines: Path) -> Settings:
    """A home whose served version says 21 days, and the one before 14 days and the postage."""
    home = tmp_path_factory.mktemp("home")
    (home / "engines").symlink_to(engines)
    settings = Settings(home=home, answer_threshold=0.3)
    refresh(settings, home / "c.jsonl", returns=RETURNS.format(14), postage=POSTAGE)
    refresh(settings, home / "c.jsonl", returns=RETURNS.format(21))
    return settings


@pytest.fixture(scope="module")
def assistant(settings: Settings) -> Assistant:
    """What customers get; one for all tests, for its models are slow to load."""
    return build_assistant(settings)


@pytest.fixture
def served(assistant: Assistant) -> Assistant:
    """The same for one test to change."""
    return copy.copy(assistant)


@pytest.fixture
def variants(settings: Settings, served: Assistant) -> Variants:
    return Variants(settings, lambda: served)


@pytest.fixture
def golden(tmp_path: Path) -> GoldenSet:
    return GoldenSet(Settings(home=tmp_path))


@pytest.fixture
def bench(variants: Variants, golden: GoldenSet) -> Bench:
    return Bench(variants, golden)


@pytest.fixture
def old(settings: Settings) -> Variant:
    return Variant(Versions(settings.home).complete()[0])


def ended(bench: Bench) -> BenchRun:
    deadline = time.monotonic() + 280
    while bench.last and bench.last.running:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert bench.last
    return bench.last


def files_of(home: Path) -> list[Path]:
    return [p for p in home.rglob("*") if p.is_file() and "engines" not in p.parts]


def run(bench: Bench, a: Variant, b: Variant, *texts: str) -> BenchRun:
    assert bench.start(a, b, cases_of("\n".join(texts)), "Ada")
    return ended(bench)


# Comparing.


def test_two_versions_are_asked_and_what_differs_is_told(
    bench: Bench, golden: GoldenSet, old: Variant, settings: Settings
) -> None:
    golden.add(ReplayQuestion(SPAIN, ("postage",), answerable=True, facts=(("6.50",),)))
    done = run(bench, old, Variant(), BOOTS, SPAIN, "hello")
    assert done.stage == "done"
    boots, spain, hello = done.results
    assert "14 days" in boots.replies[0]["reply"]
    assert "21 days" in boots.replies[1]["reply"]
    assert (boots.differs, boots.verdict, boots.right) == (("text",), "", None)
    assert {"outcome", "text", "citations"} <= set(spain.differs)
    assert (spain.right, spain.verdict) == ((True, False), "worse")
    assert hello.differs == ()
    assert done.counts() == {"same": 1, "differ": 2, "better": 0, "worse": 1}
    assert boots.replies[0]["trace"]["considered"]
    assert done.variants[1].version == Versions(settings.home).current(), "what was served is told"


def test_the_other_way_round_it_is_better(bench: Bench, golden: GoldenSet, old: Variant) -> None:
    golden.add(ReplayQuestion(SPAIN, ("postage",), answerable=True))
    assert run(bench, Variant(), old, SPAIN).counts()["better"] == 1


def test_nothing_is_written_down(bench: Bench, old: Variant, settings: Settings) -> None:
    before = {p: p.stat().st_mtime_ns for p in files_of(settings.home)}
    run(bench, old, Variant(customer="C-1"), BOOTS)
    assert {p: p.stat().st_mtime_ns for p in files_of(settings.home)} == before
    assert not (settings.home / "conversations.sqlite").exists()


def test_history_and_the_customer_reach_the_assistant(bench: Bench, old: Variant) -> None:
    lines = [
        {"id": "q7", "text": "and to Spain?", "history": [
            {"role": "user", "text": "How much does standard delivery cost?"},
            {"role": "assistant", "text": "Where to?"}]},
        {"text": SPAIN, "customer": "C-2"},
    ]  # fmt: skip
    done = run(bench, old, old, *map(json.dumps, lines))
    assert done.results[0].case.id == "q7"
    assert "delivery" in done.results[0].replies[0]["trace"]["standalone"]
    assert done.results[1].case.customer == "C-2"


class Recording:
    """A generator that says who asks, and stops where the test wants it to."""

    name = "lm"

    def __init__(self) -> None:
        self.customers: list[str | None] = []
        self.reached, self.go = threading.Event(), threading.Event()

    def generate(self, question: Question, evidence: Sequence[Evidence]) -> Drafts:
        self.customers.append(question.customer_id)
        self.reached.set()
        assert self.go.wait(280)
        yield from QuotingComposer().generate(question, evidence)


@pytest.fixture
def recording(served: Assistant) -> Recording:
    served.generator = recording = Recording()  # type: ignore[assignment]
    return recording


def test_a_variant_asks_as_its_customer_and_quotes_if_told(
    bench: Bench, recording: Recording
) -> None:
    recording.go.set()
    named, quoting = Variant(customer="C-1"), Variant(adapter=QUOTING)
    rows = [json.dumps({"text": BOOTS, "customer": "C-9"}), BOOTS]
    done = run(bench, named, quoting, *rows)
    assert recording.customers == ["C-1", "C-1"], "the variant's customer goes before the case's"
    assert done.results[0].differs == ()


def test_a_run_is_one_at_a_time_and_can_be_stopped(bench: Bench, recording: Recording) -> None:
    cases = cases_of(f"{BOOTS}\n" * 5)
    assert bench.start(Variant(), Variant(), cases, "Ada")
    assert recording.reached.wait(280)
    assert not bench.start(Variant(), Variant(), cases, "Bruno")
    bench.stop()
    recording.go.set()
    done = ended(bench)
    assert (done.who, done.stage, len(done.results)) == ("Ada", "stopped", 1)
    assert bench.start(Variant(), Variant(), cases[:1], "Bruno"), "a stop is of one run"
    assert ended(bench).stage == "done"


def test_a_failing_turn_is_a_handoff_as_for_customers(bench: Bench, served: Assistant) -> None:
    class Broken(QuotingComposer):
        def generate(self, question: Question, evidence: Sequence[Evidence]) -> Drafts:
            raise ValueError("broken")

    served.generator = Broken()
    done = run(bench, Variant(), Variant(adapter=QUOTING), BOOTS)
    (row,) = done.results
    assert row.replies[0]["reason"] == "pipeline:error"
    assert row.replies[1]["outcome"] == "answer"
    assert "outcome" in row.differs


def test_damaged_golden_questions_end_the_run_with_the_reason(
    bench: Bench, golden: GoldenSet
) -> None:
    golden.path.write_text("{}\n")
    done = run(bench, Variant(), Variant(), BOOTS)
    assert done.stage == "failed"
    assert "not JSON Lines of" in str(done.problem)


def test_intent_and_dropped_sentences_count_as_differences() -> None:
    def reply(intent: str, *passages: str) -> Reply:
        cited = tuple(Citation(p, "s", "t", "q") for p in passages)
        return Reply(Answer("Yes.", (), cited), "en", Intent(intent, 0.9))

    case = Case("1", "?")
    assert compare(case, reply("a", "d#1"), reply("a", "d#2"), None).differs == ()
    assert compare(case, reply("a"), reply("b", "d#1"), None).differs == ("citations", "intent")


# Variants.


def test_what_cannot_be_had_is_refused_before_anything_is_loaded(
    settings: Settings, variants: Variants, tmp_path: Path
) -> None:
    def kind(variants: Variants, variant: Variant) -> str:
        with pytest.raises(VariantError) as caught:
            variants.resolve(variant)
        return caught.value.kind

    assert kind(variants, Variant("20200101-000000-000000")) == "version"
    assert kind(variants, Variant("../../etc")) == "version"
    assert kind(variants, Variant(adapter="a")) == "base"
    model = ModelSettings(base=str(tmp_path))
    with_base = Variants(settings.model_copy(update={"model": model}), variants._served)
    assert kind(with_base, Variant(adapter="../a")) == "adapter"
    nothing = Variants(Settings(home=tmp_path), variants._served)
    assert kind(nothing, Variant()) == "empty"


def test_versions_are_listed_newest_first_with_their_dates(variants: Variants) -> None:
    new, old = variants.versions()
    assert new.served
    assert not old.served
    assert new.name > old.name
    assert abs(new.created - time.time()) < 3600


def test_only_a_few_versions_are_kept_and_none_that_is_gone(
    settings: Settings, served: Assistant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(settings.home / "knowledge", tmp_path / "knowledge")
    home = Settings(home=tmp_path)
    variants = Variants(home, lambda: served)
    monkeypatch.setattr("assistant.variants.MOST_VERSIONS", 1)
    old, new = (Variant(name) for name in Versions(tmp_path).complete())
    first = knowledge_of(variants.assistant(new))
    assert knowledge_of(variants.assistant(new)) is first
    variants.assistant(old)
    assert first._index is None, "it was closed"
    assert knowledge_of(variants.assistant(new)) is not first
    bench = Bench(variants, GoldenSet(home))
    bench._last = BenchRun(1, "Ada", 1.0, (old, new), ())
    assert bench.last
    Versions(tmp_path).prune(1)
    assert bench.last is None, "its text may have been withdrawn"


def test_a_variant_is_what_is_served_but_for_its_knowledge(
    variants: Variants, served: Assistant, old: Variant
) -> None:
    written = Fetched(outcome=Answer("The shop's own words.", (), ()))
    served.curated = lambda question: written
    served.settings = served.settings.model_copy(update={"answer_threshold": 0.9})
    built = variants.assistant(old)
    assert built.respond(Utterance(BOOTS)).outcome.text == "The shop's own words."
    assert built.settings.answer_threshold == 0.9
    assert built.router is served.router
    assert knowledge_of(built).encoder is knowledge_of(served).encoder
    assert knowledge_of(built) is not knowledge_of(served)


STARTER = REPOSITORY / "assistant" / "weights" / "starter"


class Model(QuotingComposer):
    """Stands in for a loaded language model."""

    closed = False

    def close(self) -> None:
        self.closed = True


Adapters = tuple[Variants, dict[str, Model]]


@pytest.fixture
def with_adapters(
    settings: Settings, served: Assistant, monkeypatch: pytest.MonkeyPatch
) -> Adapters:
    """Three promoted adapters, whose models are fakes."""
    loaded: dict[str, Model] = {}

    def load(_: ModelSettings, adapter: Path, *__: object) -> Model:
        return loaded.setdefault(adapter.name, Model())

    monkeypatch.setattr("assistant.lm.load_language_model", load)
    model = ModelSettings(base=str(STARTER))
    variants = Variants(settings.model_copy(update={"model": model}), lambda: served)
    monkeypatch.setattr(variants._registry, "list", lambda: dict.fromkeys("abc"))
    return variants, loaded


def test_a_third_model_takes_the_place_of_the_one_used_longest_ago(
    with_adapters: Adapters,
) -> None:
    variants, loaded = with_adapters
    for name in "abac":
        variant = variants.resolve(Variant(adapter=name))
        assert variants.assistant(variant).generator is loaded[name]
    assert [loaded[name].closed for name in "abc"] == [False, True, False]


def test_a_model_for_which_there_is_no_memory_is_refused(
    with_adapters: Adapters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variants, loaded = with_adapters
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:  1000000 kB\n")
    monkeypatch.setattr("assistant.memory._MEMORY", tmp_path / "meminfo")
    with pytest.raises(VariantError) as refused:
        variants.assistant(variants.resolve(Variant(adapter="a")))
    assert (refused.value.kind, refused.value.name, loaded) == ("memory", "a", {})


# Cases.


def test_a_line_is_a_question_or_json() -> None:
    text = 'Is it free?\r\n\n{"id": 7, "text": "免费吗？", "customer": "C-1"}\n'
    first, second = cases_of(text)
    assert (first.id, first.text) == ("1", "Is it free?")
    assert (second.id, second.text, second.customer) == ("7", "免费吗？", "C-1")


@pytest.mark.parametrize(("text", "kind", "detail"), [
    (" \n\n", "none", ""), ("a\n" * 501, "many", "501"), ("a" * 1_000_001, "long", ""),
    ("a\n{oops", "line", "2"), ('{"id": "1"}', "line", "1"), ('{"text": " "}', "line", "1"),
    ('{"text": ["a"]}', "line", "1"), ('{"text": "a", "history": ["b"]}', "line", "1"),
    ('{"text": "a", "history": [{"role": "root", "text": "b"}]}', "line", "1"),
    ('{"text": "a", "history": [{"role": "user", "text": 3}]}', "line", "1"),
])  # fmt: skip
def test_what_cannot_be_asked_is_told_by_its_line(text: str, kind: str, detail: str) -> None:
    with pytest.raises(BenchError) as caught:
        cases_of(text)
    assert (caught.value.kind, caught.value.detail) == (kind, detail)


# The golden set.


def compared(*passages: str, case: Case = Case("1", BOOTS), standalone: str = BOOTS):  # noqa: B008
    answer = Answer("14 days.", (), tuple(Citation(p, "s", "t", "q") for p in passages))
    outcome = answer if passages else Handoff("A colleague.", "retrieval:unsupported")
    reply = Reply(outcome, "en", Intent("a", 0.9), standalone=standalone)
    return compare(case, reply, reply, None), reply


def test_a_saved_case_is_one_that_the_replay_reads(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    (tmp_path / "golden.jsonl").write_text('{"text": "Is it free?", "answerable": false}')
    golden = GoldenSet(settings)
    row, reply = compared("returns#1", "returns#2", "boots#0")
    words = "14 days | two weeks\n\n unworn"
    question = golden_question(row, 0, "words", words)
    assert golden.add(question)
    kept = home_golden(settings)
    assert [q.text for q in kept] == ["Is it free?", BOOTS]
    assert kept[1] == ReplayQuestion(
        BOOTS, ("returns", "boots"), True, (("14 days", "two weeks"), ("unworn",))
    )
    assert not is_right(kept[1], answered_by(reply)), "it does not say that they must be unworn"
    assert is_right(golden_question(row, 0, "pages"), answered_by(reply))
    assert list(tmp_path.iterdir()) == [golden.path], "nothing half-written is left"


def test_a_question_is_kept_once_whatever_is_expected(golden: GoldenSet) -> None:
    assert golden.add(ReplayQuestion("Is it  free?", answerable=False))
    assert not golden.add(ReplayQuestion("Is it free?", ("a",)))
    assert len(golden_questions(golden.path)) == 1


def test_what_a_reply_does_not_give_cannot_be_expected_of_it() -> None:
    for passages, expected, kind in (((), "pages", "pages"), (("a#0",), "words", "words")):
        row, _ = compared(*passages)
        with pytest.raises(BenchError) as caught:
            golden_question(row, 1, expected, " | \n")  # type: ignore[arg-type]
        assert caught.value.kind == kind
    row, _ = compared()
    assert golden_question(row, 1, "nothing") == ReplayQuestion(BOOTS, answerable=False)


def test_a_follow_up_is_kept_as_it_was_understood_and_without_personal_data() -> None:
    case = Case("1", "and boots?", (Message("customer", "Can I return a tent?"),))
    row, _ = compared("a#0", case=case, standalone="and boots? return MW-1234567")
    assert golden_question(row, 0, "pages").text == "and boots? return [ORDER_1]"


@pytest.mark.parametrize(("name", "content", "reason"), [
    ("no/such/folder/golden.jsonl", None, "cannot be written"),
    ("golden.jsonl.gz", b"", "is packed"),
    ("golden.jsonl", b"{}", "is not JSON Lines"),
])  # fmt: skip
def test_a_golden_file_that_cannot_be_added_to_says_why_and_stays(
    tmp_path: Path, name: str, content: bytes | None, reason: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    before = path.read_bytes() if content is not None else None
    with pytest.raises(AssistantError, match=reason):
        GoldenSet(Settings(home=tmp_path, golden=path)).add(ReplayQuestion("a", ("b",)))
    assert (path.read_bytes() if content is not None else None) == before


def test_a_read_only_golden_file_is_not_replaced(
    golden: GoldenSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    golden.add(ReplayQuestion("a", ("b",)))
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(AssistantError, match="read-only"):
        golden.add(ReplayQuestion("c", ("b",)))
    assert len(golden.questions()) == 1
