from pathlib import Path

import pytest

from assistant.errors import SettingsError
from assistant.settings import Settings, load_settings
from assistant.tuned import FILE, Tuned


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


def test_what_is_tuned_in_the_room_beats_all_and_can_be_taken_back(tmp_path: Path):
    Tuned(answer_threshold=0.5, rerank_passages=2).keep(tmp_path)
    environment = {"FRONTDESK_ANSWER_THRESHOLD": "0.7", "FRONTDESK_KNOWLEDGE__CANDIDATES": "30"}
    settings = load_settings(environment=environment, home=tmp_path)
    assert (settings.answer_threshold, settings.own.answer_threshold) == (0.5, 0.7)
    assert settings.knowledge.model_dump(include={"candidates", "rerank_passages"}) == {
        "candidates": 30,
        "rerank_passages": 2,
    }
    assert settings.tuned_by(Tuned()) is settings.own
    Tuned().keep(tmp_path)
    assert not (tmp_path / FILE).exists()
    assert load_settings(environment=environment, home=tmp_path) == settings.own


def test_a_copy_of_the_settings_with_other_values_keeps_them(tmp_path: Path):
    Tuned(answer_threshold=0.5).keep(tmp_path)
    settings = load_settings(environment={}, home=tmp_path)
    strict = settings.model_copy(update={"answer_threshold": 0.9})
    assert (strict.answer_threshold, strict.own.answer_threshold) == (0.9, 0.6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"answer_treshold": 0.5}', "unknown setting 'answer_treshold'; mend it, or delete"),
        ('{"answer_threshold": "high"}', "answer_threshold.*delete the file"),
        ('{"candidates": 100000}', "candidates.*delete the file"),
        ('["answer_threshold"]', "delete the file"),
        ("{", "delete the file"),
        ('{"answer_threshold": 0.05}', "must not exceed.*delete the file"),
        ('{"rerank_passages": 0}', "rerank_passages.*delete the file"),
    ],
)
def test_a_tuned_file_that_does_not_go_says_what_repairs_it(
    tmp_path: Path, text: str, message: str
):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(SettingsError, match=message) as told:
        load_settings(environment={}, home=tmp_path)
    assert str(tmp_path / FILE) in str(told.value)


def test_only_what_differs_from_the_shops_own_settings_is_tuned(tmp_path: Path):
    own = Settings(home=tmp_path)
    values = Tuned.of(own).model_copy(update={"candidates": 20})
    assert values.less(Tuned.of(own)).values() == {"candidates": 20}
    assert values.less(Tuned.of(own)) == Tuned(candidates=20)
    assert own.tuned_by(values).knowledge.candidates == 20


@pytest.mark.parametrize(
    ("server", "message"),
    [
        ({"url": "models.example.com"}, "is no address"),
        ({"url": "https://me:secret@models.example.com/v1"}, "holds no user"),
        ({"url": "http://127.0.0.1:8000/v1", "api_key": "a", "api_key_file": "b"}, "exclude"),
        ({"url": "http://127.0.0.1:8000/v1", "engine": "vllm"}, "model.server.engine"),
    ],
)
def test_a_wrong_model_server_is_named(server, message):
    with pytest.raises(SettingsError, match=message):
        load_settings(environment={}, model={"base": "x", "server": server})


def test_a_model_server_needs_a_base_and_no_engine():
    server = {"url": "http://127.0.0.1:8000/v1"}
    with pytest.raises(SettingsError, match="needs a base"):
        load_settings(environment={}, model={"server": server})
    with pytest.raises(SettingsError, match="engine is for a model in this process"):
        load_settings(
            environment={}, model={"base": "x", "engine": "transformers-nf4", "server": server}
        )


def test_the_key_of_a_model_server_is_shown_nowhere(tmp_path):
    environment = {
        "FRONTDESK_MODEL__BASE": "x",
        "FRONTDESK_MODEL__SERVER__URL": "https://models.example.com/v1/",
        "FRONTDESK_MODEL__SERVER__API_KEY": "sk-hidden",
    }
    server = load_settings(environment=environment).model.server
    assert (server.key, server.url) == ("sk-hidden", "https://models.example.com/v1")
    assert "hidden" not in f"{server!r} {server.model_dump()} {server.model_dump_json()}"
    wrong = server.model_copy(update={"api_key_file": tmp_path / "none"})
    with pytest.raises(SettingsError, match="cannot be read"):
        _ = wrong.key
    (tmp_path / "none").write_text("sk-hid den")
    with pytest.raises(SettingsError, match="what no key does") as refused:
        _ = wrong.key
    assert "den" not in str(refused.value)


def test_only_plain_http_to_another_machine_can_be_listened_to():
    for url, plain in (("http://vllm:8000/v1", True), ("http://localhost/v1", False)):
        server = load_settings(environment={}, model={"base": "x", "server": {"url": url}})
        assert server.model.server.is_plain is plain
