"""Which product reranker serves a home, and which may."""

import shutil

import pytest

from knowledge.catalogue.promoted import (
    SHIPPED,
    Manifest,
    product_rerankers,
    read_manifest,
    served_reranker,
    write_manifest,
)
from knowledge.errors import RerankerError
from knowledge.minilm import HEADS, adapter_digest


@pytest.fixture
def trained(tmp_path):
    folder = tmp_path / "trained"
    shutil.copytree(SHIPPED, folder)

    def write(ahead):
        made = Manifest("2026-11-28T00:00:00+00:00", adapter_digest(folder), 9, 90, {}, ahead)
        write_manifest(folder, made)
        return folder

    return write


def test_the_shipped_one_serves_until_a_better_one_is_promoted_and_after_a_rollback(
    tmp_path, trained
):
    assert served_reranker(tmp_path) == SHIPPED
    folder = trained((0.05, 0.01, 0.09))
    name = product_rerankers(tmp_path).promote(folder)
    assert served_reranker(tmp_path) == tmp_path / "product-reranker" / name
    assert read_manifest(served_reranker(tmp_path)).searches == 9
    assert product_rerankers(tmp_path).rollback() is None
    assert served_reranker(tmp_path) == SHIPPED


@pytest.mark.parametrize(
    ("ahead", "told"), [(None, "not measured"), ((0.02, -0.01, 0.05), "no better.*\\+0.0200")]
)
def test_one_that_is_not_surely_better_is_not_promoted(tmp_path, trained, ahead, told):
    with pytest.raises(RerankerError, match=told):
        product_rerankers(tmp_path).promote(trained(ahead))
    assert served_reranker(tmp_path) == SHIPPED


def test_one_that_is_damaged_is_neither_promoted_nor_served(tmp_path, trained, caplog):
    folder = trained((0.05, 0.01, 0.09))
    name = product_rerankers(tmp_path).promote(folder)
    (tmp_path / "product-reranker" / name / HEADS).write_bytes(b"?")
    assert served_reranker(tmp_path) == SHIPPED
    assert "train it anew" in caplog.text
    (folder / HEADS).unlink()
    with pytest.raises(RerankerError, match="no whole product reranker"):
        product_rerankers(tmp_path).promote(folder)
