"""Validation, the gate, promotion and rollback; real adapters, no torch needed to judge them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from finetune.errors import AdapterError, BaseModelError, GateError
from finetune.manifest import (
    AdapterManifest,
    Scorecard,
    Scores,
    base_digest,
    resolve_base,
    validate_adapter,
    validate_base,
)
from finetune.registry import Registry

Spoil = Callable[[Path], Any]
BASE = Scores(perplexity=20.0, rouge_l=0.1, supported=0.5, n=10)
BETTER = Scores(perplexity=10.0, rouge_l=0.1, supported=0.5, n=10)


def with_scores(source: Path, target: Path, ours: Scores, base: Scores = BASE) -> Path:
    """A copy of an adapter whose manifest holds these scores."""
    shutil.copytree(source, target)
    manifest = validate_adapter(target)
    card = Scorecard(base, ours, "data", manifest.adapter_sha256)
    replace(manifest, scores=card).write(target)
    return target


def edit(name: str, **changes: Any) -> Spoil:
    def spoil(folder: Path) -> None:
        values = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(values | changes))

    return spoil


def test_the_registry_needs_neither_torch_nor_transformers() -> None:
    code = (
        "import sys, finetune.registry; sys.exit(bool({'torch', 'transformers'} & {*sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_trained_adapter_is_valid_and_explains_itself(lora: Path, base: Path) -> None:
    manifest = validate_adapter(lora, base)
    assert manifest.method == "lora"
    assert manifest.engine == "transformers-nf4"
    assert manifest.base_sha256 == base_digest(base)
    assert manifest.template.reply_end == "<|end|>"
    assert manifest.recipe["rank"] == 4
    assert manifest.scores is None


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda f: (f / "adapter_model.bin").write_bytes(b"\x80\x04."), "must not have"),
        (lambda f: (f / "modeling.py").write_text("import os"), "must not have"),
        (lambda f: (f / "more").mkdir(), "must not have"),
        (lambda f: (f / "manifest.json").unlink(), "not a finished adapter"),
        (edit("adapter_config.json", auto_mapping={"a": "b"}), "auto_mapping"),
        (edit("adapter_config.json", auto_map={"a": "b"}), "auto_map"),
        (edit("adapter_config.json", megatron_core="os"), "megatron_core"),
        (edit("adapter_config.json", _attn_implementation_internal="x/y"), "_attn_implementation"),
        (edit("adapter_config.json", brand_new=None), "brand_new"),
        (edit("adapter_config.json", peft_type="PROMPT_TUNING"), "PROMPT_TUNING"),
        (edit("adapter_config.json", lora_alpha=9999), "changed after training"),
        (edit("manifest.json", surprise=1), "unreadable manifest"),
        (lambda f: (f / "adapter_config.json").write_text("[]"), "not a JSON object"),
        (lambda f: (f / "adapter_model.safetensors").write_bytes(b"\x80\x04."), "damaged"),
    ],
)
def test_an_unsafe_or_damaged_adapter_is_refused(
    lora: Path, tmp_path: Path, spoil: Spoil, reason: str
) -> None:
    folder = tmp_path / "adapter"
    shutil.copytree(lora, folder)
    spoil(folder)
    with pytest.raises(AdapterError, match=reason):
        validate_adapter(folder)


def test_weights_behind_a_link_are_refused(lora: Path, tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    shutil.copytree(lora, folder)
    (folder / "adapter_model.safetensors").unlink()
    (folder / "adapter_model.safetensors").symlink_to(lora / "adapter_model.safetensors")
    with pytest.raises(AdapterError, match="must not have"):
        validate_adapter(folder)


def test_an_adapter_of_another_base_is_refused(lora: Path, base: Path, tmp_path: Path) -> None:
    other = tmp_path / "base"
    shutil.copytree(base, other)
    edit("config.json", rms_norm_eps=0.5)(other)
    with pytest.raises(AdapterError, match="not on the base"):
        validate_adapter(lora, other)


@pytest.mark.parametrize(
    "change", [{"auto_map": {"AutoModel": "x"}}, {"_attn_implementation_internal": "a/b"}]
)
def test_a_base_that_names_code_is_refused(
    base: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    other = tmp_path / "base"
    shutil.copytree(base, other)
    edit("config.json", **change)(other)
    with pytest.raises(BaseModelError, match="code to run"):
        validate_base(other)


def test_a_missing_base_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(BaseModelError, match="pretrain"):
        resolve_base(tmp_path / "none")


def test_a_canary_is_beside_what_is_served_until_it_is_stopped_or_promoted(
    lora: Path, tmp_path: Path
) -> None:
    registry = Registry(tmp_path / "home")
    source = with_scores(lora, tmp_path / "a", BETTER)
    other = with_scores(lora, tmp_path / "b", BETTER)
    served = registry.promote(source)
    name = registry.promote(other, 0.1)
    canary = registry.canary()
    assert canary is not None
    assert (canary.name, canary.share) == (name, 0.1)
    assert registry.current() == registry.folder / served
    assert registry.rollback() == served
    assert registry.canary() is None
    registry.promote(other, 0.1)
    assert registry.promote(other) == name
    assert registry.canary() is None
    assert registry.current() == registry.folder / name
    assert registry.rollback() == served


def test_an_adapter_that_forgets_is_not_promoted(lora: Path, tmp_path: Path) -> None:
    source = with_scores(lora, tmp_path / "a", BETTER)
    manifest = validate_adapter(source)
    assert manifest.scores is not None
    kept = replace(manifest.scores, forgetting={"chat": 0.02, "orders": -0.1})
    replace(manifest, scores=kept).write(source)
    assert Registry(tmp_path / "home").promote(source)
    lost = replace(manifest.scores, forgetting={"chat": 0.021})
    replace(manifest, scores=lost).write(source)
    with pytest.raises(GateError, match=r"forgets chat: perplexity \+2\.1%"):
        Registry(tmp_path / "home").promote(source)


def test_an_adapter_that_was_never_evaluated_is_not_promoted(lora: Path, tmp_path: Path) -> None:
    with pytest.raises(GateError, match="evaluate"):
        Registry(tmp_path).promote(lora)
    assert Registry(tmp_path).current() is None


@pytest.mark.parametrize(
    "worse",
    [
        replace(BETTER, perplexity=20.0),
        replace(BETTER, perplexity=25.0),
        replace(BETTER, supported=0.49),
    ],
)
def test_a_worse_adapter_is_not_promoted(lora: Path, tmp_path: Path, worse: Scores) -> None:
    with pytest.raises(GateError):
        Registry(tmp_path / "home").promote(with_scores(lora, tmp_path / "worse", worse))


def test_scores_of_other_weights_do_not_count(lora: Path, tmp_path: Path) -> None:
    folder = with_scores(lora, tmp_path / "a", BETTER)
    manifest: AdapterManifest = validate_adapter(folder)
    card = Scorecard(BASE, BETTER, "data", "of another adapter")
    replace(manifest, scores=card).write(folder)
    with pytest.raises(GateError, match="not evaluated"):
        Registry(tmp_path).promote(folder)


def test_a_home_without_adapters_has_nothing_to_roll_back(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="nothing to roll back"):
        Registry(tmp_path / "new").rollback()
    assert Registry(tmp_path / "new").stop_canary() is None
    assert not (tmp_path / "new").exists()


def test_promotion_and_rollback_move_the_pointer(lora: Path, adalora: Path, tmp_path: Path) -> None:
    registry = Registry(tmp_path / "home")
    first = registry.promote(with_scores(lora, tmp_path / "first", BETTER))
    second = registry.promote(with_scores(adalora, tmp_path / "second", BETTER))
    assert registry.current() == registry.folder / second
    assert list(registry.list()) == [first, second]
    assert registry.rollback() == first
    assert registry.current() == registry.folder / first
    assert registry.rollback() is None
    assert registry.current() is None
    with pytest.raises(AdapterError, match="nothing to roll back"):
        registry.rollback()


def test_promoting_again_is_harmless(lora: Path, tmp_path: Path) -> None:
    registry, folder = Registry(tmp_path / "home"), with_scores(lora, tmp_path / "a", BETTER)
    assert registry.promote(folder) == registry.promote(folder)
    assert len(registry.list()) == 1
    assert registry.rollback() is None


def test_what_is_promoted_no_longer_depends_on_its_source(lora: Path, tmp_path: Path) -> None:
    registry, folder = Registry(tmp_path / "home"), with_scores(lora, tmp_path / "a", BETTER)
    registry.promote(folder)
    shutil.rmtree(folder)
    current = registry.current()
    assert current is not None
    validate_adapter(current)


def test_a_damaged_pointer_is_an_error(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    registry.folder.mkdir()
    registry.pointer.write_text("{")
    with pytest.raises(AdapterError, match="damaged"):
        registry.current()
