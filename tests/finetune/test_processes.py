"""Several processes train one model: started for real by `accelerate launch`, on CPUs with gloo."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from safetensors.torch import load_file

from finetune.errors import RecipeError
from finetune.fit import training_folder
from finetune.loop import _ExactTrainer, checkpoints_of
from finetune.manifest import validate_adapter
from finetune.train import train_adapter
from tests.conftest import REPOSITORY
from tests.finetune.toys import adapter_recipe

RECIPE = {
    "max_steps": 12, "batch_size": 4, "max_tokens": 96, "learning_rate": 5e-3, "threads": 1,
    "checkpoint_steps": 4,
}  # fmt: skip
DDP = ("--multi_gpu",)  # accelerate's name for several processes; without a GPU they use gloo
FSDP = ("--use_fsdp", "--fsdp_version", "2", "--fsdp_auto_wrap_policy", "TRANSFORMER_BASED_WRAP")
STEP = re.compile(r"step (\d+)/\d+ loss ([\d.]+)")


def recipe(folder: Path, name: str, **changes: Any) -> Path:
    """An adapter's, or `full` a whole model's."""
    path = folder / f"{name}.yaml"
    adapter = {} if name == "full" else {"method": "lora", "rank": 4, "dropout": 0.0}
    path.write_text(json.dumps(RECIPE | adapter | changes))
    return path


def training(
    data: Path, base: Path, recipe: Path, out: Path, *options: str, launch: tuple[str, ...] = ()
) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "finetune"]
    if launch:
        accelerate = [sys.executable, "-m", "accelerate.commands.launch", *launch]
        common = ["--num_processes", "2", "--num_machines", "1", "--main_process_port", "0"]
        common += ["--mixed_precision", "no", "--dynamo_backend", "no"]
        program = ["tests/finetune/sharded.py"] if launch == FSDP else ["-m", "finetune"]
        command = [*accelerate, *common, *program]
    command += ["train", "--data", str(data), "--base", str(base), "--recipe", str(recipe)]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(REPOSITORY)}
    return subprocess.Popen(
        [*command, "--out", str(out), "--json", *options], text=True, cwd=REPOSITORY,
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> tuple[dict[str, Any], list[float]]:
    """What it printed, one JSON object, and the loss of each step."""
    out, log = process.communicate(timeout=200)
    assert process.returncode == 0, log[-3000:]
    return json.loads(out), [float(loss) for _, loss in STEP.findall(log)]


def kill_after(step: int, process: subprocess.Popen[str]) -> None:
    assert process.stderr
    assert any((m := STEP.search(line)) and int(m[1]) >= step for line in process.stderr)
    launcher = psutil.Process(process.pid)
    for one in (*launcher.children(recursive=True), launcher):  # each is in a session of its own
        one.kill()
    process.communicate()


def weights(folder: Path) -> dict[str, Any]:
    return load_file(next(folder.glob("*.safetensors")))


def test_only_the_first_process_writes_checkpoints(tmp_path: Path) -> None:
    args = SimpleNamespace(should_save=False, output_dir=str(tmp_path / "c"))
    other = SimpleNamespace(args=args, is_fsdp_enabled=False)
    _ExactTrainer._save(other)  # type: ignore[arg-type]
    assert not (tmp_path / "c").exists()


def test_an_adapter_is_not_trained_in_shards(
    data: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(RecipeError, match="without --use_fsdp"):
        train_adapter(data, tmp_path / "a", base, adapter_recipe())


@pytest.mark.slow
def test_two_processes_learn_as_one_does_from_batches_twice_as_large(
    data: Path, base: Path, tmp_path: Path
) -> None:
    two, twice = recipe(tmp_path, "two"), recipe(tmp_path, "one", gradient_accumulation=2)
    _, expected = finish(training(data, base, twice, tmp_path / "one"))
    said, losses = finish(training(data, base, two, tmp_path / "two", launch=DDP))
    assert len(losses) == len(expected) == said["steps"] == 12
    # The 13th batch of an epoch has no partner: accelerate gives the second process earlier ones.
    assert losses[:6] == pytest.approx(expected[:6], abs=2e-4)
    assert losses == pytest.approx(expected, rel=0.03)
    assert validate_adapter(tmp_path / "two", base).training["steps"] == 12
    assert not checkpoints_of(tmp_path / "two").exists()
    logs = training_folder(tmp_path / "two") / "tensorboard"
    assert len(list(logs.glob("events*"))) == (1 if find_spec("tensorboard") else 0)


@pytest.mark.slow
def test_two_processes_that_were_killed_go_on_to_the_same_adapter(
    data: Path, base: Path, tmp_path: Path
) -> None:
    given = recipe(tmp_path, "long", max_steps=60)
    whole, losses = finish(training(data, base, given, tmp_path / "whole", launch=DDP))
    kill_after(12, training(data, base, given, tmp_path / "cut", launch=DDP))
    assert not (tmp_path / "cut").exists()
    said, rest = finish(training(data, base, given, tmp_path / "cut", "--resume", launch=DDP))
    assert len(rest) < len(losses), "it went on from a checkpoint"
    assert said["adapter_sha256"] == whole["adapter_sha256"]


@pytest.mark.slow
def test_a_whole_model_is_trained_in_shards_as_it_is_unsharded(
    data: Path, base: Path, tmp_path: Path
) -> None:
    given = recipe(tmp_path, "full", max_steps=60, learning_rate=1e-3)
    full = ("--method", "full")
    _, expected = finish(training(data, base, given, tmp_path / "ddp", *full, launch=DDP))
    cut = training(data, base, given, tmp_path / "fsdp", *full, launch=FSDP)
    kill_after(12, cut)
    assert list(checkpoints_of(tmp_path / "fsdp").glob("checkpoint-*/pytorch_model_fsdp_0"))
    said, losses = finish(
        training(data, base, given, tmp_path / "fsdp", *full, "--resume", launch=FSDP)
    )
    assert said["training"]["steps"] == 60
    assert len(losses) < len(expected), "it went on from a checkpoint"
    rest = losses[1:]  # the first is a mean over what came after the checkpoint
    assert rest == pytest.approx(expected[-len(rest) :], rel=1e-3)
    sharded, plain = weights(tmp_path / "fsdp"), weights(tmp_path / "ddp")
    assert sharded.keys() == plain.keys()
    for name, tensor in plain.items():
        assert sharded[name].shape == tensor.shape
        assert (sharded[name] - tensor).abs().max() < 0.02, name
