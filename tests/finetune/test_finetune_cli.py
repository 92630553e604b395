"""The command line: one JSON object on stdout, logs on stderr, exit codes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from finetune.__main__ import app
from tests.finetune.toys import shop_history, write_lines


def call(*words: Any) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_help_starts_without_torch() -> None:
    code = (
        "import sys, finetune.__main__ as m\n"
        "from typer.testing import CliRunner\n"
        "assert CliRunner().invoke(m.app, ['train', '--help']).exit_code == 0\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_prepare_prints_one_json_object_and_logs_to_stderr(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "history.jsonl", shop_history()[:6])
    result = subprocess.run(
        [sys.executable, "-m", "finetune", "prepare", source, "--out", tmp_path / "out", "--json"],
        capture_output=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    report = json.loads(result.stdout)
    assert (report["read"], report["kept"], report["test"]) == (6, 6, 1)
    assert b"kept 6 of 6" in result.stderr


def test_passage_ids_are_resolved_in_the_documents_given(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "returns.md").write_text(
        "---\nid: returns\nlanguage: en\n---\n# Returns\n\n## Shoes\n\nUnworn shoes: 30 days.\n\n"
        "## Tents\n\nA tent must be dry and comes back within 14 days.\n"
    )
    turns = [
        {"role": "customer", "text": "Tents?"},
        {"role": "agent", "text": "A dry tent: 14 days."},
    ]
    row = {"id": "a", "language": "en", "split": "train", "passages": ["returns"], "turns": turns}
    source = write_lines(tmp_path / "history.jsonl", [row])
    assert call("prepare", source, "--out", tmp_path / "out", "--passages", docs).exit_code == 0
    (prepared,) = (tmp_path / "out" / "train.jsonl").read_text().splitlines()
    assert json.loads(prepared)["passages"] == [
        "Returns › Tents: A tent must be dry and comes back within 14 days."
    ]


def test_an_adapter_goes_from_training_to_promotion_and_back(
    data: Path, base: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "lora.yaml"
    recipe.write_text("max_steps: 40\nbatch_size: 4\nmax_tokens: 96\nthreads: 1\nrank: 4\n"
                      "learning_rate: 0.005\n")  # fmt: skip
    home, out = tmp_path / "home", tmp_path / "mine"
    trained = call(
        "train", "--data", data, "--out", out, "--base", base, "--recipe", recipe, "--json"
    )
    assert json.loads(trained.stdout)["steps"] == 40
    refused = call("promote", out, "--home", home)
    assert refused.exit_code == 1
    assert "evaluate" in refused.stderr
    scored = call(
        "evaluate", "--data", data, "--base", base, "--adapter", out, "--limit", 8, "--json"
    )
    assert scored.exit_code == 0, scored.stderr
    assert set(json.loads(scored.stdout)) >= {"perplexity", "rouge_l", "supported", "n", "groups"}
    promoted = call("promote", out, "--home", home, "--json")
    assert promoted.exit_code == 0, promoted.stderr
    name = json.loads(promoted.stdout)["current"]
    listed = json.loads(call("adapters", "--home", home, "--json").stdout)
    assert listed["current"] == name
    assert listed["adapters"][0]["scores"]["n"] == 8
    back = call("rollback", "--home", home, "--json")
    assert json.loads(back.stdout) == {"current": None}
    canary = call("promote", out, "--home", home, "--canary", 0.2, "--json")
    assert json.loads(canary.stdout) == {"canary": name}
    listed = json.loads(call("adapters", "--home", home, "--json").stdout)
    assert (listed["current"], listed["canary"]["share"]) == (None, 0.2)
    assert json.loads(call("rollback", "--home", home, "--json").stdout) == {"current": None}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["train"], 2),
        (["train", "--data", "x", "--out", "y", "--method", "magic"], 2),
        (["nonsense"], 2),
        (["prepare", "missing.jsonl", "--out", "y"], 1),
        (["pretrain", "--recipe", "missing.yaml", "--out", "y"], 1),
        (["train", "--data", "missing", "--out", "y", "--base", "."], 1),
        (["evaluate", "--data", "missing", "--base", "no-such-model-here"], 1),
        (["promote", "missing"], 1),
    ],
)
def test_failures_have_the_agreed_exit_code_and_one_line(
    words: list[str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call(*words)
    assert result.exit_code == code
    assert result.stdout == ""
    if code == 1:
        assert [line.startswith("error: ") for line in result.stderr.splitlines()][-1:] == [True]
        assert "Traceback" not in result.stderr


def test_a_recipe_for_another_method_is_refused(data: Path, base: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    shutil.copy(Path(__file__).parents[2] / "recipes" / "lora.yaml", recipe)
    result = call(
        "train", "--data", data, "--out", tmp_path / "a", "--base", base,
        "--recipe", recipe, "--method", "adalora",
    )  # fmt: skip
    assert result.exit_code == 1
    assert "is for lora" in result.stderr
