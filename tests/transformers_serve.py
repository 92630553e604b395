"""`transformers serve`, started for real."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx
import pytest

_START_SECONDS = 120


@contextmanager
def transformers_serve(folder: Path, *options: str) -> Iterator[str]:
    """Serve a model folder; where its API begins. Skips where the extra is missing."""
    for module in ("openai", "uvicorn", "transformers.cli.serving.completion"):
        pytest.importorskip(module, reason="pip install 'transformers[serving]'")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = Path(sys.executable).with_name("transformers")
    command = [str(program), "serve", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--device", "cpu", "--dtype", "float32", "--quantization", "bnb-4bit", *options]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            _wait(f"http://127.0.0.1:{port}/health", process, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.kill()
            process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        try:
            httpx.get(url, trust_env=False).raise_for_status()
        except httpx.HTTPError:
            if process.poll() is not None:
                log.seek(0)
                raise AssertionError(log.read().decode()[-2000:]) from None
            time.sleep(0.2)
        else:
            return
    raise TimeoutError(f"{url} does not answer")
