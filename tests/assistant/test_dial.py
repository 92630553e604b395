"""The dial: what promise golden questions support, and what a refresh makes of it."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from scipy.stats import binom

from assistant.build import build_assistant
from assistant.dial import (
    Trial,
    find_dial,
    keep_trials,
    kept,
    least_answers,
    own_share,
    promise_of,
    set_share,
    threshold_of,
)
from assistant.errors import DialError
from assistant.rehearsal import dial_of, rehearse
from assistant.settings import Settings
from assistant.types import Utterance
from knowledge.build import open_refresher


def trials(*wrong: int, count: int) -> list[Trial]:
    """As many trials, ever less relevant; those at the places given are wrong."""
    return [Trial(1 - n / (count + 1), n not in wrong, n not in wrong) for n in range(count)]


def test_a_promise_needs_as_many_right_answers_as_the_binomial_says() -> None:
    assert least_answers(0.05, 0.9) == 45
    assert least_answers(0.1, 0.9) == 22
    assert 0.95**45 <= 0.1 < 0.95**44
    assert binom.cdf(1, least_answers(0.05, 0.9, 1), 0.05) <= 0.1


def test_too_few_golden_questions_are_refused_with_the_number_that_is_needed() -> None:
    with pytest.raises(DialError, match=r"at least 45 golden questions.*there are 44"):
        find_dial(trials(count=44), 0.05, 0.9)
    assert find_dial(trials(count=45), 0.05, 0.9).answered == 45


def test_wrong_answers_that_are_sure_are_refused() -> None:
    with pytest.raises(DialError, match="2 are wrong"):
        find_dial(trials(0, 3, count=60), 0.1, 0.9)


def test_a_wrong_answer_among_the_surest_does_not_keep_many_right_ones_from_being_shown() -> None:
    ranked = trials(2, 20, 35, 150, count=200)
    assert find_dial(ranked, 0.1, 0.9).answered == 200
    with pytest.raises(DialError):
        find_dial(ranked[:60], 0.05, 0.9)


def test_what_several_sequences_risk_is_within_what_is_promised() -> None:
    """Questions of which just more than the share is wrong, whatever their relevance."""
    rng, promised = random.Random(7), 0
    for _ in range(300):
        drawn = [Trial(rng.random(), rng.random() > 0.11, True) for _ in range(400)]
        try:
            find_dial(drawn, 0.1, 0.9)
        except DialError:
            continue
        promised += 1
    assert promised <= 0.1 * 300


def test_the_threshold_goes_down_until_the_promise_cannot_be_shown() -> None:
    ranked = trials(*range(60, 100), count=100)
    dial = find_dial(ranked, 0.1, 0.9)
    assert 50 <= dial.answered <= 63
    assert dial.threshold == ranked[dial.answered - 1].relevance
    assert dial.wrong == max(0, dial.answered - 60)


def test_a_larger_share_answers_no_less() -> None:
    rng = random.Random(3)
    drawn = [Trial(r, rng.random() < r, True) for r in (rng.random() for _ in range(400))]
    strict, lax = find_dial(drawn, 0.1, 0.9), find_dial(drawn, 0.3, 0.9)
    assert strict.threshold > lax.threshold
    assert strict.right < lax.right


def test_the_promise_is_kept_on_questions_that_it_was_not_found_on() -> None:
    rng = random.Random(5)
    broken = 0
    for _ in range(200):
        drawn = [Trial(r, rng.random() < r**0.3, True) for r in (rng.random() for _ in range(300))]
        try:
            dial = find_dial(drawn[:150], 0.1, 0.9)
        except DialError:
            continue
        answered = [t for t in drawn[150:] if t.relevance >= dial.threshold]
        true = sum(1 - t.relevance**0.3 for t in answered) / len(answered)
        broken += true > 0.1
    assert broken <= 0.1 * 200


@pytest.fixture
def settings(tmp_path: Path, engines: Path) -> Settings:
    home = tmp_path / "home"
    home.mkdir()
    (home / "engines").symlink_to(engines)
    return Settings(home=home, most_wrong=0.5, confidence=0.7, clarify_threshold=0.05)


def publish(settings: Settings, source: Path) -> str:
    texts = {
        "returns": "Boots can be sent back within 14 days of delivery, unworn and in their box.",
        "postage": "Standard delivery to an address in Spain costs EUR 6.50.",
    }
    rows = [{"id": i, "title": i.title(), "text": t, "language": "en"} for i, t in texts.items()]
    source.write_text("\n".join(json.dumps(r) for r in rows))
    refresher = open_refresher(
        settings.home,
        settings.engines,
        settings.knowledge,
        lambda stage, done, total: None,
        lambda version: rehearse(settings, version),
    )
    report = refresher.refresh([source])
    return " ".join(report.remarks)


def golden(settings: Settings, *rows: dict[str, object]) -> None:
    (settings.home / "golden.jsonl").write_text("\n".join(json.dumps(r) for r in rows))


RETURNS = {
    "text": "Within how many days can boots be sent back?",
    "relevant": ["returns"], "answerable": True, "facts": [["14 days"]],
}  # fmt: skip
POSTAGE = {
    "text": "How much does standard delivery to Spain cost?",
    "relevant": ["postage"], "answerable": True, "facts": [["EUR 6.50"]],
}  # fmt: skip


def test_a_publish_finds_the_dial_that_the_next_turn_answers_by(
    settings: Settings, tmp_path: Path
) -> None:
    golden(settings, RETURNS, POSTAGE)
    assert publish(settings, tmp_path / "c.jsonl") == ""
    assistant = build_assistant(settings)
    folder = assistant.skills["knowledge"].knowledge.versions.current_folder()  # type: ignore[attr-defined]
    dial = kept(folder, 0.5, 0.7)
    assert dial is not None
    assert (dial.answered, dial.wrong, dial.right) == (2, 0, 1.0)
    assert kept(folder, 0.4, 0.7) is None, "its two questions do not support more"
    reply = assistant.respond(Utterance(str(RETURNS["text"])))
    assert reply.considered[0].relevance >= dial.threshold
    assert reply.kind == "answer"
    dial_of(settings, folder.name, 0.5, 0.7)
    keep_trials(folder, [Trial(0.9999, True, True)] * 2)
    strict = build_assistant(settings)
    assert strict.respond(Utterance(str(RETURNS["text"]))).kind != "answer"


def test_what_an_operator_allows_goes_before_the_settings_from_the_next_turn_on(
    settings: Settings, tmp_path: Path
) -> None:
    golden(settings, RETURNS, POSTAGE)
    publish(settings, tmp_path / "c.jsonl")
    assistant = build_assistant(settings.model_copy(update={"most_wrong": None}))
    folder = assistant.skills["knowledge"].knowledge.versions.current_folder()  # type: ignore[attr-defined]
    keep_trials(folder, [Trial(0.9999, True, True)] * 2)
    question = Utterance(str(RETURNS["text"]))
    assert assistant.respond(question).kind == "answer", "nothing is promised"
    set_share(settings.home, 0.5)
    assert assistant.respond(question).threshold == 0.9999
    assert assistant.respond(question).kind != "answer"
    dial_of(settings, folder.name, 0.5, 0.7)  # what is tried out is not held back by the promise
    assert assistant.respond(question).kind == "answer"
    set_share(settings.home, None)
    assert assistant.respond(question).threshold == settings.answer_threshold


def test_a_publish_keeps_what_an_operator_allows(settings: Settings, tmp_path: Path) -> None:
    golden(settings, RETURNS, POSTAGE)
    set_share(settings.home, 0.4)
    assert own_share(settings.home) == 0.4
    silent = settings.model_copy(update={"most_wrong": None})
    assert promise_of(silent) == (0.4, 0.7)
    assert "at most 0.4 wrong" in publish(silent, tmp_path / "c.jsonl")


def test_a_publish_says_when_the_golden_questions_do_not_support_the_promise(
    settings: Settings, tmp_path: Path
) -> None:
    golden(settings, RETURNS)
    assert "needs at least 2 golden questions" in publish(settings, tmp_path / "c.jsonl")


def test_no_promise_answers_below_what_is_asked_back(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, most_wrong=0.5, confidence=0.7, clarify_threshold=0.2)
    assert threshold_of(settings, tmp_path) == settings.answer_threshold
    keep_trials(tmp_path, [Trial(0.1, True, True)] * 2)
    assert threshold_of(settings, tmp_path) == 0.2
