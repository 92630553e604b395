from pathlib import Path

import pytest

from assistant.errors import SettingsError
from assistant.settings import load_settings


def test_flags_beat_environment_and_environment_beats_the_file(tmp_path: Path):
    file = tmp_path / "frontdesk.toml"
    file.write_text('shop_name = "File"\ndefault_language = "de"\nanswer_threshold = 0.65\n')
    environment = {"FRONTDESK_SHOP_NAME": "Environment", "FRONTDESK_DEFAULT_LANGUAGE": "fr"}
    settings = load_settings(file, environment, shop_name="Flag")
    assert (settings.shop_name, settings.default_language) == ("Flag", "fr")
    assert settings.answer_threshold == 0.65


def test_nested_settings_are_reached_with_two_underscores():
    settings = load_settings(environment={"FRONTDESK_KNOWLEDGE__MAX_CHUNK_WORDS": "55"})
    assert settings.knowledge.max_chunk_words == 55


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"FRONTDESK_SHOPNAME": "x"}, "unknown setting 'shopname'"),
        ({"FRONTDESK_KNOWLEDGE__CHUNKS": "1"}, "unknown setting 'knowledge.chunks'"),
        ({"FRONTDESK_ANSWER_THRESHOLD": "high"}, "answer_threshold"),
        (
            {"FRONTDESK_CLARIFY_THRESHOLD": "0.99", "FRONTDESK_ANSWER_THRESHOLD": "0.5"},
            "must not exceed",
        ),
    ],
)
def test_a_wrong_setting_is_named(environment, message):
    with pytest.raises(SettingsError, match=message):
        load_settings(environment=environment)


def test_an_unknown_key_in_the_file_is_an_error(tmp_path: Path):
    file = tmp_path / "f.toml"
    file.write_text("[knowledge]\nchunk = 5\n")
    with pytest.raises(SettingsError, match=r"knowledge\.chunk"):
        load_settings(file, {})


def test_a_broken_or_missing_file_is_named(tmp_path: Path):
    file = tmp_path / "f.toml"
    file.write_text("not toml at all [")
    with pytest.raises(SettingsError, match=r"f\.toml"):
        load_settings(file, {})
    with pytest.raises(SettingsError, match="does not exist"):
        load_settings(tmp_path / "none.toml", {})
