"""Learning from graded searches, on a toy shop with the real MiniLM."""

import json
import random
from dataclasses import replace

import numpy as np
import pytest

from finetune.errors import DataError
from finetune.pair_training import PairRecipe
from finetune.product_labels import Search, dcg, gain, read_searches, read_shelf, rows_of
from finetune.product_reranker import (
    ahead_of,
    evaluate_product_reranker,
    held_out,
    measured,
    train_product_reranker,
)
from knowledge.catalogue.promoted import SHIPPED, read_manifest
from knowledge.catalogue.reranker import ProductReranker
from knowledge.catalogue.types import Product

KINDS = {"zirp": "garden zirp", "mundle": "steel mundle", "quolt": "wool quolt"}
SHELF = [
    {"id": f"{kind}{n}", "title": f"{title} {n}", "currency": "GBP", "price": 5, "language": "en"}
    for kind, title in KINDS.items() for n in range(4)
] + [{"id": f"{kind}-bag", "title": f"bag for a {kind}", "language": "en"} for kind in KINDS]  # fmt: skip


def labels():
    for kind in KINDS:
        for row in SHELF:
            grade = 3 if row["id"].startswith(kind) and "bag" not in row["id"] else 0
            grade = 1 if row["id"] == f"{kind}-bag" else grade
            yield {"query": kind, "product_id": row["id"], "relevance": grade}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labels")
    for name, rows in (("shelf", SHELF), ("labels", labels())):
        text = "\n".join(json.dumps(row) for row in rows)
        (folder / f"{name}.jsonl").write_text(text)
    return folder / "labels.jsonl", folder / "shelf.jsonl"


def test_gains_are_those_of_ndcg():
    assert [gain(grade) for grade in (0, 1, 2, 3)] == pytest.approx([0, 1 / 7, 3 / 7, 1])
    assert dcg([3, 0, 1]) == pytest.approx(7 + 1 / 2)


def test_each_search_has_what_was_judged_and_others_that_have_none_of_its_words(files):
    shelf = read_shelf([files[1]])
    searches = read_searches([files[0]], shelf)
    assert [search.query for search in searches] == list(KINDS)
    short = replace(searches[0], judged=searches[0].judged[:2])
    rows = list(rows_of([short], shelf, len(SHELF), random.Random(1)))
    assert [row.gain for row in rows[:2]] == [1.0, 1.0]
    # Four have the word of the search, one more is called after it.
    assert len(rows[2:]) == len(SHELF) - 5
    assert not any("zirp" in row.text or row.gain for row in rows[2:])


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"query": "zirp", "product_id": "lost", "relevance": 1}, "no product lost@en"),
        ({"query": "zirp", "product_id": "zirp1", "relevance": 4}, "line 1.*relevance"),
        ({"query": "", "product_id": "zirp1", "relevance": 1}, "line 1.*query"),
    ],
)
def test_a_label_that_is_none_is_named(tmp_path, files, row, told):
    path = tmp_path / "labels.jsonl"
    path.write_text(json.dumps(row))
    with pytest.raises(DataError, match=told):
        read_searches([path], read_shelf([files[1]]))


def test_what_was_learnt_of_searches_is_read_the_same_when_it_serves(tmp_path, files):
    shelf = read_shelf([files[1]])
    searches = read_searches([files[0]], shelf)
    recipe = PairRecipe(epochs=8, batch=16, rate=1e-3)
    train_product_reranker(tmp_path / "out", searches, shelf, SHIPPED, recipe)
    reranker = ProductReranker(tmp_path / "out", tmp_path / "engines")
    found = evaluate_product_reranker(reranker, searches)
    assert found["ndcg@10"] > 0.95
    assert found["precision"] > 0.9
    assert found["recall"] > 0.9
    manifest = measured(tmp_path / "out", searches, searches, tmp_path / "engines")
    assert manifest == read_manifest(tmp_path / "out")
    assert manifest.scores == found
    assert (manifest.searches, manifest.graded) == (3, 45)
    mean, low, high = manifest.ahead
    assert low <= mean <= high


def test_it_is_ahead_by_what_each_search_gains():
    products = [Product(str(n), str(n)) for n in range(2)]
    searches = [Search(str(n), "en", tuple(zip(products, (3, 0), strict=True))) for n in range(8)]
    mean, low, high = ahead_of(Nothing(), Backwards(), searches)
    assert mean == low == high == pytest.approx(1 - 1 / np.log2(3))


def test_the_same_searches_are_held_out_each_time():
    searches = [Search(str(n), "en", ()) for n in range(400)]
    learnt, held = held_out(searches, 0.25)
    assert 70 < len(held) < 130
    assert sorted([*learnt, *held], key=searches.index) == searches
    assert held_out(searches[::-1], 0.25)[1] == held[::-1]
    assert held_out(searches, 0)[1] == []


def test_searches_that_nothing_suits_measure_nothing(files, tmp_path):
    path = tmp_path / "labels.jsonl"
    path.write_text(json.dumps({"query": "sea", "product_id": "zirp1", "relevance": 0}))
    searches = read_searches([path], read_shelf([files[1]]))
    with pytest.raises(DataError, match="nothing to measure"):
        evaluate_product_reranker(Nothing(), searches)


class Nothing:
    """Suits: nothing does."""

    def suits(self, search, products):
        return np.zeros(len(products), np.float32)


class Backwards:
    """Suits: the last one does best."""

    def suits(self, search, products):
        return np.arange(len(products), dtype=np.float32)
