"""All that a large shop has, on this machine, under load while parts of it fail and change.

    python -m benchmarks.fleet [--customers 200] [--minutes 10] [--think 60] [--json FILE]

PostgreSQL, Redis, a Chroma server, `transformers serve` with the starter model, two app processes
and nginx with deploy/nginx.conf; customers as in `benchmarks.load`. After a quarter of the time an
app process is killed (SIGKILL) and started again, after half a knowledge version is published,
after three quarters an adapter is promoted. Exits with 1 if a message was lost or crossed, an error
reached a customer, or one of these failed.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from benchmarks import engines
from benchmarks.load.report import told
from benchmarks.serving import DOCUMENTS, ROOT, Server, make_home
from finetune.registry import Registry

STARTER = ROOT / "assistant" / "weights" / "starter"
ADAPTER = ROOT / "assistant" / "demo" / "weights" / "maplewick"
_NOTICE = "# Notice\n\nOur shop in Leeds is open on Sunday from 10:00 to 16:00.\n"


@contextmanager
def fleet(home: Path) -> Iterator[tuple[engines.Engine, list[Server]]]:
    """(nginx, the two apps before which it stands), over engines of their own. Raises
    MissingEngine."""
    with ExitStack() as stack:
        database = engines.create(stack.enter_context(engines.postgres()), "shop")
        places = {name: home / "engines-of-others" / name for name in ("redis", "chroma", "nginx")}
        for place in places.values():
            place.mkdir(parents=True)
        redis = stack.enter_context(engines.running(engines.redis(places["redis"])))
        chroma = stack.enter_context(engines.running(engines.chroma(places["chroma"])))
        served = _with_adapter(home / "served")
        model = stack.enter_context(engines.running(engines.transformers_serve(home, served)))
        environment = {
            "FRONTDESK_STORE__URL": database,
            "FRONTDESK_SHARED__REDIS": redis.url,
            "FRONTDESK_KNOWLEDGE__CHROMA": chroma.url,
            "FRONTDESK_WEB__PROXIES": '["127.0.0.1"]',
            "FRONTDESK_MODEL__BASE": str(STARTER),
            "FRONTDESK_MODEL__TIMEOUT_SECONDS": "15",
            "FRONTDESK_MODEL__SERVER__URL": f"{model.url}/v1",
            "FRONTDESK_MODEL__SERVER__MODEL": str(served),
            "FRONTDESK_MODEL__SERVER__ADAPTERS": json.dumps({_promoted_name(home): str(served)}),
        }
        make_home(home, environment=environment)
        apps = [Server(home, environment=environment) for _ in range(2)]
        for app in apps:
            stack.callback(app.kill)
            app.start()
            app.wait()
        proxy = engines.nginx(places["nginx"], apps[0].port, apps[1].port)
        yield stack.enter_context(engines.running(proxy)), apps


def _with_adapter(folder: Path) -> Path:
    """The starter with its adapter's files beside its own: what `transformers serve` loads."""
    shutil.copytree(STARTER, folder)
    for file in ADAPTER.glob("adapter_*"):
        shutil.copy(file, folder)
    return folder


def _promoted_name(home: Path) -> str:
    """What the registry will call the adapter."""
    with tempfile.TemporaryDirectory(dir=home) as scratch:
        return Registry(Path(scratch)).promote(ADAPTER)


def events(home: Path, app: Server, seconds: float) -> list[dict[str, Any]]:
    """What happens meanwhile, as benchmarks/load/events.py reads it."""
    assert app.process
    notices = home / "notices"
    notices.mkdir()
    (notices / "sunday.md").write_text(_NOTICE)
    at_home = f'--home "{home}"'
    return [
        {
            "at": seconds / 4,
            "name": "an app process is killed, and is back after five seconds",
            "run": f"kill -9 {app.process.pid}; sleep 5; export {_exported(app.environment)}; "
            f'exec "$PYTHON" app.py {at_home} --port {app.port}',
        },
        {
            "at": seconds / 2,
            "name": "a knowledge version is published",
            "run": f"export {_exported(app.environment)}; "
            f'"$PYTHON" -m knowledge refresh "{DOCUMENTS}" "{notices}" {at_home}',
        },
        {
            "at": seconds * 3 / 4,
            "name": "an adapter is promoted",
            "run": f'"$PYTHON" -m finetune promote "{ADAPTER}" {at_home}',
        },
    ]


def _exported(environment: Mapping[str, str]) -> str:
    """For a shell's `export`."""
    return " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())


def run(given: argparse.Namespace, home: Path) -> dict[str, Any]:
    """The report of the load test, with the versions that answered."""
    with fleet(home) as (proxy, apps):
        meanwhile = home / "events.yaml"
        meanwhile.write_text(yaml.safe_dump(events(home, apps[0], 60 * given.minutes)))
        command = [
            sys.executable, "-m", "benchmarks.load", "--url", proxy.url, "--home", str(home),
            "--customers", str(given.customers), "--minutes", str(given.minutes),
            "--think", str(given.think), "--spread", str(given.spread),
            "--events", str(meanwhile), "--json",
        ]  # fmt: skip
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
        if not done.stdout:
            raise RuntimeError("the load test did not end")
        report: dict[str, Any] = json.loads(done.stdout)
        report["troubles"] = [line for app in apps for line in app.troubles]
    return report


def main() -> None:
    """Print the report; exit with 1 where something was lost, crossed or given up."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--customers", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--think", type=float, default=60, help="median seconds between messages")
    parser.add_argument("--spread", type=float, default=60, help="seconds in which they come")
    parser.add_argument("--json", type=Path, help="write the whole report here")
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = run(given, Path(folder))
    if given.json:
        given.json.write_text(json.dumps(report, ensure_ascii=False))
    print(told(report))
    for line in report["troubles"][:20]:
        print("log:", line)
    print(f"{time.monotonic() - began:.0f} s in all")
    failed = [event for event in report["events"] if event["result"].startswith("failed")]
    raise SystemExit(bool(report["lost"] or report["crossed"] or report["errors"] or failed))


if __name__ == "__main__":
    main()
