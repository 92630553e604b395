"""What a reply is worth beside its reference."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from finetune.errors import AdapterError
from finetune.examples import Example, supported_by_words
from finetune.reply_scores import ReplyScorer, mean_scores

FACT = "Shoes can be returned within 30 days."
EXAMPLE = Example((FACT,), (), "How long do I have?", "You can return shoes within 30 days [1].")


@pytest.fixture(scope="module")
def scorer() -> ReplyScorer:
    return ReplyScorer(supported_by_words)


def test_a_reply_like_its_reference_is_worth_most(scorer: ReplyScorer) -> None:
    same = scorer.score(EXAMPLE, EXAMPLE.reply, 2.0, 4)
    assert (same.rouge_l, same.chrf, same.supported, same.cites) == (1.0, 1.0, True, True)
    other = scorer.score(EXAMPLE, "You can return shoes within 60 days.", 2.0, 4)
    assert 0 < other.rouge_l < 1
    assert 0 < other.chrf < 1
    assert (other.supported, other.cites, other.words) == (False, False, 7)


def test_a_reply_in_another_language_is_seen(scorer: ReplyScorer) -> None:
    asked = replace(EXAMPLE, language="en")
    assert not scorer.score(asked, "您可以在三十天之内退回鞋子。", 1.0, 1).same_language
    assert scorer.score(asked, EXAMPLE.reply, 1.0, 1).same_language
    chinese = replace(EXAMPLE, question="鞋子多久可以退？", reply="三十天之内。")
    assert scorer.score(chinese, "三十天之内可以退。", 1.0, 1).rouge_l > 0.5


def test_refusing_where_the_reference_refuses_counts(scorer: ReplyScorer) -> None:
    refused = replace(EXAMPLE, reply="Our documents do not say.", passages=())
    assert scorer.score(refused, "I cannot find that.", 1.0, 1).cites
    assert scorer.score(refused, "It takes a day [1].", 1.0, 1).supported is None
    assert not scorer.score(refused, "It takes a day [1].", 1.0, 1).cites


def test_means_weigh_tokens_and_come_with_intervals_and_groups(scorer: ReplyScorer) -> None:
    good = replace(scorer.score(EXAMPLE, EXAMPLE.reply, 1.0, 10), intent="returns")
    bad = replace(scorer.score(EXAMPLE, "Nothing.", 9.0, 10), intent="shipping")
    found = mean_scores([good] * 15 + [bad] * 5)
    assert found.perplexity == pytest.approx(math.exp(60 / 200), abs=1e-3)
    assert found.supported == 0.75
    low, high = found.intervals["supported"]
    assert 0.45 < low < 0.75 < high <= 0.95
    assert found.groups["intent:shipping"]["supported"] == 0
    assert found.groups["intent:returns"]["n"] == 15


def test_a_loss_that_is_no_number_is_an_error(scorer: ReplyScorer) -> None:
    with pytest.raises(AdapterError, match="not a finite number"):
        mean_scores([scorer.score(EXAMPLE, "Yes.", math.nan, 1)])
