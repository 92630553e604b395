import gzip
import json
from pathlib import Path

from finetune.public_questions import public_shops


def write(path: Path, *rows: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("\n".join(json.dumps(r) for r in rows).encode()))


def test_each_set_becomes_a_shop_of_the_questions_that_have_an_answer(tmp_path: Path) -> None:
    for name in ("clapnq_dev", "squad2_half_dev", "cmrc2018", "drcd", "xquad"):
        corpus = [{"id": f"{code}:1", "title": "T", "text": code} for code in ("en", "zh", "de")]
        asked = [{"text": f"{c}?", "relevant": [f"{c}:1"], "lang": c} for c in ("en", "zh", "de")]
        write(tmp_path / "data" / name / "corpus.jsonl.gz", *corpus)
        write(
            tmp_path / "data" / name / "queries.jsonl.gz", *asked, {"text": "no?", "relevant": []}
        )
    shops = {shop.name: shop for shop in public_shops(tmp_path)}
    assert len(shops) == 6
    assert len(shops["drcd"].passages) == len(shops["drcd"].questions) == 3
    assert shops["xquad-zh"].passages == (("zh:1", "T", "zh"),)
    assert [q.text for q in shops["xquad-zh"].questions] == ["zh?"]
