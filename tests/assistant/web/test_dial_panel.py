"""The dial's panel, over kept trials and a home with a published version."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant.conversations import Conversations
from assistant.dial import Trial, Trials, keep_trials, own_share
from assistant.settings import Settings
from assistant.web.auth import Session
from assistant.web.room.dial import DialPanel, Outcome
from assistant.web.staff_html import staff_languages, staff_texts
from knowledge.types import Progress
from knowledge.versions import Versions
from tests.staffing import staff_settings

WORDS = staff_texts("en")
MINA = Session("s", "operator", "Mina", "en", 0.0)
# 80 right answers, ever less sure, then 40 wrong ones, and ten for which nothing is found.
TRIALS = [
    *(Trial(1 - n / 200, True, True) for n in range(80)),
    *(Trial(0.5 - n / 200, False, True) for n in range(40)),
    *[Trial(0.0, False, False)] * 10,
]


class Asks:
    """Stands in for try_version: waits to be let go, then keeps the trials, or fails."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.asked: list[str] = []
        self.error = ""

    def __call__(self, settings: Settings, version: str, progress: Progress) -> None:
        self.asked.append(version)
        progress("dial", 3, len(TRIALS))
        assert self.go.wait(20)
        if self.error:
            raise OSError(self.error)
        keep_trials(Versions(settings.home).folder_of(version), TRIALS)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return staff_settings(tmp_path / "home")


@pytest.fixture
def store(settings: Settings) -> Iterator[Conversations]:
    store = Conversations.in_home(settings.home)
    yield store
    store.close()


@pytest.fixture
def asks() -> Asks:
    return Asks()


@pytest.fixture
def panel(settings: Settings, store: Conversations, asks: Asks) -> DialPanel:
    """A panel of a home with golden questions and a published version."""
    write_golden(settings)
    publish(settings, "v1")
    return DialPanel(lambda: settings, store, asks)


def write_golden(settings: Settings) -> None:
    rows = [{"text": f"q{n}", "answerable": True, "relevant": ["a"]} for n in range(7)]
    text = "\n".join(json.dumps(row) for row in [*rows, {"text": "not labelled"}])
    (settings.home / "golden.jsonl").write_text(text)


def publish(settings: Settings, name: str) -> Path:
    folder = settings.home / "knowledge" / "versions" / name
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    Versions(settings.home).publish(name)
    return folder


def finish(panel: DialPanel) -> None:
    deadline = time.monotonic() + 20
    while panel.run and not panel.run.over:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def notice(panel: DialPanel, act: str, **detail: object) -> str:
    done = panel.act({"act": act, **detail}, MINA)
    assert done is not None
    return WORDS["notice_" + done.notice.key].format(name=done.notice.name)


def asked(panel: DialPanel, asks: Asks) -> DialPanel:
    asks.go.set()
    assert panel.start()
    finish(panel)
    return panel


def row(html: str, share: str) -> str:
    """The table's row for a share."""
    return html.split(f'<th scope="row">{share}')[1].split("</tr>")[0]


def test_without_a_version_or_golden_questions_the_panel_says_what_to_do(
    settings: Settings, store: Conversations
) -> None:
    panel = DialPanel(lambda: settings, store)
    assert "Nothing is published yet" in panel.render(WORDS)
    publish(settings, "v1")
    html = panel.render(WORDS)
    assert f"Write them to {settings.home}/golden.jsonl" in html
    assert "{&#34;text&#34;, &#34;answerable&#34;" in html
    assert "disabled" in html


def test_golden_questions_that_cannot_be_read_are_a_problem(
    panel: DialPanel, settings: Settings
) -> None:
    (settings.home / "golden.jsonl").write_text("{<b>")
    assert "is not JSON Lines" in panel.render(WORDS)
    assert "<b>" not in panel.render(WORDS)


def test_asking_goes_on_in_the_background_with_its_progress(panel: DialPanel, asks: Asks) -> None:
    assert "7 golden questions have not been put" in panel.render(WORDS)
    before = panel.state()
    done = panel.act({"act": "dial_run"}, MINA)
    assert done is not None
    assert "another run" in notice(panel, "dial_run").lower()
    deadline = time.monotonic() + 20
    while "3 / 130" not in panel.render(WORDS):
        assert time.monotonic() < deadline
    assert "Asking the golden questions" in panel.render(WORDS)
    assert panel.state() != before
    asks.go.set()
    finish(panel)
    assert asks.asked == ["v1"]
    assert "130 golden questions were put to version v1; for 120" in panel.render(WORDS)


def test_a_failure_is_told_and_it_can_be_tried_again(panel: DialPanel, asks: Asks) -> None:
    asks.error = "the disk <i>is full"
    html = asked(panel, asks).render(WORDS)
    assert "the disk &lt;i&gt;is full" in html
    asks.error = ""
    assert "the disk" not in asked(panel, asks).render(WORDS)


def test_what_was_tried_under_settings_that_changed_meanwhile_is_thrown_away(
    settings: Settings, store: Conversations, asks: Asks
) -> None:
    in_force = [settings]
    write_golden(settings)
    folder = publish(settings, "v1")
    panel = DialPanel(lambda: in_force[0], store, asks)
    assert panel.start()
    while not asks.asked:
        time.sleep(0.01)
    in_force[0] = settings.model_copy(update={"max_quote_words": 20})
    asks.go.set()
    finish(panel)
    assert "changed meanwhile" in panel.render(WORDS)
    assert Trials.of(folder) is None


def test_each_share_has_its_price_or_is_refused(panel: DialPanel, asks: Asks) -> None:
    html = asked(panel, asks).render(WORDS)
    assert "cannot be promised with 120 questions" in row(html, "1 %")
    assert '<td class="sd-number">230</td>' in row(html, "1 %")
    assert "too many of the surest answers are wrong" in row(html, "2 %")
    five, twenty = row(html, "5 %"), row(html, "20 %")
    assert '<td class="sd-number">45</td>' in five
    assert 'data-value="0.05"' in five
    assert 'data-value="0.01"' not in html
    assert '<td class="sd-number">67 %</td>' in five, "80 of the 120 that have an answer"
    assert "0 / 80" in five
    assert "0 / 80" not in twenty
    assert "in force" in row(html, "no promise")


def test_a_threshold_counts_what_it_answers() -> None:
    rows = (Trial(0.9, True, True), Trial(0.7, False, False), Trial(0.4, True, True))
    trials = Trials(rows, 0.0)
    assert Outcome.of(trials, 0.6) == Outcome(0.6, 2, 1, 0.5)
    assert Outcome.of(trials, 0.0).answered == 3


def test_a_share_is_set_written_down_and_taken_back(
    panel: DialPanel, asks: Asks, store: Conversations, settings: Settings
) -> None:
    asked(panel, asks)
    before = panel.state()
    assert "At most 5% may be wrong" in notice(panel, "dial_set", value="0.05")
    assert own_share(settings.home) == 0.05
    assert panel.state() != before
    html = panel.render(WORDS)
    assert "in force" in row(html, "5 %")
    assert "Set on this page" in html
    assert "no promise" not in html
    assert [(e["who"], e["what"], e["detail"]) for e in store.audit()] == [
        ("Mina", "set_dial", "5%")
    ]
    assert "settings hold again" in notice(panel, "dial_reset")
    assert own_share(settings.home) is None
    assert store.audit()[0]["what"] == "reset_dial"
    assert "No share is promised" in panel.render(WORDS)


@pytest.mark.parametrize("value", ["0.01", "0.02", "0.5", "", "x", "nan"])
def test_what_cannot_be_promised_cannot_be_set(
    panel: DialPanel, asks: Asks, store: Conversations, settings: Settings, value: str
) -> None:
    asked(panel, asks)
    said = notice(panel, "dial_set", value=value)
    assert "Nothing was changed" in said or "Choose one" in said
    assert own_share(settings.home) is None
    assert store.audit() == []


def test_before_the_questions_are_asked_nothing_can_be_set(
    panel: DialPanel, settings: Settings
) -> None:
    assert "Nothing was changed" in notice(panel, "dial_set", value="0.2")
    assert own_share(settings.home) is None


def test_a_new_version_has_to_be_asked_again_and_says_so(
    panel: DialPanel, asks: Asks, settings: Settings
) -> None:
    asked(panel, asks)
    notice(panel, "dial_set", value="0.1")
    publish(settings, "v2")
    html = panel.render(WORDS)
    assert "nothing shows that the served version keeps it" in html
    assert "from a relevance of 0.600" in html
    assert "in force" in row(asked(panel, asks).render(WORDS), "10 %")


@pytest.mark.usefixtures("panel")
def test_the_share_of_the_settings_has_a_row_of_its_own(
    asks: Asks, settings: Settings, store: Conversations
) -> None:
    promising = settings.model_copy(update={"most_wrong": 0.15})
    own = DialPanel(lambda: promising, store, asks)
    html = asked(own, asks).render(WORDS)
    assert "in force" in row(html, "15 %")
    assert "Set by most_wrong" in html


def test_golden_questions_that_changed_have_to_be_asked_again(
    panel: DialPanel, asks: Asks, settings: Settings
) -> None:
    asked(panel, asks)
    before = panel.state()
    assert "have changed since" not in panel.render(WORDS)
    time.sleep(0.01)
    write_golden(settings)
    assert panel.state() != before
    assert "have changed since" in panel.render(WORDS)


@pytest.mark.parametrize("detail", [{}, {"act": "dial_set"}, {"act": "dial_set", "value": 3}])
def test_odd_events_are_none_of_its_business(panel: DialPanel, detail: dict[str, object]) -> None:
    assert panel.act(detail, MINA) is None


@pytest.mark.parametrize("language", staff_languages())
def test_the_panel_has_words_in_every_language(panel: DialPanel, asks: Asks, language: str) -> None:
    words = staff_texts(language)
    notice(asked(panel, asks), "dial_set", value="0.2")
    assert words["dial_in_force"] in panel.render(words)
