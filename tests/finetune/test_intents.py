"""Training, calibrating and measuring the router."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from finetune.errors import DataError
from finetune.intent_bands import Costs, cheapest_bands
from finetune.intent_data import Utterances, outliers
from finetune.intent_report import evaluate_intents, expected_calibration_error
from finetune.intent_training import Recipe
from finetune.intents import train_intents
from knowledge.errors import KnowledgeError
from knowledge.intent_classifier import OUT_OF_SCOPE, Bands, IntentClassifier, Manifest

SMALL = Recipe(
    epochs=6, least_steps=0, batch=8, rank=4, adapter_rate=2e-3, slipping=0.3, adversarial=0.3
)
RETURNS = (
    "how do i send it back", "i want to return my shoes", "can i return this", "return my order",
    "where do i send returns", "i'd like to return a shirt", "is returning free", "return label please",
)  # fmt: skip
DELIVERY = (
    "where is my parcel", "when will my parcel come", "has my parcel been shipped", "track my parcel",
    "my delivery is late", "how long is delivery", "parcel not here yet", "delivery status please",
)  # fmt: skip
OTHERS = (
    "who wrote hamlet", "the moon is made of cheese", "how tall is everest", "sing a song",
    "what is a prime number", "my cat is asleep", "best film of 1994", "why is the sky blue",
    "boil an egg", "capital of peru",
)  # fmt: skip


def both() -> Utterances:
    labels = (("returns",),) * len(RETURNS) + (("delivery",),) * len(DELIVERY)
    return Utterances(RETURNS + DELIVERY, labels, ("how do i cook rice", "tell me a joke"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, IntentClassifier]:
    folder = tmp_path_factory.mktemp("router")
    train_intents(folder / "intents", both(), OTHERS, SMALL)
    return folder, IntentClassifier(folder / "intents", folder / "engines")


def test_a_trained_router_tells_intents_apart_and_is_unsure_of_other_things(trained):
    _, classifier = trained
    labels = classifier.manifest.labels
    inside = classifier.probabilities(["i wish to return these boots", "where's the parcel"])
    assert [labels[n] for n in inside.argmax(1)] == ["returns", "delivery"]
    assert inside.sum(1) == pytest.approx(1)
    outside = classifier.probabilities(["who painted the mona lisa"])
    assert outside.max() < inside.max(1).min()


def test_a_finished_training_leaves_the_classifier_alone(trained):
    folder, _ = trained
    files = {p.name for p in (folder / "intents").iterdir()}
    assert {"adapter_model.safetensors", "heads.safetensors", "manifest.json"} <= files
    kept = {p.name for p in (folder / "intents.training").iterdir()}
    assert kept <= {"tensorboard"}  # logs, and no checkpoint to go on from


def test_messages_that_may_have_several_intents_get_a_probability_for_each(tmp_path: Path):
    labels = tuple(
        ("returns", "delivery") if n % 4 == 0 else named for n, named in enumerate(both().intents)
    )
    train_intents(
        tmp_path / "several", Utterances(both().texts, labels), OTHERS, replace(SMALL, epochs=3)
    )
    classifier = IntentClassifier(tmp_path / "several", tmp_path / "engines")
    assert classifier.manifest.several
    report = evaluate_intents(classifier, Utterances(both().texts, labels))
    assert 0.5 < report.scores["f1"] <= 1


def test_scores_count_what_is_refused_and_the_page_shows_what_is_confused(trained, tmp_path: Path):
    _, classifier = trained
    swapped = Utterances(
        (*RETURNS[:3], "return <b>this</b>"), (("returns",),) * 3 + (("delivery",),), OTHERS[:4]
    )
    report = evaluate_intents(classifier, swapped)
    assert report.scores["n"] == 8
    assert report.scores["accuracy"] <= 0.75
    assert 0 <= report.scores["oos_recall"] <= 1
    report.write_page(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "return &lt;b&gt;this&lt;/b&gt;" in page
    assert "<td>delivery</td>" in page


def test_bands_follow_from_what_mistakes_cost():
    rng = np.random.default_rng(0)
    best = rng.uniform(0.5, 1, 8_000)
    right = rng.random(8_000) < best
    inside = np.stack([best, 1 - best], axis=1)
    target = np.stack([right, ~right], axis=1).astype(np.float32)
    outside = np.stack([rng.uniform(0.5, 0.7, 500), np.full(500, 0.3)], axis=1)
    dear = cheapest_bands(inside, target, outside, Costs(wrong_route=20))
    cheap = cheapest_bands(inside, target, outside, Costs(wrong_route=1))
    assert cheap.sure < dear.sure
    # Asking costs 1, a wrong route 20: it pays from where one in twenty is wrong.
    assert dear.sure == pytest.approx(0.95, abs=0.03)
    never_ask = cheapest_bands(inside, target, outside, Costs(clarification=100))
    assert never_ask.low == never_ask.sure


def test_each_probability_falls_into_one_band():
    bands = Bands(0.3, 0.8)
    assert [bands.advice(p) for p in (0.29, 0.3, 0.79, 0.8)] == [
        "out_of_scope", "clarify", "clarify", "route",
    ]  # fmt: skip


def test_utterances_are_read_with_their_ways_of_writing(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    rows = [
        {"text": "a", "intent": "x"}, {"text": "b", "intent": "oos"},
        {"text": "c", "intent": OUT_OF_SCOPE}, {"text": "d", "intents": ["y", "x"]},
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    read = Utterances.read([path])
    assert read == Utterances(("a", "d"), (("x",), ("x", "y")), ("b", "c"))
    assert read.several
    path.write_text('{"text": "a"}\n')
    with pytest.raises(DataError, match="not JSON Lines"):
        Utterances.read([path])


def test_too_few_utterances_are_named():
    with pytest.raises(DataError, match="'returns'"):
        Utterances(("a", "b"), (("returns",), ("delivery",))).require_enough()


def test_a_part_of_every_intent_is_held_out():
    learnt, held = both().parted(0.25, seed=1)
    assert len(held.texts) == 4
    assert set(held.intents) == {("returns",), ("delivery",)}
    assert sorted(learnt.texts + held.texts) == sorted(both().texts)
    assert len(learnt.outside) + len(held.outside) == 2


def test_the_messages_on_other_things_are_many_and_no_two_alike():
    found = outliers()
    assert len(found) == len(set(found)) >= 3500


def test_a_folder_without_intents_says_how_to_train_them(tmp_path: Path):
    with pytest.raises(KnowledgeError, match="finetune intents"):
        Manifest.read(tmp_path)
    (tmp_path / "manifest.json").write_text('{"labels": ["a"], "temperature": 1, "encoder": "x"}')
    with pytest.raises(KnowledgeError, match="finetune intents"):
        IntentClassifier(tmp_path, tmp_path)


def test_the_calibration_error_is_the_gap_between_confidence_and_accuracy():
    right = np.array([True, True, False, False])
    assert expected_calibration_error(np.full(4, 0.9), right) == pytest.approx(0.4)
    assert expected_calibration_error(np.full(4, 0.5), right) == pytest.approx(0.0)
