"""A really tiny base and adapters, trained once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.prepare import prepare
from finetune.settings import BaseRecipe
from knowledge.language import Detector
from tests.finetune.toys import ADALORA, adapter_recipe, shop_history, write_lines


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the whole session."""
    return tmp_path_factory.mktemp("finetune")


@pytest.fixture(scope="session")
def data(work: Path) -> Path:
    """A prepared folder."""
    source = write_lines(work / "history.jsonl", shop_history())
    prepare([source], work / "data", Detector())
    return work / "data"


@pytest.fixture(scope="session")
def base_recipe() -> BaseRecipe:
    """Seconds on one core."""
    return BaseRecipe(
        max_steps=12, batch_size=4, max_tokens=64, learning_rate=5e-3, checkpoint_steps=100,
        vocabulary=400, hidden_size=64, layers=2, heads=2, feed_forward=128, context_tokens=256,
        threads=1,
    )  # fmt: skip


@pytest.fixture(scope="session")
def base(work: Path, data: Path, base_recipe: BaseRecipe) -> Path:
    """A tiny Llama with its tokenizer."""
    from finetune.base import pretrain

    pretrain([data], work / "base", base_recipe)
    return work / "base"


@pytest.fixture(scope="session")
def lora(work: Path, data: Path, base: Path) -> Path:
    """A trained LoRA adapter."""
    from finetune.train import train_adapter

    train_adapter(data, work / "lora", base, adapter_recipe(max_steps=30))
    return work / "lora"


@pytest.fixture(scope="session")
def adalora(work: Path, data: Path, base: Path) -> Path:
    """A trained AdaLoRA adapter."""
    from finetune.train import train_adapter

    train_adapter(data, work / "adalora", base, adapter_recipe(**ADALORA, max_steps=16))
    return work / "adalora"
