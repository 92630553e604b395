"""The training loop: a run that is cut off ends as one that was not."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from finetune.errors import RecipeError
from finetune.fit import Plan, fit


class Line:
    """Fits a line with dropout; stops, or is cut off, at a step."""

    def __init__(self, stop: int | None = None, cut: int | None = None) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Dropout(0.2), nn.Linear(4, 1))
        self.stop, self.cut = stop, cut
        self.seen: list[int] = []

    def groups(self) -> list[dict[str, Any]]:
        return [{"params": list(self.model.parameters()), "lr": 0.05}]

    def losses(self, step: int) -> Mapping[str, Tensor]:
        if step == self.cut:
            raise KeyboardInterrupt
        rows = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
        return {"error": (self.model(rows).squeeze(1) - rows.sum(1)).pow(2).mean()}

    def after(self, step: int) -> bool:
        self.seen.append(step)
        return step != self.stop

    def state(self) -> Mapping[str, Any]:
        return {"seen": self.seen}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.seen = list(state["seen"])

    def weights(self) -> Tensor:
        return torch.cat([p.detach().flatten() for p in self.model.parameters()])


PLAN = Plan(steps=30, save_every=10)


def test_a_run_that_was_cut_off_goes_on_and_ends_with_the_same_weights(tmp_path: Path):
    whole = Line()
    fit(whole, PLAN, tmp_path / "whole", {"data": "a"}, resume=False)
    cut = Line(cut=17)
    with pytest.raises(KeyboardInterrupt):
        fit(cut, PLAN, tmp_path / "cut", {"data": "a"}, resume=False)
    resumed = Line()
    fit(resumed, PLAN, tmp_path / "cut", {"data": "a"}, resume=True)
    assert torch.equal(resumed.weights(), whole.weights())
    assert resumed.seen == list(range(30))


def test_a_run_with_other_data_is_not_gone_on_with(tmp_path: Path):
    fit(Line(), PLAN, tmp_path / "run", {"data": "a"}, resume=False)
    with pytest.raises(RecipeError, match="without --resume"):
        fit(Line(), PLAN, tmp_path / "run", {"data": "b"}, resume=True)
    fit(Line(), PLAN, tmp_path / "run", {"data": "b"}, resume=False)


def test_an_objective_can_end_the_run(tmp_path: Path):
    line = Line(stop=4)
    fit(line, PLAN, tmp_path / "run", {}, resume=False)
    assert line.seen == [0, 1, 2, 3, 4]


def test_losses_are_logged_for_tensorboard(tmp_path: Path):
    pytest.importorskip("tensorboard")
    fit(Line(), PLAN, tmp_path / "run", {}, resume=False)
    assert list((tmp_path / "run" / "tensorboard").glob("events.*"))


class Run:
    """What the package wandb would make of a run."""

    def __init__(self, **given: Any) -> None:
        self.given, self.steps, self.ended = given, list[int](), False

    def log(self, told: Mapping[str, float], step: int) -> None:
        assert told.keys() == {"loss/error"}
        self.steps.append(step)

    def finish(self) -> None:
        self.ended = True


def test_a_project_is_logged_to_as_one_run_also_when_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    runs: list[Run] = []

    def init(**given: Any) -> Run:
        runs.append(Run(**given))
        return runs[-1]

    monkeypatch.setattr("finetune.fit.find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))
    with pytest.raises(KeyboardInterrupt):
        fit(Line(cut=17), PLAN, tmp_path / "run", {}, resume=False, wandb_project="shop")
    fit(Line(), PLAN, tmp_path / "run", {}, resume=True, wandb_project="shop")
    assert [run.given["project"] for run in runs] == ["shop", "shop"]
    assert runs[0].given["id"] == runs[1].given["id"]
    assert [run.steps for run in runs] == [[0, 10], [10, 20]]
    assert runs[1].ended


def test_a_project_without_the_package_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("finetune.fit.find_spec", lambda name: None)
    with pytest.raises(RecipeError, match="pip install wandb"):
        fit(Line(), PLAN, tmp_path / "run", {}, resume=False, wandb_project="shop")


def test_rates_rise_and_then_fall():
    rates = [PLAN.rate(step) for step in range(30)]
    assert rates[0] < rates[1] < rates[2]
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert 0 < rates[-1] < 0.02
