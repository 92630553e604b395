"""Adapters and bases on disk: what their folders say, and whether they may be loaded.

Free of torch and transformers, so that serving can look before it loads.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open

from finetune.errors import AdapterError, BaseModelError, GateError
from finetune.prompt import PromptTemplate

# Engines that replies are written on: the reference, and its export for CPUs (see export.py).
NF4_ENGINE, INT8_ENGINE = "transformers-nf4", "ctranslate2-int8"
MANIFEST, CONFIG, WEIGHTS = "manifest.json", "adapter_config.json", "adapter_model.safetensors"
DIGEST = "SHA256"
# Training, evaluation and serving quantise alike: NF4 with double quantisation (Dettmers et al.,
# "QLoRA", arXiv 2305.14314, section 3).
NF4: dict[str, Any] = {
    "load_in_4bit": True,
    "bnb_4bit_quant_type": "nf4",
    "bnb_4bit_use_double_quant": True,
}
# PEFT and transformers import modules or fetch code that these keys name
# (huggingface/transformers#46482, CVE-2026-4372), so only keys known to be inert may stand.
CONFIG_KEYS = frozenset({
    "alpha_pattern", "base_model_name_or_path", "bias", "exclude_modules", "fan_in_fan_out",
    "inference_mode", "init_lora_weights", "layers_pattern", "layers_to_transform",
    "lora_alpha", "lora_bias", "lora_dropout", "peft_type", "peft_version", "r", "rank_pattern",
    "revision", "target_modules", "task_type", "use_dora", "use_rslora", "beta1", "beta2",
    "deltaT", "init_r", "orth_reg_weight", "target_r", "tfinal", "tinit", "total_step",
    "encoder_hidden_size", "num_attention_heads", "num_layers", "num_transformer_submodules",
    "num_virtual_tokens", "prefix_projection", "token_dim",
})  # fmt: skip
PREFIX, _PREFIX_WEIGHTS = "PREFIX_TUNING", "prompt_embeddings"
# By how much an adapter may raise the perplexity of what it was not trained on.
_MOST_FORGOTTEN = 0.02
_CODE_KEYS = ("auto_map", "_attn_implementation_internal", "custom_pipelines")


@dataclass(frozen=True)
class Scores:
    """What `evaluate` measured (see reply_scores.ReplyScore); n counts replies.

    `intervals` are 95% bootstrap intervals, `groups` the same figures by language and intent.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    perplexity: float
    rouge_l: float
    supported: float
    n: int
    chrf: float = 0.0
    cites: float = 0.0
    same_language: float = 0.0
    words: float = 0.0
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    groups: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Scorecard:
    """Scores of an adapter beside those of its base, on the same held-out dialogues.

    `forgetting` is by how much, as a share, the adapter raises the perplexity of other dialogues,
    by the names of their folders.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    base: Scores
    adapter: Scores
    data_sha256: str
    adapter_sha256: str
    forgetting: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class AdapterManifest:
    """How an adapter came about; written last, so its presence means that the folder is whole."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    base: str
    base_sha256: str
    method: str
    data_sha256: str
    adapter_sha256: str
    recipe: dict[str, Any]
    template: PromptTemplate
    training: dict[str, Any]
    created: str
    engine: str = NF4_ENGINE
    scores: Scorecard | None = None

    def write(self, folder: Path) -> None:
        """Put it into the folder, atomically."""
        replace_file(folder / MANIFEST, _MANIFEST.dump_json(self, indent=1))


_MANIFEST = TypeAdapter(AdapterManifest)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that a kill at any moment leaves the old content or the new one."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def files_digest(paths: list[Path]) -> str:
    """sha256 over the names and contents of files, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(paths, key=lambda p: p.name):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.name} {content}\n".encode())
    return digest.hexdigest()


def resolve_base(base: str | Path, weights: bool = True) -> Path:
    """Folder of a base model given as a path or a hub id, whose weights are fetched if they are
    needed. Raises BaseModelError."""
    if (folder := Path(base)).is_dir():
        return folder
    try:
        from huggingface_hub import snapshot_download  # only a hub id needs it

        wanted = ["*.json", *(["*.safetensors"] if weights else [])]
        return Path(snapshot_download(str(base), allow_patterns=wanted))
    except Exception as error:
        raise BaseModelError(
            f"no base model at {base}: neither a folder nor a hub model that can be fetched; "
            "run `python -m finetune pretrain` or name another with --base"
        ) from error


def has_weights(folder: Path) -> bool:
    """Whether a base's weights are in its folder, not only its tokenizer."""
    return any(folder.glob("*.safetensors"))


def validate_base(folder: Path, weights: bool = True) -> None:
    """Raise BaseModelError unless the folder is a whole model without code or pickled weights, or
    with `weights` false at least its configuration and tokenizer.

    A folder may hold base_digest in a file SHA256, as the shipped starter model does.
    """
    try:
        config = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError) as error:
        raise BaseModelError(f"{folder} holds no readable config.json") from error
    if not isinstance(config, dict):
        raise BaseModelError(f"{folder}/config.json is no configuration of a model")
    if found := sorted(key for key in _CODE_KEYS if config.get(key)):
        raise BaseModelError(f"{folder}/config.json names code to run ({', '.join(found)})")
    if not (folder / "tokenizer.json").is_file():
        raise BaseModelError(f"{folder} needs a tokenizer.json")
    if not has_weights(folder):
        if not weights:
            return
        raise BaseModelError(f"{folder} needs *.safetensors weights")
    if (folder / DIGEST).is_file() and (folder / DIGEST).read_text().strip() != base_digest(folder):
        raise BaseModelError(f"{folder} is not what its {DIGEST} says; install it again")


def base_digest(folder: Path) -> str:
    """sha256 that stands for a base model: its config, tokenizer and weights."""
    named = [folder / "config.json", folder / "tokenizer.json"]
    return files_digest([*(p for p in named if p.is_file()), *folder.glob("*.safetensors")])


def adapter_digest(folder: Path) -> str:
    """sha256 that stands for an adapter: its config and weights, not its manifest."""
    return files_digest([folder / CONFIG, folder / WEIGHTS])


def validate_adapter(folder: Path, base: Path | None = None) -> AdapterManifest:
    """The manifest of an adapter that is whole and safe, and made for `base` where one is given.

    Raises AdapterError: files other than the three expected, unknown configuration keys, weights
    that are not what the manifest says, or another base.
    """
    names = {p.name for p in folder.iterdir()} if folder.is_dir() else set()
    if missing := sorted({MANIFEST, CONFIG, WEIGHTS} - names):
        raise AdapterError(f"{folder} is not a finished adapter: {', '.join(missing)} missing")
    strange = sorted(
        p.name for p in folder.iterdir()
        if p.name not in {MANIFEST, CONFIG, WEIGHTS} or p.is_symlink() or not p.is_file()
    )  # fmt: skip
    if strange:
        raise AdapterError(f"{folder} holds files an adapter must not have: {', '.join(strange)}")
    try:
        manifest = _MANIFEST.validate_json((folder / MANIFEST).read_bytes())
        config = json.loads((folder / CONFIG).read_text())
    except (OSError, ValueError, ValidationError) as error:
        raise AdapterError(f"{folder}: unreadable manifest or configuration: {error}") from error
    _check_config(folder, config)
    _check_weights(folder)
    if adapter_digest(folder) != manifest.adapter_sha256:
        raise AdapterError(f"{folder} was changed after training; train it again")
    if base is not None and base_digest(base) != manifest.base_sha256:
        raise AdapterError(f"{folder} was trained on {manifest.base}, not on the base at {base}")
    return manifest


def _check_config(folder: Path, config: Any) -> None:
    if not isinstance(config, dict):
        raise AdapterError(f"{folder}/{CONFIG} is not a JSON object")
    if unknown := sorted(set(config) - CONFIG_KEYS):
        raise AdapterError(f"{folder}/{CONFIG} has keys that are not allowed: {', '.join(unknown)}")
    if config.get("peft_type") not in {"LORA", "ADALORA", PREFIX}:
        raise AdapterError(f"{folder}/{CONFIG}: method {config.get('peft_type')!r} is not known")


def _check_weights(folder: Path) -> None:
    try:
        with safe_open(folder / WEIGHTS, framework="np") as tensors:
            names = list(tensors.keys())
    except (OSError, SafetensorError) as error:
        raise AdapterError(f"{folder}/{WEIGHTS} is damaged: {error}") from error
    if strange := [n for n in names if ".lora_" not in n and n != _PREFIX_WEIGHTS]:
        raise AdapterError(f"{folder}/{WEIGHTS} holds more than an adapter: {strange[0]}")


def check_gate(manifest: AdapterManifest) -> None:
    """Raise GateError unless the adapter beats its base on held-out dialogues."""
    card = manifest.scores
    if card is None or card.adapter_sha256 != manifest.adapter_sha256:
        raise GateError("not evaluated; run `python -m finetune evaluate --adapter` on it first")
    ours, base = card.adapter, card.base
    if not ours.perplexity < base.perplexity:
        raise GateError(f"perplexity {ours.perplexity} is not below the base's {base.perplexity}")
    if not ours.supported >= base.supported:
        raise GateError(f"supported replies {ours.supported} are fewer than the {base.supported}")
    for name, share in card.forgetting.items():
        if share > _MOST_FORGOTTEN:
            raise GateError(f"it forgets {name}: perplexity {share:+.1%} (at most +2%)")
