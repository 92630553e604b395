from dataclasses import replace

import pytest

from assistant.grounding import GroundingCheck
from assistant.types import DraftSentence, Evidence

TEXT = (
    "Shoes can be sent back within 30 days of delivery in the United Kingdom. "
    "A fee of GBP 2.50 is taken off the refund. Worn shoes are not accepted. "
    "Orders over GBP 1,500 need a signature."
)
PASSAGE = Evidence("shoes#0", "passage", "shoes.md", "Returning shoes", TEXT, "en", 0.9)
OTHER = Evidence("tents#0", "passage", "tents.md", "Tents", "Tents: 60 days.", "en", 0.4)


def check(text: str, evidence_id: str | None = "shoes#0"):
    return GroundingCheck().check(DraftSentence(text, evidence_id), [PASSAGE, OTHER])


def test_a_sentence_of_the_passage_is_supported():
    checked = check("A fee of GBP 2.50 is taken off the refund.")
    assert checked.supported
    assert checked.evidence_id == "shoes#0"


def test_a_chinese_comma_ends_a_number():
    passage = Evidence(
        "sale#0", "passage", "sale.md", "大促", "满1000减100，10月21日开始。", "zh", 0.9
    )
    draft = DraftSentence("大促满1000减100。", "sale#0")
    assert GroundingCheck().check(draft, [passage]).supported
    assert not GroundingCheck().check(replace(draft, text="大促满1000减200。"), [passage]).supported


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("Shoes can be sent back within 60 days of delivery.", "60"),
        ("A fee of GBP 3.50 is taken off the refund.", "3.50"),
        ("Shoes can be sent back within 30 days in the United States.", "states"),
        ("Shoes can be sent back within 30 days and we pay a taxi home for you.", "more than"),
    ],
)
def test_a_changed_number_name_or_claim_is_not_supported(sentence, reason):
    checked = check(sentence)
    assert not checked.supported
    assert reason in checked.reason


def test_a_denial_that_the_evidence_does_not_make_is_not_supported():
    evidence = [Evidence("a#0", "passage", "a", "A", "Boots are repaired in Leeds.", "en", 0.9)]
    checked = GroundingCheck().check(
        DraftSentence("Boots are not repaired in Leeds.", "a#0"), evidence
    )
    assert not checked.supported


def test_a_sentence_is_held_against_the_evidence_that_it_names():
    assert not check("Shoes can be sent back within 60 days.", "tents#0").supported


def test_evidence_that_was_not_fetched_supports_nothing():
    checked = check("Worn shoes are not accepted.", "invented#7")
    assert not checked.supported


def test_a_sentence_that_names_nothing_is_held_against_everything_fetched():
    assert check("Tents: 60 days.", None).evidence_id == "tents#0"


def test_thousands_separators_do_not_matter():
    assert check("Orders over GBP 1500 need a signature.").supported


def test_chinese_sentences_are_checked_against_chinese_passages():
    text = "签收后七天内可以无理由退货,质量问题运费由我们承担。"
    evidence = [Evidence("zh#0", "passage", "zh", "退货", text, "zh", 0.9)]
    assert (
        GroundingCheck()
        .check(DraftSentence("质量问题运费由我们承担。", "zh#0"), evidence)
        .supported
    )
    wrong = DraftSentence("签收后30天内可以无理由退货。", "zh#0")
    assert not GroundingCheck().check(wrong, evidence).supported


def test_a_long_true_sentence_carries_no_clause_of_its_own():
    true = " ".join(TEXT.split(". ")[:3]).rstrip(".").replace(" A fee", ", a fee")
    assert check(f"{true}, as our page says.").supported
    checked = check(f"{true}, though regulars always get exceptions.")
    assert not checked.supported
    assert checked.reason == "adds a clause to the evidence"
