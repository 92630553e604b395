"""Train an adapter on a 4-bit base (QLoRA, arXiv 2305.14314)."""

from __future__ import annotations

import json
import logging
import random
import shutil
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from peft import (
    AdaLoraConfig,
    LoraConfig,
    PeftConfig,
    PrefixTuningConfig,
    get_peft_model,
    prepare_model_for_kbit_training,
)

from finetune.errors import AdapterError, DataError
from finetune.examples import Example, borne_out, collate, encode_all
from finetune.instruct import InstructReport, instruct
from finetune.lessons import digest_at, examples_at
from finetune.loop import begin, checkpoints_of, run
from finetune.manifest import (
    CONFIG,
    CONFIG_KEYS,
    MANIFEST,
    AdapterManifest,
    adapter_digest,
    base_digest,
    resolve_base,
    validate_adapter,
)
from finetune.models import load_base, template_for
from finetune.processes import processes, refuse_shards
from finetune.rows import data_digest
from finetune.settings import AdapterRecipe, WholeModelRecipe

log = logging.getLogger(__name__)


def train_adapter(
    data: Path,
    out: Path,
    base: str | Path,
    recipe: AdapterRecipe,
    resume: bool = False,
    replay: Path | None = None,
) -> AdapterManifest:
    """Train on the prepared folder `data` and write the adapter to `out`, its manifest last.

    `replay` is a folder of earlier dialogues, or a file of the base's lessons, a sample of which is
    learnt from again so that they are not forgotten (experience replay: Rolnick et al., arXiv
    1811.11682).

    With `resume` a run that was cut off goes on and ends with the weights it would have had.
    Raises FinetuneError: DataError, RecipeError, BaseModelError, AdapterError.
    """
    refuse_shards("an adapter on a 4-bit base")
    folder = resolve_base(base)
    if resume and (out / MANIFEST).is_file():
        return validate_adapter(out, folder)
    if out.exists() and any(out.iterdir()):
        raise AdapterError(f"{out} is not empty; give another --out or delete it")
    examples = list(examples_at(data, "train"))
    if not examples:
        raise DataError(f"{data} has no training dialogue in which an agent replies")
    if recipe.supported and not (examples := list(borne_out(examples))):
        raise DataError(f"no reply in {data} says what its passages say; set supported: false")
    earlier = _replayed(replay, recipe, len(examples)) if replay else []
    total_steps = recipe.total_steps(len(examples) + len(earlier), processes().num_processes)
    config = _peft_config(recipe, total_steps)
    values, data_sha256 = recipe.model_dump(mode="json"), data_digest(data)
    base_sha256 = base_digest(folder)
    fingerprint = {"recipe": values, "data": data_sha256, "base": base_sha256}
    if replay:
        fingerprint["replay"] = digest_at(replay)
    begin(out, fingerprint, recipe, resume)
    model, tokenizer = load_base(folder)
    template = template_for(tokenizer)
    encoded = encode_all(examples, tokenizer, template, recipe.max_tokens)
    again = encode_all(earlier, tokenizer, template, recipe.max_tokens)
    encoded += [replace(row, replayed=recipe.keep > 0) for row in again]
    model = prepare_model_for_kbit_training(  # type: ignore[no-untyped-call]
        model, use_gradient_checkpointing=recipe.gradient_checkpointing
    )
    model.config.use_cache = False
    model = get_peft_model(model, config)
    trained, _ = model.get_nb_trainable_parameters()
    log.info("%d examples, %d steps, %d parameters", len(encoded), total_steps, trained)
    collator = partial(collate, pad_id=tokenizer.pad_token_id)
    outcome = run(model, encoded, collator, recipe, total_steps, out, resume)
    if processes().is_main_process:
        # A folder by its name: where it lay is nobody's business. The hash says which base it is.
        name = folder.name if Path(base).is_dir() else str(base)
        unfinished = _save(model, out, name)
        AdapterManifest(
            base=name,
            base_sha256=base_sha256,
            method=recipe.method,
            data_sha256=data_sha256,
            adapter_sha256=adapter_digest(unfinished),
            recipe=values,
            template=template,
            training=asdict(outcome)
            | {"examples": len(encoded), "replayed": len(earlier), "parameters": trained}
            | ({"replay_sha256": fingerprint["replay"]} if replay else {}),
            created=datetime.now(UTC).isoformat(timespec="milliseconds"),
        ).write(unfinished)
        validate_adapter(unfinished, folder)
        unfinished.replace(out)
        shutil.rmtree(checkpoints_of(out))
    processes().wait_for_everyone()
    return validate_adapter(out, folder)


def _replayed(folder: Path, recipe: AdapterRecipe, new: int) -> list[Example]:
    """A sample of earlier examples, `replay_share` of all that are learnt from."""
    earlier = examples_at(folder, "train")
    count = round(new * recipe.replay_share / (1 - recipe.replay_share))
    return random.Random(recipe.seed).sample(earlier, min(count, len(earlier)))


def train_whole(
    data: Path, out: Path, base: str | Path, recipe: WholeModelRecipe, resume: bool = False
) -> InstructReport:
    """Train all weights of a base on the prepared folder `data`, and write a model folder to `out`.

    Raises FinetuneError: DataError, RecipeError, BaseModelError.
    """
    train, validation = (examples_at(data, name) for name in ("train", "validation"))
    return instruct(resolve_base(base), train, validation, out, recipe, resume)


def _peft_config(recipe: AdapterRecipe, total_steps: int) -> PeftConfig:
    """The adapter's shape. Raises RecipeError when AdaLoRA's schedule does not fit the run."""
    if recipe.method == "prefix":
        return PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=recipe.virtual_tokens)
    targets = recipe.target_modules
    shared: dict[str, Any] = {
        "lora_alpha": recipe.alpha,
        "lora_dropout": recipe.dropout,
        "target_modules": targets if isinstance(targets, str) else list(targets),
        "task_type": "CAUSAL_LM",
    }
    if recipe.method != "adalora" or recipe.initial_rank is None:
        return LoraConfig(r=recipe.rank, use_dora=recipe.method == "dora", **shared)
    tinit, tfinal = recipe.pruning_schedule(total_steps)
    return AdaLoraConfig(
        init_r=recipe.initial_rank,
        target_r=recipe.rank,
        total_step=total_steps,
        tinit=tinit,
        tfinal=tfinal,
        deltaT=recipe.prune_every,
        # PEFT adds the regulariser to every forward pass, the Trainer sums them over a step.
        orth_reg_weight=recipe.orthogonality / recipe.gradient_accumulation,
        **shared,
    )


def _save(model: Any, out: Path, base: str) -> Path:
    """Weights and configuration in a folder beside out; keys that could name code are left out."""
    partial_folder = out.with_name(out.name + ".partial")
    shutil.rmtree(partial_folder, ignore_errors=True)
    # "auto" would look for the base on the hub, and an adapter holds no embeddings.
    model.save_pretrained(partial_folder, save_embedding_layers=False)
    (partial_folder / "README.md").unlink(missing_ok=True)
    config = json.loads((partial_folder / CONFIG).read_text())
    config["base_model_name_or_path"] = base
    kept = {key: config[key] for key in sorted(config) if key in CONFIG_KEYS}
    # PEFT holds lists as sets, whose order differs between processes: equal runs, equal digests.
    for name in ("target_modules", "exclude_modules"):
        if isinstance(kept.get(name), list):
            kept[name].sort()
    (partial_folder / CONFIG).write_text(json.dumps(kept, indent=1))
    return partial_folder
