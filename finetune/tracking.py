"""Weights & Biases, for the runs that write TensorBoard logs: it is sent what they write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from finetune.errors import RecipeError


@contextmanager
def tracked(project: str, folder: Path) -> Iterator[None]:
    """Send the TensorBoard logs below folder to a project; nothing without one. Raises RecipeError
    where a package for it is missing."""
    if not project:
        yield
        return
    if missing := [name for name in ("wandb", "tensorboard") if find_spec(name) is None]:
        named = " ".join(missing)
        raise RecipeError(f"wandb_project needs the package {named}: pip install {named}")
    import wandb

    run = wandb.init(project=project, dir=str(folder), sync_tensorboard=True)
    try:
        yield
    finally:
        run.finish()
