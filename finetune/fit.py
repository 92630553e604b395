"""The training loop of the adapters that read: it can be cut off and goes on exactly.

What a step does depends on its number alone, rows and dropout too, so a run that goes on from its
checkpoint ends with the weights it would have had.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from tqdm import tqdm

from finetune.errors import RecipeError
from finetune.manifest import replace_file

_BEGUN, _RUN, _STATE, _BOARD = "begun", "run.json", "state.pt", "tensorboard"
_SHOWN_EVERY = 10
_CLIP = 1.0  # L2 norm that gradients are clipped to


@dataclass(frozen=True)
class Plan:
    """Steps of a run; the rates of its parameters rise over `warmup` of them and fall by a cosine.

    Every `save_every` steps a checkpoint is written.
    """

    steps: int
    warmup: float = 0.1
    save_every: int = 100
    seed: int = 20261126

    def rate(self, step: int) -> float:
        """What the rates are multiplied with at a step, 0 to 1."""
        rising = (step + 1) / max(1.0, self.warmup * self.steps)
        return min(rising, 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.steps))))


class Objective(Protocol):
    """What is trained: parameters, and the losses of a step."""

    def groups(self) -> list[dict[str, Any]]:
        """Parameter groups as AdamW takes them, each with its rate."""
        ...

    def losses(self, step: int) -> Mapping[str, Tensor]:
        """The parts, by name, whose sum a step makes smaller; equal steps give equal parts."""
        ...

    def after(self, step: int) -> bool:
        """Called when the parameters have moved; whether to go on."""
        ...

    def state(self) -> Mapping[str, Any]:
        """What it must know to go on, beside the parameters: numbers, tensors, lists of them."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Inverse of state."""
        ...


class Stateless:
    """For an Objective that goes on to the last step and knows nothing beside its parameters."""

    def after(self, step: int) -> bool:
        """See Objective."""
        return True

    def state(self) -> Mapping[str, Any]:
        """See Objective."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """See Objective."""


def fit(
    objective: Objective,
    plan: Plan,
    folder: Path,
    run: Mapping[str, Any],
    *,
    resume: bool,
    wandb_project: str = "",
) -> None:
    """Train in place. `folder` takes checkpoints and TensorBoard logs; `run` says what the weights
    depend on beside the plan; a Weights & Biases project is logged to where one is named.

    With `resume` a run that was cut off goes on. Raises RecipeError when it was another one, or
    cannot be tracked.
    """
    open_run(folder, {"plan": asdict(plan), **run}, resume)
    groups = objective.groups()
    parameters = [p for group in groups for p in group["params"]]
    optimizer = torch.optim.AdamW(groups)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, plan.rate)
    done = _restore(folder / _STATE, objective, parameters, optimizer, schedule)
    board = _Board(folder, wandb_project)
    for step in tqdm(range(done, plan.steps), initial=done, total=plan.steps, file=sys.stderr):
        torch.manual_seed(plan.seed + step)
        losses = objective.losses(step)
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, _CLIP)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        goes_on = objective.after(step)
        if step % _SHOWN_EVERY == 0:
            board.add(losses, step)
        if not goes_on:
            break
        if (step + 1) % plan.save_every == 0:
            _save(folder / _STATE, step + 1, objective, parameters, optimizer, schedule)
    board.close()


def training_folder(out: Path) -> Path:
    """Where a run that will write to out keeps its checkpoints and TensorBoard logs."""
    return out.with_name(f"{out.name}.training")


def begin(out: Path) -> None:
    """Mark what stands in out as not the result of this run, which may be cut off before its fit
    begins."""
    folder = training_folder(out)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / _BEGUN).touch()


def is_finished(out: Path, product: str) -> bool:
    """Whether out holds the product of a run that went to its end."""
    marks = (training_folder(out) / name for name in (_BEGUN, _RUN))
    return (out / product).is_file() and not any(mark.exists() for mark in marks)


def finish(out: Path) -> None:
    """Forget the checkpoints, of all stages, when the result has been written to out; the logs
    stay."""
    for name in (_STATE, _BEGUN, _RUN):
        for path in training_folder(out).rglob(name):
            path.unlink()


def weights_digest(module: torch.nn.Module) -> str:
    """Equal digests have equal weights."""
    digest = hashlib.sha256()
    for weights in module.state_dict().values():
        digest.update(weights.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def rows_digest(rows: object) -> str:
    """Equal digests have equal rows, of what is written out in full by repr."""
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def open_run(folder: Path, run: Mapping[str, Any], resume: bool) -> None:
    """Open a run's folder, empty unless it goes on.

    Raises RecipeError when it was begun with another recipe, data or base.
    """
    written = json.dumps(run, sort_keys=True)
    if resume and (folder / _RUN).is_file():
        if (folder / _RUN).read_text() != written:
            raise RecipeError(
                f"{folder} was begun with another recipe, data or base; "
                "give the same ones, or start anew without --resume"
            )
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    replace_file(folder / _RUN, written.encode())


def _save(path: Path, done: int, objective: Objective, parameters: list[Any], *others: Any) -> None:
    written = io.BytesIO()
    state = {
        "done": done,
        "objective": dict(objective.state()),
        "parameters": [p.detach() for p in parameters],
        "others": [o.state_dict() for o in others],
    }
    torch.save(state, written)
    replace_file(path, written.getvalue())


def _restore(path: Path, objective: Objective, parameters: list[Any], *others: Any) -> int:
    """Steps that were done; 0 without a checkpoint."""
    if not path.is_file():
        return 0
    state = torch.load(path, weights_only=True)
    with torch.no_grad():
        for parameter, held in zip(parameters, state["parameters"], strict=True):
            parameter.copy_(held)
    for other, held in zip(others, state["others"], strict=True):
        other.load_state_dict(held)
    objective.restore(state["objective"])
    return int(state["done"])


def board_writer(folder: Path) -> Any:
    """What writes TensorBoard logs to a folder; None where the package is not installed."""
    with suppress(ImportError):
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(folder))  # type: ignore[no-untyped-call]
    return None


def require_wandb(project: str) -> None:
    """Raise RecipeError where a project is named and the package that logs to it is missing."""
    if project and find_spec("wandb") is None:
        raise RecipeError("wandb_project needs the package wandb: pip install wandb")


class _Board:
    """TensorBoard logs, where the package is installed, and Weights & Biases, where asked for."""

    def __init__(self, folder: Path, project: str) -> None:
        require_wandb(project)
        self._writer = board_writer(folder / _BOARD)
        self._run: Any = None
        if project:
            # A run that goes on is the same one there: its id is that of what it depends on.
            name = hashlib.sha256((folder / _RUN).read_bytes()).hexdigest()[:16]
            self._run = import_module("wandb").init(
                project=project, id=name, name=folder.name, dir=str(folder), resume="allow"
            )

    def add(self, losses: Mapping[str, Tensor], step: int) -> None:
        """The losses of a step."""
        for name, loss in losses.items() if self._writer else ():
            self._writer.add_scalar(f"loss/{name}", float(loss), step)
        if self._run:
            told = {f"loss/{name}": float(loss) for name, loss in losses.items()}
            self._run.log(told, step=step)

    def close(self) -> None:
        """Write what is left."""
        if self._writer:
            self._writer.close()
        if self._run:
            self._run.finish()
