"""Who buys again within 30 days: the public baskets of a gift shop, one moment kept for the test.

    python -m benchmarks.propensity [--later FILE] [--recipe FILE] [--page FILE] [--work FOLDER]

The bar: PR-AUC ahead of gradient boosting on the same features, or gradient boosting ships. All
kinds are tuned on the same validation moment, a horizon before the test. Without `--later` the last
30 days of the shared baskets are the test; a file of later baskets is tested on instead, at its
first day and every 30 days after. A line of JSON for each model, with 95% intervals by bootstrap
over customers; `recency` is the rule that who has bought lately buys again. The last line has
what ships, each model's lead over gradient boosting with its interval, and the customers of whom no
row was learnt from.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score

from assistant.settings import load_settings
from benchmarks.passages import data_folder
from finetune.propensity import Trained, train_propensity
from finetune.propensity_data import Table, read_customers, read_products
from finetune.propensity_report import report_of
from finetune.propensity_scores import difference
from finetune.propensity_settings import PropensityRecipe
from finetune.reader_commands import embedded_encoder
from finetune.settings import RECIPES, load_recipe
from knowledge.propensity.features import NAMES

_FOLDER = Path("data") / "online_retail"


def rule(test: Table) -> Any:
    """(rows,) higher for who has bought more lately."""
    return -test.features[:, NAMES.index("recency")]


def compared(trained: Trained, recipe: PropensityRecipe) -> dict[str, Any]:
    """By how much each model is ahead of gradient boosting, and the shipped one on the customers of
    whom no row was learnt from."""
    test = trained.lesson.test
    margins = {name: model.margins(test.inputs) for name, model in trained.models.items()}
    found: dict[str, Any] = {"ships": "+".join(trained.model.manifest.parts)}
    for name, ours in margins.items():
        gap = difference(
            ours, margins["boosting"], test.labels, test.customers, recipe.resamples, recipe.seed
        )
        found |= {f"{name}_ahead": [round(g, 4) for g in gap]} if name != "boosting" else {}
    new = ~np.isin(test.customers, trained.lesson.refit.customers)
    found["new_customers"] = int(new.sum())
    if 0 < test.labels[new].sum() < new.sum():
        ours = trained.model.margins(test.inputs)
        reached = average_precision_score(test.labels[new], ours[new])
        found["new_pr_auc"] = round(float(reached), 4)
        found["new_positives"] = round(float(test.labels[new].mean()), 4)
    return found


def main() -> None:
    """Train and measure; a few minutes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--later", type=Path, help="JSON Lines of the baskets after the shared ones"
    )
    parser.add_argument("--recipe", type=Path, default=RECIPES / "propensity.yaml")
    parser.add_argument("--page", type=Path, help="HTML report of the shipped model")
    parser.add_argument("--work", type=Path, help="folder that keeps the model")
    parser.add_argument("--resume", action="store_true", help="go on with what is in --work")
    arguments = parser.parse_args()
    folder = data_folder() / _FOLDER
    settings, recipe = load_settings(), load_recipe(arguments.recipe, PropensityRecipe)
    products = read_products(folder / "products.jsonl.gz")
    shared = folder / "baskets_train.jsonl.gz"
    known = read_customers([shared], products)
    end = math.floor(max(p.day for history in known.values() for p in history.purchases)) + 1
    customers, until = known, None
    if arguments.later:
        customers, until = read_customers([shared, arguments.later], products), float(end)
    names = sorted(products)
    titles = embedded_encoder(settings, bulk=True).embed([products[n].title for n in names])
    vectors = dict(zip(names, titles, strict=True))
    with tempfile.TemporaryDirectory() as temporary:
        out = (arguments.work or Path(temporary)) / "propensity"
        trained = train_propensity(
            out, customers, recipe, vectors, known_until=until, resume=arguments.resume
        )
    model, test = trained.model, trained.lesson.test
    manifest = model.manifest
    if arguments.page:
        page = report_of(model, test, dict(manifest.scores), recipe.seed)
        page.write_page(arguments.page)
    reached = float(average_precision_score(test.labels, rule(test)))
    print(json.dumps({"model": "recency", "n": len(test), "pr_auc": round(reached, 4)}))
    for name, scores in manifest.scores_of.items():
        line = {"model": name, "validation_pr_auc": manifest.chosen_by.get(name)} | dict(scores)
        print(json.dumps(line))
    print(json.dumps(compared(trained, recipe)))


if __name__ == "__main__":
    main()
