"""Recipes."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from finetune.errors import RecipeError
from finetune.settings import (
    RECIPES,
    AdapterRecipe,
    BaseRecipe,
    InstructRecipe,
    Recipe,
    WholeModelRecipe,
    load_recipe,
)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("tiny-base", BaseRecipe),
        ("starter-base", BaseRecipe),
        ("starter-copy", InstructRecipe),
        ("starter-replies", InstructRecipe),
        ("lora", AdapterRecipe),
        ("quick-lora", AdapterRecipe),
        ("adalora", AdapterRecipe),
        ("dora", AdapterRecipe),
        ("prefix", AdapterRecipe),
        ("full", WholeModelRecipe),
    ],
)
def test_shipped_recipes_are_valid(name: str, kind: type[Recipe]) -> None:
    assert load_recipe(RECIPES / f"{name}.yaml", kind).epochs >= 1


@pytest.mark.parametrize("text", ["rank: 4\nlearnig_rate: 1", "rank: [", "rank: none", "- 1"])
def test_an_unusable_recipe_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=r"bad\.yaml"):
        load_recipe(path, AdapterRecipe)


def test_a_missing_recipe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(tmp_path / "none.yaml", AdapterRecipe)


def test_every_field_says_what_it_is_measured_in() -> None:
    for kind in (Recipe, BaseRecipe, InstructRecipe, AdapterRecipe):
        assert all(field.description for field in kind.model_fields.values())


def test_adalora_without_ranks_to_prune_is_refused() -> None:
    with pytest.raises(ValidationError, match="initial_rank"):
        AdapterRecipe(method="adalora", rank=8, initial_rank=8)


def test_adalora_shares_that_leave_no_pruning_are_refused() -> None:
    with pytest.raises(ValidationError, match="must leave steps"):
        AdapterRecipe(method="adalora", rank=4, initial_rank=8, initial_share=0.5, final_share=0.5)


def test_an_adalora_schedule_that_does_not_fit_the_run_is_refused() -> None:
    recipe = AdapterRecipe(method="adalora", rank=4, initial_rank=8, prune_every=10)
    assert recipe.pruning_schedule(100) == (10, 30)
    with pytest.raises(RecipeError, match="run of 12 steps"):
        recipe.pruning_schedule(12)
    with pytest.raises(RecipeError):
        AdapterRecipe(method="adalora", rank=4, initial_rank=8, prune_every=10, max_steps=12)


def test_steps_are_counted_as_the_trainer_counts_them() -> None:
    assert Recipe(epochs=2, batch_size=4, gradient_accumulation=2).total_steps(17) == 6
    assert Recipe(epochs=2, max_steps=3).total_steps(1000) == 3
