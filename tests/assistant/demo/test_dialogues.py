"""The generated support dialogues and the banks they grow from."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import jieba
import pytest

from assistant.demo.catalogue import Product, load_catalogue
from assistant.demo.dialogue_bank import RESOLUTIONS, BankError, Expander, load_bank
from assistant.demo.dialogues import AGENTS, BANKS, Dialogue, generate_dialogues
from assistant.demo.order_records import ShopRecords
from tests.assistant.shop import demo_shop

SPLITS = {"en": {"train": 1615, "test": 285}, "zh": {"train": 1020, "test": 180}}
INTENTS = {
    *("shipping_info", "delivery_problem", "returns", "refund", "exchange", "order_status"),
    *("order_change", "payment", "promo_discount", "invoice", "warranty_repair", "product_info"),
    *("product_search", "size_help", "gift_card", "loyalty", "account", "privacy_security"),
    *("business", "marketplace", "accessibility", "store_info", "complaint", "human_agent"),
    "out_of_scope",
}


@pytest.fixture(scope="module", params=["en", "zh"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def dialogues(language: str) -> tuple[Dialogue, ...]:
    return generate(language, sum(SPLITS[language].values()))


@cache
def shop() -> tuple[ShopRecords, tuple[Product, ...]]:
    return demo_shop(), load_catalogue()


def generate(language: str, count: int, seed: int = 20261123) -> tuple[Dialogue, ...]:
    english, chinese = (count, 0) if language == "en" else (0, count)
    return generate_dialogues(*shop(), seed, english=english, chinese=chinese)


def words(text: str, language: str) -> list[str]:
    if language == "zh":
        return [word for word in jieba.cut(text) if re.search(r"\w", word)]
    return re.findall(r"[\w'£€$.-]*\w", text.lower())


def eight_word_runs(dialogue: Dialogue) -> set[str]:
    texts = [words(turn.text, dialogue.language) for turn in dialogue.turns]
    return {" ".join(text[i : i + 8]) for text in texts for i in range(len(text) - 7)}


def templates(language: str, split: str) -> Iterator[str]:
    """The template strings that say something: an "ok" or a "thanks" may stand in both splits."""
    bank = load_bank(BANKS / language / split)
    texts = [text for _, alternatives in bank.grammar.values() for text in alternatives]
    texts += [text for s in bank.scenarios for _, pair in s.steps for _, text in pair]
    for text in texts:
        bare = re.sub(r"\{.*?\}", "", text)
        if len(bare) >= 6 if language == "zh" else len(bare.split()) >= 4:
            yield text


def test_there_are_as_many_dialogues_as_asked_for(
    language: str, dialogues: tuple[Dialogue, ...]
) -> None:
    assert Counter(dialogue.split for dialogue in dialogues) == SPLITS[language]
    assert len({dialogue.id for dialogue in dialogues}) == len(dialogues)
    assert len({dialogue.turns for dialogue in dialogues}) == len(dialogues)


def test_the_same_seed_gives_the_same_dialogues_and_another_seed_gives_others(
    language: str,
) -> None:
    assert generate(language, 60) == generate(language, 60)
    assert generate(language, 60) != generate(language, 60, seed=1)


def test_a_dialogue_has_3_to_14_turns_and_the_roles_alternate(
    dialogues: tuple[Dialogue, ...],
) -> None:
    for dialogue in dialogues:
        roles = [turn.role for turn in dialogue.turns]
        assert 3 <= len(roles) <= 14, dialogue
        assert all(one != next_one for one, next_one in pairwise(roles)), dialogue
        assert set(roles) == {"customer", "agent"}


def test_labels_are_known_ones_and_every_intent_occurs_in_both_splits(
    language: str, dialogues: tuple[Dialogue, ...]
) -> None:
    for split in SPLITS[language]:
        part = [dialogue for dialogue in dialogues if dialogue.split == split]
        assert {dialogue.intent for dialogue in part} == INTENTS, split
        assert {dialogue.resolution for dialogue in part} <= RESOLUTIONS
        assert {dialogue.agent for dialogue in part} == set(AGENTS[language])


def test_the_passages_are_documents_of_the_shop(dialogues: tuple[Dialogue, ...]) -> None:
    documents = BANKS.parent / "shop" / "documents"
    used = {passage for dialogue in dialogues for passage in dialogue.passages}
    assert used <= {path.stem for path in documents.glob("*/*.md")}


def test_the_records_of_a_dialogue_belong_together(dialogues: tuple[Dialogue, ...]) -> None:
    orders = {order.id: order for order in shop()[0].orders}
    for dialogue in dialogues:
        if dialogue.order_id:
            order = orders[dialogue.order_id]
            assert order.customer_id == dialogue.customer_id
            assert dialogue.product_id in {line.product_id for line in order.lines}
            assert order.placed_at <= dialogue.started_at.isoformat() < "2026-11-23T24"


def test_no_run_of_eight_words_stands_in_more_than_one_per_cent_of_the_dialogues(
    dialogues: tuple[Dialogue, ...],
) -> None:
    seen = Counter(run for dialogue in dialogues for run in eight_word_runs(dialogue))
    offenders = [(n, run) for run, n in seen.most_common(20) if n > len(dialogues) / 100]
    assert not offenders, "\n".join(f"{n} x {run}" for n, run in offenders)


def test_the_test_split_shares_no_template_with_the_training_split(language: str) -> None:
    assert not set(templates(language, "train")) & set(templates(language, "test"))


def test_every_scenario_expands_and_leaves_no_markup_behind(
    language: str, dialogues: tuple[Dialogue, ...]
) -> None:
    for split in SPLITS[language]:
        made = {(d.intent, d.resolution, d.passages) for d in dialogues if d.split == split}
        bank = load_bank(BANKS / language / split)
        assert {(s.intent, s.resolution, s.passages) for s in bank.scenarios} == made
    for turn in (turn for dialogue in dialogues for turn in dialogue.turns):
        assert not re.search(r"[{}\[\]|]|  ", turn.text), turn.text
        assert turn.text.strip() == turn.text != ""


def test_about_one_dialogue_in_sixteen_has_an_answer_that_is_corrected_later(
    dialogues: tuple[Dialogue, ...],
) -> None:
    corrected = [d for d in dialogues if d.resolution == "wrong_answer_corrected"]
    assert 0.03 < len(corrected) / len(dialogues) < 0.1


@pytest.mark.parametrize(
    ("turns", "complaint"),
    [
        ("{customer: '{nobody}'}, {agent: a}, {customer: b}", r"unknown symbol \{nobody"),
        ("{customer: '[a|b'}, {agent: a}, {customer: b}", "unbalanced"),
        ("{customer: a}, {customer: b}, {agent: c}", "do not alternate"),
        ("{customer: a}, {agent: c}", "not 3 to 14"),
        ("{customer: a}, {optional: 0.5, agent: b}, {customer: c}", "must be a pair"),
    ],
)
def test_a_faulty_bank_is_refused_with_the_name_of_its_file(
    tmp_path: Path, turns: str, complaint: str
) -> None:
    scenario = f"{{intent: returns, resolution: resolved, turns: [{turns}]}}"
    (tmp_path / "bank.yaml").write_text(f"scenarios: [{scenario}]", encoding="utf-8")
    with pytest.raises(BankError, match=rf"bank\.yaml.*{complaint}"):
        load_bank(tmp_path)


def test_a_slot_that_the_records_cannot_fill_is_refused_with_the_name_of_the_file() -> None:
    expander = Expander(load_bank(BANKS / "en" / "test"), random.Random(1))
    with pytest.raises(BankError, match=r"parcels\.yaml.*\{\$order_id\}"):
        expander.expand("order {$order_id}", "parcels.yaml", {})
