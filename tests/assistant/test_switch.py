"""The switch that stops the language model, across processes."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing

import pytest
from typer.testing import CliRunner

from assistant.audit import AuditQuery, AuditTrail
from assistant.commands import app
from assistant.conversations import Conversations
from assistant.errors import StoreError
from assistant.switch import FILE, ModelSwitch


def test_it_is_seen_by_another_that_looks_at_the_same_home(tmp_path):
    here, there = ModelSwitch(tmp_path), ModelSwitch(tmp_path)
    assert not there.is_off()
    assert here.turn_off("Mina", "it swears")
    assert there.is_off()
    pause = there.pause()
    assert pause is not None
    assert (pause.who, pause.why) == ("Mina", "it swears")
    assert not there.turn_off("Omar"), "it was off, and stays Mina's"
    assert there.turn_on()
    assert not here.is_off()
    assert not here.turn_on()


def test_a_file_that_anybody_put_there_stops_the_model(tmp_path):
    (tmp_path / FILE).touch()
    switch = ModelSwitch(tmp_path)
    assert switch.is_off()
    pause = switch.pause()
    assert pause is not None
    assert pause.who == ""


def test_a_switch_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "home").write_text("a file, not a folder")
    with pytest.raises(StoreError, match="cannot be written"):
        ModelSwitch(tmp_path / "home").turn_off("Mina")


def test_the_command_that_stops_the_model_loads_no_network_library(tmp_path):
    code = (
        "import runpy, sys; sys.argv = ['assistant', 'pause-model', '--home', sys.argv[1]]\n"
        "try:\n    runpy.run_module('assistant', run_name='__main__')\n"
        "except SystemExit:\n    print(sorted({'torch', 'transformers', 'chromadb'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert ModelSwitch(tmp_path).is_off()


def test_the_commands_switch_once_and_are_audited(tmp_path):
    def run(*arguments: str) -> dict[str, bool]:
        result = CliRunner().invoke(app, [*arguments, "--home", str(tmp_path), "--json"])
        assert result.exit_code == 0, result.output
        answer: dict[str, bool] = json.loads(result.stdout)
        return answer

    assert run("pause-model", "--why", "it swears") == {"paused": True, "changed": True}
    assert run("pause-model") == {"paused": True, "changed": False}
    assert ModelSwitch(tmp_path).is_off()
    assert run("resume-model") == {"paused": False, "changed": True}
    assert not ModelSwitch(tmp_path).is_off()
    with closing(Conversations.in_home(tmp_path)) as store:
        entries = AuditTrail(store).newest(AuditQuery())
    assert [(e.what, e.detail) for e in entries] == [
        ("resume_model", ""), ("pause_model", "it swears"),
    ]  # fmt: skip
