"""Texts, requests and files that nobody would send in good faith, and what breaks.

    python -m benchmarks.fuzz [--count 10000] [--home HOME]

Three fifths are texts (hypothesis: surrogates, NUL, bidirectional controls, tag characters, floods
of marks) through the API and the whole pipeline; a fifth are requests that schemathesis derives
from the served OpenAPI; a fifth are PDF, Word, Excel, CSV and JSON Lines files with bytes flipped,
cut or doubled, through the readers of `knowledge refresh`. The bar: no status from 500, no turn
that ended in a failure, no file that is not accounted for. Exits with 1 if missed.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docx
import openpyxl
import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from reportlab.pdfgen.canvas import Canvas

from app import create_app
from assistant.service import ChatService
from assistant.settings import Settings
from knowledge.extraction import Limits
from knowledge.language import Detector
from knowledge.load import Loader

API = "/api/v1/conversations"
_A_CONVERSATION = 25  # texts
_A_BATCH = 100  # files
_JSON = {"content-type": "application/json"}
PIECES = (
    "\0", "\ud800", "\udfff", "\u202e", "\u2066", "\u2069", "\u200b", "\u200d", "\ufeff", "\ufffe",
    "\U000e0041", "\U000e007f", "\u0300" * 50, "\r\n\r\ndata: x", "</script>", "{{7*7}}", "%00%s",
    "../../etc/passwd", "e@x.de", "MW-10001", "return", "发票", "🙂", "ﷺ", "İ", "[1]", "[EMAIL_1]",
)  # fmt: skip
ANY = st.characters(codec=None)  # surrogates too
TEXTS = st.one_of(
    st.text(ANY, max_size=200),
    st.lists(st.one_of(st.sampled_from(PIECES), st.text(ANY, max_size=5)), max_size=30).map(
        "".join
    ),
    st.builds(lambda piece, times: piece * times, st.sampled_from(PIECES), st.integers(1, 400)),
)


@dataclass
class Fuzzed:
    """How many inputs there were, and the faults that they found."""

    name: str
    inputs: int = 0
    faults: list[str] = field(default_factory=list)


class Customer:
    """A conversation to send things to; another one after a while, and when it is gone."""

    def __init__(self, client: TestClient, service: ChatService) -> None:
        self.client, self.service = client, service
        self.begin()

    def begin(self) -> None:
        """Open another conversation."""
        begun = self.client.post(API, json={}).json()
        self.id = begun["conversation_id"]
        self.headers = _JSON | {"authorization": f"Bearer {begun['token']}"}

    def send(self, method: str, path: str, body: object) -> Any:
        """A request with this body as JSON, surrogates escaped."""
        url, content = f"{API}/{self.id}{path}", json.dumps(body)
        return self.client.request(method, url, content=content, headers=self.headers)


def fuzz_texts(app: FastAPI, service: ChatService, count: int) -> Fuzzed:
    """Texts wherever the API takes one."""
    found = Fuzzed("texts")
    client = TestClient(app, raise_server_exceptions=False)
    customer = Customer(client, service)

    @_examples(count)
    @given(text=TEXTS, other=TEXTS)
    def send(text: str, other: str) -> None:
        number, found.inputs = found.inputs, found.inputs + 1
        if number % _A_CONVERSATION == 0:
            customer.begin()
        answers = [customer.send("POST", "/messages", {"text": text, "message_id": f"m{number}"})]
        if answers[0].status_code == 200 and "event: reply" not in answers[0].text:
            customer.send("DELETE", "/handoff", None)
        match number % 5:
            case 0:
                body: dict[str, Any] = {"text": "Hello", "message_id": other}
                answers.append(customer.send("POST", "/messages", body))
            case 1:
                answers.append(customer.send("PUT", "/contact", {"email": other}))
            case 2:
                body = {"message": number, "helpful": True, "reason": other}
                answers.append(customer.send("POST", "/rating", body))
            case 3:
                body = {"language": other[:8], "identity": text or None}
                answers.append(client.post(API, content=json.dumps(body), headers=_JSON))
            case _:
                answers.append(customer.send("GET", "", None))
        for answer in answers:
            failed = [m for m in ("event: error", "pipeline:error") if m in answer.text]
            if answer.status_code >= 500 or failed:
                found.faults.append(f"{answer.status_code} {failed} {text!a:.80} {other!a:.80}")

    send()
    return found


def fuzz_requests(app: FastAPI, service: ChatService, count: int) -> Fuzzed:
    """What the OpenAPI allows, and what it does not."""
    found = Fuzzed("requests")
    customer = Customer(TestClient(app), service)
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    operations = [result.ok() for result in schema.get_all_operations()]

    def fuzz(operation: Any) -> None:
        @_examples(max(1, count // len(operations)))
        @given(case=operation.as_strategy())
        def call(case: Any) -> None:
            found.inputs += 1
            if not found.inputs % 100 or service.conversations.get(customer.id) is None:
                customer.begin()
            if found.inputs % 4 and "conversation_id" in (case.path_parameters or {}):
                case.path_parameters["conversation_id"] = customer.id
                case.headers = dict(case.headers or {}) | {
                    "authorization": customer.headers["authorization"]
                }
            if operation.path.endswith("/events"):  # which would never end
                service.end(customer.id, "Ada")
            answer = case.call()
            # Not to be ready is no fault: this application has no knowledge base.
            if answer.status_code >= 500 and operation.path != "/health/ready":
                found.faults.append(f"{answer.status_code} {case.method} {operation.path}")

        call()

    for operation in operations:
        fuzz(operation)
    return found


def fuzz_files(folder: Path, count: int) -> Fuzzed:
    """Damaged files, read as a refresh reads them."""
    found, rng = Fuzzed("files"), random.Random(5)
    loader = Loader(Detector(), Limits(seconds=20, memory_bytes=1_000_000_000))
    whole = {suffix: make() for suffix, make in FILES.items()}
    while found.inputs < count:
        batch = folder / str(found.inputs)
        batch.mkdir(parents=True)
        names = [
            f"{n}{rng.choice(list(whole))}" for n in range(min(_A_BATCH, count - found.inputs))
        ]
        for name in names:
            (batch / name).write_bytes(_damaged(whole[Path(name).suffix], rng))
        found.inputs += len(names)
        try:
            loaded = loader.load([batch])
        except Exception as error:  # it is what is looked for
            found.faults.append(f"{type(error).__name__}: {error}")
            continue
        seen = {f.path for f in loaded.files} | {r.source for r in loaded.rejected}
        missing = {str(batch / name) for name in names} - seen
        found.faults += [f"not accounted for: {Path(path).name}" for path in missing]
        down = [r for r in loaded.rejected if "brought down" in r.reason]
        found.faults += [f"brought its reader down: {Path(r.source).name}" for r in down]
    return found


def _damaged(content: bytes, rng: random.Random) -> bytes:
    """A file with some bytes others, or a part missing or there twice."""
    damaged = bytearray(content)
    for _ in range(rng.choice((1, 4, 30))):
        damaged[rng.randrange(len(damaged))] = rng.randrange(256)
    start, end = sorted(rng.choices(range(len(damaged)), k=2))
    match rng.randrange(6):
        case 0:
            del damaged[start:]
        case 1:
            del damaged[start:end]
        case 2:
            damaged[end:end] = damaged[start:end]
    return bytes(damaged)


def _pdf() -> bytes:
    packed = io.BytesIO()
    canvas = Canvas(packed)
    canvas.drawString(70, 700, "Returns are free within fourteen days.")
    canvas.save()
    return packed.getvalue()


def _word() -> bytes:
    packed, document = io.BytesIO(), docx.Document()
    document.add_heading("Returns")
    document.add_paragraph("Returns are free within fourteen days.")
    document.save(packed)
    return packed.getvalue()


def _sheet() -> bytes:
    packed, book = io.BytesIO(), openpyxl.Workbook()
    book.active.append(["question", "answer"])
    book.active.append(["How long?", "Returns are free within fourteen days."])
    book.save(packed)
    return packed.getvalue()


FILES: dict[str, Callable[[], bytes]] = {
    ".pdf": _pdf,
    ".docx": _word,
    ".xlsx": _sheet,
    ".csv": lambda: "question,answer\nHow long?,Fourteen “days”\n谁？,我们\n".encode() * 20,
    ".jsonl": lambda: (
        b'{"id": "a", "title": "T", "text": "Fourteen days.", "language": "en"}\n' * 9
    ),
}


def _examples(count: int) -> Any:
    """So many examples, always the same, and no second look at any."""
    return settings(
        max_examples=count,
        database=None,
        derandomize=True,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def main() -> None:
    """Print the counts; exit with 1 where something broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--home", type=Path)
    given_ = parser.parse_args()
    from assistant.build import build_service  # loads the models
    from benchmarks.serving import make_home

    with tempfile.TemporaryDirectory() as folder:
        home = given_.home or Path(folder) / "home"
        make_home(home)
        chosen = Settings(home=home)
        service = build_service(chosen)
        app = create_app(chosen, service)
        fifth = given_.count // 5
        found = [
            fuzz_texts(app, service, given_.count - 2 * fifth),
            fuzz_requests(app, service, fifth),
            fuzz_files(Path(folder) / "files", fifth),
        ]
    for part in found:
        print(f"{part.name:12} {part.inputs:7,} inputs {len(part.faults):5} faults")
        print(*sorted(set(part.faults))[:10], sep="\n  ")
    raise SystemExit(any(part.faults for part in found))


if __name__ == "__main__":
    main()
