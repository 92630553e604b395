"""The dashboard, the scrape configuration and the alerts that are shipped go with what is counted."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from assistant.metrics import Metrics
from tests.deploy.reading import DEPLOY

FOLDER = DEPLOY / "observability"
RULES = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
NAME = re.compile(r"\b(?:frontdesk|process)_\w+")


def exposed() -> set[str]:
    """The names of all series that a registry can have, also of those that have no value yet."""
    found = set()
    for metric in Metrics().registry.collect():
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
        found |= {metric.name + suffix for suffix in suffixes.get(metric.type, [""])}
    return found


def queries() -> list[str]:
    targets = [t["expr"] for panel in DASHBOARD["panels"] for t in panel.get("targets", ())]
    return targets + [rule["expr"] for rule in RULES]


def test_every_figure_in_the_dashboard_and_the_alerts_is_there() -> None:
    asked = {name for query in queries() for name in NAME.findall(query)}
    assert len(asked) > 20
    assert asked <= exposed()


def test_every_figure_of_ours_is_on_the_dashboard_or_in_an_alert() -> None:
    asked = {name for query in queries() for name in NAME.findall(query)}
    unseen = {
        name for name in exposed()
        if name.startswith("frontdesk_") and not name.endswith(("_sum", "_count"))
    } - asked  # fmt: skip
    assert unseen == set()


def test_panels_have_titles_units_and_do_not_lie_on_each_other() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in DASHBOARD["panels"]:
        assert panel["title"]
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, (panel["title"], taken.get((x, y)))
                taken[x, y] = panel["title"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_every_alert_has_a_summary_a_runbook_and_a_severity() -> None:
    for rule in RULES:
        assert len(rule["annotations"]["runbook"]) > 60, rule["alert"]
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["labels"]["severity"] in ("page", "ticket")


# What Prometheus' own tool says of them.


def promtool(*arguments: str, folder: Path = FOLDER) -> subprocess.CompletedProcess[str]:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed (package prometheus)")
    return subprocess.run([found, *arguments], cwd=folder, capture_output=True, text=True)


def test_prometheus_reads_the_scrape_configuration_and_the_alerts() -> None:
    done = promtool("check", "config", "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_fire_when_they_should_and_not_before() -> None:
    done = promtool("test", "rules", "rules_test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("alert", [rule["alert"] for rule in RULES])
def test_an_alert_that_never_fires_is_found_out(alert: str, tmp_path: Path) -> None:
    held = yaml.safe_load((FOLDER / "rules.yml").read_text())
    for rule in held["groups"][0]["rules"]:
        if rule["alert"] == alert:
            rule["expr"] = "vector(0) > 1"
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(held))
    shutil.copy(FOLDER / "rules_test.yml", tmp_path)
    assert promtool("test", "rules", "rules_test.yml", folder=tmp_path).returncode == 1


def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    plain = sorted({query.replace("$instance", ".*") for query in queries()})
    recorded = [{"record": f"q{number}", "expr": query} for number, query in enumerate(plain)]
    rules = {"groups": [{"name": "x", "rules": recorded}]}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules))
    done = promtool("check", "rules", "rules.yml", folder=tmp_path)
    assert done.returncode == 0, done.stderr
