"""The operator's commands, from a first refresh to a purge."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from knowledge.__main__ import app
from tests.knowledge.catalogue import shop as products

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, engines: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    home = tmp_path / "home"
    home.mkdir()
    (home / "engines").symlink_to(engines)
    monkeypatch.setenv("FRONTDESK_HOME", str(home))
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments])


def source(folder: Path, days: int = 14, *more: str) -> Path:
    texts = [f"Boots can be sent back within {days} days.", *more]
    rows = [{"id": f"d{n}", "title": "Returns", "text": t} for n, t in enumerate(texts)]
    path = folder / "c.jsonl"
    path.write_text("\n".join(json.dumps(r) for r in rows))
    return path


def report(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_way_from_a_refresh_over_a_comparison_to_a_purge(run: Run, tmp_path: Path) -> None:
    first = report(run("refresh", source(tmp_path), "--json"))["version"]
    prepared = report(run("refresh", source(tmp_path, 21), "--prepare", "--json"))
    assert (prepared["changed"], prepared["published"]) == (1, False)
    shown = run("diff", "current", prepared["version"]).stdout
    assert "changed d0: Returns" in shown
    assert "within [-14-]{+21+} days." in shown
    listed = report(run("versions", "--json"))["versions"]
    assert [(v["published"], v["prepared"]) for v in listed] == [(True, False), (False, True)]
    assert report(run("publish", prepared["version"], "--json"))["version"] == prepared["version"]
    assert "21 days" in run("search", "how long for boots", "-k", "1").stdout
    assert report(run("rollback", "--json"))["version"] == first
    assert "14 days" in run("search", "how long for boots", "-k", "1").stdout
    purged = run("purge", "d0")
    assert purged.exit_code == 0
    assert "a refresh would bring it back" in purged.stdout
    assert run("search", "boots").exit_code == 1


def test_a_diff_as_json_gives_the_edits(run: Run, tmp_path: Path) -> None:
    first = report(run("refresh", source(tmp_path), "--json"))["version"]
    run("refresh", source(tmp_path, 21, "Postage is free."))
    documents = report(run("diff", first, "current", "--json"))["documents"]
    assert [(d["kind"], d["id"]) for d in documents] == [("changed", "d0"), ("added", "d1")]
    edits = documents[0]["passages"][0]["edits"]
    assert {"kind": "added", "text": "21"} in edits


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("diff", "current", "v9"), "there is no version 'v9'"),
        (("publish", "v9"), "no complete version"),
        (("purge", "zzz"), "no version holds"),
        (("rollback",), "no earlier version"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    run("refresh", source(tmp_path))
    result = run(*arguments)
    assert result.exit_code == 1
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_a_check_finds_a_whole_version_whole_and_a_damaged_one_damaged(
    run: Run, tmp_path: Path
) -> None:
    version = report(run("refresh", source(tmp_path), "--json"))["version"]
    assert report(run("check", "--json"))["problems"] == []
    vectors = tmp_path / "home/knowledge/versions" / version / "vectors.npy"
    np.save(vectors, np.load(vectors)[:, ::-1])
    damaged = run("check")
    assert damaged.exit_code == 1
    assert "gives back other vectors" in damaged.stdout
    assert "roll back, or refresh with --rebuild" in damaged.stderr
    assert report(run("refresh", source(tmp_path), "--rebuild", "--json"))["version"] != version
    assert run("check").exit_code == 0


def test_an_evaluation_reads_the_history_and_measures_every_mode(run: Run, tmp_path: Path) -> None:
    hotels = ("Acorn House", "Birch Lodge", "Cedar Inn")
    passages = [
        {"id": f"{n}-{m}", "title": hotel, "text": f"{text} {place}."}
        for n, hotel in enumerate(hotels)
        for m, (text, place) in enumerate(
            (("Breakfast is served in", hotel), ("Pets stay in", hotel))
        )
    ]
    asked = {"id": "q", "text": "Is breakfast served there?", "relevant": ["1-0"]}
    history = [{"role": "user", "text": "A room?"}, {"role": "assistant", "text": "Birch Lodge."}]
    corpus, queries = tmp_path / "c.jsonl", tmp_path / "q.jsonl"
    corpus.write_text("\n".join(json.dumps(p) for p in passages))
    queries.write_text(json.dumps(asked | {"history": history}))
    found = report(
        run("evaluate", "--corpus", corpus, "--queries", queries, "--mode", "all", "--json")
    )
    assert set(found) == {"dense", "bm25", "fused", "reranked"}
    assert [scores["recall@1"] for scores in found.values()] == [1.0] * 4
    queries.write_text(json.dumps({"id": "q"}))
    assert run("evaluate", "--corpus", corpus, "--queries", queries).exit_code == 1


def test_products_are_read_in_and_found(run: Run, tmp_path: Path) -> None:
    file = products.write(tmp_path / "products.jsonl")
    brought = report(run("catalogue", file, "--json"))
    assert (brought["added"], brought["rejected"]) == (len(products.ROWS), [])
    found = report(run("products", "a kettle under 20", "--json"))
    assert found["constraints"] == ["category:Kettles", "most:20"]
    assert found["given_up"] == ["most:20"]
    assert [p["id"] for p in found["products"]] == ["K1"]
    assert "Tarn glass kettle" in run("products", "a kettle").stdout
    report(run("catalogue", products.write(file, products.ROWS[:3]), "--json"))
    assert report(run("catalogue", "--rollback", "--json"))["version"] == brought["version"]


def test_products_without_a_file_are_a_clear_error(run: Run) -> None:
    for arguments in (("catalogue",), ("products", "a kettle"), ("catalogue", "--rollback")):
        result = run(*arguments)
        assert result.exit_code == 1
        assert result.stderr.startswith("error: "), result.stderr
