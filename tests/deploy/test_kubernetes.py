"""The manifests: valid YAML that agrees with the app, with one another, and with their page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from app import serve
from assistant.restoring import restore
from assistant.settings import Settings, load_settings
from assistant.web.gate import AREAS
from tests.deploy.reading import DEPLOY, MANIFESTS, ROOT, documents, manifests

ALL = manifests()
POD: dict[str, Any] = ALL["Deployment/frontdesk"]["spec"]["template"]["spec"]
APP: dict[str, Any] = POD["containers"][0]
JOBS: dict[str, dict[str, Any]] = {
    name: ALL[f"CronJob/frontdesk-{name}"]["spec"]["jobTemplate"]["spec"]["template"]
    for name in ("refresh", "backup")
}
CONFIG: dict[str, str] = ALL["ConfigMap/frontdesk"]["data"]
PORT = serve.__defaults__[1] if serve.__defaults__ else 0


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_a_manifest_is_valid_yaml_of_whole_objects(path: Path) -> None:
    for one in documents(path):
        assert {"apiVersion", "kind", "metadata"} <= set(one)
        assert re.fullmatch(r"[a-z][a-z0-9-]*", one["metadata"]["name"])


def test_a_manifest_has_no_key_twice() -> None:
    class Strict(yaml.SafeLoader):
        pass

    def mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
        keys = [loader.construct_object(key) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"{node.start_mark}: {keys}"
        return loader.construct_mapping(node, deep=True)

    Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    for path in (*MANIFESTS, DEPLOY / "compose.yaml"):
        text = path.read_text(encoding="utf-8").replace("<<: *app", "inherits: *app")
        list(yaml.load_all(text, Strict))


def test_ports_agree_from_the_app_to_the_network_rule() -> None:
    assert APP["ports"] == [{"name": "http", "containerPort": PORT}]
    service = ALL["Service/frontdesk"]["spec"]
    assert service["ports"][0]["targetPort"] == "http"
    assert ALL["NetworkPolicy/frontdesk"]["spec"]["ingress"][0]["ports"] == [{"port": PORT}]
    for name in ("api", "pages"):
        for rule in ALL[f"HTTPRoute/frontdesk-{name}"]["spec"]["rules"]:
            for behind in rule.get("backendRefs", ()):
                assert behind == {"name": "frontdesk", "port": service["ports"][0]["port"]}


def test_probes_ask_what_the_app_answers_and_liveness_never_asks_for_readiness() -> None:
    paths = {kind: APP[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")}  # fmt: skip
    assert paths == {
        "startup": "/health/live", "readiness": "/health/ready", "liveness": "/health/live",
    }  # fmt: skip
    startup = APP["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 300, (
        "engines are exported once"
    )


def test_a_pod_has_time_to_end_its_turns() -> None:
    assert POD["terminationGracePeriodSeconds"] >= Settings().turn_seconds + 20
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    assert int(compose["services"]["app"]["stop_grace_period"].removesuffix("s")) >= 65


@pytest.mark.parametrize(
    ("pod", "more"),
    [(POD, set()), (JOBS["refresh"]["spec"], set()), (JOBS["backup"]["spec"], {"/backups"})],
    ids=["app", "refresh", "backup"],
)
def test_pods_are_not_root_and_write_to_their_mounts_alone(
    pod: dict[str, Any], more: set[str]
) -> None:
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["automountServiceAccountToken"] is False
    container = pod["containers"][0]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    image = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    home = re.search(r"FRONTDESK_HOME=(\S+)", image)
    user = re.search(r"^USER (\d+):(\d+)", image, re.MULTILINE)
    assert home
    assert user
    assert pod["securityContext"]["runAsUser"] == int(user[1])
    mounts = {
        mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")
    }
    assert mounts == {home[1], "/tmp"} | more
    claimed = {mount["name"] for mount in container["volumeMounts"]}
    assert claimed == {volume["name"] for volume in pod["volumes"]}


def test_claims_config_and_secrets_that_pods_name_exist() -> None:
    claims = {v["persistentVolumeClaim"]["claimName"] for v in POD["volumes"] if "persistentVolumeClaim" in v}  # fmt: skip
    assert claims == {"frontdesk-home"}
    assert ALL["PersistentVolumeClaim/frontdesk-home"]["spec"]["accessModes"] == ["ReadWriteMany"]
    shared = [{"configMapRef": {"name": "frontdesk"}}, {"secretRef": {"name": "frontdesk"}}]
    refresh, backup = (JOBS[name]["spec"]["containers"][0] for name in ("refresh", "backup"))
    assert APP["envFrom"] == refresh["envFrom"] == shared
    assert backup["envFrom"] == [*shared, {"secretRef": {"name": "frontdesk-backup"}}]
    assert {"ConfigMap/frontdesk", "Secret/frontdesk", "Secret/frontdesk-backup"} <= set(ALL)
    assert "PersistentVolumeClaim/frontdesk-backups" in ALL


def test_the_passphrase_of_backups_is_in_no_pod_but_the_backups() -> None:
    name = "FRONTDESK_BACKUP__PASSPHRASE"
    assert name in ALL["Secret/frontdesk-backup"]["stringData"]
    assert name not in ALL["Secret/frontdesk"]["stringData"] | CONFIG


def test_the_service_and_what_counts_pods_see_the_app_and_no_job() -> None:
    labels = ALL["Deployment/frontdesk"]["spec"]["template"]["metadata"]["labels"]
    assert ALL["Deployment/frontdesk"]["spec"]["selector"]["matchLabels"] == labels
    assert ALL["Service/frontdesk"]["spec"]["selector"] == labels
    assert ALL["PodDisruptionBudget/frontdesk"]["spec"]["selector"]["matchLabels"] == labels
    for job in JOBS.values():
        assert job["metadata"]["labels"].items().isdisjoint(labels.items())


def test_the_nightly_refresh_is_a_command_of_ours() -> None:
    command = JOBS["refresh"]["spec"]["containers"][0]["command"]
    assert command[:4] == ["python", "-m", "knowledge", "refresh"]
    assert ALL["CronJob/frontdesk-refresh"]["spec"]["concurrencyPolicy"] == "Forbid"


def test_the_nightly_backup_writes_what_the_restore_command_opens_and_forgets_old_ones(
    tmp_path: Path,
) -> None:
    """The very shell script of the manifest, its folder replaced."""
    (*shell, script) = JOBS["backup"]["spec"]["containers"][0]["command"]
    kept, home = tmp_path / "backups", tmp_path / "home"
    kept.mkdir()
    home.mkdir()
    (home / "staff.json").write_text('{"secret": "s"}')
    old, foreign = kept / "frontdesk-2026-01-01T000000Z.sealed", kept / "notes.txt"
    for path in (old, foreign):
        path.write_bytes(b"")
        os.utime(path, (0, 0))
    secret = ALL["Secret/frontdesk-backup"]["stringData"]
    environment = os.environ | secret | {"FRONTDESK_HOME": str(home)}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    command = [*shell, script.replace("/backups", str(kept))]
    subprocess.run(command, check=True, env=environment, cwd=ROOT, capture_output=True)
    (made,) = set(kept.iterdir()) - {foreign}
    restored = tmp_path / "restored"
    restore(made, restored, secret["FRONTDESK_BACKUP__PASSPHRASE"])
    assert (restored / "staff.json").read_text() == '{"secret": "s"}'


def test_a_rolling_restart_takes_no_pod_away_before_another_is_ready() -> None:
    rolling = ALL["Deployment/frontdesk"]["spec"]["strategy"]["rollingUpdate"]
    assert rolling["maxUnavailable"] == 0
    assert "replicas" not in ALL["Deployment/frontdesk"]["spec"], "the autoscaler's"


def test_the_autoscaler_counts_waiting_turns_and_the_page_has_the_adapters_rule() -> None:
    scaler = ALL["HorizontalPodAutoscaler/frontdesk"]["spec"]
    assert scaler["metrics"][0]["pods"]["metric"]["name"] == "frontdesk_turns_waiting"
    assert "as: frontdesk_turns_waiting" in (DEPLOY / "kubernetes.md").read_text(encoding="utf-8")
    assert 2 <= scaler["minReplicas"] < scaler["maxReplicas"]


def test_pages_stay_with_a_pod_the_api_does_not_and_metrics_stay_inside() -> None:
    api = ALL["HTTPRoute/frontdesk-api"]["spec"]["rules"]
    assert not any("sessionPersistence" in rule for rule in api)
    paths = {match["path"]["value"] for rule in api for match in rule["matches"]}
    assert "/api/v1" in paths
    assert not any(path.startswith(tuple(AREAS)) for path in paths)
    hidden, pages = ALL["HTTPRoute/frontdesk-pages"]["spec"]["rules"]
    assert hidden["matches"] == [{"path": {"type": "Exact", "value": "/metrics"}}]
    assert "backendRefs" not in hidden
    assert pages["matches"][0]["path"]["value"] == "/"
    assert pages["sessionPersistence"]["type"] == "Cookie"
    assert all(rule.get("timeouts", {}).get("request") == "0s" for rule in (*api, pages))


def test_chroma_is_reached_by_frontdesk_alone() -> None:
    rule = ALL["NetworkPolicy/behind-frontdesk"]["spec"]
    assert "chroma" in rule["podSelector"]["matchExpressions"][0]["values"]
    (source,) = rule["ingress"][0]["from"]
    (label,) = source["podSelector"]["matchExpressions"]
    assert set(label["values"]) == {"frontdesk", "frontdesk-refresh", "frontdesk-backup"}


def test_every_service_that_settings_name_may_be_reached() -> None:
    secrets = ALL["Secret/frontdesk"]["stringData"]
    named = " ".join([*CONFIG.values(), *secrets.values()])
    hosts = dict(re.findall(r"//(?:[^@/\s]*@)?([a-z]+):(\d+)", named))
    egress = ALL["NetworkPolicy/frontdesk"]["spec"]["egress"]
    allowed = {
        rule["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/name"]: str(rule["ports"][0]["port"])
        for rule in egress
        if "namespaceSelector" not in rule["to"][0]
    }  # fmt: skip
    assert hosts == allowed


def test_the_values_of_settings_are_valid() -> None:
    known = (
        "FRONTDESK_SHOP", "FRONTDESK_WEB", "FRONTDESK_STORE", "FRONTDESK_SHARED",
        "FRONTDESK_KNOWLEDGE", "FRONTDESK_BACKUP",
    )  # fmt: skip
    values = CONFIG | ALL["Secret/frontdesk"]["stringData"]
    values |= ALL["Secret/frontdesk-backup"]["stringData"]
    load_settings(None, {key: value for key, value in values.items() if key.startswith(known)})


def test_the_page_names_every_manifest() -> None:
    page = (DEPLOY / "kubernetes.md").read_text(encoding="utf-8")
    for path in MANIFESTS:
        assert f"`{path.name}`" in page, path.name
