"""What customers buy next, foretold: the recommender against popularity, habits, item-kNN and ALS.

    python -m benchmarks.recommendations [--data FOLDER] [--set online_retail|demo]
        [--test BASKETS.jsonl.gz] [--pair CUSTOMERS] [--json]

Time parts the baskets (train < validation < test): the next visit of each customer within the test
days, from what was bought before them. Everything is trained and tuned before the test days begin;
`--test` names later baskets, and then the test days begin with their first, and all of the others
are trained on. Bar: recall@20 and NDCG@10 above every baseline, the 95% bootstrap interval of the
difference over customers above 0. `cold` are goods never sold before, among themselves. `--pair`
also trains a cross-encoder on (history, title) and lets it reorder the best 50 of so many
customers (see benchmarks/pair_recipe.py).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from assistant.demo.catalogue import load_catalogue
from assistant.demo.goods import goods as demo_goods
from assistant.demo.orders import generate_shop
from assistant.settings import load_settings
from benchmarks.buying_baselines import BASELINES, Day, measured, tuned
from benchmarks.passages import data_folder
from finetune.recommender import train_recommender
from finetune.recommender_data import Sales, asked_on, read_goods, read_visits
from finetune.recommender_evaluation import measure_among
from finetune.recommender_scores import (
    NDCG_AT,
    RECALL_AT,
    Measured,
    groups_of,
    mean_with_interval,
    measure,
)  # fmt: skip
from finetune.recommender_settings import RecommenderRecipe
from finetune.settings import RECIPES, load_recipe
from knowledge.recommend.artefact import Model
from knowledge.recommend.diversity import diversified, variety
from knowledge.recommend.features import NAMES, features
from knowledge.recommend.ranking import best
from knowledge.recommend.tower import TextTower
from knowledge.recommend.types import Floats, Good, Visit

_TEST_FROM = {"online_retail": "2011-08-01", "demo": "2026-10-01"}
_RECIPES = {"online_retail": "recommender.yaml", "demo": "recommender-demo.yaml"}
_LONGEST = 120  # test days
_DEEP = 100  # goods that are reordered for variety
_VARIETY = (0.0, 0.1, 0.2, 0.3)
OURS = "recommender"


@dataclass(frozen=True, slots=True)
class Part:
    """All that is known, and the first of the test days (a Gregorian ordinal)."""

    goods: tuple[Good, ...]
    visits: Sequence[Visit]
    test_from: int


def online_retail(data: Path, test: Path | None) -> Part:
    """The shared baskets, with later ones where there are some."""
    folder = data / "data" / "online_retail"
    visits = read_visits([folder / "baskets_train.jsonl.gz"])
    first = date.fromisoformat(_TEST_FROM["online_retail"]).toordinal()
    if test:
        later = read_visits([test])
        first = min(visit.day for visit in later)
        visits = [*(v for v in visits if v.day < first), *later]
    return Part(read_goods(folder / "products.jsonl.gz"), visits, first)


def demo(test: Path | None) -> Part:
    """The demo shop's orders; those of `test`, as `python -m assistant.demo` writes them, in the
    place of the last ones."""
    kept = {g["id"]: g for g in reversed(list(demo_goods(load_catalogue())))}
    goods = [Good(i, g["title"], g["category"], g["price"]) for i, g in sorted(kept.items())]
    first = date.fromisoformat(_TEST_FROM["demo"]).toordinal()
    visits = [
        Visit(o.customer_id, date.fromisoformat(o.placed_at[:10]).toordinal(),
              tuple(dict.fromkeys(line.product_id for line in o.lines)))
        for o in generate_shop().orders if o.state not in {"cancelled", "payment_failed"}
    ]  # fmt: skip
    if test:
        visits = [*(v for v in visits if v.day < first), *read_visits([test])]
    return Part(tuple(goods), visits, first)


class Contest:
    """One set: what is known, the days to tune and to test on, and the trained recommender."""

    def __init__(self, part: Part, recipe: RecommenderRecipe, folder: Path) -> None:
        whole, count = Sales.of(part.goods, part.visits), len(part.goods)
        self.known = Sales.of(part.goods, part.visits, part.test_from)
        asked = asked_on(whole.held, part.test_from, _LONGEST)
        self.test = Day(self.known.held, count, part.test_from, asked)
        earlier = part.test_from - recipe.horizon_days
        again = asked_on(self.known.held, earlier, recipe.horizon_days)
        self.validation = Day(self.known.before(earlier), count, earlier, again)
        self.engines = load_settings().engines
        train_recommender(folder, self.known, recipe, self.engines, resume=True)
        self.model = Model.load(folder, self.engines)
        self.scores, text, raw = self._foretold()
        self.by_text = {"text tower": text, "encoder as it is": raw}
        self.bought = [each.bought for each in asked]
        self.results = {name: self._baseline(name) for name in BASELINES}
        for name, scores in {**self.by_text, OURS: self.scores}.items():
            self.results[name] = measure([best(s, RECALL_AT) for s in scores], self.bought)

    def _baseline(self, name: str) -> Measured:
        setting = tuned(name, self.validation, _say)
        return measured(BASELINES[name][0], self.test, setting)

    def _foretold(self) -> tuple[list[Floats], list[Floats], list[Floats]]:
        """Of each customer asked the recommender's scores, the trained text tower's, and those of
        the encoder as it is."""
        context, past = self.model.context, [each.past for each in self.test.asked]
        ours, text = [], []
        for rows in features(context, past, self.test.day):
            ours.append(self.model.ranker.scores(rows))
            text.append(rows[:, NAMES.index("text")].copy())
        plain = TextTower(None, self.engines).embed([good.text for good in self.model.goods])
        raw = []
        for each in past:
            weights = 0.8 ** np.arange(len(each.rows))[::-1]
            middle = sum(w * plain[r].sum(0) for w, r in zip(weights, each.rows, strict=True))
            raw.append(np.asarray(plain @ (middle / np.linalg.norm(middle)), np.float32))
        return ours, text, raw

    def cold(self) -> dict[str, Measured]:
        """Goods never sold before, among themselves: by chance, by text, and by the recommender."""
        rows = np.flatnonzero(self.model.context.statistics.first_sold == 0)
        if not len(rows):
            return {}
        rng = np.random.default_rng(1)
        chance = [rng.random(self.test.count).astype(np.float32) for _ in self.test.asked]
        every = {"chance": chance, **self.by_text, OURS: self.scores}
        return {name: measure_among(rows, s, self.test.asked) for name, s in every.items()}

    def varied(self) -> dict[str, dict[str, float]]:
        """What lists lose in recall and NDCG, and win in variety, by weight of the latter."""
        vectors, found = self.model.context.vectors, {}
        for weight in _VARIETY:
            orders = [diversified(best(s, _DEEP), vectors, RECALL_AT, weight) for s in self.scores]
            told = measure(orders, self.bought)
            apart = np.mean([variety(order[:NDCG_AT], vectors) for order in orders])
            found[str(weight)] = {
                "recall@20": round(float(np.nanmean(told.recall)), 4),
                "ndcg@10": round(float(np.nanmean(told.ndcg)), 4),
                "variety": round(float(apart), 4),
            }
        return found

    def ahead(self) -> dict[str, dict[str, Any]]:
        """By how much the recommender is ahead of each baseline, with the interval over customers,
        for all and for short histories; the bar is met where none reaches 0."""
        found: dict[str, dict[str, Any]] = {}
        for group, chosen in groups_of(self.test.asked).items():
            ours = self.results[OURS].of(chosen)
            for name in BASELINES:
                theirs = self.results[name].of(chosen)
                found.setdefault(group, {})[name] = {
                    "recall@20": mean_with_interval(ours.recall - theirs.recall),
                    "ndcg@10": mean_with_interval(ours.ndcg - theirs.ndcg),
                }
        return found


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def told(measured_by: Mapping[str, Measured], chosen: Any = slice(None)) -> dict[str, Any]:
    """Means and intervals of each method, over some of the customers."""
    found = {}
    for name, each in measured_by.items():
        some = each.of(chosen)
        found[name] = {
            "n": int((~np.isnan(some.recall)).sum()),
            "recall@20": [round(v, 4) for v in mean_with_interval(some.recall)],
            "ndcg@10": [round(v, 4) for v in mean_with_interval(some.ndcg)],
        }
    return found


def print_table(title: str, rows: Mapping[str, Any]) -> None:
    """A line for each method."""
    count = next(iter(rows.values()))["n"] if rows else 0
    print(f"\n{title} ({count} customers)\n{'method':24} {'recall@20':>24} {'NDCG@10':>24}")
    for name, row in rows.items():
        cells = (f"{m:.4f} [{low:.4f}, {high:.4f}]" for m, low, high in
                 (row["recall@20"], row["ndcg@10"]))  # fmt: skip
        print(f"{name:24}", *(f"{cell:>24}" for cell in cells))


def print_report(report: Mapping[str, Any]) -> None:
    """Everything, as tables."""
    for title, key in (("all", "all"), ("one or two visits before", "short"),
                       ("goods never sold before, among themselves", "cold")):  # fmt: skip
        print_table(title, report[key])
    print("\nahead of the baselines by")
    for group, rows in report["ahead"].items():
        for name, row in rows.items():
            cells = (f"{k} {m:+.4f} [{low:+.4f}, {high:+.4f}]" for k, (m, low, high) in row.items())
            print(f"  {group:6} {name:24}", "  ".join(cells))
    print(f"bar: {'met' if report['met'] else 'MISSED'}")
    print("\nvariety (mean distance of two of the first ten) by its weight")
    for weight, row in report["variety"].items():
        print(f"  {weight:5}", "  ".join(f"{name} {value:.4f}" for name, value in row.items()))
    if "pair" in report:
        print_table("reordered by a cross-encoder, a sample", report["pair"])


def main() -> None:
    """Train, tune, and print what was foretold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of the public sets")
    parser.add_argument("--set", choices=_TEST_FROM, default="online_retail")
    parser.add_argument("--test", type=Path, help="later baskets")
    parser.add_argument("--recipe", type=Path)
    parser.add_argument("--pair", type=int, default=0, help="customers of the pair sample")
    parser.add_argument("--folder", type=Path, default=Path(".frontdesk/recommendations-measured"))
    parser.add_argument("--json", action="store_true", help="one JSON object")
    arguments = parser.parse_args()
    recipe = load_recipe(arguments.recipe or RECIPES / _RECIPES[arguments.set], RecommenderRecipe)
    if arguments.set == "demo":
        part = demo(arguments.test)
    else:
        part = online_retail(arguments.data or data_folder(), arguments.test)
    told_by = repr((part, recipe)).encode()
    folder = arguments.folder / f"{arguments.set}-{hashlib.sha256(told_by).hexdigest()[:8]}"
    contest = Contest(part, recipe, folder)
    groups = groups_of(contest.test.asked)
    ahead = contest.ahead()
    report: dict[str, Any] = {
        "set": arguments.set, "test_from": date.fromordinal(part.test_from).isoformat(),
        **{group: told(contest.results, chosen) for group, chosen in groups.items()},
        "cold": told(contest.cold()), "ahead": ahead, "variety": contest.varied(),
        "met": all(low > 0 for row in ahead["all"].values() for _, low, _ in row.values()),
    }  # fmt: skip
    if arguments.pair:
        from benchmarks.pair_recipe import reordered

        pair_folder = folder.with_name(f"{folder.name}-pair")
        report["pair"] = told(reordered(contest, arguments.pair, pair_folder))
    if arguments.json:
        print(json.dumps(report))
    else:
        print_report(report)


if __name__ == "__main__":
    main()
