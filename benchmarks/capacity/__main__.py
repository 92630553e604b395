"""How long customers wait, and how many machines it takes, for 10 to 100,000 conversations at once.

    python -m benchmarks.capacity measure --out measured.json [--home HOME]
    python -m benchmarks.capacity fit measured.json --out model.json
    python -m benchmarks.capacity check measured.json model.json
    python -m benchmarks.capacity predict model.json [--most-seconds 2]

`measure` runs `benchmarks.load` with one customer for the service times, with some numbers of
customers to fit the two parameters to, and with others to check what is predicted. The nearer a
server is to being full the longer it must be watched: of 160 customers, with whom 2 cores are full,
p95 of 90 seconds is 15% off by chance alone, of 9 minutes 4% (in the model; a machine that is
slower at times comes on top). So a load lasts the longer the more customers it has. Each is run in
`--rounds` pieces, by size up and then down again, so that times in which the machine is slower fall
on loads to fit and loads to check alike; what was interrupted goes on with the next piece. `check`
passes where p95 is within 20% at each of the latter; the interval beside it is the measurement's
own. `--home` is a folder made by `make demo`; what customers say there stays in it. `predict`
speaks of machines like the one that was measured, an app process each, with the client elsewhere
and customers who think as long as people do. See `benchmarks/capacity/model.py` for the model.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from benchmarks.capacity.model import (
    Calibration,
    block_interval,
    kind_replies,
    most_customers,
    simulate,
)
from benchmarks.load.plan import THINK_SECONDS
from benchmarks.serving import ROOT

_WITHIN = 0.2
_CONVERSATIONS = (10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
_LIGHT_THINK_SECONDS = 0.3  # enough messages from one customer, and never two at once
_LEAST_MINUTES = 1.5
_LIGHT_SHARE = 0.5  # of the minutes of the largest load, for some 200 turns in two
_BOUNDS = ((0.0, 0.6), (1.0, 1.2))  # of `python` and `pace`


def measure(given: argparse.Namespace) -> None:
    """Run the loads, one after another, and write down what was seen."""
    most = max(*given.fit, *given.check)
    planned = [("light", 1), *(("fit", n) for n in given.fit), *(("check", n) for n in given.check)]
    planned.sort(key=lambda load: load[1])
    pieces: dict[tuple[str, int], list[dict[str, Any]]] = {load: [] for load in planned}
    kept = given.out.with_name(f"{given.out.name}.pieces")
    kept.mkdir(exist_ok=True)
    for number in range(given.rounds):
        for role, customers in planned[:: -1 if number % 2 else 1]:
            path = kept / f"{role}-{customers}-{given.minutes:g}-{given.think:g}-{number}.json"
            if not path.exists():
                share = _LIGHT_SHARE if role == "light" else customers / most
                path.write_text(_load(given, customers, share, role == "light", seed=number))
            pieces[role, customers].append(piece := json.loads(path.read_text()))
            print(f"{role} {customers}: {piece['all']['reply']}", file=sys.stderr)
    loads = [{"role": role} | pooled(pieces[role, n]) for role, n in planned]
    given.out.write_text(json.dumps({"cores": os.cpu_count(), "loads": loads}) + "\n")
    shutil.rmtree(kept)


def _load(given: argparse.Namespace, customers: int, share: float, light: bool, seed: int) -> str:
    """The report of a load that lasts a share of the minutes of the largest."""
    whole = given.minutes / given.rounds
    minutes = max(min(_LEAST_MINUTES, whole), whole * share)
    think = _LIGHT_THINK_SECONDS if light else given.think
    command = [
        sys.executable, "-m", "benchmarks.load", "--json", f"--customers={customers}",
        f"--minutes={minutes}", f"--think={think}", f"--spread={think}",
        f"--skip={min(30.0, 15 * minutes)}", f"--seed={seed}",
        *([f"--home={given.home}"] if given.home else []),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        report = json.loads(done.stdout or "{}")
        wrong = {name: report.get(name) for name in ("errors", "lost", "crossed")}
        raise SystemExit(f"error: the load of {customers} customers failed: {wrong}")
    return done.stdout


def pooled(pieces: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One load out of its pieces: as long as all of them, with everything that was seen."""
    return dict(pieces[0]) | {
        "seconds": sum(piece["seconds"] for piece in pieces),
        "cpu_seconds": {
            name: sum(piece["cpu_seconds"][name] for piece in pieces)
            for name in pieces[0]["cpu_seconds"]
        },
        "requests": _requests([piece["requests"] for piece in pieces]),
        "samples": _joined([piece["samples"] for piece in pieces]),
    }


def _requests(pieces: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    """How many of each kind, and the mean of the medians."""
    rows: dict[str, list[Mapping[str, float]]] = {}
    for name, row in (item for piece in pieces for item in piece.items()):
        rows.setdefault(name, []).append(row)
    return {
        name: {
            "n": sum(row["n"] for row in of_name),
            "p50": float(
                np.average([r["p50"] for r in of_name], weights=[r["n"] for r in of_name])
            ),
        }
        for name, of_name in rows.items()
    }


def _joined(samples: Sequence[Any]) -> Any:
    """Lists one behind the other, however deep in mappings."""
    if not isinstance(samples[0], Mapping):
        return [value for piece in samples for value in piece]
    names = dict.fromkeys(name for piece in samples for name in piece)
    return {name: _joined([p[name] for p in samples if name in p]) for name in names}


def of_role(measured: Mapping[str, Any], role: str) -> list[dict[str, Any]]:
    """The loads that are there for something."""
    return [load for load in measured["loads"] if load["role"] == role]


def fitted(measured: Mapping[str, Any], seconds: float) -> Calibration:
    """The model that comes nearest to the loads that are there to fit it to: least squares of the
    logarithms of p50 and p95 of simulated runs of so many seconds."""
    loads = of_role(measured, "fit")
    bare = Calibration.of(of_role(measured, "light")[0], loads, measured["cores"])
    seen = [np.percentile(kind_replies(load), (50, 95)) for load in loads]

    def errors(values: Sequence[float]) -> list[float]:
        model, off = bare.fitted(*map(float, values)), []
        for load, (p50, p95) in zip(loads, seen, strict=True):
            told = simulate(model, load["customers"], load["think_seconds"], seconds, client=True)
            off += [math.log(told.p50 / p50), math.log(told.p95 / p95)]
        return off

    # A simulated quantile is a little rough: steps have to be wider than its roughness.
    best = least_squares(
        errors, (bare.python, 0.9), bounds=_BOUNDS, diff_step=0.05, xtol=0.01, max_nfev=12
    )
    return bare.fitted(*map(float, best.x))


def fit(given: argparse.Namespace) -> None:
    """Write the model."""
    model = fitted(json.loads(given.measured.read_text()), given.seconds)
    given.out.write_text(json.dumps(asdict(model)) + "\n")
    told = {
        "share of a turn that holds Python's lock": f"{model.python:.2f}",
        "times on a busy server, of these": f"{model.pace:.2f}",
        "a turn, ms": f"{1000 * np.mean(model.turns):.1f}",
        "receiving, storing, other, client, ms": " ".join(
            f"{1000 * part:.1f}"
            for part in (model.received, model.stored, model.other, model.client)
        ),
        "thinking, of its median": f"{model.think:.2f}",
    }
    print(*(f"{name:40} {value}" for name, value in told.items()), sep="\n")


def read_model(path: Path) -> Calibration:
    """What `fit` has written."""
    values = json.loads(path.read_text())
    return Calibration(**values | {"turns": tuple(values["turns"])})


def check(given: argparse.Namespace) -> None:
    """Print predictions beside what was measured; exit with 1 where one is too far off.

    A machine is not equally fast at all times, and a full one's waiting times grow by much more
    than its turns do: `at its pace` is off by so much where `pace` is made to follow the CPU time
    of the load's turns. It tells a wrong model from a machine that was slower, and is no bar."""
    model, met = read_model(given.model), True
    measured = json.loads(given.measured.read_text())
    usual = float(np.mean([_cpu_a_turn(load) for load in of_role(measured, "fit")]))
    print(
        "customers  p50 seen  predicted  p95 seen (95% interval)  predicted  off by"
        "  at its pace  CPU a turn  cores seen  predicted"
    )
    for load in of_role(measured, "check"):
        seen, cpu = kind_replies(load), _cpu_a_turn(load)
        paced = model.fitted(model.python, model.pace * cpu / usual)
        told, at_its_pace = (
            simulate(one, load["customers"], load["think_seconds"], given.seconds, client=True)
            for one in (model, paced)
        )
        p95 = float(np.percentile(seen, 95))
        low, high = block_interval(load, 0.95)
        off = told.p95 / p95 - 1
        met &= abs(off) <= _WITHIN
        used = sum(load["cpu_seconds"].values()) / load["seconds"]
        print(
            f"{load['customers']:9} {np.percentile(seen, 50):8.2f}s {told.p50:9.2f}s"
            f" {p95:8.2f}s [{low:5.2f}, {high:5.2f}] {told.p95:11.2f}s {off:+7.0%}"
            f" {at_its_pace.p95 / p95 - 1:+12.0%} {1000 * cpu:8.1f} ms"
            f" {used:11.2f} {told.used * model.cores:10.2f}"
        )
    print(f"p95 within {_WITHIN:.0%}: {'met' if met else 'missed'}")
    raise SystemExit(not met)


def _cpu_a_turn(load: Mapping[str, Any]) -> float:
    """Seconds, of the server and the client."""
    return float(sum(load["cpu_seconds"].values()) / len(load["samples"]["arrival_seconds"]))


def predict(given: argparse.Namespace) -> None:
    """Print machines and waiting times for numbers of conversations at once."""
    model = read_model(given.model)
    most = most_customers(model, given.think, given.most_seconds, given.seconds)
    if not most:
        raise SystemExit(f"error: even one customer waits longer than {given.most_seconds} s")
    print(f"one machine ({model.cores} cores): up to {most} conversations at once with p95 below")
    print(f"{given.most_seconds:g} s, customers who think for {given.think:g} s (median)\n")
    print("conversations  machines  turns/s  reply p50    p95  cores used  lock held")
    for conversations in _CONVERSATIONS:
        machines = math.ceil(conversations / most)
        told = simulate(model, math.ceil(conversations / machines), given.think, given.seconds)
        print(
            f"{conversations:13,} {machines:9,} {told.rate * machines:8,.1f} {told.p50:9.2f}s"
            f" {told.p95:5.2f}s {told.used:10.0%} {told.held:10.0%}"
        )


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def main(argv: Sequence[str] | None = None) -> None:
    """Do what the first argument says."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.capacity",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True)
    measuring = commands.add_parser("measure", help="run the loads")
    measuring.add_argument("--out", type=Path, required=True)
    measuring.add_argument("--home", type=Path)
    measuring.add_argument("--fit", type=_numbers, default=[40, 90, 140], help="customers")
    measuring.add_argument("--check", type=_numbers, default=[60, 110, 160], help="customers")
    measuring.add_argument("--minutes", type=float, default=10, help="of the largest load")
    measuring.add_argument("--rounds", type=int, default=2, help="pieces of each load")
    measuring.add_argument("--think", type=float, default=3, help="median, seconds")
    measuring.set_defaults(do=measure)
    fitting = commands.add_parser("fit", help="calibrate the model")
    fitting.add_argument("measured", type=Path)
    fitting.add_argument("--out", type=Path, required=True)
    fitting.set_defaults(do=fit)
    checking = commands.add_parser("check", help="compare with loads that it was not fitted to")
    checking.add_argument("measured", type=Path)
    checking.add_argument("model", type=Path)
    checking.set_defaults(do=check)
    predicting = commands.add_parser("predict", help="10 to 100,000 conversations at once")
    predicting.add_argument("model", type=Path)
    predicting.add_argument("--think", type=float, default=THINK_SECONDS, help="median, seconds")
    predicting.add_argument("--most-seconds", type=float, default=2.0, help="bar for p95")
    predicting.set_defaults(do=predict)
    for command in (fitting, checking, predicting):
        command.add_argument("--seconds", type=float, default=1200, help="of each simulated run")
    given = parser.parse_args(argv)
    given.do(given)


if __name__ == "__main__":
    main()
