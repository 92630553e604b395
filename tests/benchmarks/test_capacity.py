"""The model of a server under customers, fitted to and compared with loads of its own making."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.capacity import __main__ as commands
from benchmarks.capacity.model import (
    Calibration,
    block_interval,
    most_customers,
    simulate,
)

SECONDS = 300.0
SHORT = ("--seconds", f"{SECONDS:.0f}")
MODEL = Calibration(
    cores=2, turns=(0.05, 0.1, 0.15), received=0.01, stored=0.005, client=0.002, other=0.01,
    think=1.4, python=0.7, pace=0.9,
)  # fmt: skip


def load_of(customers: int, replies_ms: list[float], **others: Any) -> dict[str, Any]:
    """A report as `benchmarks.load --json` prints it, as far as it is read here."""
    return {
        "customers": customers, "seconds": 100.0, "think_seconds": 3.0,
        "cpu_seconds": {"client": 0.2, "server": 5.0},
        "requests": {"history": {"n": 50, "p50": 8.0}},
        "samples": {
            "reply_ms": {"question": replies_ms, "again": [1.0] * 9},
            "sign_of_life_ms": [4.0],
            "stage_ms": {"question": {"total": [0.9 * ms for ms in replies_ms]}},
            "arrival_seconds": [float(n) for n in range(100)],
        },
    } | others  # fmt: skip


def made_up(role: str, customers: int, model: Calibration = MODEL) -> dict[str, Any]:
    """A load whose times have the median and the tail that a model says."""
    told = simulate(model, customers, 3.0, SECONDS, client=True, seed=77)
    replies = [1000 * told.p50] * 900 + [1000 * told.p95] * 100
    load = {"role": role} | load_of(customers, replies)
    cycle = 3.0 * model.think + float(np.mean(replies)) / 1000
    load["samples"]["arrival_seconds"] = [0.0] * round(customers * load["seconds"] / cycle)
    return load


def test_a_calibration_takes_apart_what_a_light_load_took() -> None:
    seen = Calibration.of(load_of(1, [100.0] * 10), [load_of(4, [1000.0] * 10)], cores=2)
    assert seen.turns == pytest.approx((0.09,) * 10), "what is answered from the store is no turn"
    assert seen.received == pytest.approx(0.004)
    assert seen.stored == pytest.approx(0.1 - 0.09 - 0.004)
    assert seen.client == pytest.approx(0.002)
    assert seen.other == pytest.approx(0.004)
    assert seen.think == pytest.approx((4.0 - 1.0) / 3.0), "the interactive response time law"


def test_a_customer_alone_waits_for_the_work_only() -> None:
    told = simulate(MODEL, 1, 30.0, 10 * SECONDS)
    assert told.p50 == pytest.approx(0.9 * 0.115)
    assert told.p95 == pytest.approx(0.9 * 0.165)
    with_client = simulate(MODEL, 1, 30.0, 10 * SECONDS, client=True)
    assert with_client.p50 == pytest.approx(0.9 * 0.115 + 0.002)


def test_a_full_server_whose_turns_are_python_gives_what_its_lock_can_and_no_more() -> None:
    told = simulate(MODEL.fitted(python=1.0, pace=1.0), 400, 3.0, SECONDS)
    assert told.held == pytest.approx(1.0, abs=0.02)
    assert told.used == pytest.approx(0.5, abs=0.01), "one core of two"
    assert told.rate == pytest.approx(1 / (0.1 + 0.01 + 0.005 + 0.01), rel=0.05)
    assert told.p50 == pytest.approx(400 / told.rate - 1.4 * 3.0, rel=0.05), "the same law"


def test_a_full_server_whose_turns_are_native_fills_its_cores() -> None:
    # With hardly any Python beside, two turns on two threads each take twice as long as one.
    bare = replace(MODEL, received=0.0, stored=0.0, other=0.0)
    told = simulate(bare.fitted(python=0.0, pace=1.0), 400, 3.0, SECONDS)
    assert told.used == pytest.approx(1.0, abs=0.02)
    assert told.rate == pytest.approx(1 / 0.1, rel=0.05)


def test_more_customers_wait_longer_and_a_faster_server_shortens_it() -> None:
    waits = [simulate(MODEL, n, 3.0, SECONDS).p95 for n in (5, 20, 40, 60)]
    assert waits == sorted(waits)
    assert simulate(MODEL.fitted(MODEL.python, 0.7), 60, 3.0, SECONDS).p95 < waits[-1]


def test_the_most_customers_of_a_machine_are_in_time_and_a_tenth_more_are_not() -> None:
    most = most_customers(MODEL, 3.0, 1.0, SECONDS)
    assert simulate(MODEL, most, 3.0, SECONDS).p95 <= 1.0
    assert simulate(MODEL, most + max(2, most // 10), 3.0, SECONDS).p95 > 1.0
    assert most_customers(MODEL, 3.0, 0.01, SECONDS) == 0


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """Loads of a server like `MODEL`."""
    light = {"role": "light"} | load_of(1, [115.0] * 99)
    light["samples"]["stage_ms"]["question"]["total"] = [50.0, 100.0, 150.0]
    light["samples"]["sign_of_life_ms"] = [10.0]
    light["requests"]["history"] = {"n": 100, "p50": 10.0}
    loads = [
        light,
        *(made_up("fit", n) for n in (10, 40)),
        *(made_up("check", n) for n in (20, 35)),
    ]
    path = tmp_path / "measured.json"
    path.write_text(json.dumps({"cores": 2, "loads": loads}))
    return path


def test_fitting_finds_what_the_loads_were_made_with_and_checks_pass_at_other_loads(
    measured: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.json"
    commands.main(["fit", str(measured), "--out", str(model), *SHORT])
    found = commands.read_model(model)
    assert (found.python, found.pace) == pytest.approx((0.7, 0.9), abs=0.1)
    with pytest.raises(SystemExit) as ended:
        commands.main(["check", str(measured), str(model), *SHORT])
    assert ended.value.code == 0, capsys.readouterr().out
    assert "met" in capsys.readouterr().out


def test_a_model_of_another_machine_is_found_out(
    measured: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.json"
    model.write_text(json.dumps(asdict(MODEL.fitted(0.7, 0.7))))
    with pytest.raises(SystemExit) as ended:
        commands.main(["check", str(measured), str(model), *SHORT])
    assert ended.value.code == 1
    assert "missed" in capsys.readouterr().out


def test_a_check_tells_a_machine_that_was_slower_from_a_model_that_is_wrong(
    measured: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loads = json.loads(measured.read_text())
    slow = made_up("check", 35, MODEL.fitted(MODEL.python, 1.1 * MODEL.pace))
    of_fit = [load for load in loads["loads"] if load["role"] == "fit"]
    usual = np.mean([5.2 / len(load["samples"]["arrival_seconds"]) for load in of_fit])
    turns = len(slow["samples"]["arrival_seconds"])
    slow["cpu_seconds"] = {"client": 0.0, "server": 1.1 * usual * turns}
    loads["loads"] = [*of_fit, slow]
    measured.write_text(json.dumps(loads))
    model = tmp_path / "model.json"
    model.write_text(json.dumps(asdict(MODEL)))
    with pytest.raises(SystemExit):
        commands.main(["check", str(measured), str(model), *SHORT])
    row = capsys.readouterr().out.splitlines()[1].split()
    off, at_its_pace = (float(cell.rstrip("%")) for cell in row if cell.endswith("%"))
    assert off < -15
    assert abs(at_its_pace) < 10


def test_predictions_go_from_ten_conversations_to_a_hundred_thousand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.json"
    model.write_text(json.dumps(asdict(MODEL)))
    commands.main(["predict", str(model), "--think", "3", *SHORT])
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[4:]]
    machines = [int(row[1].replace(",", "")) for row in rows]
    assert rows[0][0] == "10"
    assert rows[-1][0] == "100,000"
    assert machines[0] == 1
    assert machines == sorted(machines)
    assert all(float(row[4].rstrip("s")) <= 2.1 for row in rows)


def test_the_interval_of_a_percentile_is_wide_where_a_few_bad_seconds_make_it() -> None:
    even = list(1000 * np.random.default_rng(1).exponential(size=2000))
    low, high = block_interval(load_of(9, even), 0.95)
    assert low < 3.0 < high, "the true one"
    uneven_low, uneven_high = block_interval(load_of(9, sorted(even)), 0.95)
    assert uneven_high - uneven_low > 3 * (high - low)


def test_a_load_in_pieces_counts_like_one_that_was_as_long() -> None:
    first, second = load_of(5, [100.0] * 4), load_of(5, [300.0] * 2)
    second["samples"]["reply_ms"]["order"] = [50.0]
    second["requests"] = {"history": {"n": 150, "p50": 4.0}, "rating": {"n": 3, "p50": 2.0}}
    whole = commands.pooled([first, second])
    assert (whole["customers"], whole["seconds"]) == (5, 200.0)
    assert whole["cpu_seconds"] == pytest.approx({"client": 0.4, "server": 10.0})
    assert whole["samples"]["reply_ms"]["question"] == [100.0] * 4 + [300.0] * 2
    assert whole["samples"]["reply_ms"]["order"] == [50.0]
    assert len(whole["samples"]["arrival_seconds"]) == 200
    assert whole["requests"]["history"] == pytest.approx({"n": 200, "p50": 5.0})
    assert whole["requests"]["rating"]["n"] == 3
