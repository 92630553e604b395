"""The training loop: transformers' Trainer, with checkpoints from which a run goes on exactly.

A stock checkpoint of a PEFT model holds the adapter as it would be served. For AdaLoRA that is
already pruned, and the importance scores that decide what is pruned next are not in it, so a
resumed run would differ. Ours holds every trainable tensor and the allocator's state as well.
"""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from transformers.integrations import TensorBoardCallback

from finetune.errors import RecipeError
from finetune.examples import IGNORED
from finetune.fit import board_writer, open_run, require_wandb, training_folder
from finetune.optimizer import MuonWithAdamW
from finetune.precision import has_bfloat16
from finetune.processes import processes, refuse_shards
from finetune.settings import Recipe, WholeModelRecipe

log = logging.getLogger(__name__)

_TENSORS, _RANKS, _WHOLE = "trainable.safetensors", "ranks.json", "whole"
_SORTED = 32  # batches whose examples are sorted by length at a time
_SCORES = ("ipt", "exp_avg_ipt", "exp_avg_unc")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did: `first_loss` and `last_loss` are means over the logged stretches."""

    steps: int
    first_loss: float
    last_loss: float


class _ExactTrainer(Trainer):  # type: ignore[misc]
    """Saves and loads what an exact resume needs, instead of what serving needs, and holds an
    adapter to its base where that is asked for."""

    keep = 0.0
    order: _LikeLengths

    def compute_loss(self, model: Any, inputs: dict[str, Any], *given: Any, **options: Any) -> Any:
        """The loss of what is new; where examples are replayed, also how far the model is from its
        base there, in nats a token of the reply (learning without forgetting: Li and Hoiem, arXiv
        1606.09282)."""
        replayed = inputs.pop("replayed", None)
        if replayed is None:
            return super().compute_loss(model, inputs, *given, **options)
        labels = inputs["labels"]
        told = labels[replayed][:, 1:] != IGNORED
        asked = {k: v[replayed] for k, v in inputs.items() if k != "labels"}
        with torch.no_grad(), self.accelerator.unwrap_model(model).disable_adapter():
            base = model(**asked).logits[:, :-1][told].float().log_softmax(-1)
        inputs["labels"] = labels.masked_fill(replayed[:, None], IGNORED)
        outputs = model(**inputs)  # AdaLoRA adds its regulariser to the loss
        own = outputs.logits[replayed][:, :-1][told].float().log_softmax(-1)
        apart = torch.nn.functional.kl_div(own, base, reduction="sum", log_target=True)
        loss = self.keep * apart / told.sum().clamp(min=1)
        if not replayed.all():  # the mean over no token is none
            loss = loss + outputs.loss
        # The Trainer divides by the passes of a step only where it has not counted their tokens.
        counted = options.get("num_items_in_batch") is not None
        return loss / self.current_gradient_accumulation_steps if counted else loss

    def _get_train_sampler(self, train_dataset: Any = None) -> torch.utils.data.Sampler[int]:
        return self.order

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        if self.is_fsdp_enabled or not self.args.should_save:  # shards are saved by themselves
            return
        folder = Path(str(output_dir or self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: p.detach().clone() for name, p in _trainable(self.model)}
        if allocator := _allocator(self.model):
            for name in _SCORES:
                scores = getattr(allocator, name)
                tensors |= {f"{name}/{n}": t.contiguous().clone() for n, t in scores.items()}
            ranks = allocator.peft_config.rank_pattern
            (folder / _RANKS).write_text(json.dumps(ranks))
        save_file(tensors, folder / _TENSORS)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if self.is_fsdp_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        folder = Path(resume_from_checkpoint)
        tensors = load_file(folder / _TENSORS)
        with torch.no_grad():
            for name, parameter in _trainable(self.model):
                parameter.copy_(tensors[name])
        if allocator := _allocator(self.model):
            for name in _SCORES:
                start = f"{name}/"
                found = {n[len(start) :]: t for n, t in tensors.items() if n.startswith(start)}
                setattr(allocator, name, found)
            allocator.peft_config.rank_pattern = json.loads((folder / _RANKS).read_text())


def _trainable(model: Any) -> Iterator[tuple[str, torch.nn.Parameter]]:
    return ((name, p) for name, p in model.named_parameters() if p.requires_grad)


def _allocator(model: Any) -> Any:
    """AdaLoRA's rank allocator, or None."""
    return getattr(getattr(model, "base_model", None), "rankallocator", None)


def _length(row: Any) -> int:
    """Tokens of an example or of a block."""
    return len(row.ids) if hasattr(row, "ids") else len(row)


class _Callback(TrainerCallback):  # type: ignore[misc]
    """Counts epochs, prunes ranks, marks checkpoints as whole, and logs."""

    def __init__(self, order: _LikeLengths) -> None:
        self.order = order

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Tell the sampler which epoch it is: what accelerate wraps around it, where one of several
        processes goes on in the midst of one, does not."""
        self.order.set_epoch(int(state.epoch or 0))

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Let AdaLoRA prune; gradients still stand. Steps count from 1, so that the last is met."""
        model = kwargs["model"]
        if _allocator(model):
            model.base_model.update_and_allocate(state.global_step + 1)

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Mark the checkpoint: one without the mark was cut off while it was written. Each process
        adds the state of its random numbers, so the first marks it when all have."""
        assert args.output_dir
        processes().wait_for_everyone()
        if state.is_world_process_zero:
            (Path(args.output_dir) / f"checkpoint-{state.global_step}" / _WHOLE).touch()

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Progress on the log, which is stderr; the Trainer's own would go to stdout."""
        logs = kwargs.get("logs") or {}
        if "loss" in logs and state.is_world_process_zero:
            loss = float(logs["loss"])
            log.info("step %d/%d loss %.4f", state.global_step, state.max_steps, loss)


def run(
    model: Any,
    examples: Sequence[Any],
    collate: Callable[[Sequence[Any]], dict[str, Any]],
    recipe: Recipe,
    total_steps: int,
    out: Path,
    resume: bool,
) -> Outcome:
    """Train in place for total_steps, going on from the newest whole checkpoint if `resume`.

    Checkpoints and logs go beside out (checkpoints_of, training_folder).
    """
    checkpoints = checkpoints_of(out)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        max_steps=total_steps,
        per_device_train_batch_size=recipe.batch_size,
        gradient_accumulation_steps=recipe.gradient_accumulation,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=recipe.warmup_steps(total_steps),
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_gradient_norm,
        bf16=recipe.bf16 and has_bfloat16(device),
        torch_compile=isinstance(recipe, WholeModelRecipe) and recipe.compile,
        seed=recipe.seed,
        data_seed=recipe.seed,
        save_strategy="steps",
        save_steps=recipe.checkpoint_steps,
        save_total_limit=2,
        logging_steps=max(1, min(20, total_steps // 10)),
        disable_tqdm=True,
        report_to="wandb" if recipe.wandb_project else "none",
        remove_unused_columns=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
        use_cpu=device == "cpu",
    )
    is_first = processes().is_main_process
    writer = board_writer(training_folder(out) / "tensorboard") if is_first else None
    order = _LikeLengths([_length(row) for row in examples], recipe.batch_size, recipe.seed)
    trainer = _ExactTrainer(
        model=model,
        args=arguments,
        train_dataset=_Listed(examples),
        data_collator=collate,
        callbacks=[_Callback(order), *([TensorBoardCallback(writer)] if writer else [])],
        optimizers=(_optimizer(model, recipe), None),
    )
    trainer.order = order
    trainer.keep = getattr(recipe, "keep", 0.0)
    trainer.remove_callback(PrinterCallback)
    with processes().main_process_first():
        newest = _newest(checkpoints) if resume else None
    if newest:
        log.info("going on from %s", newest)
    trainer.train(resume_from_checkpoint=str(newest) if newest else None)
    losses = [float(e["loss"]) for e in trainer.state.log_history if "loss" in e] or [float("nan")]
    return Outcome(trainer.state.global_step, losses[0], losses[-1])


def checkpoints_of(out: Path) -> Path:
    """Where a run keeps its checkpoints: beside what it makes, whose folder holds nothing else."""
    return out.with_name(out.name + ".checkpoints")


def _optimizer(model: Any, recipe: Recipe) -> torch.optim.Optimizer | None:
    """The recipe's optimizer; None: the Trainer's AdamW."""
    if not isinstance(recipe, WholeModelRecipe) or recipe.optimizer == "adamw":
        return None
    refuse_shards("what optimizer: muon makes orthogonal")
    if not hasattr(torch.optim, "Muon"):
        raise RecipeError("optimizer: muon needs torch 2.9 or newer; install it, or use adamw")
    if torch.cuda.is_available():
        model.cuda()  # before its parameters are listed: the Trainer would move it after
    return MuonWithAdamW(model, recipe.learning_rate, recipe.weight_decay)


class _LikeLengths(torch.utils.data.Sampler[int]):
    """Examples at random, those of a batch of about equal length, so that little is padded; other
    ones each epoch, the same ones each run. No example reads another, as packed ones would."""

    def __init__(self, lengths: Sequence[int], batch: int, seed: int) -> None:
        self.lengths = lengths
        self.batch = batch
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the Trainer."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        rng = random.Random(f"{self.seed} {self.epoch}")
        order = rng.sample(range(len(self.lengths)), len(self.lengths))
        spread = _SORTED * self.batch
        groups = [
            sorted(order[i : i + spread], key=self.lengths.__getitem__)
            for i in range(0, len(order), spread)
        ]
        batches = [g[i : i + self.batch] for g in groups for i in range(0, len(g), self.batch)]
        last = batches.pop()  # the only one that may be short: it must stay the last
        rng.shuffle(batches)
        yield from (n for batch in [*batches, last] for n in batch)


class _Listed(torch.utils.data.Dataset[Any]):
    """A sequence as torch wants it."""

    def __init__(self, rows: Sequence[Any]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Any:
        return self.rows[index]


def begin(out: Path, fingerprint: dict[str, Any], recipe: Recipe, resume: bool) -> None:
    """Seed everything and open the run's folder, empty unless it goes on.

    Raises RecipeError when it was begun with another recipe, data or base, or cannot be tracked.
    """
    require_wandb(recipe.wandb_project)
    if recipe.wandb_project:
        os.environ["WANDB_PROJECT"] = recipe.wandb_project  # all that its callback reads
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    set_seed(recipe.seed)
    if not processes().is_main_process:
        logging.getLogger("finetune").setLevel(logging.WARNING)  # the first tells
    # Of several processes the first opens it, and the others find it open.
    with processes().main_process_first():
        open_run(checkpoints_of(out), fingerprint, resume or not processes().is_main_process)


def _newest(checkpoints: Path) -> Path | None:
    """The newest checkpoint that was written to its end; cut-off ones are deleted."""
    whole = []
    for path in checkpoints.glob("checkpoint-*"):
        if (path / _WHOLE).is_file():
            whole.append(path)
        else:
            shutil.rmtree(path)
    return max(whole, key=lambda p: int(p.name.rsplit("-", 1)[1]), default=None)
