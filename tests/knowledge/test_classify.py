from pathlib import Path

import numpy as np
import pytest

from knowledge.classify import HASH_BUCKETS, TextClassifier, features, hashed_terms
from knowledge.errors import KnowledgeError


def classifier(order: str) -> TextClassifier:
    weights = np.asarray(np.random.default_rng(0).normal(size=(3, 7)), np.float32, order=order)
    return TextClassifier(("a", "b", "c"), weights, np.zeros(3, np.float32), 0.7, "minilm")


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_saved_classifier_answers_like_the_one_trained(tmp_path: Path, order):
    trained = classifier(order)
    trained.save(tmp_path)
    loaded = TextClassifier.load(tmp_path)
    row = np.random.default_rng(1).normal(size=7).astype(np.float32)
    np.testing.assert_allclose(loaded.probabilities(row), trained.probabilities(row), atol=2e-3)
    assert loaded.labels == trained.labels


def test_probabilities_sum_to_one_and_a_higher_temperature_flattens_them():
    cold = classifier("C")
    hot = TextClassifier(cold.labels, cold.weights, cold.bias, 7.0, cold.encoder_name)
    row = np.ones(7, np.float32)
    assert cold.probabilities(row).sum() == pytest.approx(1)
    assert hot.probabilities(row).max() < cold.probabilities(row).max()


def test_a_folder_without_a_classifier_says_how_to_train_one(tmp_path: Path):
    with pytest.raises(KnowledgeError, match="finetune intents"):
        TextClassifier.load(tmp_path)


def test_chinese_and_english_terms_are_hashed_alike_every_time():
    assert np.array_equal(hashed_terms("怎么退货"), hashed_terms("怎么退货"))
    assert np.linalg.norm(hashed_terms("return shoes")) == pytest.approx(1, abs=1e-5)


def test_what_the_encoder_does_not_know_does_not_count():
    vector = np.ones(4, np.float32)
    assert features("怎么退货", vector, 0.0)[:4].sum() == 0
    assert features("怎么退货", vector, 0.0).shape == (4 + HASH_BUCKETS,)
