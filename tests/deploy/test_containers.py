"""Containerfile and compose files: what they copy is there, and what they name exists."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from app import serve
from benchmarks.serving import DOCUMENTS, Server, refresh
from tests.deploy.reading import DEPLOY, ROOT, is_setting, setting_names

CONTAINERFILE = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
LARGE = dict(
    line.split("=", 1)
    for line in (DEPLOY / "large.env").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
)
OURS = ("app", "app-2", "demo")
COPIED = [line.split()[1] for line in CONTAINERFILE.splitlines() if line.startswith("COPY ") and "--from" not in line]  # fmt: skip


@pytest.mark.parametrize("name", sorted(setting_names()))
def test_every_setting_that_is_named_exists(name: str) -> None:
    assert is_setting(name), name


def test_a_misspelt_setting_is_found_out() -> None:
    assert is_setting("FRONTDESK_STORE__URL")
    for wrong in ("FRONTDESK_STORE__URI", "FRONTDESK_DATABASE", "FRONTDESK_HOME__X"):
        assert not is_setting(wrong)


def test_what_the_image_copies_exists_and_is_let_into_the_build() -> None:
    assert {"app.py", "assistant", "knowledge", "finetune"} <= set(COPIED)
    let_in = (DEPLOY / "Containerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    for path in COPIED:
        assert (ROOT / path).exists(), path
        assert f"!{path}" in let_in, path


def test_the_image_can_dump_the_database_that_compose_runs() -> None:
    dumps = re.search(r"postgresql-client-(\d+)", CONTAINERFILE)
    runs = re.search(r"postgres:(\d+)", COMPOSE["services"]["postgres"]["image"])
    assert dumps
    assert runs
    assert int(dumps[1]) >= int(runs[1]), "pg_dump refuses a server that is newer"


@pytest.mark.parametrize(("name", "key"), [("redis", "REDIS_PASSWORD"), ("model", "VLLM_API_KEY")])
def test_a_server_does_not_start_without_its_password(name: str, key: str) -> None:
    """The very shell script of compose.yaml, the program replaced."""
    service = COMPOSE["services"][name]
    (*shell, script) = service.get("entrypoint") or service["command"]
    script = re.sub(r"exec (redis-server|python3 .*)", "echo started", script.replace("$$", "$"))
    script = re.sub(r"\$\{MODEL_\w+:-\}", "starter", script)
    assert key in service["environment"]
    for password, started in (("", False), ("x1", True)):
        environment = {"PATH": os.environ["PATH"], key: password}
        done = subprocess.run(
            [*shell, script], env=environment, capture_output=True, text=True, check=False
        )
        assert (done.returncode == 0, "started" in done.stdout) == (started, started)
        assert started or ".env.large" in done.stderr


def test_the_image_holds_every_package_that_the_project_declares() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {name.split(".")[0] for name in project["tool"]["setuptools"]["packages"]}
    assert packages <= set(COPIED)


def test_the_image_installs_by_hash_and_runs_as_nobody_in_particular() -> None:
    assert "--require-hashes" in CONTAINERFILE
    assert re.search(r"^USER 10001", CONTAINERFILE, re.MULTILINE)
    assert CONTAINERFILE.index("USER 10001") < CONTAINERFILE.index("\nCMD ")
    assert "/health/live" in CONTAINERFILE
    options = set(serve.__annotations__)
    command = re.search(r"^CMD (\[.*\])$", CONTAINERFILE, re.MULTILINE)
    assert command
    given = [a.removeprefix("--") for a in yaml.safe_load(command[1]) if a.startswith("--")]
    assert set(given) <= options


@pytest.mark.parametrize("name", OURS)
def test_a_service_of_ours_can_write_to_its_home_and_nowhere_else(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    mounts = [volume.split(":") for volume in service["volumes"] if not volume.startswith("$")]
    assert mounts == [["home", "/var/lib/frontdesk"]]
    assert all(v.endswith(":ro") for v in service["volumes"] if v.startswith("$"))


def test_the_small_shop_is_one_process_and_the_large_one_has_all_the_servers() -> None:
    services = COMPOSE["services"]
    always = [name for name, service in services.items() if "profiles" not in service]
    large = {name for name, service in services.items() if service.get("profiles") == ["large"]}
    assert always == ["app"]
    assert large == {"app-2", "nginx", "postgres", "redis", "chroma", "model"}


def test_the_servers_behind_are_on_a_private_network_and_publish_nothing() -> None:
    assert COMPOSE["networks"]["inside"]["internal"]
    for name in ("postgres", "redis", "chroma", "model"):
        assert COMPOSE["services"][name]["networks"] == ["inside"], name
        assert "ports" not in COMPOSE["services"][name], name
    assert COMPOSE["services"]["app"]["ports"] == ["127.0.0.1:7860:7860"], "to this machine alone"


def test_the_large_shop_gives_every_value_and_trusts_its_own_proxy_network() -> None:
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    used = set(re.findall(r"\$\{([A-Z_]+)", text))
    assert set(LARGE) <= used | {"POSTGRES_PASSWORD"}, "nothing that compose.yaml does not read"
    named = set(
        re.findall(r"\$\{([A-Z_]+)", " ".join(COMPOSE["services"]["app"]["environment"].values()))
    )
    assert named <= set(LARGE)
    edge = COMPOSE["networks"]["edge"]["ipam"]["config"][0]["subnet"]
    assert LARGE["PROXIES"] == f'["{edge}"]'


def test_addresses_of_the_large_shop_name_its_services() -> None:
    for key in ("STORE_URL", "REDIS_URL", "CHROMA_URL", "MODEL_URL"):
        host = re.search(r"//(?:[^@/]*@)?([\w-]+)[:/]", LARGE[key])
        assert host, key
        assert host[1] in COMPOSE["services"], key


def test_what_compose_mounts_exists() -> None:
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    for path in re.findall(r"(?::-|\")(\.{1,2}/[^}:\"]+)", text):
        assert (DEPLOY / path).exists(), path


def test_chromas_server_is_of_the_version_that_the_lock_pins() -> None:
    lock = (DEPLOY / "requirements.lock").read_text(encoding="utf-8")
    pinned = re.search(r"^chromadb==(\S+)", lock, re.MULTILINE)
    assert pinned
    assert COMPOSE["services"]["chroma"]["image"].endswith(f":{pinned[1]}")


def test_every_file_that_the_pages_link_to_is_there() -> None:
    for page in DEPLOY.glob("*.md"):
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


@pytest.mark.slow
def test_the_copied_paths_alone_serve_and_write_only_to_their_home(
    tmp_path: Path, engines: Path
) -> None:
    image, home = tmp_path / "app", tmp_path / "home"
    image.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    for path in COPIED:
        if (ROOT / path).is_dir():
            shutil.copytree(ROOT / path, image / path, ignore=ignored)
        elif not path.startswith("deploy/"):
            shutil.copy(ROOT / path, image / path)
    home.mkdir()
    (home / "engines").symlink_to(engines)
    refresh(home, next(DOCUMENTS.rglob("*returns*.md")))
    before = {path: path.stat().st_mtime_ns for path in image.rglob("*")}
    command = re.search(r"^CMD (\[.*\])$", CONTAINERFILE, re.MULTILINE)
    assert command
    arguments = yaml.safe_load(command[1])[2:]
    environment = {"PYTHONDONTWRITEBYTECODE": "1", "FRONTDESK_HOME": str(home)}
    server = Server(home, ["app.py", *arguments[:2]], environment, folder=image)
    server.start()
    try:
        server.wait()
        assert httpx.get(f"{server.url}/health/live").json() == {"status": "live"}
        check = re.search(r'CMD \["python", "-c", "(.*)"\]', CONTAINERFILE)
        assert check
        code = check[1].replace(":7860", f":{server.port}")
        subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)
    finally:
        server.kill()
    assert {path: path.stat().st_mtime_ns for path in image.rglob("*")} == before
