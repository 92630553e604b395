"""The panel of the switch that stops the language model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant.conversations import Conversations
from assistant.model_settings import ModelSettings
from assistant.settings import Settings
from assistant.switch import FILE, ModelSwitch
from assistant.web.auth import Session
from assistant.web.room.switch import SwitchPanel
from assistant.web.staff_html import staff_languages, staff_texts
from tests.staffing import staff_settings

WORDS = staff_texts("en")
MINA = Session("s", "operator", "<Mina>", "en", 0.0)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = staff_settings(tmp_path / "home")
    return settings.model_copy(update={"model": ModelSettings(base="starter")})


@pytest.fixture
def store(settings: Settings) -> Iterator[Conversations]:
    store = Conversations.in_home(settings.home)
    yield store
    store.close()


def test_stopping_and_resuming_take_one_button_each_and_are_audited(settings, store):
    panel = SwitchPanel(settings, store)
    before = panel.state()
    assert 'data-act="switch_pause"' in panel.render(WORDS)
    done = panel.act({"act": "switch_pause"}, MINA)
    assert done is not None
    assert done.notice.key == "switch_off"
    assert ModelSwitch(settings.home).is_off()
    assert panel.state() != before
    page = panel.render(WORDS)
    assert 'data-act="switch_resume"' in page
    assert "&lt;Mina&gt;" in page
    assert "<Mina>" not in page
    panel.act({"act": "switch_resume"}, MINA)
    assert not ModelSwitch(settings.home).is_off()
    assert [row["what"] for row in store.audit()] == ["resume_model", "pause_model"]


def test_a_second_press_changes_and_logs_nothing(settings, store):
    panel = SwitchPanel(settings, store)
    panel.act({"act": "switch_pause"}, MINA)
    panel.act({"act": "switch_pause"}, MINA)
    assert len(store.audit()) == 1


def test_a_switch_set_from_outside_is_shown(settings, store):
    panel = SwitchPanel(settings, store)
    before = panel.state()
    (settings.home / FILE).touch()
    assert panel.state() != before
    assert 'data-act="switch_resume"' in panel.render(WORDS)


def test_other_acts_are_not_its_business(settings, store):
    assert SwitchPanel(settings, store).act({"act": "promote"}, MINA) is None


@pytest.mark.parametrize("language", staff_languages())
def test_it_has_words_in_every_language(settings, store, language):
    words = staff_texts(language)
    panel = SwitchPanel(settings, store)
    assert words["switch_pause"] in panel.render(words)
    panel.act({"act": "switch_pause"}, MINA)
    assert words["switch_is_off"] in panel.render(words)
