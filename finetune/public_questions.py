"""Public sets of questions and passages as shops, from which the order of candidates is learnt.

Found below FRONTDESK_DATA: CLAP NQ (Apache-2.0, text CC BY-SA), half of the SQuAD 2.0 dev set and
XQuAD in English and Chinese (CC BY-SA 4.0), CMRC 2018 trial (CC BY-SA 4.0), DRCD dev (CC BY-SA
3.0). Only a few weights are fitted on them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from finetune.reranker_data import Shop, ShopQuestion, read_records

_SETS = ("clapnq_dev", "squad2_half_dev", "cmrc2018", "drcd")
_XQUAD = ("en", "zh")
_QUESTIONS = 250  # of a set, drawn at random
_SEED = 1


def public_shops(data: Path) -> Iterator[Shop]:
    """Each set, and each language of XQuAD, as a shop whose questions have an answer."""
    for name in _SETS:
        yield _shop(name, data / "data" / name, "")
    for language in _XQUAD:
        yield _shop(f"xquad-{language}", data / "data" / "xquad", f"{language}:")


def _shop(name: str, folder: Path, prefix: str) -> Shop:
    """Of the rows whose ids begin with the prefix."""
    passages = tuple(
        (row["id"], row.get("title", ""), row["text"])
        for row in read_records(folder / "corpus.jsonl.gz")
        if row["id"].startswith(prefix)
    )
    questions = [
        ShopQuestion(row["text"], tuple(row["relevant"]), ())
        for row in read_records(folder / "queries.jsonl.gz")
        if row["relevant"] and row["relevant"][0].startswith(prefix)
    ]
    drawn = random.Random(_SEED).sample(questions, min(_QUESTIONS, len(questions)))
    return Shop(name, passages, tuple(drawn))
