"""The adapters' panels, over a real registry and adapters that were made without training."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from assistant.canary import CanaryWatch
from assistant.conversations import Conversations
from assistant.model_settings import ModelSettings
from assistant.served import ServedModel
from assistant.service import ChatService
from assistant.settings import Settings
from assistant.web.adapters import Adapters, differences
from assistant.web.auth import Session
from assistant.web.room import adapters as panels
from assistant.web.room.adapters import AdaptersPanel, CanaryPanel
from assistant.web.room.panel import Done
from assistant.web.staff_html import staff_languages, staff_texts
from finetune.manifest import (
    AdapterManifest,
    Scorecard,
    Scores,
    adapter_digest,
    base_digest,
    validate_adapter,
)
from finetune.prompt import PromptTemplate
from finetune.registry import Registry
from tests.assistant.test_served import Loader
from tests.staffing import chat_service, staff_settings

WORDS = staff_texts("en")
MINA = Session("s", "operator", "Mina", "en", 0.0)
BASE = Scores(perplexity=20.0, rouge_l=0.1, supported=0.5, n=10)


def scores(perplexity: float = 10.0, supported: float = 0.6, half: float = 1.0) -> Scores:
    intervals = {"perplexity": (perplexity - half, perplexity + half)}
    return Scores(perplexity, 0.2, supported, 10, chrf=0.3, intervals=intervals)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A folder that is named and hashed as a base; nothing loads it."""
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text("{}")
    save_file({"w": np.zeros(2, np.float32)}, folder / "model.safetensors")
    return folder


def make(
    folder: Path, base: Path, ours: Scores | None = None, number: int = 1, forgets: float = 0.0
) -> Path:
    """A whole adapter; with scores it was evaluated."""
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": number}))
    weights = {"base_model.lora_A.weight": np.full((2, 2), number, np.float32)}
    save_file(weights, folder / "adapter_model.safetensors")
    digest = adapter_digest(folder)
    card = Scorecard(BASE, ours, "held-out", digest, {"other": forgets}) if ours else None
    created = f"2026-11-{number:02}T10:00:00+00:00"
    AdapterManifest(
        str(base), base_digest(base), "lora", "f00dfeed" * 8, digest, {}, PromptTemplate(), {},
        created, scores=card,
    ).write(folder)  # fmt: skip
    return folder


class Desk:
    """An operator in front of both panels."""

    def __init__(self, settings: Settings, service: ChatService) -> None:
        self.adapters = Adapters(settings, service)
        self.table, self.trial = AdaptersPanel(self.adapters), CanaryPanel(self.adapters)
        self.registry, self.store = self.adapters.registry, service.conversations

    def act(self, act: str, **detail: object) -> Done:
        done = self.table.act({"act": act, **detail}, MINA)
        done = done or self.trial.act({"act": act, **detail}, MINA)
        assert done is not None
        return done

    def notice(self, act: str, **detail: object) -> str:
        notice = self.act(act, **detail).notice
        return WORDS["notice_" + notice.key].format(name=notice.name)

    @property
    def html(self) -> str:
        return self.table.render(WORDS)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def settings(home: Path, base: Path) -> Settings:
    model = ModelSettings(base=str(base))  # type: ignore[call-arg]
    return staff_settings(home).model_copy(update={"model": model})


@pytest.fixture
def desk(settings: Settings) -> Desk:
    return Desk(settings, serving(settings))


def serving(settings: Settings) -> ChatService:
    """A service whose model says the name of its adapter."""
    service = chat_service(settings)
    service.assistant.generator = ServedModel(Registry(settings.home), Loader())
    return service


def test_without_adapters_the_panel_tells_how_to_make_one(desk: Desk, home: Path) -> None:
    assert "There is no adapter yet" in desk.html
    assert f"--out {home}/trained/NAME" in desk.html
    assert "model.base" not in desk.html
    assert "Roll back" not in desk.html


def test_without_a_language_model_the_panel_names_the_setting(home: Path) -> None:
    desk = Desk(staff_settings(home), chat_service(staff_settings(home)))
    assert "Set model.base" in desk.html


def test_a_trained_adapter_is_promoted_and_served_at_once(
    desk: Desk, home: Path, base: Path
) -> None:
    make(home / "trained" / "june", base, scores())
    before = desk.table.state()
    assert "trained/june" in desk.html
    assert "not promoted yet" in desk.html
    for figure in ("10.00", "base 20.00", "60.0 %", "f00dfeed", "transformers-nf4"):
        assert figure in desk.html
    assert "is promoted" in desk.notice("adapters_promote", name="trained/june")
    (name,) = desk.registry.list()
    assert desk.registry.current() == desk.registry.folder / name
    assert (desk.store.audit()[0]["who"], desk.store.audit()[0]["detail"]) == ("Mina", name)
    assert desk.table.state() != before
    assert "trained/june" not in desk.html, "it is listed once"
    assert 'data-act="adapters_promote"' not in desk.html, "it is served already"
    wait_for(lambda: running(desk).current == name)
    assert "Being loaded" not in desk.html


@pytest.mark.parametrize(
    ("ours", "forgets", "reason"),
    [
        (None, 0.0, "not evaluated"),
        (scores(perplexity=21.0), 0.0, "perplexity 21.0 is not below"),
        (scores(supported=0.4), 0.0, "supported replies 0.4 are fewer"),
        (scores(), 0.05, "it forgets other"),
    ],
)
def test_what_the_gate_refuses_is_told_and_cannot_be_promoted(
    desk: Desk, home: Path, base: Path, ours: Scores | None, forgets: float, reason: str
) -> None:
    make(home / "trained" / "june", base, ours, forgets=forgets)
    assert reason in desk.html
    assert 'data-act="adapters_promote"' not in desk.html
    assert reason in desk.notice("adapters_promote", name="trained/june")
    assert reason in desk.notice("adapters_canary", name="trained/june", percent="5")
    assert desk.registry.current() is desk.registry.canary() is None
    assert desk.store.audit() == []


def test_what_the_server_could_not_load_is_refused(
    desk: Desk, home: Path, base: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(base, tmp_path / "other")
    (other / "config.json").write_text('{"other": 1}')
    make(home / "trained" / "june", other, scores())
    assert "not on the base at" in desk.notice("adapters_promote", name="trained/june")
    folder = make(home / "trained" / "july", base, scores(), 2)
    replace(validate_adapter(folder), engine="ctranslate2-int8").write(folder)
    slow = desk.adapters.settings.model.model_copy(update={"engine": "transformers-nf4"})
    desk.adapters.settings = desk.adapters.settings.model_copy(update={"model": slow})
    assert "evaluate it with" in desk.notice("adapters_promote", name="trained/july")
    assert desk.registry.current() is None


@pytest.mark.parametrize("name", ["", "trained/../../x", "trained/none", "../trained/june", "<b>"])
def test_only_listed_adapters_can_be_named(desk: Desk, home: Path, base: Path, name: str) -> None:
    make(home / "trained" / "june", base, scores())
    assert "there is no adapter" in desk.notice("adapters_promote", name=name)
    assert desk.registry.current() is None


def test_going_back_and_forward_again_keeps_the_name(desk: Desk, home: Path, base: Path) -> None:
    for number, month in enumerate(("june", "july"), start=1):
        make(home / "trained" / month, base, scores(), number)
        desk.act("adapters_promote", name=f"trained/{month}")
    june, july = desk.registry.list()
    assert f"Rolling back serves {june} again" in desk.html
    assert f"{june} is to be served again" in desk.notice("adapters_roll_back")
    assert desk.registry.current() == desk.registry.folder / june
    desk.act("adapters_promote", name=july)
    assert list(desk.registry.list()) == [june, july]
    assert desk.registry.current() == desk.registry.folder / july
    desk.act("adapters_roll_back")
    assert "base alone" in desk.notice("adapters_roll_back")
    assert "nothing to roll back" in desk.notice("adapters_roll_back")
    whats = [e["what"] for e in desk.store.audit()]
    assert whats.count("roll_back_adapter") == 3
    assert "went back to" in desk.html


def test_a_damaged_adapter_hides_no_other(desk: Desk, home: Path, base: Path) -> None:
    make(home / "trained" / "june", base, scores())
    broken = make(home / "adapters" / "july", base, scores(), 2)
    (broken / "adapter_config.json").write_text("[]")
    assert "not a JSON object" in desk.html
    assert "trained/june" in desk.html


def test_a_damaged_pointer_is_shown_and_changes_nothing(desk: Desk, home: Path, base: Path) -> None:
    make(home / "trained" / "june", base, scores())
    desk.registry.folder.mkdir()
    desk.registry.pointer.write_text("{")
    assert "is damaged" in desk.html
    assert "is damaged" in desk.notice("adapters_roll_back")
    assert "is damaged" in desk.notice("canary_stop")
    assert desk.store.audit() == []


def test_two_adapters_are_compared_by_their_intervals(desk: Desk, home: Path, base: Path) -> None:
    make(home / "trained" / "june", base, scores(10.0, 0.7))
    make(home / "trained" / "july", base, scores(8.5, 0.6), 2, forgets=0.01)
    html = desk.act("adapters_compare", first="trained/june", second="trained/july").html
    assert html is not None
    assert "[9.00, 11.00]" in html
    july = {d.name: d for d in differences(*_pair(desk))}
    assert (july["perplexity"].verdict, july["perplexity"].doubtful) == ("better", True)
    assert july["supported"].verdict == "worse"
    assert july["rouge_l"].verdict == ""
    assert (july["forgetting"].verdict, july["forgetting"].about) == ("worse", "other")
    assert "may be chance" in html
    assert "different dialogues" not in html
    assert "may be chance" not in desk.html, "only who compared sees it"


def _pair(desk: Desk) -> list[panels.Listed]:
    return sorted(desk.adapters.listed(), key=lambda a: a.created)


def test_scores_on_other_dialogues_have_no_verdict(desk: Desk, home: Path, base: Path) -> None:
    make(home / "trained" / "june", base, scores(10.0))
    folder = make(home / "trained" / "july", base, scores(5.0), 2)
    manifest = validate_adapter(folder)
    assert manifest.scores
    replace(manifest, scores=replace(manifest.scores, data_sha256="other")).write(folder)
    html = desk.act("adapters_compare", first="trained/june", second="trained/july").html
    assert "different dialogues" in (html or "")
    assert {d.verdict for d in differences(*_pair(desk)) if d.name != "forgetting"} == {""}


@pytest.mark.parametrize("second", ["trained/june", "trained/raw", "nothing"])
def test_only_two_evaluated_adapters_can_be_compared(
    desk: Desk, home: Path, base: Path, second: str
) -> None:
    make(home / "trained" / "june", base, scores())
    make(home / "trained" / "raw", base, None, 2)
    assert "two different" in desk.notice("adapters_compare", first="trained/june", second=second)


@pytest.mark.parametrize("percent", ["0", "51", "-5", "2.5", "", "٥", "9" * 5000])
def test_a_share_out_of_range_starts_no_trial(
    desk: Desk, home: Path, base: Path, percent: str
) -> None:
    make(home / "trained" / "june", base, scores())
    assert "from 1 to 50" in desk.notice("adapters_canary", name="trained/june", percent=percent)
    assert desk.registry.canary() is None


@pytest.fixture
def trial(desk: Desk, home: Path, base: Path) -> Desk:
    """A server in which a trial at 30% began."""
    make(home / "trained" / "june", base, scores())
    desk.act("adapters_promote", name="trained/june")
    make(home / "trained" / "july", base, scores(), 2)
    assert "is entered" in desk.notice("adapters_canary", name="trained/july", percent="30")
    canary = desk.registry.canary()
    assert canary is not None
    assert canary.share == 0.3
    wait_for(lambda: running(desk).canary == canary)
    return desk


def running(desk: Desk) -> ServedModel:
    served = desk.adapters.served
    assert served is not None
    return served


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.01)


def talk(desk: Desk, count: int, bad: Sequence[str] = ()) -> None:
    """Conversations, of which those of the canary (`True`) or the others go badly."""
    canary = running(desk).canary
    assert canary is not None
    for _ in range(count):
        conversation = desk.store.start()
        outcome = "handoff" if str(canary.takes(conversation.id)) in bad else "answer"
        desk.store.add(conversation.id, "assistant", "Hello.", "", {"outcome": outcome})


def test_a_trial_shows_what_is_watched_on_both_sides(trial: Desk) -> None:
    talk(trial, 40, bad=["True"])
    html = trial.trial.render(WORDS)
    taken = sum(trial.registry.canary().takes(c.id) for c in trial.store.queue())  # type: ignore[union-attr]
    assert "answers 30 % of the conversations" in html
    assert "answers nobody yet" not in html
    assert f'<td class="sd-number">{40 - taken}</td><td class="sd-number">{taken}</td>' in html
    assert f'{taken} <span class="sd-none">100 %</span>' in html
    assert "on trial" in trial.html
    assert "Restart" not in trial.html


def test_conversations_are_counted_once_a_minute(
    trial: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk(trial, 10)
    html, state = trial.trial.render(WORDS), trial.trial.state()
    talk(trial, 10)
    assert trial.trial.render(WORDS) == html
    now = time.time()
    monkeypatch.setattr(panels.time, "time", lambda: now + 61)
    assert trial.trial.state() != state
    assert trial.trial.render(WORDS) != html


def test_stopping_a_trial_takes_effect_at_once(trial: Desk) -> None:
    assert "is over" in trial.notice("canary_stop")
    assert running(trial).canary is None
    assert trial.registry.canary() is None
    assert trial.store.audit()[0]["what"] == "stop_canary"
    assert "No adapter is on trial" in trial.notice("canary_stop")
    assert "No adapter is on trial" in trial.trial.render(WORDS)


def test_promoting_the_canary_ends_its_trial(trial: Desk) -> None:
    canary = trial.registry.canary()
    assert canary is not None
    trial.act("adapters_promote", name=canary.name)
    assert trial.registry.current() == trial.registry.folder / canary.name
    wait_for(lambda: running(trial).current == canary.name)
    assert running(trial).canary is None
    assert "Being loaded" not in trial.html


def test_what_is_not_loaded_yet_or_cannot_be_is_told(trial: Desk) -> None:
    load = running(trial)._load
    assert isinstance(load, Loader)
    state, served = trial.table.state(), running(trial).current
    load.fails = True
    trial.registry.rollback()  # the canary
    trial.registry.rollback()
    assert "Being loaded; until then replies are still written with june" in trial.html
    running(trial).heed()
    assert trial.table.state() != state
    assert f"still written with {served}:" in trial.html
    assert "no memory" in trial.html


def test_a_trial_that_the_watch_stopped_tells_why(trial: Desk) -> None:
    canary, before = trial.registry.canary(), trial.trial.state()
    assert canary is not None
    talk(trial, 150, bad=["True"])
    assert CanaryWatch(running(trial), trial.store).look()
    assert trial.trial.state() != before
    html = trial.trial.render(WORDS)
    assert (
        f"{canary.name} was stopped by itself: more of its conversations were handed over" in html
    )


def test_agents_and_other_panels_actions_are_none_of_its_business(desk: Desk) -> None:
    for odd in ({}, {"act": "publish"}, {"act": "adapters_promote", "name": 3}):
        assert desk.table.act(odd, MINA) is None
        assert desk.trial.act(odd, MINA) is None


def test_what_manifests_and_names_say_is_escaped(desk: Desk, home: Path, base: Path) -> None:
    folder = make(home / "trained" / "<img src=x>", base, scores())
    manifest = validate_adapter(folder)
    replace(manifest, base="<script>x", method="<u>x", created="<i>").write(folder)
    for attack in ("<img", "<script", "<u>", "<i>"):
        assert attack not in desk.html


@pytest.mark.parametrize("language", staff_languages())
def test_both_panels_have_words_in_every_language(trial: Desk, language: str) -> None:
    words = staff_texts(language)
    html = trial.table.render(words) + trial.trial.render(words)
    assert words["adapters_serving"] in html
    assert words["canary_watched"] in html


@pytest.mark.usefixtures("trial")
def test_each_action_is_written_down_with_what_it_was_about(home: Path) -> None:
    store = Conversations.in_home(home)
    whats = {e["what"]: e["detail"] for e in store.audit()}
    assert whats["start_canary"].endswith(": 30%")
    assert whats["promote_adapter"].startswith("june-")
    store.close()
