"""Reading: which passage answers, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from knowledge.build import WEIGHTS
from knowledge.chunk import length_in_words
from knowledge.cross_encoder import CrossEncoder, Reading, best_span
from knowledge.encoder import Encoder
from knowledge.minilm import ENCODER_ADAPTER, extended_tokenizer, minilm_folder
from knowledge.rerank import (
    FEATURES,
    MODELS,
    Calibration,
    Candidate,
    CrossEncoderReranker,
    leads,
    reading_text,
    sentence_at,
    what_is_asked,
)
from knowledge.types import Chunk

RETURNS = Chunk(
    "r#0", "r", ("Returns",),
    "Shoes can come back for 30 days.\nWorn shoes are refused. Postage is GBP 2.50.", "en", "r.md",
)  # fmt: skip


class ScriptedReader:
    """Reads by a table of relevance logits, and keeps what it was asked."""

    def __init__(self, logits: dict[str, float]) -> None:
        self.logits = logits
        self.read_texts: list[str] = []

    def read(self, question: str, texts: Sequence[str]) -> list[Reading]:
        assert texts, "a reader is never called without texts"
        self.read_texts += texts
        return [Reading(self.logits[t], 0.0, (0, len(t))) for t in texts]


class OneScope:
    """An index whose lexical evidence is the same for every candidate."""

    class Lexical:
        def asked(self, words: object) -> object:
            return words

        def unknown(self, asked: object) -> float:
            return 0.0

        def coverage(self, asked: object, position: int) -> float:
            return 1.0 - position / 10

        def coverage_by(self, asked: object, text: str) -> float:
            return 0.5

    def __init__(self, count: int) -> None:
        self.lexical = {"en": self.Lexical()}
        self.place = {row: ("en", row) for row in range(count)}


def calibration() -> Calibration:
    """Believes the reader where there is one, else coverage."""
    weights = {
        kind: tuple(float(name in seen and name in ("reader", "coverage")) for name in FEATURES)
        for kind, seen in MODELS.items()
    }
    return Calibration(weights)


TALK = "Last month I bought a pair of shoes for my brother and they did not fit him at all. " * 3


def candidates(count: int) -> list[Candidate]:
    return [
        Candidate(n, 0.5, 0.5, 0.5, Chunk(f"c{n}#0", f"c{n}", (f"T{n}",), f"Text {n}.", "en", "s"))
        for n in range(count)
    ]


def test_the_candidate_that_the_reader_believes_comes_first() -> None:
    found = candidates(3)
    reader = ScriptedReader(
        {reading_text(c.chunk): v for c, v in zip(found, (-5, -5, 4), strict=True)}
    )
    ranked = CrossEncoderReranker(reader, calibration()).rerank("q", found, OneScope(3), 1.0, 3)
    assert [c.row for c in ranked] == [2, 0, 1]
    assert ranked[0].relevance > 0.9
    assert ranked[0].quote == "Text 2."


def test_what_is_read_in_a_language_learnt_little_has_weights_of_its_own() -> None:
    found = [replace(c, chunk=replace(c.chunk, language=la)) for c, la in
             zip(candidates(2), ("en", "de"), strict=True)]  # fmt: skip
    reader = ScriptedReader({reading_text(c.chunk): -0.5 for c in found})
    weights = dict(calibration().weights)
    weights["foreign"] = tuple(w / 2 for w in weights["read"])
    english, german = CrossEncoderReranker(reader, Calibration(weights)).rerank(
        "q", found, OneScope(2), 1.0, 2
    )
    assert english.chunk.language == "en"
    assert english.relevance > german.relevance > 0.5


def test_reading_stops_at_a_sure_answer() -> None:
    found = candidates(6)
    reader = ScriptedReader({reading_text(c.chunk): 6.0 for c in found})
    CrossEncoderReranker(reader, calibration()).rerank("q", found, OneScope(6), 1.0, 6)
    assert len(reader.read_texts) < 6


def test_candidates_beyond_those_read_are_kept_and_carry_no_relevance() -> None:
    found = candidates(5)
    reader = ScriptedReader({reading_text(c.chunk): -6.0 for c in found})
    ranked = CrossEncoderReranker(reader, calibration()).rerank("q", found, OneScope(5), 1.0, 2)
    assert sorted(c.row for c in ranked) == [0, 1, 2, 3, 4]
    assert [c.relevance for c in ranked[2:]] == [0.0] * 3


def test_an_unknown_script_is_weighed_by_words_and_never_read() -> None:
    found = candidates(3)
    reader = ScriptedReader({})
    ranked = CrossEncoderReranker(reader, calibration()).rerank("q", found, OneScope(3), 0.1, 3)
    assert [c.row for c in ranked] == [0, 1, 2]


def test_fusing_weighs_without_reading() -> None:
    cosine = tuple(float(name == "cosine") for name in FEATURES)
    weights = {"prior": cosine, "read": cosine, "lexical": tuple(-w for w in cosine)}
    near = [replace(c, cosine=0.2 * n) for n, c in enumerate(candidates(3))]
    ranker = CrossEncoderReranker(ScriptedReader({}), Calibration(weights))
    fused = ranker.fuse("q", near, OneScope(3), 1.0)
    assert [c.row for c in fused] == [2, 1, 0]
    assert fused[0].score > fused[1].score
    unknown = ranker.fuse("q", near, OneScope(3), 0.1)
    assert [c.row for c in unknown] == [0, 1, 2]


@pytest.mark.parametrize(
    ("message", "asked"),
    [
        ("Can I return it?", "Can I return it?"),
        (f"{TALK}They pinch. Can I return it?", "They pinch. Can I return it?"),
        (f"Can I return it? {TALK}Who pays?", "Who pays?"),
        (f"Hi, how are you? {TALK}The lid broke. Can you help?", "The lid broke. Can you help?"),
        (f"{TALK}Tell me how to return it.", "Tell me how to return it."),
        ("我上个月买了一双鞋。" * 12 + "鞋底坏了。可以退货吗？", "鞋底坏了。 可以退货吗？"),
    ],
)
def test_of_a_long_message_the_reader_sees_what_is_asked_and_what_stands_beside_it(
    message: str, asked: str
) -> None:
    read = what_is_asked(message)
    assert read.endswith(asked)
    assert length_in_words(read) <= 50
    assert ("Can I return it?" in message) == ("Can I return it?" in read)


def test_a_lead_is_counted_over_other_documents() -> None:
    assert leads([0.9, 0.8, 0.5], ["a", "a", "b"]) == pytest.approx([0.4, 0.3, -0.4])
    assert leads([0.9, 0.3], ["a", "a"]) == pytest.approx([0.5, -0.1])  # over a middling one
    assert leads([], []) == []


def test_a_span_is_widened_to_its_sentences() -> None:
    text = reading_text(RETURNS)
    start = text.index("refused")
    assert sentence_at(RETURNS.text, text, (start, start + 7)) == "Worn shoes are refused."
    across = (text.index("30 days"), text.index("refused") + 3)
    assert sentence_at(RETURNS.text, text, across) == (
        "Shoes can come back for 30 days. Worn shoes are refused."
    )
    assert sentence_at(RETURNS.text, text, (0, 5)) == ""  # the title is no sentence of the passage


def test_the_best_span_is_in_the_text_and_never_ends_before_it_begins() -> None:
    start = np.array([0, 9, 1, 5, 0], dtype=np.float32)
    end = np.array([1, 9, 6, 2, 0], dtype=np.float32)
    margin, span = best_span(start, end, [0, 0, 1, 1, 1], [(0, 0), (0, 4), (0, 3), (4, 8), (0, 0)])
    assert span in {(0, 3), (4, 8)}
    assert margin == pytest.approx(max(1 + 6, 5 + 2, 1 + 2) - 1)


def test_a_text_cut_away_entirely_points_nowhere() -> None:
    zeros = np.zeros(2, dtype=np.float32)
    assert best_span(zeros, zeros, [0, 0], [(0, 0), (0, 3)]) == (-30.0, (0, 0))


LISBON = (
    "I live in Lisbon, how long can I send boots back?",
    "Returns Portugal: In Portugal unworn shoes can be returned within 21 days.",
    "Returns Spain: In Spain unworn shoes can be returned within 35 days.",
)
HONG_KONG = (
    "香港寄过来要多少运费",
    "香港配送: 寄往香港的包裹运费为45元，三到五天送达。",
    "台湾配送: 寄往台湾的包裹运费为60元，五到七天送达。",
)


@pytest.mark.parametrize(("question", "right", "wrong"), [LISBON, HONG_KONG])
def test_the_shipped_reader_tells_near_misses_apart(
    engines: Path, question: str, right: str, wrong: str
) -> None:
    good, bad = CrossEncoder(WEIGHTS / "reranker", engines).read(question, [right, wrong])
    assert good.relevance > bad.relevance + 0.5


def test_the_shipped_reader_points_at_an_english_answer(engines: Path) -> None:
    question, right, _ = LISBON
    (reading,) = CrossEncoder(WEIGHTS / "reranker", engines).read(question, [right])
    assert "21 days" in right[slice(*reading.span)]


def test_of_a_language_that_it_was_not_taught_the_encoder_knows_nothing(encoder: Encoder) -> None:
    assert encoder.known_share("where is my parcel", "en") == 1.0
    assert encoder.known_share("gdzie jest moja paczka", "pl") == 0.0
    assert encoder.known_share("where is my parcel") == 1.0
    assert encoder.known_share("parcel " * 320) == pytest.approx(256 / 320)


def test_traditional_characters_are_read_as_simplified_ones(encoder: Encoder) -> None:
    traditional, plain = encoder.embed(["我的訂單什麼時候會到", "我的订单什么时候会到"])
    assert traditional @ plain == pytest.approx(1, abs=1e-5)
    assert encoder.known_share("我的訂單什麼時候會到") == 1.0


def test_the_shipped_encoder_reads_chinese(encoder: Encoder) -> None:
    question, near, far = encoder.embed(
        ["衣服不合适能退吗", "Clothes can be returned", "Opening hours"]
    )
    assert question @ near > question @ far + 0.1
    assert encoder.known_share("衣服不合适能退吗") == 1.0


def test_added_words_leave_english_tokens_as_they_were() -> None:
    plain = extended_tokenizer(minilm_folder(), None)
    taught = extended_tokenizer(minilm_folder(), ENCODER_ADAPTER)
    text = "Returns are free for Gold members within 60 days."
    assert plain.encode(text).ids == taught.encode(text).ids
    assert len(taught.encode("退货").ids) == 3  # one token between [CLS] and [SEP]
