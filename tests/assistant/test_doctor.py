"""What the doctor finds in installations that are well, and in those that are not."""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from assistant import tables
from assistant.conversations import Conversations
from assistant.doctor import machine
from assistant.doctor.commands import CHECKS, doctor_app
from assistant.doctor.contents import Adapters, Database, Encoder, Knowledge, Staff
from assistant.doctor.findings import Check, Finding, examine, ok
from assistant.doctor.machine import Clock, Home, Packages, Python
from assistant.doctor.production import Production
from assistant.doctor.services import Chroma, ModelServer, Redis, Services
from assistant.settings import Settings, load_settings
from assistant.switch import ModelSwitch
from benchmarks import engines
from finetune.registry import Registry
from knowledge.language import Detector
from knowledge.load import Loader
from knowledge.propensity.promoted import propensity_models
from knowledge.recommend.promoted import recommenders
from knowledge.refresh import Refresher
from knowledge.settings import KnowledgeSettings
from knowledge.store import VECTORS
from knowledge.versions import Versions
from tests.engines import started
from tests.knowledge.fakes import WordInspector
from tests.knowledge.propensity.pasts import by_recency
from tests.knowledge.recommend.test_promoted import PROMOTABLE
from tests.knowledge.recommend.test_recommend import saved
from tests.model_server import model_server
from tests.staffing import accounts_of, hire

REPOSITORY = Path(__file__).parent.parent.parent
STARTER = REPOSITORY / "assistant" / "weights" / "starter"
ADAPTER = REPOSITORY / "assistant" / "demo" / "weights" / "maplewick"


def settings_of(home: Path, **values: Any) -> Settings:
    return load_settings(environment={}, home=home, **values)


def found(check: Check, settings: Settings) -> list[tuple[str, str]]:
    return [(f.status, f.detail) for f in check.look(settings)]


def worst(check: Check, settings: Settings) -> Finding:
    """The first finding that is not ok."""
    return next(f for f in check.look(settings) if f.status != "ok")


@pytest.fixture
def published(tmp_path: Path, detector: Detector, word_lengths: Any) -> Path:
    """A home with a published version of one document."""
    home = tmp_path / "home"
    source = tmp_path / "returns.md"
    source.write_text("# Returns\n\nReturns are free within 30 days.")
    parts = word_lengths, WordInspector(), KnowledgeSettings()
    Refresher(Versions(home), Loader(detector), *parts).refresh([source])
    return home


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Conversations]:
    opened = Conversations.in_home(tmp_path)
    yield opened
    opened.close()


# What every check keeps to.


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_a_check_finds_something_says_how_to_repair_it_and_changes_nothing(
    check: Check, tmp_path: Path
) -> None:
    home = tmp_path / "none"
    findings = list(check.look(settings_of(home)))
    assert findings
    for finding in findings:
        assert finding.status in ("ok", "warning", "broken")
        assert finding.detail
        assert bool(finding.repair) == (finding.status != "ok")
    assert not home.exists()


def test_checks_have_different_names() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS)


def test_a_check_that_fails_hides_nothing_of_the_others(tmp_path: Path) -> None:
    class Failing:
        name = "failing"

        def look(self, settings: Settings) -> Iterator[Finding]:
            yield ok("so far")
            raise OSError("no such\ndevice")

    class Fine:
        name = "fine"

        def look(self, settings: Settings) -> Iterator[Finding]:
            yield ok("fine")

    rows = list(examine(settings_of(tmp_path), [Failing(), Fine()]))
    assert [(r.check, r.status) for r in rows] == [
        ("failing", "ok"), ("failing", "broken"), ("fine", "ok"),
    ]  # fmt: skip
    assert "no such device" in rows[1].detail


# The machine.


def test_an_old_python_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(Python(), settings_of(tmp_path))[0][0] == "ok"
    monkeypatch.setattr(machine, "_LEAST_PYTHON", (4, 0))
    assert worst(Python(), settings_of(tmp_path)).repair == "run it with Python 4.0 or newer"


def test_missing_and_other_versions_of_packages_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [s for s, _ in found(Packages(), settings_of(tmp_path))] == ["ok"]

    def version(name: str) -> str:
        if name == "uvicorn":
            raise machine.PackageNotFoundError(name)
        return "0.0.1" if name == "gradio" else machine_version(name)

    machine_version = machine.version
    monkeypatch.setattr(machine, "version", version)
    missing, other = (f.detail for f in Packages().look(settings_of(tmp_path)))
    assert missing.startswith("not installed: uvicorn")
    assert other.startswith("another version: gradio 0.0.1")


def test_extras_are_looked_at_where_the_settings_need_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def requires(name: str) -> list[str]:
        raise machine.PackageNotFoundError(name)

    monkeypatch.setattr(machine, "requires", requires)  # a clone that nobody has installed
    plain = {r.name for r in machine.declared(frozenset())}
    settings = settings_of(
        tmp_path, observability={"traces": True}, store={"url": "postgresql://h/d"}
    )
    wanted = machine.wanted_extras(settings)
    assert wanted == {"otel", "postgres"}
    assert {r.name for r in machine.declared(wanted)} - plain == {
        "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http", "psycopg",
    }  # fmt: skip


def test_a_home_that_cannot_be_made_or_has_no_room_is_broken(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be written" in worst(Home(), Settings(home=tmp_path / "file" / "home")).detail
    full = settings_of(tmp_path, health={"least_free_bytes": 10**18})
    assert worst(Home(), full).status == "broken"
    nearly = settings_of(
        tmp_path, health={"least_free_bytes": shutil.disk_usage(tmp_path).free // 5}
    )
    assert worst(Home(), nearly).status == "warning"


def test_a_clock_that_was_set_back_is_told_by_what_was_written_later(
    tmp_path: Path, store: Conversations
) -> None:
    store.start("en")
    assert [s for s, _ in found(Clock(), settings_of(tmp_path))] == ["ok"]
    with store.engine.begin() as connection:
        connection.execute(update(tables.conversations).values(updated=time.time() + 900))
    assert "a conversation was used after that" in worst(Clock(), settings_of(tmp_path)).detail


# What the home holds.


def test_a_whole_knowledge_base_is_ok_and_a_damaged_one_is_not(published: Path) -> None:
    ((status, detail),) = found(Knowledge(), settings_of(published))
    assert (status, "1 documents, 1 passages" in detail) == ("ok", True)
    (Versions(published).current_folder() / VECTORS).unlink()
    rows = list(examine(settings_of(published), [Knowledge()]))
    assert [row.status for row in rows] == ["broken"]


def test_an_encoders_folder_must_be_whole(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, knowledge={"encoder": tmp_path})
    assert worst(Encoder(), settings).status == "broken"
    assert "sha256 53aa5117" in found(Encoder(), settings_of(tmp_path))[0][1]


def test_a_promoted_adapter_is_validated_and_set_against_its_base(tmp_path: Path) -> None:
    name = Registry(tmp_path).promote(ADAPTER)
    settings = settings_of(tmp_path, model={"base": str(STARTER)})
    assert found(Adapters(), settings) == [("ok", "base starter"), ("ok", f"adapter {name}")]
    other = tmp_path / "base"
    shutil.copytree(STARTER, other)
    (other / "SHA256").unlink()
    config = json.loads((other / "config.json").read_text()) | {"note": "changed"}
    (other / "config.json").write_text(json.dumps(config))
    assert (
        "another base"
        in worst(Adapters(), settings_of(tmp_path, model={"base": str(other)})).detail
    )
    (tmp_path / "adapters" / name / "extra.py").write_text("")
    assert worst(Adapters(), settings).status == "broken"
    (tmp_path / "adapters" / "pointer.json").write_text("{")
    assert "promote an adapter again" in worst(Adapters(), settings).detail


def test_a_base_that_is_not_here_a_stopped_model_and_damaged_training_are_told(
    tmp_path: Path,
) -> None:
    ModelSwitch(tmp_path).turn_off("Mina")
    (tmp_path / "intents").mkdir()
    (tmp_path / "intents" / "manifest.json").write_text("{")
    settings = settings_of(tmp_path, model={"base": "nobody/has-this-model"})
    details = [d for s, d in found(Adapters(), settings) if s != "ok"]
    assert len(details) == 3
    assert "manifest.json" in details[0]
    assert details[1:] == [
        "the base nobody/has-this-model is not on this machine",
        "the language model was stopped by Mina",
    ]


def test_the_promoted_recommender_and_outlook_are_read_to_their_ends(tmp_path: Path) -> None:
    saved(tmp_path / "mine", PROMOTABLE)
    by_recency().write(tmp_path / "outlook")
    name = recommenders(tmp_path).promote(tmp_path / "mine")
    propensity_models(tmp_path).promote(tmp_path / "outlook")
    settings = settings_of(tmp_path)
    details = [detail for status, detail in found(Adapters(), settings) if status == "ok"]
    assert details[0] == f"recommender {name}"
    assert details[1].startswith("propensity model outlook-")
    (tmp_path / "recommender" / name / "goods.json").write_text("[]")
    finding = worst(Adapters(), settings)
    assert finding.status == "broken"
    assert "rollback-recommender" in finding.repair


def test_the_databases_step_is_set_against_this_programs(
    tmp_path: Path, store: Conversations
) -> None:
    settings = settings_of(tmp_path)
    assert found(Database(), settings)[0][0] == "ok"
    for step, status in (("0002", "warning"), ("9999", "broken")):
        with store.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = ?", (step,))
        assert worst(Database(), settings).status == status
    store.close()
    (tmp_path / "conversations.sqlite").write_bytes(b"no database at all" * 100)
    assert "it cannot be read" in worst(Database(), settings).detail


def test_somebody_must_be_able_to_log_in(tmp_path: Path, store: Conversations) -> None:
    settings = settings_of(tmp_path)
    assert "at the first start" in found(Staff(), settings)[0][1]
    accounts_of(store).make_first()
    assert [s for s, _ in found(Staff(), settings)] == ["warning", "warning", "ok"]
    hire(store)
    assert found(Staff(), settings) == [("ok", "2 admin, 4 agent, 1 operator")]
    with store.engine.begin() as connection:
        change = update(tables.staff).where(tables.staff.c.role == "admin")
        connection.execute(change.values(disabled=1))
    assert worst(Staff(), settings).detail == "there is no admin who can log in"
    (tmp_path / "staff.json").write_text("{}")
    (tmp_path / "staff.json").chmod(0o644)
    assert "chmod 600" in worst(Staff(), settings).repair


# What the settings name, and what they say.


def test_a_server_that_does_not_listen_is_named_with_its_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        settings = settings_of(tmp_path, orders={"url": f"http://127.0.0.1:{port}/orders"})
        assert found(Services(), settings) == [("ok", "the shop's orders takes connections")]
    gone = worst(Services(), settings)
    assert (gone.status, "url below [orders]" in gone.repair) == ("broken", True)
    database = settings_of(tmp_path, store={"url": f"postgresql://me:secret@127.0.0.1:{port}/d"})
    (row,) = examine(database, [Services()])
    assert row.status == "broken"
    assert "secret" not in row.detail + row.repair


def test_redis_is_asked_whether_it_answers(tmp_path: Path) -> None:
    pytest.importorskip("redis")
    with started(engines.redis, tmp_path) as server:
        settings = settings_of(tmp_path, shared={"redis": server.url})
        assert found(Redis(), settings) == [("ok", "it answers")]
        server.stop()
        gone = worst(Redis(), settings)
    assert (gone.status, "below [shared]" in gone.repair) == ("broken", True)


def test_a_chroma_server_that_is_away_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = settings_of(tmp_path, knowledge={"chroma": f"http://127.0.0.1:{port}"})
    gone = worst(Chroma(), settings)
    assert (gone.status, "nothing can be published" in gone.detail) == ("broken", True)


def test_a_models_server_is_asked_whether_it_serves_what_is_promoted(tmp_path: Path) -> None:
    name = Registry(tmp_path).promote(ADAPTER)
    with model_server(lambda call: None, models=("maplewick",)) as server:
        base, known = str(STARTER), {name: "maplewick"}

        def asked(**there: Any) -> list[tuple[str, str]]:
            model = {"base": base, "server": {"url": server.url, **there}}
            return found(ModelServer(), settings_of(tmp_path, model=model))

        assert asked(adapters=known) == [("ok", f"it takes connections, and serves {name}")]
        ((status, detail),) = asked()
        assert (status, f"not {name}" in detail) == ("broken", True)
        server.status = 404
        ((status, detail),) = asked(adapters=known)
        assert (status, "does not say what it serves" in detail) == ("warning", True)
        assert "404" in detail
        server.status = 401
        ((status, detail),) = asked(adapters=known)
        assert (status, "refuses the key" in detail) == ("broken", True)
    ((status, detail),) = asked()
    assert (status, "answers are quoted" in detail) == ("broken", True)


@pytest.mark.slow
def test_a_chroma_server_that_runs_is_ok(tmp_path: Path) -> None:
    with started(engines.chroma, tmp_path) as server:
        settings = settings_of(tmp_path, knowledge={"chroma": server.url})
        assert found(Chroma(), settings) == [("ok", "it answers")]


GOOD = {
    "web": {"proxies": ["10.0.0.1"], "origins": ["https://shop.example"], "identity_secret": "i" * 32},
    "store": {"words_days": 30},
}  # fmt: skip


@pytest.mark.parametrize(
    ("section", "changed", "said"),
    [
        ("web", {"identity_secret": "short"}, "identity_secret is too short"),
        ("web", {"identity_secret": ""}, "not known here"),
        ("web", {"proxies": []}, "not marked Secure"),
        ("web", {"proxies": ["0.0.0.0/0"]}, "forged"),
        ("web", {"origins": ["http://shop.example"]}, "without TLS"),
        ("orders", {"url": "http://erp.example/", "token": "t"}, "without TLS"),
        ("orders", {"url": "https://erp.example/"}, "without a token"),
        ("observability", {"metrics_networks": ["0.0.0.0/0"]}, "everybody may read"),
        ("store", {"words_days": None}, "for ever"),
    ],
)
def test_what_no_server_in_production_should_say_is_found(
    tmp_path: Path, section: str, changed: dict[str, Any], said: str
) -> None:
    good: dict[str, dict[str, Any]] = GOOD
    assert [s for s, _ in found(Production(), settings_of(tmp_path, **good))] == ["ok"]
    values = good | {section: good.get(section, {}) | changed}
    (only,) = found(Production(), settings_of(tmp_path, **values))
    assert said in only[1]


# The command.

Run = Callable[..., tuple[int, Any]]


def run(arguments: Sequence[str]) -> tuple[int, dict[str, Any]]:
    done = CliRunner().invoke(doctor_app, ["--json", *arguments])
    return done.exit_code, json.loads(done.stdout)


def test_the_command_fails_only_when_something_is_broken(published: Path) -> None:
    code, told = run(["--home", str(published)])
    assert (code, told["ok"]) == (0, True)
    assert {f["check"] for f in told["findings"]} == {check.name for check in CHECKS}
    assert "warning" in {f["status"] for f in told["findings"]}
    shutil.rmtree(published / "knowledge")
    code, told = run(["--home", str(published)])
    assert (code, told["ok"]) == (1, False)
    broken = [f for f in told["findings"] if f["status"] == "broken"]
    assert [f["check"] for f in broken] == ["knowledge"]
    assert "knowledge refresh" in broken[0]["repair"]


def test_settings_that_cannot_be_read_are_a_finding(tmp_path: Path) -> None:
    config = tmp_path / "frontdesk.toml"
    config.write_text("colour = 'red'")
    code, told = run(["--config", str(config)])
    assert code == 1
    assert [f["check"] for f in told["findings"]] == ["settings"]
    assert "colour" in told["findings"][0]["detail"]


def test_people_read_a_line_a_finding_and_below_it_what_to_do(tmp_path: Path) -> None:
    done = CliRunner().invoke(doctor_app, ["--home", str(tmp_path)])
    lines = done.stdout.splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("broken   knowledge"))
    assert lines[at + 1].strip().startswith("-> the knowledge base is empty")
    assert lines[-1].endswith("1 broken")
